"""Examples: structures that somebody painted on an atlas scan -> prompts of a model, from the atlas as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from ..errors import InputError
from ..scan.geometry import Grid, Shape, bounding_box, needed_box, resample, smooth_for
from ..scan.preprocessing import NetworkInput
from ..scan.volume import Array, Volume

STEPS = 255
"""The share of a mask in a voxel is kept as one byte."""

ON_VOXEL, AXES_AGREE = 0.05, 1e-3
"""How far, in voxels of the atlas, those of a mask may lie from them, and how much a step along an axis may differ."""


@dataclass(frozen=True)
class Example:
    """A structure on an atlas. mask: (k, j, i) of the atlas's voxels, true where the structure is."""

    name: str
    mask: Array


def mask_on(atlas: Volume, mask: Volume, what: str = "mask") -> Array:
    """A mask, on the atlas's own voxels: (k, j, i) bool.

    It may cover a part of the atlas only, but its voxels have to be voxels of the atlas.

    Raises InputError, in which `what` names the mask, where the geometries differ, the mask is empty, or it lies
    outside the atlas.
    """
    mapping = Grid.of(mask).to(Grid.of(atlas))
    shift = np.rint(mapping[:3, 3])
    corners = np.array([(*corner, 1.0) for corner in product(*((0, n - 1) for n in mask.shape[::-1]))])
    apart = np.abs((corners @ mapping.T)[:, :3] - (corners[:, :3] + shift)).max()
    axes_differ = np.abs(mapping[:3, :3] - np.eye(3)).max() > AXES_AGREE
    if axes_differ or apart > ON_VOXEL:
        size = " x ".join(map(str, mask.shape[::-1]))
        raise InputError(
            f"The {what} ({size} voxels of {_lengths(mask)}) does not lie on the voxels of its scan"
            f" ({' x '.join(map(str, atlas.shape[::-1]))} of {_lengths(atlas)}): resample it to the scan's grid, or"
            " give the scan that it was painted on."
        )
    if not bool(np.isfinite(mask.array).all()):
        raise InputError(
            f"The {what} holds voxels that are NaN or infinite; a mask is 0 where the structure is not, and another"
            " number where it is."
        )
    inside = np.asarray(mask.array[0] != 0)
    if not inside.any():
        raise InputError(
            f"The {what} is empty: no voxel of it is marked. Paint the structure, or choose another segment."
        )
    out = _placed(inside, [int(n) for n in shift[::-1]], atlas.shape)
    if not out.any():
        raise InputError(f"The {what} lies outside of its scan; give the scan that it was painted on.")
    return out


def _placed(inside: Array, starts: Sequence[int], shape: Shape) -> Array:
    """A mask whose first voxel lies at `starts` of an image of this shape (k, j, i), on the whole image; what lies
    outside is left out.
    """
    out = np.zeros(shape, dtype=bool)
    low = [max(0, start) for start in starts]
    high = [min(n, start + length) for n, start, length in zip(shape, starts, inside.shape, strict=True)]
    if all(a < b for a, b in zip(low, high, strict=True)):
        k, j, i = (slice(a, b) for a, b in zip(low, high, strict=True))
        there = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, starts, strict=True))
        out[k, j, i] = inside[there]
    return out


def _lengths(volume: Volume) -> str:
    return " x ".join(f"{s:.4g}" for s in volume.spacing) + " mm"


def shares_on(atlas: Grid, prepared: NetworkInput, mask: Array, stride: int) -> torch.Tensor:
    """The share of a mask in every voxel of the feature grid: (k, j, i) uint8, STEPS for the whole of it.

    Work is done around the mask only.
    """
    shape = [n // stride for n in prepared.grid.shape]
    shares = torch.zeros(shape, dtype=torch.uint8)
    box = bounding_box(mask)
    if box is None:
        return shares
    step = np.abs(prepared.grid.to(atlas)[:3, :3]).max(axis=1)[
        ::-1
    ]  # atlas voxels (k, j, i) a voxel of the network's grid
    rim = [2 + int(np.ceil(2 * n)) for n in step]  # beyond which smoothing leaves nothing
    low, high = (
        [n + sign * r for n, r in zip(corner, rim, strict=True)] for corner, sign in zip(box, (-1, 1), strict=True)
    )
    around = atlas.box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    inside = torch.from_numpy(
        np.pad(mask[tuple(slice(x, y) for x, y in zip(*box, strict=True))], [(r, r) for r in rim]).astype(np.float32)
    )[None]
    smooth = smooth_for(inside, (float(step[0]), float(step[1]), float(step[2])))
    begin, end = needed_box(prepared.grid, around, (0, 0, 0), around.shape)
    start, stop = [n // stride for n in begin], [min(-(-n // stride), m) for n, m in zip(end, shape, strict=True)]
    place = tuple(slice(x, y) for x, y in zip(start, stop, strict=True))
    first, last = ((n[0] * stride, n[1] * stride, n[2] * stride) for n in (start, stop))
    fine = resample(smooth.movedim(0, -1), around, prepared.grid, first, last)
    share = torch.nn.functional.avg_pool3d(fine.movedim(-1, 0), stride)[0]
    shares[place] = (
        (share * STEPS).ceil().clamp(max=STEPS).to(torch.uint8)
    )  # the whole of a mask is 1 to rounding, and one more step would be 0
    return shares


def is_visible(shares: torch.Tensor, prepared: NetworkInput, stride: int) -> bool:
    """Whether a mask (see `shares_on`) touches the foreground of a scan, outside of which the network finds nothing."""
    foreground = torch.nn.functional.max_pool3d(prepared.foreground[None].float(), stride)[0] > 0
    return bool((shares[foreground] > 0).any())
