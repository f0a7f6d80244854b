"""Label ticks: what a tick does to parents, children and the other side, and what is asked for in the end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.panel.label_ticks import LabelTicks

from Testing.core.labels.test_labels import trees
from Testing.samples import label_tree

MODEST = settings(max_examples=80, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 60_000) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["ticked", "merged", "sides_together", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def ticks_of_any_tree(draw: st.DrawFn) -> LabelTicks:
    """Ticks after a few clicks."""
    ticks = LabelTicks(draw(trees()))
    label_ids = st.sampled_from([label.id for label in ticks.tree.labels])
    for action, label_id, on in draw(
        st.lists(st.tuples(st.sampled_from(["tick", "merge", "sides"]), label_ids, st.booleans()), max_size=8)
    ):
        if action == "tick":
            ticks.tick(label_id, on)
        elif action == "merge":
            ticks.set_merged(label_id, on)
        else:
            ticks.sides_together = on
    return ticks


def ticked(ticks: LabelTicks) -> set[int]:
    return {leaf.id for leaf in ticks.tree.leaves if ticks.state(leaf.id) == "on"}


def names(ticks: LabelTicks) -> list[str]:
    return [label.name for label in ticks.wanted()]


@MODEST
@given(ticks_of_any_tree())
def test_what_is_asked_for_never_overlaps_and_covers_the_ticked_leaves(ticks: LabelTicks) -> None:
    wanted = ticks.wanted()
    assert ticks.tree.overlapping(wanted) is None
    covered = [leaf.id for label in wanted for leaf in ticks.tree.leaves_under(label)]
    assert sorted(covered) == sorted(ticked(ticks))
    assert len(covered) == ticks.count


@MODEST
@given(ticks_of_any_tree())
def test_what_is_asked_for_stands_in_tree_order(ticks: LabelTicks) -> None:
    wanted = ticks.wanted()
    assert wanted == [label for label in ticks.tree.walk() if label in wanted]


@MODEST
@given(ticks_of_any_tree())
def test_only_merged_parents_and_leaves_are_asked_for_and_nothing_merged_above_is_left_out(ticks: LabelTicks) -> None:
    for label in ticks.wanted():
        assert ticks.is_merged(label.id) or not ticks.can_merge(label.id)
        assert not any(
            ticks.is_merged(above.id) and ticks.state(above.id) == "on" for above in ticks.tree.ancestors(label)
        )


@MODEST
@given(ticks_of_any_tree(), st.data())
def test_ticking_and_unticking_reaches_every_leaf_under_a_label_and_no_other(
    ticks: LabelTicks, data: st.DataObject
) -> None:
    ticks.sides_together = False
    label = data.draw(st.sampled_from(ticks.tree.labels))
    under = {leaf.id for leaf in ticks.tree.leaves_under(label)}
    before = ticked(ticks)
    ticks.tick(label.id, True)
    assert ticks.state(label.id) == "on"
    assert ticked(ticks) == before | under
    ticks.tick(label.id, False)
    assert ticks.state(label.id) == "off"
    assert ticked(ticks) == before - under


@MODEST
@given(ticks_of_any_tree())
def test_a_parent_shows_what_its_leaves_are(ticks: LabelTicks) -> None:
    for label in ticks.tree.labels:
        states = {ticks.state(leaf.id) for leaf in ticks.tree.leaves_under(label)}
        assert ticks.state(label.id) == (states.pop() if len(states) == 1 else "part")


@MODEST
@given(trees(), st.data())
def test_with_both_sides_together_a_label_and_its_mirror_image_are_always_alike(
    tree: LabelTree, data: st.DataObject
) -> None:
    ticks = LabelTicks(tree)
    ticks.sides_together = True
    for label, on in data.draw(st.lists(st.tuples(st.sampled_from(tree.labels), st.booleans()), max_size=6)):
        ticks.tick(label.id, on)
        ticks.set_merged(label.id, on)
    for label in tree.labels:
        assert ticks.is_merged(label.id) == ticks.is_merged(tree.mirrored(label).id)
    for leaf in tree.leaves:
        assert ticks.state(leaf.id) == ticks.state(tree.mirrored(leaf).id)


@MODEST
@given(ticks_of_any_tree())
def test_ticks_survive_text(ticks: LabelTicks) -> None:
    again = LabelTicks.from_text(ticks.tree, ticks.to_text())
    assert again.to_text() == ticks.to_text()
    assert again.wanted() == ticks.wanted()
    assert again.sides_together == ticks.sides_together


@pytest.mark.slow
@MODEST
@given(ticks_of_any_tree())
def test_what_was_asked_for_can_be_asked_for_again_by_name(ticks: LabelTicks) -> None:
    again = LabelTicks(ticks.tree)
    again.tick_all()
    again.choose(names(ticks))
    assert again.wanted() == ticks.wanted()


@MODEST
@given(trees(), st.text(max_size=20) | JSON.map(json.dumps))
def test_any_text_gives_ticks_that_the_tree_has(tree: LabelTree, text: str) -> None:
    ticks = LabelTicks.from_text(tree, text)
    assert {label.id for label in ticks.wanted()} <= {label.id for label in tree.labels}
    assert ticks.count == len(ticked(ticks))
    assert all(ticks.can_merge(label.id) for label in tree.labels if ticks.is_merged(label.id))


@pytest.mark.slow
@MODEST
@given(ticks_of_any_tree(), trees())
def test_ticks_of_one_tree_are_taken_over_by_another_as_far_as_it_has_them(ticks: LabelTicks, other: LabelTree) -> None:
    for again in (LabelTicks.from_text(other, ticks.to_text()), ticks.on(other, {})):
        assert ticked(again) == ticked(ticks) & {leaf.id for leaf in other.leaves}
        assert again.sides_together == ticks.sides_together


def test_a_label_that_came_in_the_place_of_another_has_its_tick() -> None:
    ticks = LabelTicks(LabelTree((Label(1, "a"), Label(2, "b"), Label(3, "c"), Label(4, "d", 3))))
    ticks.tick(1, True)
    ticks.tick(4, True)
    ticks.set_merged(3, True)
    ticks.sides_together = False
    again = ticks.on(LabelTree((Label(9, "new"), Label(2, "b"), Label(3, "c"), Label(4, "d", 3))), {1: 9})
    assert names(again) == ["new", "c"]
    assert not again.sides_together


@MODEST
@given(ticks_of_any_tree(), st.text("abegmprlhtLR 0123456789", max_size=6))
def test_a_search_shows_the_matches_and_the_way_to_them_and_nothing_else(ticks: LabelTicks, text: str) -> None:
    visible, matches = ticks.visible(text), {label.id for label in ticks.tree.search(text)}
    assert matches <= visible
    for label in ticks.tree.labels:
        assert (label.id in visible) == any(
            match.id in matches for match in ticks.tree.labels if match == label or label in ticks.tree.ancestors(match)
        )


def test_an_empty_search_shows_everything() -> None:
    ticks = LabelTicks(label_tree(20))
    assert ticks.visible("  ") == {label.id for label in ticks.tree.labels}
    assert ticks.visible("no such thing") == set()


def test_a_merged_parent_stands_for_its_leaves_while_all_of_them_are_ticked() -> None:
    ticks = LabelTicks(label_tree(6))
    ticks.sides_together = False
    ticks.set_merged(200, True)
    assert names(ticks) == []
    ticks.tick(200, True)
    assert names(ticks) == ["Deep gray matter"]
    ticks.tick(47, False)
    assert names(ticks) == ["Right Hippocampus", "Left Amygdala", "Right Amygdala"]
    ticks.tick(47, True)
    assert names(ticks) == ["Deep gray matter"]
    ticks.set_merged(200, False)
    assert len(names(ticks)) == 4


def test_of_merged_parents_in_one_another_the_topmost_is_given() -> None:
    tree = LabelTree(
        (Label(1, "Body"), Label(2, "Trunk", 1), Label(3, "Heart", 2), Label(4, "Lung", 2), Label(5, "Head", 1))
    )
    ticks = LabelTicks(tree)
    ticks.set_merged(1, True)
    ticks.set_merged(2, True)
    ticks.tick(2, True)
    assert names(ticks) == ["Trunk"]
    ticks.tick(5, True)
    assert names(ticks) == ["Body"]


def test_the_other_side_follows_only_while_both_sides_go_together() -> None:
    ticks = LabelTicks(label_tree(6))
    ticks.tick(47, True)
    assert names(ticks) == ["Left Hippocampus", "Right Hippocampus"]
    ticks.sides_together = False
    ticks.tick(47, False)
    assert names(ticks) == ["Right Hippocampus"]


def test_a_leaf_is_never_merged() -> None:
    ticks = LabelTicks(label_tree(6))
    ticks.set_merged(47, True)
    assert not ticks.can_merge(47)
    assert not ticks.is_merged(47)


def test_names_that_the_model_does_not_have_are_passed_over() -> None:
    ticks = LabelTicks(label_tree(6))
    ticks.choose(["Left Hippocampus", "Spleen"])
    assert names(ticks) == ["Left Hippocampus"]


@pytest.mark.parametrize(
    ("chosen", "summary"),
    [
        ([], "0 of 6 structures chosen"),
        (["Left Hippocampus"], "1 of 6 structures chosen"),
        (["Deep gray matter"], "4 of 6 structures chosen, as 1 segment"),
        (["Deep gray matter", "Left Putamen", "Right Putamen"], "6 of 6 structures chosen, as 3 segments"),
    ],
)
def test_the_summary_counts_structures_and_where_merged_segments(chosen: list[str], summary: str) -> None:
    ticks = LabelTicks(label_tree(6))
    ticks.choose(chosen)
    assert ticks.summary() == summary


def test_all_and_none() -> None:
    ticks = LabelTicks(label_tree(30))
    ticks.tick_all()
    assert ticks.count == 30
    ticks.clear()
    assert ticks.wanted() == []
    assert ticks.summary() == "0 of 30 structures chosen"


def test_an_unknown_id_is_refused() -> None:
    with pytest.raises(KeyError):
        LabelTicks(label_tree()).tick(9999, True)
