"""Two segmentations of one scan are compared segment by segment, wherever their label maps lie on its grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.scene.segmentation_overlap import compared, state_of
from LabelConditionedSegmentationLib.scene.segmentations import new_segmentation, put_labels, segmentations_of
from LabelConditionedSegmentationLib.scene.volumes import volume_of

from .made_nodes import PACKAGE, moved, segment_mask, transform, volume, winners


@pytest.fixture
def pair(scene: Any) -> tuple[Any, Any, Any]:
    """A volume, and two results of its labels, which differ."""
    node = volume(scene)
    results = []
    for seed in (0, 1):
        found = winners(seed=seed)
        results.append(new_segmentation(node, f"Result {seed}"))
        put_labels(results[-1], node, found, found.labels.leaves, PACKAGE)
    return node, results[0], results[1]


def draw(segmentation: Any, node: Any, name: str, mask: Any) -> None:
    segmentation.GetSegmentation().AddEmptySegment(name.lower(), name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, name.lower(), node)


def assert_as_masks_say(one: Any, other: Any, node: Any) -> None:
    """What is compared is what the exported masks give."""
    voxel = volume_of([node]).voxel_millilitres
    rows = compared(one, other)
    assert rows
    for row in rows:
        here, there = (mask_of(each, row.name, node) for each in (one, other))
        assert (row.ml, row.other_ml) == pytest.approx((here.sum() * voxel, there.sum() * voxel))
        total = here.sum() + there.sum()
        assert row.dice == (pytest.approx(2 * (here & there).sum() / total) if total else None)


def mask_of(segmentation: Any, name: str, node: Any) -> Any:
    return segment_mask(segmentation, segmentation.GetSegmentation().GetSegmentIdBySegmentName(name), node)


def test_segments_of_one_name_are_compared_voxel_for_voxel(pair: tuple[Any, Any, Any]) -> None:
    node, one, other = pair
    names = [leaf.name for leaf in winners().labels.leaves]
    assert [row.name for row in compared(one, other)] == names
    assert_as_masks_say(one, other, node)
    assert all(row.dice in (1.0, None) for row in compared(one, one))
    above = transform(node.GetScene(), moved()).GetID()
    for each in pair:
        each.SetAndObserveTransformNodeID(above)
    assert_as_masks_say(one, other, node)


def test_what_was_drawn_by_hand_in_layers_of_its_own_counts_as_well(pair: tuple[Any, Any, Any]) -> None:
    node, one, other = pair
    shape = slicer.util.arrayFromVolume(node).shape
    mask = np.zeros(shape, bool)
    mask[2:6, 3:9, 4:8] = True
    draw(one, node, "LESION", mask)
    draw(other, node, "Lesion", np.roll(mask, 1, axis=0))
    draw(other, node, "Alone", mask)
    row = compared(one, other)[-1]
    assert row.name == "LESION"
    assert row.dice == pytest.approx(0.75)
    assert_as_masks_say(one, other, node)


def test_an_empty_segment_has_no_overlap(pair: tuple[Any, Any, Any]) -> None:
    node, one, other = pair
    mask = np.ones(slicer.util.arrayFromVolume(node).shape, bool)
    draw(one, node, "Cyst", mask)
    other.GetSegmentation().AddEmptySegment("cyst", "Cyst")
    assert compared(one, other)[-1].dice == 0.0
    one.GetSegmentation().AddEmptySegment("void", "Void")
    other.GetSegmentation().AddEmptySegment("void", "Void")
    last = compared(one, other)[-1]
    assert (last.name, last.ml, last.other_ml, last.dice) == ("Void", 0.0, 0.0, None)


def test_a_file_of_a_cropped_label_map_is_compared_where_it_lies(pair: tuple[Any, Any, Any], tmp_path: Path) -> None:
    node, one, other = pair
    storage = node.GetScene().AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(tmp_path / "other.seg.nrrd"))
    storage.SetCropToMinimumExtent(True)
    assert storage.WriteData(other)
    read = new_segmentation(node, "Read")
    assert storage.ReadData(read)
    assert [(row.name, row.dice) for row in compared(one, read)] == [
        (row.name, row.dice) for row in compared(one, other)
    ]


def test_other_places_are_refused_with_a_sentence(pair: tuple[Any, Any, Any]) -> None:
    node, one, other = pair
    other.SetAndObserveTransformNodeID(transform(node.GetScene(), moved()).GetID())
    with pytest.raises(InputError, match='"Result 0" and "Result 1" lie on different grids'):
        compared(one, other)
    node.GetScene().RemoveNode(other)
    with pytest.raises(InputError, match="no longer in the scene"):
        compared(one, other)


def test_the_state_changes_with_voxels_and_names_and_with_nothing_else(pair: tuple[Any, Any, Any]) -> None:
    node, one, _ = pair
    before = state_of(one)
    one.GetDisplayNode().SetOpacity2DFill(0.3)
    assert state_of(one) == before
    one.GetSegmentation().GetNthSegment(0).SetName("Renamed")
    renamed = state_of(one)
    assert renamed != before
    found = winners(seed=2)
    put_labels(one, node, found, found.labels.leaves[:1], PACKAGE)
    assert state_of(one) != renamed


def test_the_segmentations_of_a_volume_are_those_that_users_see(pair: tuple[Any, Any, Any], scene: Any) -> None:
    node, one, other = pair
    new_segmentation(volume(scene), "Of another")
    new_segmentation(node, "Hidden").SetHideFromEditors(True)
    assert segmentations_of(node) == [one, other]
