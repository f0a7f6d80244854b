"""The stand-in of the Segment Editor: the brush paints in one segment, takes from others, and can be undone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from Testing.host.application import Host
from Testing.host.segment_editor import qMRMLSegmentEditorWidget
from Testing.scene import made_nodes as nodes

MASK = np.zeros(nodes.SHAPE, dtype=bool)
MASK[4, 5, 3:9] = True


@pytest.fixture
def editor(host: Host) -> qMRMLSegmentEditorWidget:
    """Over two empty segments, with the first one chosen."""
    volume = nodes.volume(host.scene)
    segmentation = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for ident in ("a", "b"):
        segmentation.GetSegmentation().AddEmptySegment(ident)
    widget = qMRMLSegmentEditorWidget()
    widget.setMRMLSegmentEditorNode(host.scene.AddNode(slicer.vtkMRMLSegmentEditorNode()))
    widget.setSegmentationNode(segmentation)
    widget.setSourceVolumeNode(volume)
    return widget


def voxels(editor: qMRMLSegmentEditorWidget, ident: str) -> Any:
    return nodes.segment_mask(editor.segmentationNode(), ident, editor.sourceVolumeNode()) != 0


def test_a_segmentation_brings_its_first_segment_and_no_brush_works_unless_views_are_observed(
    editor: qMRMLSegmentEditorWidget,
) -> None:
    assert editor.currentSegmentID() == "a"
    with pytest.raises(AssertionError, match="no brush"):
        editor.stroke(MASK)


def test_the_brush_takes_from_other_segments_and_is_undone_as_one_step(editor: qMRMLSegmentEditorWidget) -> None:
    editor.setupViewObservations()
    editor.stroke(MASK)
    np.testing.assert_array_equal(voxels(editor, "a"), MASK)
    editor.setCurrentSegmentID("b")
    half = MASK.copy()
    half[:, :, 6:] = False
    editor.stroke(half)
    np.testing.assert_array_equal(voxels(editor, "a"), MASK & ~half)
    np.testing.assert_array_equal(voxels(editor, "b"), half)
    editor.stroke(half, erase=True)
    assert not voxels(editor, "b").any()
    editor.undo()
    editor.undo()
    np.testing.assert_array_equal(voxels(editor, "a"), MASK)
    assert not voxels(editor, "b").any()
