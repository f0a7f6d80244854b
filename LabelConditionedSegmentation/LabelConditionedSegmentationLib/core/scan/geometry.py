"""Where the network looks: the grid it works on, and linear resampling from one grid to another.

Every grid is a `Grid`: an IJK-to-RAS affine with a shape (k, j, i). The network's grid lies along the RAS axes, so an
oblique or permuted scan is turned once, on the way in; on the way out features are sampled at the voxels of the input
grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .volume import Affine, Array, Volume

Shape = tuple[int, int, int]
ON_VOXEL = 1e-4
"""Voxels.

Positions nearer than this to a voxel centre are taken to be on it, so that aligned grids copy without interpolation.
"""


@dataclass(frozen=True)
class Grid:
    """A lattice in space: `affine` maps (i, j, k, 1) to RAS millimetres, `shape` counts voxels along (k, j, i)."""

    affine: Affine
    shape: Shape

    @staticmethod
    def of(volume: Volume) -> Grid:
        """The grid that a volume lies on."""
        return Grid(volume.affine, volume.shape)

    def to(self, other: Grid) -> Affine:
        """(4, 4) affine from this grid's voxel indices (i, j, k, 1) to the other's."""
        return np.linalg.solve(other.affine, self.affine).astype(np.float64)

    def index_of(self, position_ras: tuple[float, float, float] | Array) -> Array:
        """Continuous voxel index (i, j, k) of a point in RAS millimetres."""
        point = np.append(np.asarray(position_ras, dtype=np.float64), 1.0)
        index: Array = np.linalg.solve(self.affine, point)[:3]
        return index

    def coarser(self, factor: int) -> Grid:
        """The grid of blocks of `factor` voxels along every axis: a block's centre is the mean of its voxels."""
        step = np.diag([factor, factor, factor, 1.0])
        step[:3, 3] = (factor - 1) / 2
        return Grid(self.affine @ step, tuple(-(-n // factor) for n in self.shape))  # type: ignore[arg-type]

    def box(self, start: Shape, stop: Shape) -> Grid:
        """The sub-grid of the voxels from `start` to before `stop`, both (k, j, i)."""
        shift = np.eye(4)
        shift[:3, 3] = start[::-1]
        return Grid(self.affine @ shift, tuple(b - a for a, b in zip(start, stop, strict=True)))  # type: ignore[arg-type]


def bounding_box(mask: Array) -> tuple[Shape, Shape] | None:
    """First and one-past-last index (k, j, i) of the true voxels of `mask` (k, j, i); None where there is none."""
    bounds = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if hit.size == 0:
            return None
        bounds.append((int(hit[0]), int(hit[-1]) + 1))
    return tuple(b[0] for b in bounds), tuple(b[1] for b in bounds)  # type: ignore[return-value]


def network_grid(
    region: Grid,
    spacing: tuple[float, float, float],
    margin_mm: float,
    multiple: int,
    foreground: Array | None = None,
) -> Grid:
    """The RAS-aligned grid on which the network sees a region of a scan.

    region: the part of the input grid that is to be covered. spacing: millimetres along R, A, S. margin_mm: added on
    every side.
    multiple: the shape is rounded up to a multiple of this (what the network's strides need); the surplus is split
    between both sides in whole voxels. foreground (k, j, i) bool, of a region that ends where it does: all that has to
    be covered; the corners of an oblique region reach far beyond it. A region that already lies along the RAS axes with
    this spacing gives a grid whose voxels coincide with the region's.
    """
    oblique = foreground is not None and _parallel_axes(region.affine[:3, :3]) is None
    outermost = _ends_of_rows(foreground) if oblique and foreground is not None else _corners(region.shape)
    ras = (region.affine @ outermost.T).T[:, :3]
    low, high = ras.min(0), ras.max(0)
    steps = np.asarray(spacing, dtype=np.float64)
    margin = np.ceil(margin_mm / steps - 1e-9)
    count = np.ceil((high - low) / steps - ON_VOXEL) + 1 + 2 * margin
    padded = np.ceil(count / multiple) * multiple
    origin = low - (margin + (padded - count) // 2) * steps
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = origin
    return Grid(affine, tuple(int(n) for n in padded[::-1]))  # type: ignore[arg-type]


def _corners(shape: Shape) -> Array:
    """(8, 4): the indices (i, j, k, 1) of the corner voxels of a grid."""
    return np.array([[i, j, k, 1.0] for i in (0, shape[2] - 1) for j in (0, shape[1] - 1) for k in (0, shape[0] - 1)])


def _ends_of_rows(mask: Array) -> Array:
    """(n, 4): the indices (i, j, k, 1) of the first and last true voxel of every row of `mask` (k, j, i); whatever the
    axes, the outermost ones are among them.
    """
    k, j = np.nonzero(mask.any(axis=2))
    rows = mask[k, j]
    first, last = rows.argmax(axis=1), mask.shape[2] - 1 - rows[:, ::-1].argmax(axis=1)
    return np.array([[*first, *last], [*j, *j], [*k, *k], np.ones(2 * len(k))], dtype=np.float64).T


def resample(
    source: torch.Tensor,
    source_grid: Grid,
    target: Grid,
    start: Shape = (0, 0, 0),
    stop: Shape | None = None,
    source_start: Shape = (0, 0, 0),
    nearest: bool = False,
) -> torch.Tensor:
    """Sample `source` at voxels of `target`: linear (or nearest), outside by replication.

    source: (k, j, i, channel), the part of `source_grid` that begins at `source_start`; it has to hold every voxel that
    is needed.
    start, stop: the box (k, j, i) of target voxels to compute; all of them by default.
    Returns (k, j, i, channel) of the box, float32 (`nearest`: the dtype of `source`). Each value is the same, to the
    last bit, whatever box it is computed in.
    """
    stop = target.shape if stop is None else stop
    mapping = target.to(source_grid)
    axes = _parallel_axes(mapping[:3, :3])
    if axes is None:
        return _resample_oblique(source, source_grid, mapping, start, stop, source_start, nearest)
    return _resample_separable(source, source_grid, mapping, axes, start, stop, source_start, nearest)


def needed_box(source_grid: Grid, target: Grid, start: Shape, stop: Shape) -> tuple[Shape, Shape]:
    """First and one-past-last source voxel (k, j, i) that `resample` reads for a box of target voxels."""
    mapping = target.to(source_grid)
    ends = [(a, b - 1) for a, b in zip(start[::-1], stop[::-1], strict=True)]
    corners = np.array([[i, j, k, 1.0] for i in ends[0] for j in ends[1] for k in ends[2]]) @ mapping.T
    last = np.array(source_grid.shape[::-1]) - 1
    low = np.clip(np.floor(corners[:, :3].min(0) - ON_VOXEL), 0, last).astype(int)
    high = np.clip(np.floor(corners[:, :3].max(0) + ON_VOXEL) + 1, 0, last).astype(int) + 1
    return tuple(int(n) for n in low[::-1]), tuple(int(n) for n in high[::-1])  # type: ignore[return-value]


def _parallel_axes(linear: Array) -> tuple[int, int, int] | None:
    """For each source axis (i, j, k) the target axis it runs along, or None where the grids are oblique
    to each other.
    """
    size = np.abs(np.asarray(linear, dtype=np.float64))
    axes = size.argmax(axis=1)
    rest = size.copy()
    rest[np.arange(3), axes] = 0
    if sorted(axes) != [0, 1, 2] or rest.max() > 1e-6 * size.max():
        return None
    return tuple(int(a) for a in axes)  # type: ignore[return-value]


def _lattice(position: Array, length: int) -> tuple[Array, Array, Array]:
    """Continuous indices -> lower voxel, upper voxel, float32 weight of the upper one; clipped to the grid, snapped
    where a position lies on a voxel.

    On a voxel both are that voxel: a block that was cut to what is needed may end there.
    """
    position = np.clip(position, 0, length - 1)
    rounded = np.rint(position)
    position = np.where(np.abs(position - rounded) < ON_VOXEL, rounded, position)
    lower = np.floor(position).astype(np.int64)
    return lower, np.ceil(position).astype(np.int64), (position - lower).astype(np.float32)


def _mix(below: torch.Tensor, above: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(1 - w) below + w above in three rounded steps: fused ones may differ in the last bit between vector and
    remainder loops.
    """
    return below.mul_(1 - weight).add_(above.mul_(weight))


def _resample_separable(
    source: torch.Tensor,
    source_grid: Grid,
    mapping: Affine,
    axes: tuple[int, int, int],
    start: Shape,
    stop: Shape,
    source_start: Shape,
    nearest: bool,
) -> torch.Tensor:
    out = source if nearest else source.float()
    for source_axis in (2, 1, 0):  # k, j, i
        target_axis, tensor_axis = axes[source_axis], 2 - source_axis
        index = np.arange(start[2 - target_axis], stop[2 - target_axis])
        position = mapping[source_axis, target_axis] * index + mapping[source_axis, 3]
        out = _interpolate_axis(
            out, tensor_axis, position, source_grid.shape[tensor_axis], source_start[tensor_axis], nearest
        )
    runs_along = [axes[2], axes[1], axes[0]]  # the target axis (i = 0, k = 2) of each tensor axis
    return out.permute(*(runs_along.index(target_axis) for target_axis in (2, 1, 0)), 3)


def _interpolate_axis(
    source: torch.Tensor, axis: int, position: Array, length: int, offset: int, nearest: bool
) -> torch.Tensor:
    lower, upper, weight = _lattice(np.rint(position) if nearest else position, length)
    first = torch.from_numpy(lower - offset).to(source.device)
    if not weight.any():
        same = len(first) == source.shape[axis] and bool((first == torch.arange(len(first), device=first.device)).all())
        return source if same else source.index_select(axis, first)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    above = source.index_select(axis, torch.from_numpy(upper - offset).to(source.device))
    return _mix(source.index_select(axis, first), above, torch.from_numpy(weight).to(source.device).view(shape))


def _resample_oblique(
    source: torch.Tensor,
    source_grid: Grid,
    mapping: Affine,
    start: Shape,
    stop: Shape,
    source_start: Shape,
    nearest: bool,
) -> torch.Tensor:
    rows = source.reshape(-1, source.shape[3])
    j, i = (
        np.arange(start[1], stop[1], dtype=np.float64)[:, None],
        np.arange(start[2], stop[2], dtype=np.float64)[None, :],
    )
    planes = []
    for k in range(
        start[0], stop[0]
    ):  # plane by plane: the coordinates of a whole volume would weigh more than the volume
        lattice = []
        for axis in (2, 1, 0):
            position = mapping[axis, 0] * i + mapping[axis, 1] * j + mapping[axis, 2] * k + mapping[axis, 3]
            lower, upper, weight = _lattice(
                (np.rint(position) if nearest else position).ravel(), source_grid.shape[2 - axis]
            )
            lattice.append((lower - source_start[2 - axis], upper - source_start[2 - axis], weight))
        plane: torch.Tensor | None = None
        for corner in range(1 if nearest else 8):
            flat, share = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.float32)
            for axis, (lower, upper, weight) in enumerate(lattice):
                high = corner >> axis & 1
                flat = flat * source.shape[axis] + (upper if high else lower)
                share = share * (weight if high else 1 - weight)
            values = rows.index_select(0, torch.from_numpy(flat).to(source.device))
            if nearest:
                plane = values
            else:
                values = values.float().mul_(torch.from_numpy(share).to(source.device)[:, None])
                plane = values if plane is None else plane.add_(values)
        assert plane is not None
        planes.append(plane.view(stop[1] - start[1], stop[2] - start[2], -1))
    return torch.stack(planes)


def smooth_for(source: torch.Tensor, factors: tuple[float, float, float]) -> torch.Tensor:
    """Gaussian smoothing of (channel, k, j, i) against aliasing, before sampling every `factors` voxels along (k, j,
    i); factors up to 1 change nothing.
    """
    # full width at half maximum of one target voxel, less the source's own
    return smoothed(source, [0.425 * float(np.sqrt(factor**2 - 1)) if factor > 1.05 else 0.0 for factor in factors])


def smoothed(source: torch.Tensor, deviations: Sequence[float]) -> torch.Tensor:
    """(channel, k, j, i) smoothed by a Gaussian of these standard deviations along (k, j, i), in voxels; 0 changes
    nothing. Beyond the border the last voxel goes on.
    """
    out = source
    for axis, sigma in enumerate(deviations, start=1):
        if sigma <= 0:
            continue
        radius = max(1, int(np.ceil(3 * sigma)))
        kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=torch.float64) / sigma) ** 2)
        index = torch.arange(out.shape[axis], device=out.device)
        total = torch.zeros_like(out)
        for offset, weight in zip(
            range(-radius, radius + 1), (kernel / kernel.sum()).tolist(), strict=True
        ):  # a convolution would take 16 times the memory
            total.add_(out.index_select(axis, (index + offset).clamp(0, len(index) - 1)), alpha=weight)
        out = total
    return out
