"""Stand-ins of the CTK widgets that the module uses, with their public properties, slots and signals and
nothing else.
"""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal


def plain_property(kind: Any, name: str, default: Any) -> Any:
    """A Qt property that only holds a value."""
    place = f"_{name}"

    def read(self: Any) -> Any:
        return getattr(self, place, default)

    def write(self: Any, value: Any) -> None:
        setattr(self, place, value)

    return Property(kind, read, write)


class ctkCollapsibleButton(QtWidgets.QAbstractButton):  # noqa: N801
    """A header that shows and hides what lies below it."""

    contentsCollapsed = Signal(bool)  # noqa: N815
    _HEADER = 26

    def __init__(self, *arguments: Any) -> None:
        texts = [known for known in arguments if isinstance(known, str)]
        super().__init__(*[known for known in arguments if not isinstance(known, str)])
        self._put_away: list[QtWidgets.QWidget] = []
        self.setText("".join(texts))
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self._HEADER, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(self._show_contents)

    def _is_collapsed(self) -> bool:
        return not self.isChecked()

    def setCollapsed(self, collapsed: bool) -> None:  # noqa: N802
        self.setChecked(not collapsed)

    collapsed = Property(bool, _is_collapsed, setCollapsed)

    def _show_contents(self, shown: bool) -> None:
        if shown:
            for child in self._put_away:
                child.show()
            self._put_away.clear()
        else:
            self._hide_contents()
        self.updateGeometry()
        self.contentsCollapsed.emit(not shown)

    def _hide_contents(self) -> None:
        """Hide what is shown, and remember it; what was hidden before stays so when the button is opened again."""
        direct = QtCore.Qt.FindChildOption.FindDirectChildrenOnly
        shown = [child for child in self.findChildren(QtWidgets.QWidget, options=direct) if not child.isHidden()]
        for child in shown:
            child.hide()
            child.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)  # nobody has asked for it
            child.installEventFilter(self)
        self._put_away.extend(shown)

    def eventFilter(self, child: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802
        """What is hidden while it is put away stays so when the button is opened again."""
        if event.type() == QtCore.QEvent.Type.HideToParent and child in self._put_away:
            self._put_away.remove(child)
        return False

    def event(self, event: QtCore.QEvent) -> bool:
        if event.type() in (QtCore.QEvent.Type.LayoutRequest, QtCore.QEvent.Type.Polish) and not self.isChecked():
            self._hide_contents()
        return super().event(event)

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802
        layout = self.layout()
        return self._with_header(layout.totalSizeHint() if layout is not None and self.isChecked() else QtCore.QSize())

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802
        layout = self.layout()
        return self._with_header(
            layout.totalMinimumSize() if layout is not None and self.isChecked() else QtCore.QSize()
        )

    def _with_header(self, contents: QtCore.QSize) -> QtCore.QSize:
        return contents.expandedTo(QtCore.QSize(80, self._HEADER))

    def hitButton(self, position: QtCore.QPoint) -> bool:  # noqa: N802
        return position.y() < self._HEADER

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect.setHeight(self._HEADER)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        sign = "\N{BLACK DOWN-POINTING TRIANGLE}" if self.isChecked() else "\N{BLACK RIGHT-POINTING TRIANGLE}"
        inside = option.rect.adjusted(8, 0, -8, 0)
        painter.drawItemText(
            inside, QtCore.Qt.AlignmentFlag.AlignVCenter, self.palette(), self.isEnabled(), f"{sign}  {self.text()}"
        )
        if self.isChecked():
            painter.setPen(self.palette().mid().color())
            painter.drawRect(self.rect().adjusted(0, self._HEADER, -1, -1))


class ctkSearchBox(QtWidgets.QLineEdit):  # noqa: N801
    """A line edit with a search icon."""

    showSearchIcon = plain_property(bool, "showSearchIcon", False)  # noqa: N815
    alwaysShowClearIcon = plain_property(bool, "alwaysShowClearIcon", False)  # noqa: N815


class ctkMessageBox(QtWidgets.QMessageBox):  # noqa: N801
    """A message box that may be told not to come again."""

    dontShowAgain = plain_property(bool, "dontShowAgain", False)  # noqa: N815
    dontShowAgainSettingsKey = plain_property(str, "dontShowAgainSettingsKey", "")  # noqa: N815
    dontShowAgainVisible = plain_property(bool, "dontShowAgainVisible", False)  # noqa: N815


CTK = {widget.__name__: widget for widget in (ctkCollapsibleButton, ctkSearchBox, ctkMessageBox)}
