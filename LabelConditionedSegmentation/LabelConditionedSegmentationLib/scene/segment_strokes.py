"""Strokes as segments: a segmentation to paint them in, and the voxels of a scan that were painted, exactly."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from ..core.errors import InputError
from ..core.labels.label_tree import Label, LabelTree
from ..core.scan.volume import Affine, Array
from ..core.strokes.stroke_names import BACKGROUND
from .layers import BINARY_LABELMAP
from .nodes import in_one_place, require
from .segmentations import new_segmentation

STRUCTURE = "Structure"
"""What the first structure is called until the user names it."""

BACKGROUND_COLOR, STRUCTURE_COLOR = (0.35, 0.55, 0.95), (0.95, 0.75, 0.2)

ON_VOXEL, AXES_AGREE = 0.05, 1e-3
"""How far, in voxels of the scan, painted ones may lie from its own, and how much a step along an axis may differ."""


@dataclass(frozen=True)
class SegmentStrokes:
    """What was painted. seeds: (k, j, i) uint16 of the scan, 0 where nothing was, n + 1 for the class `names[n]`.
    colors: of the classes. ids: of the segment that each class was painted in first.
    """

    seeds: Array
    names: tuple[str, ...]
    colors: tuple[tuple[float, float, float], ...]
    ids: tuple[str, ...]

    @property
    def structures(self) -> LabelTree:
        """The classes but the background, as labels whose ids belong to their segments, whatever becomes of others."""
        kept = [n for n, name in enumerate(self.names) if not is_background(name)]
        return LabelTree(tuple(Label(_label_id(self.ids[n]), self.names[n], color=self.colors[n]) for n in kept))


def is_background(name: str) -> bool:
    """Whether strokes of this name say where none of the structures is."""
    return name.casefold() == BACKGROUND.casefold()


def new_strokes(volume_node: Any) -> Any:
    """A segmentation to paint strokes on a volume in: with a segment for a structure, and one for the background.

    Raises InputError.
    """
    node = new_segmentation(volume_node, f"{volume_node.GetName()} strokes")
    add_strokes(node, STRUCTURE, STRUCTURE_COLOR)
    add_strokes(node, BACKGROUND, BACKGROUND_COLOR)
    return node


def add_strokes(segmentation: Any, name: str, color: tuple[float, float, float]) -> str:
    """The id of the segment of this name; a new, empty one where there is none. Raises InputError."""
    require(segmentation, "segmentation of strokes")
    segments = segmentation.GetSegmentation()
    there = [ident for ident in segments.GetSegmentIDs() if segments.GetSegment(ident).GetName() == name]
    return str(there[0] if there else segments.AddEmptySegment("", name, color))


def painted_on(segmentation: Any, volume_node: Any) -> SegmentStrokes:
    """The strokes in a segmentation, on the voxels of a volume node. Segments of one name are one class; those without
    a voxel are left out.

    Raises InputError where strokes do not lie on the volume's own voxels, or outside of it, or two of them on one
    voxel.
    """
    require(segmentation, "segmentation of strokes")
    require(volume_node, "scan that strokes are painted on")
    if not in_one_place(segmentation, volume_node):
        raise InputError(
            f'The strokes "{segmentation.GetName()}" lie under another transform than "{volume_node.GetName()}": put'
            " both under the same transform with the Transforms module, or begin new strokes."
        )
    segments = segmentation.GetSegmentation()
    seeds: Array = np.zeros(volume_node.GetImageData().GetDimensions()[::-1], dtype=np.uint16)
    names: list[str] = []
    found: list[tuple[tuple[float, float, float], str]] = []
    for ident in segments.GetSegmentIDs():
        segment = segments.GetSegment(ident)
        place = _painted(segment, volume_node)
        if place is None:
            continue
        if segment.GetName() not in names:
            names.append(segment.GetName())
            found.append((segment.GetColor(), ident))
        _put(seeds, place, names.index(segment.GetName()) + 1, names)
    return SegmentStrokes(seeds, tuple(names), tuple(color for color, _ in found), tuple(ident for _, ident in found))


def _label_id(segment_id: str) -> int:
    return 1 + zlib.crc32(segment_id.encode()) % 2**30


def _painted(segment: Any, volume_node: Any) -> tuple[Array, tuple[int, int, int]] | None:
    """The mask (k, j, i) of a segment and the voxel of the volume that its first one is; None where it has none.

    Raises InputError.
    """
    image = segment.GetRepresentation(BINARY_LABELMAP)
    if image is None or image.IsEmpty():
        return None
    voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    mask = voxels == segment.GetLabelValue()
    if not mask.any():
        return None
    mapping = np.linalg.solve(_matrix(volume_node.GetIJKToRASMatrix), _matrix(image.GetImageToWorldMatrix))
    first = (mapping @ [*image.GetExtent()[::2], 1])[:3]
    axes_differ = np.abs(mapping[:3, :3] - np.eye(3)).max() > AXES_AGREE
    if axes_differ or np.abs(first - np.rint(first)).max() > ON_VOXEL:
        raise InputError(
            f'The strokes "{segment.GetName()}" were painted on another grid than that of "{volume_node.GetName()}":'
            " choose the scan that they were painted on, or begin new strokes."
        )
    i, j, k = (int(n) for n in np.rint(first))
    return mask, (k, j, i)


def _put(seeds: Array, painted: tuple[Array, tuple[int, int, int]], value: int, names: list[str]) -> None:
    """Put a mask, whose first voxel lies at a place, into the seeds; what lies outside of them is left out.

    Raises InputError where all of it does, or something lies there already.
    """
    mask, start = painted
    low = [max(0, n) for n in start]
    high = [min(n, a + length) for n, a, length in zip(seeds.shape, start, mask.shape, strict=True)]
    inside = np.zeros(0, dtype=bool)
    if all(a < b for a, b in zip(low, high, strict=True)):
        inside = mask[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))]
    if not inside.any():
        raise InputError(
            f'The strokes "{names[value - 1]}" lie outside of the scan: paint inside of it, or choose the scan that'
            " they were painted on."
        )
    there = seeds[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    twice = inside & (there > 0) & (there != value)
    if twice.any():
        raise InputError(
            f'The strokes "{names[int(there[twice][0]) - 1]}" and "{names[value - 1]}" share {int(twice.sum())} voxels;'
            " erase one of them there."
        )
    there[inside] = value


def _matrix(get: Any) -> Affine:
    """(4, 4) of a method that fills a vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    get(matrix)
    affine: Affine = slicer.util.arrayFromVTKMatrix(matrix)
    return affine
