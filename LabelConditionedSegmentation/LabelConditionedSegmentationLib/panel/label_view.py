"""The label tree in the panel: a box to tick, a colour and a tooltip for every label, and a box that makes a parent one
segment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ..core.labels.label_tree import Label, LabelTree
from .blocked_signals import blocked_signals
from .label_ticks import LabelTicks

NAME, AS_ONE = 0, 1
"""Columns of the tree widget."""

SWATCH = 12
"""Side of the colour swatches in pixels."""


class LabelView:
    """Shows label ticks in a QTreeWidget of two columns and changes them as the user clicks.

    on_change is called once for every click on a box, and for nothing else.
    """

    def __init__(self, tree_widget: Any, on_change: Callable[[], None]) -> None:
        self._widget = tree_widget
        self._on_change = on_change
        self._ticks: LabelTicks | None = None
        self._items: dict[int, Any] = {}
        self._is_boxed = False
        self.on_chosen: Callable[[int], None] = lambda _label_id: None
        """Called with the id of a label whose name was clicked on, and not its box."""
        tree_widget.setHeaderLabels([_("Structure"), _("As one")])
        header = tree_widget.header()
        header.stretchLastSection = False
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(AS_ONE, qt.QHeaderView.ResizeToContents)
        tree_widget.connect("itemPressed(QTreeWidgetItem*,int)", self._pressed)
        tree_widget.connect("itemChanged(QTreeWidgetItem*,int)", self._clicked)
        tree_widget.connect("itemClicked(QTreeWidgetItem*,int)", self._name_clicked)

    def show(self, ticks: LabelTicks) -> None:
        """Show these ticks, and change them from now on.

        Items are made anew only where the label tree is another one.
        """
        if self._ticks is None or self._ticks.tree != ticks.tree:
            self._fill(ticks.tree)
        self._ticks = ticks
        self.refresh()

    def refresh(self) -> None:
        """Show the ticks as they are now."""
        ticks = self._ticks
        if ticks is None:
            return
        check = {"on": qt.Qt.Checked, "part": qt.Qt.PartiallyChecked, "off": qt.Qt.Unchecked}
        with blocked_signals(self._widget):
            for label_id, item in self._items.items():
                item.setCheckState(NAME, check[ticks.state(label_id)])
                if ticks.can_merge(label_id):
                    item.setCheckState(AS_ONE, check["on" if ticks.is_merged(label_id) else "off"])

    def filter(self, text: str) -> None:
        """Show the labels that a search finds, under their parents, which open; everything for an empty text."""
        if self._ticks is None:
            return
        visible = self._ticks.visible(text)
        for label_id, item in self._items.items():
            if item.isHidden() != (label_id not in visible):
                item.setHidden(label_id not in visible)
        if text.strip():
            for label_id in visible:
                self._items[label_id].setExpanded(True)

    def item(self, label_id: int) -> Any:
        """The QTreeWidgetItem of a label."""
        return self._items[label_id]

    @property
    def current(self) -> int | None:
        """Id of the label that the user clicked on last; None where there is none."""
        item = self._widget.currentItem()
        return None if item is None else int(item.data(NAME, qt.Qt.UserRole))

    def mark(self, label_id: int | None) -> None:
        """Make a label the current one, as if the user had clicked on its name; nothing happens where the tree does not
        have it.
        """
        if label_id in self._items:
            self._widget.setCurrentItem(self._items[label_id])

    def mark_first(self) -> None:
        """Make the first label that is shown, and no parent, the current one, unless the current one is shown."""
        ticks = self._ticks
        if ticks is None or (self.current is not None and not self._items[self.current].isHidden()):
            return
        shown = [label.id for label in ticks.tree.walk() if not self._items[label.id].isHidden()]
        self.mark(next((known for known in shown if not ticks.can_merge(known)), None))

    def _fill(self, tree: LabelTree) -> None:
        """One item a label, under its parent; parents at the top are open."""
        self._items = {}
        with blocked_signals(self._widget):  # until there is something again that can be current
            self._widget.clear()
        for label in tree.walk():
            item = _new_item(label, is_parent=label.id in tree.children)
            self._items[label.id] = item
            if label.parent is not None:
                self._items[label.parent].addChild(item)
        for label in tree.roots:
            self._widget.addTopLevelItem(self._items[label.id])
            self._items[label.id].setExpanded(True)

    def _pressed(self, _item: Any, _column: int) -> None:
        self._is_boxed = False

    def _name_clicked(self, item: Any, column: int) -> None:
        """Told after every click; one on a box has changed it before."""
        if column == NAME and not self._is_boxed:
            self.on_chosen(int(item.data(NAME, qt.Qt.UserRole)))

    def _clicked(self, item: Any, column: int) -> None:
        self._is_boxed = True
        ticks = self._ticks
        if ticks is None:
            return
        label_id = item.data(NAME, qt.Qt.UserRole)
        on = item.checkState(column) == qt.Qt.Checked
        if column == NAME:
            ticks.tick(label_id, on)
        else:
            ticks.set_merged(label_id, on)
        self.refresh()
        self._on_change()


def tooltip(label: Label) -> str:
    """Name, synonyms, side and code of a label, one a line, as far as there are any."""
    codes = ", ".join(f"{code.meaning} ({code.value})" for code in (label.type, label.modifier) if code is not None)
    lines = {
        "": label.name,
        _("Also called: "): ", ".join(label.synonyms),
        _("Side: "): {"left": _("left"), "right": _("right")}.get(label.laterality, label.laterality),
        _("SNOMED CT: "): codes,
    }
    return "\n".join(f"{begin}{rest}" for begin, rest in lines.items() if rest)


def _new_item(label: Label, is_parent: bool) -> Any:
    item = qt.QTreeWidgetItem()
    item.setText(NAME, label.name)
    item.setData(NAME, qt.Qt.UserRole, label.id)
    item.setIcon(NAME, _swatch(label))
    item.setToolTip(NAME, tooltip(label))
    item.setCheckState(NAME, qt.Qt.Unchecked)
    if is_parent:
        item.setCheckState(AS_ONE, qt.Qt.Unchecked)
        item.setToolTip(AS_ONE, _("Give {name} as one segment instead of its parts.").format(name=label.name))
    return item


def _swatch(label: Label) -> Any:
    pixmap = qt.QPixmap(SWATCH, SWATCH)
    pixmap.fill(qt.QColor(*(round(255 * part) for part in label.color)))
    return qt.QIcon(pixmap)
