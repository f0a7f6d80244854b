"""Generation classes: which labels share one, and how the scan that a map belongs to divides them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree

from Training.data.class_maps import ClassMap, divided_by_intensity, generation_classes

TREE = LabelTree(
    (
        Label(100, "Cortex"),
        Label(1, "Left Gyrus", parent=100, laterality="left"),
        Label(2, "Right Gyrus", parent=100, laterality="right"),
        Label(3, "Left Other Gyrus", parent=100, laterality="left"),
        Label(4, "Right Other Gyrus", parent=100, laterality="right"),
        Label(5, "Left Caudate", laterality="left"),
        Label(6, "Right Caudate", laterality="right"),
    )
)
IDS = np.array([0, 1, 2, 3, 4, 5, 6, 77])


def test_both_sides_are_one_class_and_unknown_ids_are_air() -> None:
    names, classes = generation_classes(IDS, TREE)
    assert classes[0] == classes[-1] == 0
    assert classes[1] == classes[2] != classes[3] == classes[4]
    assert classes[5] == classes[6]
    assert names[classes[1]] == ["Cortex", "Left Gyrus", "Right Gyrus"]


def test_what_looks_alike_is_one_class_that_is_called_by_what_contains_all_of_it() -> None:
    names, classes = generation_classes(IDS, TREE, ["cortex"])
    assert len(set(classes[1:5].tolist())) == 1
    assert names[classes[1]] == ["Cortex"]
    assert classes[5] == classes[6] != classes[1]


def test_labels_that_look_alike_have_to_be_there() -> None:
    with pytest.raises(SystemExit, match="Cortx"):
        generation_classes(IDS, TREE, ["Cortx"])


def two_tissues() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One label whose voxels are dark or bright, air with scanned voxels in it, and the foreground. (k, j, i)"""
    generator = np.random.default_rng(0)
    classes = np.zeros((12, 12, 20), np.int16)
    classes[2:10, 2:10, 2:18] = 1
    image = np.where(np.indices(classes.shape)[2] < 10, -1.0, 1.5) + 0.05 * generator.standard_normal(classes.shape)
    foreground = np.zeros(classes.shape, bool)
    foreground[1:11, 2:10, 2:18] = True
    return classes, image.astype(np.float32), foreground


def test_the_intensities_of_a_scan_divide_a_class() -> None:
    classes, image, foreground = two_tissues()
    divided, names, levels = divided_by_intensity(classes, [[], ["Cortex"]], image, foreground, 2)
    assert set(divided[classes == 1].tolist()) == {1, 2}
    assert np.array_equal(divided[classes == 1] == 2, image[classes == 1] > 0)
    assert levels[1:3] == pytest.approx([-1, 1.5], abs=0.05)
    assert np.isnan(levels[0])
    assert names[1] == names[2] == ["Cortex"]


def test_scanned_voxels_without_a_label_are_a_class_of_their_own_and_the_rest_is_air() -> None:
    classes, image, foreground = two_tissues()
    divided, names, levels = divided_by_intensity(classes, [[], ["Cortex"]], image, foreground, 2)
    assert np.array_equal(divided > 0, foreground)
    unlabelled = set(divided[foreground & (classes == 0)].tolist())
    assert unlabelled.isdisjoint({0, 1, 2})
    assert all(names[number] == [] for number in unlabelled)
    assert len(names) == len(levels)


def test_small_and_even_classes_stay_whole() -> None:
    classes, image, foreground = two_tissues()
    few = np.where(np.indices(classes.shape)[0] == 5, classes, 0)
    few[:, :, 5:] = 0
    _, names, _ = divided_by_intensity(few, [[], ["Cortex"]], image, foreground & (few > 0), 4)
    assert names == [[], ["Cortex"]]
    _, names, _ = divided_by_intensity(classes, [[], ["Cortex"]], np.ones_like(image), classes > 0, 4)
    assert names == [[], ["Cortex"]]


def test_a_map_finds_its_classes_by_any_name_above_them() -> None:
    whole = ClassMap(torch.zeros(1, 1, 1), (frozenset(), frozenset({"Cortex", "Left Gyrus"}), frozenset({"Caudate"})))
    assert whole.within("CORTEX") == (1,)
    assert whole.within("Thalamus") == ()
