"""The section about the result in the panel: its buttons, how it is shown, its volumes, and what is under the mouse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..scene.segment_display import is_outlined, is_shown_in_3d, opacity_of
from .blocked_signals import blocked_signals
from .volume_rows import VolumeRow

PERCENT = 100


class ResultView:
    """Over the widgets of the section (`ui`, by their names)."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._shown_name: str | None = None
        table = ui.volumesTree
        table.setHeaderLabels([_("Structure"), _("ml"), _("Left"), _("Right"), _("Asymmetry")])
        header = table.header()
        header.stretchLastSection = False
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in range(1, 5):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        ui.resultSection.visible = False
        self.show_under_pointer("")

    def connect(
        self,
        edit: Callable[[], None],
        measure: Callable[[], None],
        show_3d: Callable[[bool], None],
        set_opacity: Callable[[float], None],
        show_outline: Callable[[bool], None],
    ) -> None:
        """Call these when the user asks for them; opacity is 0 to 1."""
        ui = self._ui
        ui.editButton.connect("clicked(bool)", lambda _checked: edit())
        ui.statisticsButton.connect("clicked(bool)", lambda _checked: measure())
        ui.show3DButton.connect("toggled(bool)", show_3d)
        ui.opacitySlider.connect("valueChanged(int)", lambda value: set_opacity(value / PERCENT))
        ui.outlineBox.connect("toggled(bool)", show_outline)

    def show(self, segmentation: Any) -> None:
        """Show how a segmentation is shown; nothing where there is none."""
        ui = self._ui
        ui.resultSection.visible = segmentation is not None
        if segmentation is None:
            return
        with blocked_signals(ui.show3DButton):
            ui.show3DButton.checked = is_shown_in_3d(segmentation)
        with blocked_signals(ui.opacitySlider):
            ui.opacitySlider.value = round(PERCENT * opacity_of(segmentation))
        with blocked_signals(ui.outlineBox):
            ui.outlineBox.checked = is_outlined(segmentation)
        ui.opacitySlider.enabled = not ui.outlineBox.checked

    def enable(self, enabled: bool) -> None:
        """Whether the user may leave for another module; while a run goes on its segmentation may still change."""
        self._ui.editButton.enabled = self._ui.statisticsButton.enabled = enabled

    def list_volumes(self, rows: Sequence[VolumeRow]) -> None:
        """Show volumes, in millilitres."""
        table = self._ui.volumesTree
        table.clear()
        for row in rows:
            item = qt.QTreeWidgetItem()
            for column, text in enumerate(row.cells()):
                item.setText(column, text)
            item.setToolTip(0, row.name)
            table.addTopLevelItem(item)
        table.visible = bool(rows)

    def show_under_pointer(self, name: str) -> None:
        """Show the name of the structure under the mouse; "" for none."""
        if name == self._shown_name:
            return
        self._shown_name = name
        self._ui.pointerLabel.text = name or _("Point at a slice: its structure is named here. Click one in the tree.")
