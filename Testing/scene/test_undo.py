"""Undo: what a put or a removal changed comes back, and nothing else does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.scene.segmentations import new_segmentation, put_labels, remove_labels
from LabelConditionedSegmentationLib.scene.undo import Undo

from .made_nodes import PACKAGE, segment_mask, volume, winners


def state(segmentation: Any, volume_node: Any) -> dict[str, Any]:
    """Segment id -> name and mask, in order."""
    segments = segmentation.GetSegmentation()
    return {
        segment_id: (
            segments.GetSegment(segment_id).GetName(),
            segment_mask(segmentation, segment_id, volume_node).tobytes(),
        )
        for segment_id in segments.GetSegmentIDs()
    }


@pytest.fixture
def result(scene: Any) -> tuple[Any, Any, Any]:
    """A segmentation with three labels and a segment drawn by hand, its volume and winners."""
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    drawn = np.zeros(found.shape, np.uint8)
    drawn[1:4, 2:9, 3:8] = 1
    segmentation.GetSegmentation().AddEmptySegment("mine", "Mine", (1, 0, 0))
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, segmentation, "mine", node)
    put_labels(segmentation, node, found, found.labels.leaves[:3], PACKAGE)
    return segmentation, node, found


@pytest.mark.parametrize("has_surfaces", [False, True])
def test_undo_brings_back_what_replacing_adding_and_removing_changed(result: Any, has_surfaces: bool) -> None:
    segmentation, node, found = result
    if has_surfaces:
        segmentation.CreateClosedSurfaceRepresentation()
    before = state(segmentation, node)
    undo = Undo()
    undo.save(segmentation)
    remove_labels(segmentation, found.labels.leaves[:1], PACKAGE)
    put_labels(segmentation, node, winners(seed=1), found.labels.leaves[1:], PACKAGE)
    assert state(segmentation, node) != before
    undo.undo()
    assert state(segmentation, node) == before
    for segment_id in before:
        surface = segmentation.GetClosedSurfaceInternalRepresentation(segment_id)
        assert (surface is not None and surface.GetNumberOfPoints() > 0) == has_surfaces
    assert not undo.is_available()


def test_steps_are_undone_one_after_the_other(result: Any) -> None:
    segmentation, node, found = result
    undo = Undo()
    states = []
    for label in found.labels.leaves[:3]:
        states.append(state(segmentation, node))
        undo.save(segmentation)
        remove_labels(segmentation, [label], PACKAGE)
    for before in reversed(states):
        undo.undo()
        assert state(segmentation, node) == before


def test_labels_can_be_put_again_after_undo(result: Any) -> None:
    segmentation, node, found = result
    undo = Undo()
    undo.save(segmentation)
    put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    after = state(segmentation, node)
    undo.undo()
    put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    assert state(segmentation, node) == after
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1 + len(found.labels.leaves)


def test_nothing_to_undo_is_told_in_a_sentence(scene: Any, result: Any) -> None:
    segmentation = result[0]
    undo = Undo()
    with pytest.raises(InputError, match="nothing to undo"):
        undo.undo()
    undo.save(segmentation)
    scene.RemoveNode(segmentation)
    assert not undo.is_available()
    with pytest.raises(InputError, match="nothing to undo"):
        undo.undo()
    with pytest.raises(InputError, match="no longer in the scene"):
        undo.save(segmentation)


def test_another_segmentation_begins_anew(result: Any) -> None:
    segmentation, node, _ = result
    other = new_segmentation(node, "Other")
    undo = Undo()
    undo.save(segmentation)
    undo.save(other)
    other.GetSegmentation().AddEmptySegment("new")
    before = state(segmentation, node)
    undo.undo()
    assert other.GetSegmentation().GetNumberOfSegments() == 0
    assert state(segmentation, node) == before
    undo.clear()
    assert not undo.is_available()
