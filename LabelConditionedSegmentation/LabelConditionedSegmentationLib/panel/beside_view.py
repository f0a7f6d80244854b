"""The comparison in the section about the result: which segmentation to compare with, what is shown, how they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..scene.segmentation_overlap import ComparedSegment
from .blocked_signals import blocked_signals
from .sentences import translated


class BesideView:
    """Over the widgets of the section (`ui`, by their names)."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._offered: list[tuple[str, str]] | None = None
        ui.shownSelector.addItem(_("Both"))
        ui.shownSelector.addItem(_("This one"))
        ui.shownSelector.addItem(_("The other"))
        tree = ui.overlapTree
        tree.setHeaderLabels([_("Structure"), _("ml"), _("Other"), _("Dice")])
        header = tree.header()
        header.stretchLastSection = False
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        for column in range(1, 4):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)

    def connect(self, chosen: Callable[[], None], show: Callable[[int], None]) -> None:
        """Call these when another segmentation was chosen, and when something else is to be shown (its number)."""
        self._ui.besideSelector.connect("currentIndexChanged(int)", lambda _index: chosen())
        self._ui.shownSelector.connect("activated(int)", show)

    @property
    def other_id(self) -> str:
        """ID of the segmentation to compare with; "" for none."""
        return str(self._ui.besideSelector.currentData or "")

    def offer(self, others: Sequence[Any]) -> None:
        """Offer segmentation nodes to compare with; the one that was chosen stays chosen."""
        offered = [(str(node.GetName()), str(node.GetID())) for node in others]
        if offered != self._offered:
            self._offered = offered
            selector = self._ui.besideSelector
            with blocked_signals(selector):
                before = self.other_id
                selector.clear()
                selector.addItem(_("Compare with..."), "")
                for name, node_id in offered:
                    selector.addItem(name, node_id)
                selector.currentIndex = max(0, selector.findData(before))
        self._ui.besideForm.visible = bool(offered)

    def show_shown(self, shown: int | None) -> None:
        """Show which of the two is seen, as `beside_tool` numbers it; None where there is nothing to compare with."""
        self._ui.shownSelector.visible = shown is not None
        if shown is not None:
            with blocked_signals(self._ui.shownSelector):
                self._ui.shownSelector.currentIndex = shown

    def show_overlap(self, rows: Sequence[ComparedSegment], sentence: str) -> None:
        """Show how they agree, and a sentence about all of it."""
        tree = self._ui.overlapTree
        tree.clear()
        for row in rows:
            item = qt.QTreeWidgetItem()
            dice = "" if row.dice is None else f"{row.dice:.3f}"
            for column, text in enumerate((row.name, f"{row.ml:.2f}", f"{row.other_ml:.2f}", dice)):
                item.setText(column, text)
            item.setToolTip(0, row.name)
            tree.addTopLevelItem(item)
        tree.visible = bool(rows)
        self._ui.overlapLabel.text = translated(sentence)
        self._ui.overlapLabel.visible = bool(sentence)
