"""A segment as an example: its mask on the voxels of the scan that it was painted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.scan.volume import Array
from .layers import BINARY_LABELMAP
from .nodes import in_one_place, remove, require


def example_mask(segmentation: Any, segment_id: str, volume_node: Any) -> Array:
    """The voxels (k, j, i), bool, of a segment on the grid of a volume node; the scene stays as it is.

    Raises InputError where there are none, or it is not clear which.
    """
    require(segmentation, "segmentation")
    require(volume_node, "volume")
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise InputError("The segment is no longer in its segmentation; choose another one.")
    name, volume = segment.GetName(), volume_node.GetName()
    if segment.GetRepresentation(BINARY_LABELMAP) is None:
        raise InputError(
            f'The segment "{name}" has no voxels of its own, only a surface: create its binary labelmap in the'
            " Segmentations module."
        )
    if not in_one_place(segmentation, volume_node):
        raise InputError(
            f'The segment "{name}" lies under another transform than "{volume}": put both under the same transform with'
            " the Transforms module, or choose the scan that it was painted on."
        )
    mask = _exported(segmentation, segment_id, volume_node)
    if not mask.any():
        raise InputError(
            f'The segment "{name}" has no voxel in "{volume}": paint the structure, or choose the scan that it was'
            " painted on."
        )
    return mask


def _exported(segmentation: Any, segment_id: str, volume_node: Any) -> Array:
    """As `slicer.util.arrayFromSegmentBinaryLabelmap`, which leaves a display node in the scene."""
    scene = volume_node.GetScene()
    ids = vtk.vtkStringArray()
    ids.InsertNextValue(segment_id)
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Example")
    try:
        is_done = slicer.modules.segmentations.logic().ExportSegmentsToLabelmapNode(
            segmentation, ids, node, volume_node
        )
        shape = volume_node.GetImageData().GetDimensions()[::-1]
        mask: Array = slicer.util.arrayFromVolume(node) != 0 if is_done else np.zeros(shape, dtype=bool)
    finally:
        colors = node.GetDisplayNode().GetColorNode() if node.GetDisplayNode() else None
        remove(node)
        if colors is not None:
            scene.RemoveNode(colors)
    return mask
