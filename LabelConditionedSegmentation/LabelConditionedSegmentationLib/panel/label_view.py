"""The label tree in the panel: a box to tick, a colour and a tooltip for every label, a box that makes a parent one
segment, and above the labels the protocols that they belong to, where there are several ways to divide a scan.
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
        self._headings: dict[str, Any] = {}
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
            for name, heading in self._headings.items():
                heading.setCheckState(NAME, check[ticks.state_of_protocol(name)])

    def filter(self, text: str) -> None:
        """Show the labels that a search finds, under their parents, which open; everything for an empty text."""
        if self._ticks is None:
            return
        visible = self._ticks.visible(text)
        for label_id, item in self._items.items():
            _hide(item, label_id not in visible)
        for name, heading in self._headings.items():
            _hide(heading, not any(root.id in visible for root in self._ticks.tree.parts[name].roots))
        if text.strip():
            for item in (*self._headings.values(), *(self._items[label_id] for label_id in visible)):
                item.setExpanded(True)

    def item(self, label_id: int) -> Any:
        """The QTreeWidgetItem of a label."""
        return self._items[label_id]

    def heading(self, protocol: str) -> Any:
        """The QTreeWidgetItem of a protocol."""
        return self._headings[protocol]

    @property
    def current(self) -> int | None:
        """Id of the label that the user clicked on last; None where there is none, and for a protocol."""
        item = self._widget.currentItem()
        return None if item is None or self._protocol_of(item) is not None else _label_of(item)

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
        """One item a label, under its parent, or the protocol that it is a root of; what is at the top is open."""
        self._items = {}
        self._headings = {name: _heading(name) for name, part in tree.parts.items() if _has_heading(name, part)}
        with blocked_signals(self._widget):  # until there is something again that can be current
            self._widget.clear()
        for label in tree.walk():
            item = _new_item(label, is_parent=label.id in tree.children)
            self._items[label.id] = item
            if label.parent is not None:
                self._items[label.parent].addChild(item)
        for name, part in tree.parts.items():
            heading = self._headings.get(name)
            if heading is not None:
                self._widget.addTopLevelItem(heading)
            for label in part.roots:
                add = self._widget.addTopLevelItem if heading is None else heading.addChild
                add(self._items[label.id])
                self._items[label.id].setExpanded(True)
            if heading is not None:
                heading.setExpanded(True)

    def _pressed(self, _item: Any, _column: int) -> None:
        self._is_boxed = False

    def _name_clicked(self, item: Any, column: int) -> None:
        """Told after every click; one on a box has changed it before."""
        if column == NAME and not self._is_boxed and self._protocol_of(item) is None:
            self.on_chosen(_label_of(item))

    def _clicked(self, item: Any, column: int) -> None:
        self._is_boxed = True
        ticks = self._ticks
        if ticks is None:
            return
        protocol, on = self._protocol_of(item), item.checkState(column) == qt.Qt.Checked
        if protocol is not None:
            ticks.tick_protocol(protocol, on)
        elif column == NAME:
            ticks.tick(_label_of(item), on)
        else:
            ticks.set_merged(_label_of(item), on)
        self.refresh()
        self._on_change()

    def _protocol_of(self, item: Any) -> str | None:
        """The protocol that an item stands for; None where it is that of a label."""
        name = item.data(NAME, qt.Qt.UserRole)
        return name if isinstance(name, str) else None


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


def _has_heading(protocol: str, part: LabelTree) -> bool:
    """Whether a protocol is shown above its labels: it has a name, and is not called as the only one of its roots."""
    return bool(protocol) and [root.name for root in part.roots] != [protocol]


def _heading(protocol: str) -> Any:
    item = qt.QTreeWidgetItem()
    item.setText(NAME, protocol)
    item.setData(NAME, qt.Qt.UserRole, protocol)
    item.setToolTip(NAME, _("One complete way to divide the scan; structures of different ones may overlap."))
    item.setCheckState(NAME, qt.Qt.Unchecked)
    return item


def _label_of(item: Any) -> int:
    return int(item.data(NAME, qt.Qt.UserRole))


def _hide(item: Any, hidden: bool) -> None:
    if item.isHidden() != hidden:
        item.setHidden(hidden)


def _swatch(label: Label) -> Any:
    pixmap = qt.QPixmap(SWATCH, SWATCH)
    pixmap.fill(qt.QColor(*(round(255 * part) for part in label.color)))
    return qt.QIcon(pixmap)
