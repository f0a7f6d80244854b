"""A segment as an example: its mask on the scan, and what cannot be one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.scene.example_mask import example_mask
from LabelConditionedSegmentationLib.scene.segmentations import new_segmentation

from .made_nodes import SHAPE, bent, moved, oblique, transform, volume


def painted(scene: Any, node: Any, shape: tuple[int, int, int] = SHAPE) -> tuple[Any, Any]:
    """A segmentation of two segments, of which "lesion" overlaps the other, and the lesion's mask."""
    segmentation = new_segmentation(node, "Painted")
    masks = np.zeros((2, *shape), np.uint8)
    masks[0, 5:9, 6:20, 3:14] = 1
    masks[1, 7:12, 10:13, 2:9] = 1
    for mask, ident in zip(masks, ("lesion", "other"), strict=True):
        segmentation.GetSegmentation().AddEmptySegment(ident, ident.title(), [1.0, 0, 0])
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, ident, node)
    return segmentation, masks[0] != 0


def ids(scene: Any) -> list[str]:
    return [scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())]


def test_the_mask_is_the_segment_on_the_grid_of_the_scan(scene: Any) -> None:
    node = volume(scene)
    segmentation, mask = painted(scene, node)
    before = ids(scene)
    found = example_mask(segmentation, "lesion", node)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, mask)
    assert ids(scene) == before


def test_scan_and_segmentation_may_lie_under_one_transform(scene: Any) -> None:
    node = volume(scene)
    node.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())
    segmentation, mask = painted(scene, node)
    assert segmentation.GetParentTransformNode() is not None
    np.testing.assert_array_equal(example_mask(segmentation, "lesion", node), mask)
    segmentation.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())  # another node that does the same
    np.testing.assert_array_equal(example_mask(segmentation, "lesion", node), mask)


def test_a_segment_on_another_grid_is_brought_to_that_of_the_scan(scene: Any) -> None:
    fine = oblique()
    fine[:3, :3] /= 2
    node = volume(scene)
    segmentation, mask = painted(scene, node)
    found = example_mask(segmentation, "lesion", volume(scene, fine, np.zeros([2 * n for n in SHAPE], np.int16)))
    np.testing.assert_array_equal(found[::2, ::2, ::2], mask)


def test_another_transform_is_refused(scene: Any) -> None:
    node = volume(scene)
    segmentation, _ = painted(scene, node)
    for above in (transform(scene, moved()), bent(scene)):
        segmentation.SetAndObserveTransformNodeID(above.GetID())
        with pytest.raises(InputError, match='The segment "Lesion" lies under another transform than "Scan"'):
            example_mask(segmentation, "lesion", node)


def test_an_empty_segment_and_one_outside_of_the_scan_are_refused(scene: Any) -> None:
    node = volume(scene)
    segmentation, _ = painted(scene, node)
    segmentation.GetSegmentation().AddEmptySegment("empty", "Empty", [0, 1.0, 0])
    with pytest.raises(InputError, match='The segment "Empty" has no voxel in "Scan"'):
        example_mask(segmentation, "empty", node)
    away = oblique()
    away[:3, 3] += 900
    with pytest.raises(InputError, match='The segment "Lesion" has no voxel in "Elsewhere"'):
        example_mask(segmentation, "lesion", volume(scene, away, name="Elsewhere"))


def test_a_segment_that_is_a_surface_only_is_refused(scene: Any) -> None:
    node = volume(scene)
    segmentation, _ = painted(scene, node)
    segmentation.CreateClosedSurfaceRepresentation()
    segmentation.SetSourceRepresentationToClosedSurface()
    segmentation.GetSegmentation().RemoveRepresentation("Binary labelmap")
    with pytest.raises(InputError, match="create its binary labelmap in the Segmentations module"):
        example_mask(segmentation, "lesion", node)


def test_what_was_deleted_is_told(scene: Any) -> None:
    node = volume(scene)
    segmentation, _ = painted(scene, node)
    with pytest.raises(InputError, match="The segment is no longer in its segmentation"):
        example_mask(segmentation, "gone", node)
    scene.RemoveNode(segmentation)
    with pytest.raises(InputError, match="The segmentation is no longer in the scene"):
        example_mask(segmentation, "lesion", node)
