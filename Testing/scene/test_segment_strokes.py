"""Strokes of a segmentation on the voxels of a scan, and the preview and certainty of what they become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.scene.segment_strokes import add_strokes, new_strokes, painted_on
from LabelConditionedSegmentationLib.scene.stroke_preview import CertaintyOverlay, StrokePreview

from Testing.scene import made_nodes as nodes


@pytest.fixture
def volume(scene: Any) -> Any:
    node = nodes.volume(scene)
    node.SetAndObserveTransformNodeID(nodes.transform(scene, nodes.moved()).GetID())
    return node


def paint(segmentation: Any, name: str, mask: Any, volume: Any) -> None:
    segments = segmentation.GetSegmentation()
    ident = segments.GetSegmentIdBySegmentName(name) or segments.AddEmptySegment("", name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, ident, volume)


def line(k: int, j: int, start: int = 3, stop: int = 9) -> Any:
    mask = np.zeros(nodes.SHAPE, dtype=bool)
    mask[k, j, start:stop] = True
    return mask


def test_strokes_lie_on_the_voxels_that_were_painted(volume: Any) -> None:
    strokes = new_strokes(volume)
    paint(strokes, "Background", line(4, 5), volume)
    paint(strokes, "Edema", line(9, 20, 0, 24), volume)
    found = painted_on(strokes, volume)
    assert found.names == ("Background", "Edema")
    assert found.seeds.dtype == np.uint16
    np.testing.assert_array_equal(found.seeds == 1, line(4, 5))
    np.testing.assert_array_equal(found.seeds == 2, line(9, 20, 0, 24))
    assert [label.name for label in found.structures.leaves] == ["Edema"]


def test_segments_of_one_name_are_one_class(volume: Any) -> None:
    strokes = new_strokes(volume)
    paint(strokes, "Structure", line(4, 5), volume)
    ident = strokes.GetSegmentation().AddEmptySegment("again", "Structure")
    slicer.util.updateSegmentBinaryLabelmapFromArray(line(6, 5).astype(np.uint8), strokes, ident, volume)
    found = painted_on(strokes, volume)
    assert found.names == ("Structure",)
    np.testing.assert_array_equal(found.seeds == 1, line(4, 5) | line(6, 5))


def test_segments_that_share_a_label_map_are_told_apart(volume: Any) -> None:
    strokes = new_strokes(volume)
    paint(strokes, "Structure", line(4, 5), volume)
    paint(strokes, "Background", line(6, 5), volume)
    strokes.GetSegmentation().CollapseBinaryLabelmaps(False)
    found = painted_on(strokes, volume)
    np.testing.assert_array_equal(found.seeds, line(4, 5) + 2 * line(6, 5))


def test_strokes_reach_out_of_a_scan_and_what_lies_inside_counts(scene: Any) -> None:
    small, large = nodes.volume(scene, np.eye(4), np.zeros((5, 6, 7))), nodes.volume(scene, np.eye(4))
    strokes = new_strokes(large)
    paint(strokes, "Structure", line(2, 3, 3, 20), large)
    np.testing.assert_array_equal(painted_on(strokes, small).seeds, line(2, 3, 3, 20)[:5, :6, :7])


def test_what_cannot_be_is_said_in_a_sentence(scene: Any, volume: Any) -> None:
    strokes = new_strokes(volume)
    paint(strokes, "Structure", line(4, 5), volume)
    other = nodes.volume(scene)
    with pytest.raises(InputError, match="another transform"):
        painted_on(strokes, other)
    other.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    spacing = volume.GetSpacing()
    other.SetSpacing(spacing[0] * 1.5, *spacing[1:])
    with pytest.raises(InputError, match=r'The strokes "Structure" were painted on another grid than that of "Scan"'):
        painted_on(strokes, other)
    other.SetSpacing(*spacing)
    far = volume.GetOrigin()
    matrix = nodes.oblique()
    other.SetOrigin(*(np.array(far) + matrix[:3, :3] @ [100, 0, 0]))
    with pytest.raises(InputError, match="lie outside of the scan"):
        painted_on(strokes, other)
    other.SetOrigin(*(np.array(far) + matrix[:3, :3] @ [0.5, 0, 0]))
    with pytest.raises(InputError, match="another grid"):
        painted_on(strokes, other)
    paint(strokes, "Rim", line(4, 5, 8, 12), volume)
    with pytest.raises(InputError, match=r'"Structure" and "Rim" share 1 voxels; erase'):
        painted_on(strokes, volume)
    scene.RemoveNode(volume)
    with pytest.raises(InputError, match="no longer in the scene"):
        painted_on(strokes, volume)


def test_strokes_of_a_label_have_one_segment(volume: Any) -> None:
    strokes = new_strokes(volume)
    first = add_strokes(strokes, "Left Putamen", (0.1, 0.2, 0.3))
    assert add_strokes(strokes, "Left Putamen", (0.1, 0.2, 0.3)) == first
    assert strokes.GetSegmentation().GetNumberOfSegments() == 3


def test_a_preview_shows_what_it_is_given_and_is_not_saved(volume: Any) -> None:
    winners = nodes.winners()
    one, two = winners.labels.leaves[:2]
    preview = StrokePreview()
    preview.show(volume, winners, [one, two])
    preview.show(volume, winners, [two])
    segments = preview.node.GetSegmentation()
    (ident,) = segments.GetSegmentIDs()
    assert segments.GetSegment(ident).GetName() == two.name
    np.testing.assert_array_equal(
        nodes.segment_mask(preview.node, ident, volume) != 0, nodes.full_mask(winners, two) != 0
    )
    assert not preview.node.GetSaveWithScene()
    assert preview.node.GetHideFromEditors()
    node = preview.node
    preview.clear()
    assert not slicer.mrmlScene.IsNodePresent(node)


def test_a_preview_that_somebody_removed_is_made_anew(scene: Any, volume: Any) -> None:
    winners = nodes.winners()
    preview = StrokePreview()
    preview.show(volume, winners, winners.labels.leaves[:1])
    scene.RemoveNode(preview.node)
    preview.show(volume, winners, winners.labels.leaves[:1])
    assert preview.node.GetSegmentation().GetNumberOfSegments() == 1


def test_certainty_lies_where_the_box_does(scene: Any, volume: Any) -> None:
    composite = scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    overlay = CertaintyOverlay()
    percent = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    overlay.show(volume, percent, (5, 6, 7))
    node = scene.GetNodeByID(composite.GetForegroundVolumeID())
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), percent)
    np.testing.assert_allclose(node.GetOrigin(), (nodes.oblique() @ [7, 6, 5, 1])[:3])
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    overlay.clear()
    assert composite.GetForegroundVolumeID() is None
    assert not scene.IsNodePresent(node)
