"""Recent sets of labels: most recent first, each once, of every model its own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.panel.recent_sets import MOST_SETS, RecentSets

NAMES = st.lists(st.sampled_from(["Spleen", "Liver", "Left Lung", "Right Lung"]), unique=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["brain", "body"]), NAMES), max_size=30))
def test_the_last_different_sets_of_a_model_are_kept_most_recent_first(added: list[tuple[str, list[str]]]) -> None:
    recent = RecentSets()
    for model, names in added:
        recent.add(model, names)
    for model in ("brain", "body"):
        expected: list[set[str]] = []
        for other, names in reversed(added):
            if other == model and names and set(names) not in expected:
                expected.append(set(names))
        kept = [set(recent.get(model, n)) for n in range(len(recent.titles(model)))]
        assert kept == expected[:MOST_SETS]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["brain", "body"]), NAMES), max_size=12))
def test_recent_sets_survive_text(added: list[tuple[str, list[str]]]) -> None:
    recent = RecentSets()
    for model, names in added:
        recent.add(model, names)
    again = RecentSets(recent.to_text())
    assert again.to_text() == recent.to_text()
    for model in ("brain", "body"):
        assert again.titles(model) == recent.titles(model)


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["A"], "A"),
        (["A", "B"], "A, B"),
        (["A", "B", "C"], "A, B, C"),
        (["A", "B", "C", "D"], "A, B and 2 more"),
        (["Left Hippocampus", "Right Hippocampus", "C", "D", "E"], "Left Hippocampus, Right Hippocampus and 3 more"),
    ],
)
def test_a_title_names_the_first_labels_and_counts_the_others(names: list[str], title: str) -> None:
    recent = RecentSets()
    recent.add("brain", names)
    assert recent.titles("brain") == [title]
    assert recent.get("brain", 0) == tuple(names)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "3", '{"brain": 5}', '{"brain": {"a": "b"}}', '{"brain": [5, [], [5], "ab", [["A"]]]}'],
)
def test_broken_text_counts_as_empty(text: str) -> None:
    recent = RecentSets(text)
    assert recent.titles("brain") == []
    recent.add("brain", ["A"])
    assert recent.titles("brain") == ["A"]


def test_too_many_stored_sets_are_cut() -> None:
    stored = str([[f"Label {n}"] for n in range(20)]).replace("'", '"')
    assert RecentSets(f'{{"brain": {stored}}}').titles("brain") == [f"Label {n}" for n in range(MOST_SETS)]


def test_a_model_without_sets_has_none() -> None:
    with pytest.raises(IndexError):
        RecentSets().get("brain", 0)
