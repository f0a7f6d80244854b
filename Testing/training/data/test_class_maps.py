"""Maps of generation classes: which labels share one, what it is called, and what is found by a name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree

from Training.data.class_maps import ClassMap, generation_classes

LEFT, RIGHT, LEFT_LESION, RIGHT_LESION, STEM, SKULL, BRAIN, HEAD = 17, 53, 25, 57, 16, 500, 1000, 1001
TABLE = LabelTree(
    (
        Label(BRAIN, "Brain"),
        Label(HEAD, "Outside"),
        Label(LEFT, "Left Hippocampus", BRAIN, laterality="left"),
        Label(RIGHT, "Right Hippocampus", BRAIN, laterality="right"),
        Label(LEFT_LESION, "Left Lesion", LEFT, laterality="left"),
        Label(RIGHT_LESION, "Right Lesion", RIGHT, laterality="right"),
        Label(STEM, "Brain Stem", BRAIN),
        Label(SKULL, "Skull", HEAD),
    )
)


def class_of(number: int) -> int:
    return int(generation_classes(np.array([number]), TABLE)[1][0])


def test_both_sides_of_a_structure_are_one_class_and_others_have_one_each() -> None:
    assert class_of(LEFT) == class_of(RIGHT)
    assert class_of(LEFT_LESION) == class_of(RIGHT_LESION)
    classes = [class_of(number) for number in (0, LEFT, LEFT_LESION, STEM, SKULL)]
    assert len(set(classes)) == 5
    assert classes[0] == 0


def test_ids_that_the_table_does_not_know_are_air() -> None:
    ids = np.array([[LEFT, 999], [-3, STEM]])
    _, classes = generation_classes(ids, TABLE)
    assert classes.shape == ids.shape
    assert classes.dtype == np.int16
    assert classes.tolist() == [[class_of(LEFT), 0], [0, class_of(STEM)]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64])
def test_ids_may_be_stored_in_any_type(dtype: type) -> None:
    ids = np.array([0, STEM, LEFT, RIGHT])
    assert np.array_equal(generation_classes(ids.astype(dtype), TABLE)[1], generation_classes(ids, TABLE)[1])


def test_a_class_has_the_names_of_its_labels_and_of_all_that_contain_them() -> None:
    names, _ = generation_classes(np.zeros(1), TABLE)
    assert names[0] == []
    assert names[class_of(LEFT)] == ["Brain", "Left Hippocampus", "Right Hippocampus"]
    assert names[class_of(LEFT_LESION)] == [
        "Brain",
        "Left Hippocampus",
        "Left Lesion",
        "Right Hippocampus",
        "Right Lesion",
    ]
    assert names[class_of(SKULL)] == ["Outside", "Skull"]


def test_classes_are_the_same_whatever_ids_are_in_a_map() -> None:
    assert generation_classes(np.array([SKULL]), TABLE)[0] == generation_classes(np.array([LEFT, STEM]), TABLE)[0]


def test_the_classes_within_a_label_are_found_by_its_name() -> None:
    names, classes = generation_classes(np.array([[[LEFT, SKULL]]]), TABLE)
    found = ClassMap(torch.from_numpy(classes), tuple(map(frozenset, names)))
    brain = {class_of(number) for number in (BRAIN, LEFT, LEFT_LESION, STEM)}
    assert set(found.within("BRAIN")) == brain
    assert set(found.within("left hippocampus")) == {class_of(LEFT), class_of(LEFT_LESION)}
    assert found.within("Liver") == ()
    assert 0 not in found.within("Outside")
