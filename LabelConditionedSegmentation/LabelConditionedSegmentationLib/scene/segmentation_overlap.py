"""How two segmentations of one scan agree: volumes and Dice coefficients of the segments that have one name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.inference.label_overlap import LabelOverlap
from ..core.inference.winners import Index
from ..core.scan.volume import Affine, Array
from .layers import BINARY_LABELMAP, voxels_of
from .nodes import in_one_place, require, to_world

TOLERANCE = 1e-3
"""Of a voxel: grids that differ by less are one."""


@dataclass(frozen=True)
class ComparedSegment:
    """A name that both segmentations have. ml, other_ml: millilitres in each; dice: None where both are empty."""

    name: str
    ml: float
    other_ml: float
    dice: float | None


@dataclass(frozen=True)
class _Map:
    """A label map that segments share: voxels (k, j, i), the first of them on the grid, and the grid."""

    voxels: Array
    start: Index
    affine: Affine

    @staticmethod
    def of(image: Any) -> _Map:
        extent = image.GetExtent()
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        return _Map(voxels_of(image), (extent[4], extent[2], extent[0]), slicer.util.arrayFromVTKMatrix(matrix))

    @property
    def voxel_ml(self) -> float:
        """Millilitres of a voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000

    def start_on(self, grid: Affine) -> Index | None:
        """The first voxel as another grid numbers it; None where the voxels of both are not the same."""
        there = np.linalg.inv(grid) @ self.affine
        step = np.rint(there[:3, 3])
        there[:3, 3] -= step
        if not np.allclose(there, np.eye(4), rtol=0, atol=TOLERANCE):
            return None
        k, j, i = (int(a + b) for a, b in zip(self.start, step[::-1], strict=True))
        return k, j, i


def state_of(segmentation: Any) -> tuple[Any, ...]:
    """What changes whenever a segment or its voxels do."""
    return tuple(
        (segment.GetName(), segment.GetLabelValue(), image.GetMTime(), _scalars_time(image))
        for segment, image in _segments(segmentation)
    )


def compared(one: Any, other: Any) -> list[ComparedSegment]:
    """The segments of two segmentation nodes that are called the same, in the order of the first; volumes are those in
    the world, as the transforms above make them.

    Raises InputError where a node is gone, or they do not lie on one grid.
    """
    for node in (one, other):
        require(node, "segmentation")
    if not in_one_place(one, other):
        raise InputError(_other_grid(one, other))
    ours, theirs = list(_segments(one)), list(_segments(other))
    maps = {id(image): _Map.of(image) for _, image in (*ours, *theirs) if not image.IsEmpty()}
    named = {segment.GetName().casefold(): (segment, image) for segment, image in theirs}
    world = to_world(one)
    stretch = 1.0 if world is None else abs(np.linalg.det(world[:3, :3]))
    overlaps: dict[tuple[int, int], LabelOverlap] = {}
    found = []
    for segment, image in ours:
        same, its_image = named.get(segment.GetName().casefold(), (None, None))
        if same is None:
            continue
        pair, key = (maps.get(id(image)), maps.get(id(its_image))), (id(image), id(its_image))
        if key not in overlaps:
            overlaps[key] = _overlap(*pair, _other_grid(one, other))
        voxel_ml = stretch * next((each.voxel_ml for each in pair if each is not None), 0.0)
        found.append(_compared(overlaps[key], segment, same, voxel_ml))
    return found


def _overlap(one: _Map | None, other: _Map | None, problem: str) -> LabelOverlap:
    """Of two label maps; None has no voxels. Raises InputError where they do not lie on one grid."""
    grid = next((each.affine for each in (one, other) if each is not None), np.eye(4))
    placed: list[tuple[Array, Index]] = []
    for each in (one, other):
        start = each.start_on(grid) if each is not None else (0, 0, 0)
        if start is None:
            raise InputError(problem)
        placed.append((each.voxels if each is not None else np.zeros((0, 0, 0), np.uint8), start))
    return LabelOverlap.of(*placed[0], *placed[1])


def _compared(overlap: LabelOverlap, segment: Any, same: Any, voxel_ml: float) -> ComparedSegment:
    values = segment.GetLabelValue(), same.GetLabelValue()
    sizes = zip((overlap.one, overlap.other), values, strict=True)
    ml, other_ml = (voxel_ml * int(counts[value]) if value < len(counts) else 0.0 for counts, value in sizes)
    return ComparedSegment(segment.GetName(), ml, other_ml, overlap.dice([values[0]], [values[1]]))


def _segments(segmentation: Any) -> Iterator[tuple[Any, Any]]:
    """Segments with their label maps; those that are kept in another way are left out."""
    segments = segmentation.GetSegmentation()
    for n in range(segments.GetNumberOfSegments()):
        segment = segments.GetNthSegment(n)
        image = segment.GetRepresentation(BINARY_LABELMAP)
        if image is not None:
            yield segment, image


def _scalars_time(image: Any) -> int:
    scalars = image.GetPointData().GetScalars()
    return int(scalars.GetMTime()) if scalars is not None else 0


def _other_grid(one: Any, other: Any) -> str:
    return f'"{one.GetName()}" and "{other.GetName()}" lie on different grids, so they cannot be compared.'
