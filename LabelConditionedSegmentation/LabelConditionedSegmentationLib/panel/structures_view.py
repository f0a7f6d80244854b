"""The choice of structures in the panel: tree, search, buttons, recent sets, and what was found under a
picked point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..core.labels.label_tree import Label, LabelTree
from ..core.package.model_package import ModelPackage
from .blocked_signals import blocked_signals
from .label_ticks import LabelTicks
from .label_view import LabelView
from .recent_sets import RecentSets
from .remembered import Memory
from .sentences import translated


class StructuresView:
    """Over the widgets of the section Structures (`ui`, by their names). on_change is called after every click that
    changed what is chosen.
    """

    def __init__(self, ui: Any, memory: Memory, on_change: Callable[[], None]) -> None:
        self._ui = ui
        self._memory = memory
        self._on_change = on_change
        self._recent = RecentSets(memory.recent_sets)
        self._model = ""
        self.ticks: LabelTicks | None = None
        self.tree = LabelView(ui.labelTree, self._changed)
        ui.pickList.visible = False
        ui.searchBox.connect("textChanged(QString)", self.tree.filter)
        ui.allButton.connect("clicked(bool)", self._tick_all)
        ui.clearButton.connect("clicked(bool)", self._untick_all)
        ui.sidesBox.connect("toggled(bool)", self._sides_toggled)
        ui.recentSelector.connect("activated(int)", self._recent_chosen)
        ui.pickList.connect("itemClicked(QListWidgetItem*)", self._ranked_clicked)

    @property
    def wanted(self) -> list[Label]:
        """What is wanted; see LabelTicks.wanted."""
        return self.ticks.wanted() if self.ticks else []

    def show_model(self, package: ModelPackage, tree: LabelTree) -> None:
        """Show the labels of a model, and what else it can find, as one tree; what was chosen and both
        models know stays chosen.
        """
        ticks = LabelTicks(tree)
        ticks.choose([label.name for label in self.wanted])
        self._model = package.name
        self.show(ticks)
        self._show_recent()

    def show(self, ticks: LabelTicks) -> None:
        """Show these ticks, and change them from now on."""
        self.ticks = ticks
        with blocked_signals(self._ui.sidesBox):
            self._ui.sidesBox.checked = ticks.sides_together
        self.tree.show(ticks)
        self.tree.filter(self._ui.searchBox.text)
        self._show_count()

    def show_tree(self, tree: LabelTree, renewed: Mapping[int, int]) -> None:
        """Show other labels of the same model; what was chosen and what is marked stay so. renewed: old id -> new id of
        labels that came in the place of others.
        """
        marked = self.tree.current
        self.show((self.ticks or LabelTicks(tree)).on(tree, renewed))
        self.tree.mark(None if marked is None else renewed.get(marked, marked))

    def remember(self) -> None:
        """Put what is chosen first among the recent sets."""
        self._recent.add(self._model, [label.name for label in self.wanted])
        self._memory.recent_sets = self._recent.to_text()
        self._show_recent()

    def offer(self, ranked: Sequence[tuple[Label, float]]) -> None:
        """List the labels under a picked point with their probabilities; a click ticks one. No label hides the list."""
        pick_list = self._ui.pickList
        pick_list.clear()
        for label, share in ranked:
            pick_list.addItem(f"{label.name}  {100 * share:.0f} %")
            pick_list.item(pick_list.count - 1).setData(qt.Qt.UserRole, label.id)
        pick_list.visible = bool(ranked)

    def _changed(self) -> None:
        self._show_count()
        self._on_change()

    def _change(self, change: Callable[[LabelTicks], None]) -> None:
        """Change the ticks from outside the tree."""
        if self.ticks is not None:
            change(self.ticks)
            self.tree.refresh()
            self._changed()

    def _tick_all(self, _checked: bool) -> None:
        self._change(LabelTicks.tick_all)

    def _untick_all(self, _checked: bool) -> None:
        self._change(LabelTicks.clear)

    def _sides_toggled(self, checked: bool) -> None:
        self._change(lambda ticks: setattr(ticks, "sides_together", checked))

    def _recent_chosen(self, index: int) -> None:
        if index > 0:
            self._change(lambda ticks: ticks.choose(self._recent.get(self._model, index - 1)))
        self._ui.recentSelector.currentIndex = 0

    def _ranked_clicked(self, item: Any) -> None:
        self._change(lambda ticks: ticks.tick(item.data(qt.Qt.UserRole), True))

    def _show_count(self) -> None:
        self._ui.countLabel.text = translated(self.ticks.summary()) if self.ticks else ""

    def _show_recent(self) -> None:
        selector = self._ui.recentSelector
        selector.clear()
        titles = self._recent.titles(self._model)
        selector.addItem(_("Recent structures") if titles else _("No recent structures"))
        for title in titles:
            selector.addItem(translated(title))
        selector.enabled = bool(titles)
