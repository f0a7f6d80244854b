"""From label ids to targets: what is a class, what lies in a parent only, what is background and what is unknown; and
which classes were looked for.
"""

from __future__ import annotations

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree

from Training.data.targets import TargetCode, select
from Training.losses.truth import IGNORE

TABLE = LabelTree(
    (
        Label(90, "Cortex"),
        Label(80, "Left Insula", 90, laterality="left"),
        Label(81, "Right Insula", 90, laterality="right"),
        Label(1, "Left Anterior Insula", 80, laterality="left"),
        Label(2, "Left Posterior Insula", 80, laterality="left"),
        Label(3, "Right Anterior Insula", 81, laterality="right"),
        Label(4, "Right Posterior Insula", 81, laterality="right"),
        Label(70000, "Ventricle", synonyms=("Third ventricle",), laterality="midline"),
    )
)
IGNORED = (63, 90)  # 90: a parent that was given an id


def encoded(code: TargetCode, *ids: int) -> list[int]:
    return [int(target) for target in code.encode(np.array(ids, dtype=np.int64))]


def annotated(code: TargetCode, *names: str) -> set[str]:
    """Names of the annotated classes."""
    leaves = code.tree.leaves
    mask = code.annotated(names)
    assert mask[0]
    return {leaf.name for leaf, there in zip(leaves, mask[1:], strict=True) if there}


@pytest.fixture(scope="module")
def whole() -> TargetCode:
    return TargetCode(TABLE, TABLE, IGNORED)


def test_leaves_become_classes_and_the_background_stays(whole: TargetCode) -> None:
    assert whole.classes == 6
    assert encoded(whole, 0, 1, 2, 3, 4, 70000) == [0, 1, 2, 3, 4, 5]


def test_an_undivided_parent_becomes_a_target_beyond_the_classes_with_its_members(whole: TargetCode) -> None:
    cortex, left, right = (6, 7, 8)  # in tree order
    assert encoded(whole, 80, 81) == [left, right]
    assert whole.members.shape == (3, 6)
    assert whole.members[left - 6].nonzero()[:, 0].tolist() == [1, 2]
    assert whole.members[right - 6].nonzero()[:, 0].tolist() == [3, 4]
    assert whole.members[cortex - 6].nonzero()[:, 0].tolist() == [1, 2, 3, 4]


def test_ignored_ids_and_ids_that_no_table_knows_are_unknown(whole: TargetCode) -> None:
    assert encoded(whole, 63, 90, 5, 255, 80000, -3) == [IGNORE] * 6


def test_shape_is_kept_and_the_type_is_int16_whatever_the_ids_are_stored_as(whole: TargetCode) -> None:
    for dtype in (np.uint8, np.int16, np.uint32, np.float32, np.float64):
        out = whole.encode(np.array([[[0, 1], [4, 81]]], dtype=dtype))
        assert out.dtype == np.int16
        assert out.tolist() == [[[0, 1], [4, 8]]]
    assert whole.encode(np.array([1.5])).tolist() == [IGNORE]


def test_labels_are_matched_by_name_whatever_their_ids_and_case() -> None:
    table = LabelTree((Label(17, "left anterior insula"), Label(1, "VENTRICLE")))
    code = TargetCode(TABLE, table)
    assert encoded(code, 17, 1, 2) == [1, 5, IGNORE]


def test_what_lies_under_a_label_that_is_learned_whole_is_merged_into_it() -> None:
    code = TargetCode(select(TABLE, ["Left Insula", "Right Insula"]), TABLE, IGNORED)
    assert code.classes == 3
    assert encoded(code, 80, 1, 2, 81, 3, 4) == [1, 1, 1, 2, 2, 2]


def test_labels_that_are_not_learned_are_background() -> None:
    code = TargetCode(select(TABLE, ["Ventricle"]), TABLE, IGNORED)
    assert encoded(code, 70000, 1, 2, 80, 63) == [1, 0, 0, 0, IGNORE]


def test_a_parent_is_unknown_where_only_some_of_its_parts_are_learned() -> None:
    """An undivided insula may be the anterior one, which is learned, or the posterior one, which is background."""
    code = TargetCode(select(TABLE, ["Left Anterior Insula"]), TABLE, IGNORED)
    assert encoded(code, 1, 2, 80) == [1, 0, IGNORE]


def test_a_parent_of_one_leaf_is_that_class() -> None:
    tree = LabelTree((Label(5, "Fluid"), Label(6, "Ventricle", 5)))
    code = TargetCode(tree, LabelTree((Label(9, "Fluid"),)))
    assert code.members.shape == (0, 2)
    assert encoded(code, 9) == [1]


def test_a_coarse_data_set_says_only_which_parent_a_voxel_lies_in() -> None:
    code = TargetCode(TABLE, LabelTree((Label(1, "Cortex"), Label(2, "Bone"))))
    assert encoded(code, 1, 2) == [6, 0]


def test_a_label_above_learned_ones_that_the_network_does_not_have_is_unknown() -> None:
    code = TargetCode(LabelTree((Label(1, "Left Anterior Insula"),)), TABLE)
    assert encoded(code, 1, 80, 90, 2) == [1, IGNORE, IGNORE, 0]


def test_a_flip_exchanges_sides_of_classes_and_of_parents(whole: TargetCode) -> None:
    assert whole.mirrored == (0, 3, 4, 1, 2, 5, 6, 8, 7)
    mirrored = np.array(whole.mirrored)
    assert np.array_equal(mirrored[mirrored], np.arange(9))


def test_a_parent_whose_mirror_is_no_parent_stays_itself() -> None:
    tree = LabelTree(
        (
            Label(9, "Mixed"),
            Label(1, "Left A", 9, laterality="left"),
            Label(2, "B", 9),
            Label(3, "Right A", laterality="right"),
        )
    )
    assert TargetCode(tree, tree).mirrored == (0, 3, 2, 1, 4)


def test_without_a_list_all_that_the_table_covers_was_looked_for(whole: TargetCode) -> None:
    assert whole.annotated(None).tolist() == [True] * 6
    coarse = TargetCode(TABLE, LabelTree((Label(1, "Left Insula"), Label(2, "Bone"))))
    assert coarse.annotated(None).tolist() == [True, True, True, False, False, False]


def test_a_parent_that_a_table_divides_does_not_speak_for_parts_that_it_lacks() -> None:
    table = LabelTree((Label(9, "Left Insula"), Label(1, "Left Anterior Insula", 9)))
    assert TargetCode(TABLE, table).annotated(None).tolist() == [True, True, False, False, False, False]


def test_a_list_counts_for_labels_and_for_what_lies_under_them(whole: TargetCode) -> None:
    assert annotated(whole, "Ventricle") == {"Ventricle"}
    assert annotated(whole, "third ventricle", "left insula") == {
        "Ventricle",
        "Left Anterior Insula",
        "Left Posterior Insula",
    }
    assert annotated(whole) == set()


def test_a_merged_label_was_looked_for_when_all_its_parts_were() -> None:
    code = TargetCode(select(TABLE, ["Left Insula", "Right Insula"]), TABLE)
    assert annotated(code, "1", "2", "3") == {"Left Insula"}
    assert annotated(code, "Cortex") == {"Left Insula", "Right Insula"}


def test_an_unknown_annotated_label_is_refused_with_the_nearest(whole: TargetCode) -> None:
    with pytest.raises(SystemExit, match=r'annotated: .*"Ventrickle".*"Ventricle"'):
        whole.annotated(["Ventrickle"])


def test_selecting_keeps_what_is_above_and_merges_what_is_below_in_the_order_of_the_table() -> None:
    assert select(TABLE, []) is TABLE
    chosen = select(TABLE, ["Third ventricle", "81", "left anterior insula"])
    assert [label.name for label in chosen.labels] == [
        "Cortex",
        "Left Insula",
        "Right Insula",
        "Left Anterior Insula",
        "Ventricle",
    ]
    assert [leaf.name for leaf in chosen.leaves] == ["Right Insula", "Left Anterior Insula", "Ventricle"]
    assert [label for label in TABLE.labels if label in chosen.labels] == list(chosen.labels)


def test_selecting_a_label_and_one_under_it_is_refused() -> None:
    with pytest.raises(SystemExit, match='"Left Anterior Insula" lies under "Cortex"'):
        select(TABLE, ["Cortex", "Left Anterior Insula"])
    with pytest.raises(SystemExit, match=r'data\.labels: .*"Left Insular".*"Left Insula"'):
        select(TABLE, ["Left Insular"])
