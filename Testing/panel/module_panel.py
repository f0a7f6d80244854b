"""The place that the application gives a module: a scroll area of a fixed width, below the button of the help text."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from PySide6 import QtCore, QtWidgets

from Testing.host import qt as adaptor
from Testing.host.widgets import ctkCollapsibleButton


class ModulePanel:
    """As Base/QTGUI/qSlicerModulePanel.cxx has it: what is in the scroll area is as high as the area, or as its own
    height for that width where that is more, and then there is a scroll bar. Layout margins of modules are 0 there.
    """

    def __init__(self, widget: Any, width: int, height: int) -> None:
        self._widget = adaptor.unwrap(widget)
        self._before = self._widget.parentWidget(), self._widget.layout().contentsMargins()
        self.area = QtWidgets.QScrollArea()
        self.area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self.area.setWidgetResizable(True)
        contents = QtWidgets.QWidget()
        layout = QtWidgets.QVBoxLayout(contents)
        layout.setContentsMargins(0, 0, 0, 0)
        self._help = ctkCollapsibleButton("Help && Acknowledgement")
        self._help.setCollapsed(True)
        layout.addWidget(self._help)
        self._widget.layout().setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._widget, 1)
        self.area.setWidget(contents)
        self.area.setFixedSize(width, height)
        self.area.show()
        self._widget.show()
        self.settle()

    def __enter__(self) -> ModulePanel:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Give the widget back to the window that it came from."""
        parent, margins = self._before
        self._widget.layout().setContentsMargins(margins)
        self._widget.setParent(parent)
        self.area.close()
        self.area.deleteLater()

    def settle(self) -> None:
        """Lay out what has changed."""
        for _ in range(3):
            QtWidgets.QApplication.processEvents()

    @property
    def scrolls_by(self) -> int:
        """Pixels that lie below what is seen."""
        return self.area.verticalScrollBar().maximum()

    def bottom(self, widget: Any) -> int:
        """Where a widget ends, in pixels from the top of the panel, scrolled as it is."""
        real = adaptor.unwrap(widget)
        return int(real.mapTo(self.area, QtCore.QPoint(0, real.height())).y())

    def height(self, widget: Any) -> int:
        """Of a widget, in pixels."""
        return int(adaptor.unwrap(widget).height())

    def picture(self, path: Any) -> None:
        """Write what is seen, as PNG."""
        self.area.grab().save(str(path))
