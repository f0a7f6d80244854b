"""Slices of a scan as pictures show them: gray, with the colours of classes over it, whichever way its grid lies.

Every slice is seen in the radiological convention: right, anterior and superior are at the left and at the top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .geometry import Grid, resample
from .volume import Array, Volume

PERCENTILES = (1, 99.5)
"""Of what is not a scan's lowest value: black and white."""


@dataclass(frozen=True)
class View:
    """A way to look at a scan: the RAS axis that its slices are perpendicular to, and the letters of where its left,
    right and top lie.
    """

    name: str
    axis: int
    left: str
    right: str
    top: str


@dataclass(frozen=True)
class Letters:
    """A text on a slice. across, down: where it is anchored, from 0 (left, top) to 1 (right, bottom) of the slice less
    a margin; it ends, or is centred, there.
    """

    text: str
    across: float
    down: float


def letters_of(view: View, name: str) -> tuple[Letters, ...]:
    """What is written on a slice: at three sides where they lie, and a name at the lower left."""
    sides = Letters(view.left, 0.0, 0.5), Letters(view.right, 1.0, 0.5), Letters(view.top, 0.5, 0.0)
    return (*sides, Letters(name, 0.0, 1.0))


VIEWS = (View("axial", 2, "R", "L", "A"), View("coronal", 1, "R", "L", "S"), View("sagittal", 0, "A", "P", "S"))


def extent_of(grid: Grid) -> tuple[Array, Array]:
    """The least and the greatest RAS coordinates (3,) of the centres of a grid's voxels, in millimetres."""
    i, j, k = (n - 1 for n in reversed(grid.shape))
    corners = np.array([[a, b, c, 1.0] for a in (0, i) for b in (0, j) for c in (0, k)]) @ grid.affine.T
    return corners[:, :3].min(0), corners[:, :3].max(0)


def where_most_lies(mask: Array, grid: Grid) -> Array:
    """The point (3,) in RAS millimetres whose slices along the grid's axes show most of a mask (k, j, i); the middle of
    the grid where the mask is empty.
    """
    areas = [mask.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    k, j, i = (int(area.argmax()) if area.any() else (len(area) - 1) / 2 for area in areas)
    point: Array = (grid.affine @ np.array([i, j, k, 1.0]))[:3]
    return point


def slice_grid(view: View, point: Array, low: Array, high: Array, step: float) -> Grid:
    """The grid of a slice, one voxel thick: its i axis runs to the right of the picture, its j axis downwards.

    point (3,): what the slice goes through. low, high (3,): the RAS coordinates that it shows. step: the side of a
    pixel. All in millimetres.
    """
    across, up = (a for a in range(3) if a != view.axis)
    affine = np.eye(4)
    affine[:3, :3] = 0
    affine[across, 0], affine[up, 1], affine[view.axis, 2] = -step, -step, step
    affine[:3, 3] = high
    affine[view.axis, 3] = point[view.axis]
    size = np.ceil((np.asarray(high) - np.asarray(low)) / step - 1e-6).astype(int) + 1
    return Grid(affine, (1, int(size[up]), int(size[across])))


def gray_window(voxels: Array) -> tuple[float, float]:
    """The values that are shown as black and as white."""
    above = voxels[voxels > voxels.min()]
    low, high = np.percentile(above, PERCENTILES) if above.size else (0.0, 1.0)
    return float(low), max(float(high), float(low) + 1e-6)


def gray_slice(scan: Volume, plane: Grid, window: tuple[float, float]) -> Array:
    """(rows, columns, 3) float32 from 0 to 1: the first channel of a scan in a slice, black beyond the scan."""
    low, high = window
    values = _sampled(scan.array[0].astype(np.float32), Grid.of(scan), plane, nearest=False)
    gray = np.clip((values - low) / (high - low), 0, 1, dtype=np.float32)
    gray[~_is_within(Grid.of(scan), plane)] = 0
    return np.repeat(gray[..., None], 3, axis=2)


def class_slice(classes: Array, grid: Grid, plane: Grid) -> Array:
    """(rows, columns) int32: what the voxels of a map (k, j, i) on a grid are in a slice, 0 beyond the grid."""
    values = _sampled(classes.astype(np.int32), grid, plane, nearest=True)
    values[~_is_within(grid, plane)] = 0
    return values


def coloured(picture: Array, classes: Array, colours: Array, opacity: float | Array) -> Array:
    """A picture (rows, columns, 3) with the colours (classes, 3) of classes (rows, columns) over it, all from 0 to 1;
    that of class 0, and of negative ones, is not drawn. opacity: one, or that of every pixel.
    """
    share = np.where(classes > 0, opacity, 0)[..., None].astype(np.float32)
    out: Array = (1 - share) * picture + share * colours[classes.clip(0)]
    return out


def edges_of(classes: Array) -> Array:
    """(rows, columns) bool: the pixels of classes above 0 whose neighbour to the right or below is of another class."""
    edge = np.zeros(classes.shape, dtype=bool)
    edge[:, :-1] |= classes[:, :-1] != classes[:, 1:]
    edge[:-1] |= classes[:-1] != classes[1:]
    return edge & (classes > 0)


def _sampled(array: Array, grid: Grid, plane: Grid, nearest: bool) -> Array:
    sampled = resample(torch.from_numpy(np.ascontiguousarray(array))[..., None], grid, plane, nearest=nearest)
    values: Array = sampled[0, ..., 0].numpy()
    return values


def _is_within(grid: Grid, plane: Grid) -> Array:
    """(rows, columns) bool: the pixels of a slice that lie less than a voxel beyond the outermost centres of a grid."""
    _, rows, columns = np.indices(plane.shape)
    pixels = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)])[:, 0]
    index = np.einsum("ab,brc->rca", plane.to(grid)[:3], pixels)
    within: Array = ((index > -1) & (index < grid.shape[::-1])).all(axis=2)
    return within
