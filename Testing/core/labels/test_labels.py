"""Label trees: what contains what, which class is which leaf, and how a name is found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.errors import LabelError
from LabelConditionedSegmentationLib.core.labels.label_tree import Code, Label, LabelTree, in_a_sentence

from Testing import samples
from Testing.samples import label_tree

MODEST = settings(max_examples=60, deadline=None)

CODES = st.none() | st.builds(
    Code, st.just("SCT"), st.from_regex(r"[0-9]{4,9}", fullmatch=True), st.text("abcde ", min_size=1)
)
WORDS = st.text(st.characters(categories=("Lu", "Ll", "Lo"), exclude_characters="\x00"), min_size=1, max_size=8)


@st.composite
def trees(draw: st.DrawFn, largest: int = 14) -> LabelTree:
    """A random forest whose labels stand in any order, some with synonyms, codes and sides; pairs of left and right
    occur.
    """
    ids = draw(st.lists(st.integers(1, 60_000), min_size=1, max_size=largest, unique=True))
    labels: list[Label] = []
    taken: set[str] = set()
    for n, ident in enumerate(ids):
        side = draw(st.sampled_from(["", "left", "right", "midline"]))
        name = f"{side.capitalize()} {draw(st.sampled_from(['alpha', 'beta', 'gamma']))}".strip()
        if name.casefold() in taken:
            name = f"{name} {n}"
        taken.add(name.casefold())
        parent = draw(st.none() | st.sampled_from(ids[:n])) if n else None
        color = tuple(draw(st.integers(0, 255)) / 255 for _ in range(3))
        synonyms = tuple(draw(st.lists(WORDS, max_size=2)))
        labels.append(Label(ident, name, parent, synonyms, color, side, draw(CODES), draw(CODES), draw(CODES)))  # type: ignore[arg-type]
    return LabelTree(tuple(draw(st.permutations(labels))))


def tree_of(*labels: tuple[int, str] | tuple[int, str, int | None], **more: Any) -> LabelTree:
    """A tree from (id, name[, parent])."""
    return LabelTree(
        tuple(Label(entry[0], entry[1], entry[2] if len(entry) == 3 else None, **more) for entry in labels)
    )


@pytest.mark.slow
@MODEST
@given(trees())
def test_the_leaves_are_shared_out_among_the_roots(tree: LabelTree) -> None:
    below = [leaf.id for root in tree.roots for leaf in tree.leaves_under(root)]
    assert sorted(below) == sorted(leaf.id for leaf in tree.leaves)
    assert len(set(below)) == len(below)


@MODEST
@given(trees())
def test_a_parent_is_the_union_of_its_children(tree: LabelTree) -> None:
    for label in tree.labels:
        children = [other for other in tree.labels if other.parent == label.id]
        classes = set(tree.classes_under(label))
        if children:
            parts = [set(tree.classes_under(child)) for child in children]
            assert set().union(*parts) == classes
            assert sum(map(len, parts)) == len(classes)
        else:
            assert classes == {tree.class_of[label.id]}


@MODEST
@given(trees())
def test_classes_number_the_leaves_from_one_in_tree_order(tree: LabelTree) -> None:
    parents = {label.parent for label in tree.labels}
    expected = [label.id for label in tree.labels if label.id not in parents]
    assert list(tree.class_of) == expected
    assert list(tree.class_of.values()) == list(range(1, len(expected) + 1))


@MODEST
@given(trees())
def test_a_tree_survives_json(tree: LabelTree) -> None:
    entries = json.loads(json.dumps(tree.to_json()))
    again = LabelTree.from_json(entries)
    for before, after in zip(tree.labels, again.labels, strict=True):
        assert after.color == pytest.approx(before.color, abs=1e-4)
        assert (after.id, after.name, after.parent, after.synonyms, after.laterality) == (
            before.id,
            before.name,
            before.parent,
            before.synonyms,
            before.laterality,
        )
        assert (after.category, after.type, after.modifier) == (before.category, before.type, before.modifier)
    assert again.to_json() == tree.to_json()


@MODEST
@given(trees())
def test_mirroring_twice_changes_nothing(tree: LabelTree) -> None:
    for label in tree.labels:
        assert tree.mirrored(tree.mirrored(label)) == label
    classes = tree.mirrored_classes
    assert sorted(classes) == list(range(len(tree.leaves) + 1))
    assert [classes[c] for c in classes] == list(range(len(classes)))
    assert classes[0] == 0


@MODEST
@given(trees())
def test_a_walk_meets_every_label_once_and_parents_first(tree: LabelTree) -> None:
    order = [label.id for label in tree.walk()]
    assert sorted(order) == sorted(label.id for label in tree.labels)
    for label in tree.labels:
        if label.parent is not None:
            assert order.index(label.parent) < order.index(label.id)


@MODEST
@given(trees())
def test_a_walk_goes_through_a_whole_branch_before_the_next(tree: LabelTree) -> None:
    order = list(tree.walk())
    for n, label in enumerate(order):
        depths = [tree.depth(other) for other in order[n + 1 :]]
        inside = next((m for m, depth in enumerate(depths) if depth <= tree.depth(label)), len(depths))
        assert all(label in tree.ancestors(other) for other in order[n + 1 : n + 1 + inside])
        assert not any(label in tree.ancestors(other) for other in order[n + 1 + inside :])


@MODEST
@given(trees(), st.data())
def test_labels_overlap_exactly_where_one_contains_the_other(tree: LabelTree, data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(tree.labels), min_size=1, unique_by=lambda label: label.id))
    shared = [
        (a, b) for a in wanted for b in wanted if a is not b and set(tree.classes_under(a)) & set(tree.classes_under(b))
    ]
    found = tree.overlapping(wanted)
    assert (found is not None) == bool(shared)
    if found is not None:
        above, below = found
        assert above in wanted
        assert below in wanted
        assert set(tree.classes_under(below)) <= set(tree.classes_under(above))
        assert above in tree.ancestors(below)


@MODEST
@given(trees(), st.data())
def test_every_label_is_found_by_its_name_in_any_case_and_by_its_id(tree: LabelTree, data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(tree.labels))
    assert tree.find(label.name) == label
    assert tree.find(f"  {label.name.upper()} ") == label
    assert tree.find(str(label.id)) == label


@MODEST
@given(trees(), st.data())
def test_a_synonym_of_one_label_finds_it(tree: LabelTree, data: st.DataObject) -> None:
    label = data.draw(st.sampled_from(tree.labels))
    assume(label.synonyms)
    synonym = label.synonyms[0].casefold()
    others = [x for x in tree.labels if x != label and synonym in [s.casefold() for s in (x.name, *x.synonyms)]]
    assume(not others)
    assert tree.find(synonym) == label


@MODEST
@given(trees(), st.text(max_size=12))
def test_a_search_gives_what_holds_every_word(tree: LabelTree, text: str) -> None:
    hits = tree.search(text)
    assert [label for label in tree.walk() if label in hits] == hits
    if not text.split():
        assert len(hits) == len(tree)


def test_a_name_wins_over_another_labels_synonym() -> None:
    tree = LabelTree((Label(1, "Thalamus proper", synonyms=("Thalamus",)), Label(2, "Thalamus")))
    assert tree.find("thalamus").id == 2


def test_an_id_is_found_and_a_number_that_is_no_id_is_not() -> None:
    tree = label_tree()
    assert tree.find("47").name == "Left Hippocampus"
    with pytest.raises(LabelError, match='"48"'):
        tree.find("48")


def test_an_ambiguous_synonym_is_refused_and_the_candidates_are_named() -> None:
    tree = LabelTree((Label(1, "Left Hippocampus", synonyms=("HC",)), Label(2, "Right Hippocampus", synonyms=("hc",))))
    with pytest.raises(LabelError, match='"HC" may be "Left Hippocampus" or "Right Hippocampus"'):
        tree.find("HC")


def test_a_mistyped_name_is_answered_with_the_nearest_ones() -> None:
    with pytest.raises(LabelError) as caught:
        label_tree().find("Left Hipocampus")
    text = str(caught.value)
    assert '"Left Hipocampus"' in text
    assert text.index('"Left Hippocampus"') < text.index('"Right Hippocampus"')
    assert "Putamen" not in text


def test_a_name_like_no_other_gets_no_suggestions() -> None:
    with pytest.raises(LabelError) as caught:
        label_tree().find("zzzzzzz")
    assert "Nearest" not in str(caught.value)
    assert "lcs labels" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hippo", ["Left Hippocampus", "Right Hippocampus"]),
        ("campus RIGHT", ["Right Hippocampus"]),
        ("right hippo 5366008", ["Right Hippocampus"]),
        ("7771000", ["Left Hippocampus"]),
        ("hippocampus l", ["Left Hippocampus"]),
        ("hippo amygdala", []),
        ("no such thing", []),
    ],
)
def test_a_search_takes_several_words_and_codes(text: str, expected: list[str]) -> None:
    found = [label.name for label in label_tree().search(text)]
    assert found == expected if text != "hippocampus l" else expected[0] in found


def test_a_search_over_500_labels_finds_the_one() -> None:
    tree = LabelTree(tuple(Label(n, f"Structure {n:03d}", synonyms=(f"S-{n:03d}",)) for n in range(1, 501)))
    assert [label.id for label in tree.search("s-457")] == [457]
    assert len(tree.search("structure")) == 500


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([(1, "A"), (1, "B")], "same id"),
        ([(1, "Caudate"), (2, "caudate")], 'called "caudate"'),
        ([(1, "A", 9)], "parent 9"),
        ([(1, "A", 1)], '"A" is its own ancestor'),
        ([(1, "A", 2), (2, "B", 3), (3, "C", 1)], "own ancestor"),
        ([(4, "D"), (1, "A", 2), (2, "B", 1)], "own ancestor"),
        ([], "at least one"),
    ],
)
def test_a_tree_that_contradicts_itself_is_refused(
    entries: list[tuple[int, str] | tuple[int, str, int]], text: str
) -> None:
    with pytest.raises(LabelError, match=text):
        tree_of(*entries)


@pytest.mark.parametrize(
    "more",
    [
        {"id": 0},
        {"id": -3},
        {"name": " "},
        {"laterality": "up"},
        {"id": 2**32},
        {"color": (0.1, 0.2, float("nan"))},
        {"color": (0, 0, 2)},
    ],
)
def test_a_label_that_cannot_be_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(LabelError):
        Label(**{"id": 1, "name": "A", **more})


def test_a_name_is_found_although_it_was_written_with_blanks_around_it() -> None:
    tree = LabelTree.from_json([{"id": 1, "name": " Caudate "}, {"id": 2, "name": "Putamen", "synonyms": [" PUT"]}])
    assert tree.find("caudate").id == 1
    assert tree.find("put").id == 2


def test_left_and_right_are_each_others_mirror_image_and_the_middle_is_its_own() -> None:
    tree = LabelTree(
        (
            Label(1, "Left Caudate", laterality="left"),
            Label(2, "Brain-Stem", laterality="midline"),
            Label(3, "Right Caudate", laterality="right"),
        )
    )
    assert tree.mirrored_classes == (0, 3, 2, 1)


def test_a_side_in_small_letters_and_in_the_middle_of_a_name_is_mirrored() -> None:
    tree = LabelTree((Label(5, "ctx-left-cuneus", laterality="left"), Label(4, "ctx-right-cuneus", laterality="right")))
    assert tree.mirrored(tree.find("ctx-left-cuneus")).id == 4


def test_a_structure_without_a_counterpart_is_its_own_mirror_image() -> None:
    tree = LabelTree((Label(1, "Left Caudate", laterality="left"), Label(2, "Right Putamen", laterality="right")))
    assert tree.mirrored_classes == (0, 1, 2)


def test_a_leaf_whose_counterpart_is_divided_further_stays_itself_in_a_flip() -> None:
    tree = LabelTree(
        (
            Label(1, "Left lung", laterality="left"),
            Label(2, "Right lung", laterality="right"),
            Label(3, "Right upper lobe", 2, laterality="right"),
        )
    )
    assert tree.mirrored_classes == (0, 1, 2)


def test_a_name_that_holds_both_sides_is_mirrored_only_where_the_counterpart_agrees() -> None:
    tree = LabelTree(
        (Label(1, "Left right-bundle", laterality="left"), Label(2, "Right right-bundle", laterality="right"))
    )
    assert sorted(tree.mirrored_classes) == [0, 1, 2]


def test_a_chain_of_many_parents_is_no_problem() -> None:
    count = 3000
    tree = LabelTree(tuple(Label(n, f"L{n}", n - 1 if n > 1 else None) for n in range(1, count + 1)))
    assert tree.depth(tree[count]) == count - 1
    assert tree.leaves_under(tree[1]) == (tree[count],)
    assert tree.overlapping([tree[count], tree[1]]) == (tree[1], tree[count])


# Protocols


def test_a_tree_has_one_protocol_with_all_labels_unless_it_says_otherwise() -> None:
    tree = samples.label_tree()
    (protocol,) = tree.protocols
    assert (protocol.name, protocol.roots) == ("", (200, 201))
    assert tree.parts == {"": tree}
    assert tree.classes == len(tree.leaves) + 1
    assert tree.class_slices == {"": slice(0, 7)}
    assert tree.is_plain


def test_every_protocol_has_classes_of_its_own_which_are_stacked() -> None:
    tree = samples.two_protocols()
    deep, rest = tree.parts.values()
    assert tree.classes == 8
    assert tree.class_slices == {"deep": slice(0, 5), "rest": slice(5, 8)}
    assert [leaf.name for leaf in deep.leaves] == [leaf.name for leaf in tree.leaves[:4]]
    assert [leaf.name for leaf in rest.leaves] == ["Left Putamen", "Right Putamen"]
    assert tree.class_of == deep.class_of | rest.class_of
    assert tree.classes_under(tree[201]) == (1, 2)
    assert [tree.protocol_of(label).name for label in (tree[200], tree.leaves[0], tree.leaves[5])] == [
        "deep",
        "deep",
        "rest",
    ]


def test_protocols_whose_labels_are_mixed_in_the_list_keep_their_own_order() -> None:
    labels = samples.label_tree().labels
    tree = LabelTree(labels[::-1], samples.two_protocols().protocols)
    assert list(tree.parts) == ["deep", "rest"]
    assert [leaf.name for leaf in tree.parts["rest"].leaves] == ["Right Putamen", "Left Putamen"]
    assert tree.class_slices == {"deep": slice(0, 5), "rest": slice(5, 8)}


def test_a_flip_exchanges_sides_inside_each_protocol() -> None:
    assert samples.two_protocols().mirrored_classes == (0, 2, 1, 4, 3, 5, 7, 6)


def test_labels_of_different_protocols_are_layers_and_do_not_count_as_overlapping() -> None:
    tree = samples.two_protocols()
    assert tree.overlapping([tree[200], tree[201]]) is None
    assert tree.overlapping([tree[200], tree.leaves[0]]) is not None


def test_a_protocol_is_found_by_its_name_and_its_classes_stand_behind_those_of_the_ones_before() -> None:
    tree = samples.two_protocols()
    rest = tree.part_of(" Rest ")
    assert rest is tree.parts["rest"]
    assert tree.network_classes_under(rest.leaves[0]) == (tree.class_slices["rest"].start + 1,)
    assert tree.network_classes_under(tree[201]) == (6, 7)
    with pytest.raises(LabelError, match='no protocol "other"; it has "deep" or "rest"'):
        tree.part_of("other")
    with pytest.raises(LabelError, match='no protocol "deep"; all of its labels belong together'):
        samples.label_tree().part_of("deep")


def test_protocols_survive_json() -> None:
    tree = samples.two_protocols()
    again = LabelTree.from_json(tree.to_json())
    assert again.protocols == tree.protocols
    assert again.to_json() == tree.to_json()
    assert isinstance(samples.label_tree().to_json(), list)


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("Brain", "brain"),
        ("Left Putamen", "left putamen"),
        ("Brain-Stem", "brain-stem"),
        ("CSF", "CSF"),
        ("3rd Ventricle", "3rd ventricle"),
        ("Vermis I", "vermis I"),
        ("Äußere Kapsel", "äußere kapsel"),
    ],
)
def test_a_name_within_a_sentence_keeps_its_abbreviations(name: str, within: str) -> None:
    assert in_a_sentence(name) == within
