"""The label tree on the screen: it shows the ticks, a key press changes them, and only what changes is touched."""

from __future__ import annotations

import pytest
from LabelConditionedSegmentationLib.core.labels.label_tree import Code, Label
from LabelConditionedSegmentationLib.panel.label_ticks import LabelTicks
from PySide6 import QtWidgets
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from Testing.host import qt as adaptor
from Testing.host.application import Host
from Testing.samples import label_tree

GROUP, REST, HIPPOCAMPUS_LEFT, HIPPOCAMPUS_RIGHT = 200, 201, 47, 46
NAME, AS_ONE = 0, 1
CHECKED, PART, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.PartiallyChecked, Qt.CheckState.Unchecked


class LabelScreen:
    """A shown label tree of a model with `leaves` leaves, and a user in front of it."""

    def __init__(self, leaves: int) -> None:
        from LabelConditionedSegmentationLib.panel.label_view import LabelView

        self.tree = QtWidgets.QTreeWidget()
        self.tree.setColumnCount(2)
        self.tree.resize(380, 260)
        self.tree.show()
        self.calls = 0
        self.view = LabelView(adaptor.wrap(self.tree), self._changed)
        self.ticks = LabelTicks(label_tree(leaves))
        self.view.show(self.ticks)

    def _changed(self) -> None:
        self.calls += 1

    def items(self) -> dict[str, QtWidgets.QTreeWidgetItem]:
        """Every item by its text."""
        walk = QtWidgets.QTreeWidgetItemIterator(self.tree)
        found: dict[str, QtWidgets.QTreeWidgetItem] = {}
        while item := walk.value():
            found[item.text(NAME)] = item
            walk += 1
        return found

    def item(self, label_id: int) -> QtWidgets.QTreeWidgetItem:
        return self.items()[self.ticks.tree[label_id].name]

    def press(self, label_id: int, column: int = NAME) -> None:
        """Toggle a box as a user does; Qt treats the space bar as a click on the box."""
        self.tree.setCurrentItem(self.item(label_id), column)
        QTest.keyClick(self.tree, Qt.Key.Key_Space)

    def shown(self) -> set[str]:
        return {name for name, item in self.items().items() if not item.isHidden()}


@pytest.fixture
def screen(host: Host) -> LabelScreen:
    return LabelScreen(6)


@pytest.fixture
def large(host: Host) -> LabelScreen:
    return LabelScreen(500)


def test_every_label_has_its_place_below_its_parent(large: LabelScreen) -> None:
    items = large.items()
    assert list(items) == [label.name for label in large.ticks.tree.walk()]
    for label in large.ticks.tree.labels:
        above = items[label.name].parent()
        assert (above.text(NAME) if above else None) == (large.ticks.tree[label.parent].name if label.parent else None)


def test_a_key_press_ticks_a_label_and_its_parent_shows_a_part(screen: LabelScreen) -> None:
    screen.ticks.sides_together = False
    screen.press(HIPPOCAMPUS_LEFT)
    assert [label.name for label in screen.ticks.wanted()] == ["Left Hippocampus"]
    assert screen.item(HIPPOCAMPUS_LEFT).checkState(NAME) == CHECKED
    assert screen.item(HIPPOCAMPUS_RIGHT).checkState(NAME) == UNCHECKED
    assert screen.item(GROUP).checkState(NAME) == PART
    assert screen.item(REST).checkState(NAME) == UNCHECKED
    assert screen.calls == 1


def test_a_press_on_a_parent_in_part_ticks_all_of_it_and_the_next_one_unticks_it(screen: LabelScreen) -> None:
    screen.ticks.sides_together = False
    screen.press(HIPPOCAMPUS_LEFT)
    screen.press(GROUP)
    assert screen.ticks.state(GROUP) == "on"
    assert screen.item(HIPPOCAMPUS_RIGHT).checkState(NAME) == CHECKED
    screen.press(GROUP)
    assert screen.ticks.state(GROUP) == "off"
    assert screen.item(HIPPOCAMPUS_RIGHT).checkState(NAME) == UNCHECKED
    assert screen.calls == 3


def test_the_other_side_is_ticked_on_the_screen_too_and_that_is_one_change(screen: LabelScreen) -> None:
    screen.press(HIPPOCAMPUS_LEFT)
    assert screen.item(HIPPOCAMPUS_RIGHT).checkState(NAME) == CHECKED
    assert screen.calls == 1


def test_a_parent_is_made_one_segment_in_the_second_column(screen: LabelScreen) -> None:
    screen.press(GROUP)
    screen.press(GROUP, AS_ONE)
    assert [label.name for label in screen.ticks.wanted()] == ["Deep gray matter"]
    assert screen.item(GROUP).checkState(AS_ONE) == CHECKED
    assert screen.calls == 2


def test_a_leaf_has_no_box_in_the_second_column(screen: LabelScreen) -> None:
    assert screen.item(HIPPOCAMPUS_LEFT).data(AS_ONE, Qt.ItemDataRole.CheckStateRole) is None
    screen.press(HIPPOCAMPUS_LEFT, AS_ONE)
    assert screen.calls == 0


def test_what_the_program_shows_does_not_call_back(screen: LabelScreen) -> None:
    screen.ticks.tick_all()
    screen.view.refresh()
    screen.view.filter("amygdala")
    screen.view.filter("")
    screen.view.show(LabelTicks(label_tree(8)))
    assert screen.calls == 0


def test_other_ticks_of_the_same_tree_are_shown_on_the_same_items(screen: LabelScreen) -> None:
    before = screen.item(GROUP)
    before.setExpanded(False)
    screen.ticks = LabelTicks(label_tree(6))
    screen.ticks.choose(["Deep gray matter"])
    screen.view.show(screen.ticks)
    assert screen.item(GROUP) is before
    assert not before.isExpanded()
    assert [before.checkState(NAME), before.checkState(AS_ONE)] == [CHECKED, CHECKED]
    screen.press(REST)
    assert screen.ticks.count == 6


def test_another_tree_takes_the_place_of_the_first(screen: LabelScreen) -> None:
    screen.ticks = LabelTicks(label_tree(20))
    screen.view.show(screen.ticks)
    assert list(screen.items()) == [label.name for label in screen.ticks.tree.walk()]
    screen.press(GROUP)
    assert screen.calls == 1


def test_a_search_shows_matches_below_their_opened_parents(large: LabelScreen) -> None:
    large.item(GROUP).setExpanded(False)
    large.view.filter("hippo left")
    assert large.shown() == {"Deep gray matter", "Left Hippocampus"}
    assert large.item(GROUP).isExpanded()
    large.view.filter("5366008")
    assert large.shown() == {"Deep gray matter", "Left Hippocampus", "Right Hippocampus"}
    large.view.filter("no such thing")
    assert large.shown() == set()
    large.view.filter("")
    assert len(large.shown()) == len(large.ticks.tree)


def test_typing_a_search_touches_only_what_appears_or_disappears(
    large: LabelScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[str] = []
    hide = QtWidgets.QTreeWidgetItem.setHidden

    def counted(item: QtWidgets.QTreeWidgetItem, hidden: bool) -> None:
        touched.append(item.text(NAME))
        hide(item, hidden)

    monkeypatch.setattr(QtWidgets.QTreeWidgetItem, "setHidden", counted)
    large.view.filter("hippo")
    assert len(touched) == 502 - 3
    touched.clear()
    large.view.filter("hippoc")
    assert touched == []
    large.view.filter("hippoc left")
    assert touched == ["Right Hippocampus"]


def test_a_tick_repaints_only_the_boxes_that_change(large: LabelScreen) -> None:
    repainted: list[str] = []
    large.tree.model().dataChanged.connect(lambda first, *_: repainted.append(first.siblingAtColumn(NAME).data()))
    large.press(HIPPOCAMPUS_LEFT)
    assert sorted(repainted) == ["Deep gray matter", "Left Hippocampus", "Right Hippocampus"]
    large.view.refresh()
    assert len(repainted) == 3


def test_hidden_labels_keep_their_ticks(screen: LabelScreen) -> None:
    screen.press(HIPPOCAMPUS_LEFT)
    screen.view.filter("amygdala")
    assert screen.ticks.count == 2
    screen.press(GROUP)
    assert screen.ticks.state(HIPPOCAMPUS_LEFT) == "on"


def test_the_swatch_has_the_colour_of_the_label(screen: LabelScreen) -> None:
    label = screen.ticks.tree[HIPPOCAMPUS_RIGHT]
    color = screen.item(HIPPOCAMPUS_RIGHT).icon(NAME).pixmap(12, 12).toImage().pixelColor(6, 6)
    assert [color.red(), color.green(), color.blue()] == [round(255 * part) for part in label.color]


def test_the_largest_label_id_comes_back_from_the_screen(screen: LabelScreen) -> None:
    tree = label_tree(2)
    screen.ticks = LabelTicks(type(tree)((Label(2**32 - 1, "Largest"), Label(1, "Other"))))
    screen.view.show(screen.ticks)
    screen.press(2**32 - 1)
    assert [label.name for label in screen.ticks.wanted()] == ["Largest"]


def test_the_tooltip_tells_synonyms_side_and_code(screen: LabelScreen) -> None:
    lines = screen.item(HIPPOCAMPUS_LEFT).toolTip(NAME).split("\n")
    assert lines == [
        "Left Hippocampus",
        "Also called: Hippocampus L",
        "Side: left",
        "SNOMED CT: Hippocampus (5366008), Left (7771000)",
    ]


def test_the_tooltip_leaves_out_what_is_not_known(host: Host) -> None:
    from LabelConditionedSegmentationLib.panel.label_view import tooltip

    assert tooltip(Label(1, "Vermis")) == "Vermis"
    assert (
        tooltip(Label(1, "Vermis", type=Code("SCT", "279285001", "Vermis of cerebellum")))
        == "Vermis\nSNOMED CT: Vermis of cerebellum (279285001)"
    )
