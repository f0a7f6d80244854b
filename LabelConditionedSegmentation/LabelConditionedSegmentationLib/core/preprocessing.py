"""From a scan to what the network sees: its grid, its intensities, and where each voxel lies in the scanned region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .errors import InputError
from .geometry import Grid, bounding_box, network_grid, resample, smooth_for
from .input_spec import InputSpec
from .volume import Array, Volume

BACKGROUND = -3.0
"""The value of voxels outside the foreground after normalisation, in standard deviations."""

LARGEST_EXTENT_MM = 2500.0
"""No scan of a patient is longer."""


@dataclass(frozen=True)
class NetworkInput:
    """A scan as the network sees it: `image` (channel, k, j, i) float32 and `foreground` (k, j, i) bool on `grid`, and the part of the input grid that it covers."""

    image: torch.Tensor
    foreground: torch.Tensor
    grid: Grid
    region: tuple[tuple[int, int, int], tuple[int, int, int]]


def foreground_mask(array: Array, rule: str) -> Array:
    """(channel, k, j, i) -> (k, j, i) bool: the voxels that count, by the rule of the model's input."""
    return np.ones(array.shape[1:], dtype=bool) if rule == "all" else (array != 0).any(axis=0)


def prepare(volume: Volume, spec: InputSpec, multiple: int, with_position: bool) -> NetworkInput:
    """Crop a scan to its foreground, put it on the network's grid, normalise it and append the position channels.

    Raises InputError where there is no foreground or where its values do not vary.
    """
    if volume.array.shape[0] != len(spec.channels):
        raise InputError(
            f"The model needs {len(spec.channels)} channel(s) ({', '.join(spec.channels)}), but the scan has {volume.array.shape[0]}; "
            "give the scan that the model was made for."
        )
    mask = foreground_mask(volume.array, spec.foreground)
    region = bounding_box(mask)
    if region is None:
        raise InputError("The scan is empty: every voxel is 0. Check that the right file was chosen.")
    (k0, j0, i0), (k1, j1, i1) = region
    covered = Grid.of(volume).box(*region)
    longest = max(n * s for n, s in zip(covered.shape[::-1], volume.spacing, strict=True))
    if longest > LARGEST_EXTENT_MM:
        raise InputError(
            f"The scan would be {longest / 1000:.1f} m long; its voxel spacing is wrong. Repair its header."
        )
    grid = network_grid(covered, spec.spacing, spec.margin_mm, multiple)
    cropped = torch.from_numpy(np.ascontiguousarray(volume.array[:, k0:k1, j0:j1, i0:i1], dtype=np.float32))
    inside = torch.from_numpy(np.ascontiguousarray(mask[k0:k1, j0:j1, i0:i1], dtype=np.float32))[None]
    if (
        spec.foreground == "nonzero"
    ):  # a rim of background, so that replication at the border continues background and not brain
        cropped, inside = (torch.nn.functional.pad(t, (1, 1, 1, 1, 1, 1)) for t in (cropped, inside))
        covered = covered.box((-1, -1, -1), tuple(n + 1 for n in covered.shape))  # type: ignore[arg-type]
    factors = _coarsening(covered, grid)
    image, weight = (
        resample(smooth_for(t, factors).movedim(0, -1), covered, grid).movedim(-1, 0) for t in (cropped, inside)
    )
    weight = weight[0]
    foreground = weight > 0.5
    image = normalise(image, foreground)
    if with_position:
        image = torch.cat([image, position_channels(foreground)])
    return NetworkInput(image.contiguous(), foreground, grid, region)


def _coarsening(source: Grid, target: Grid) -> tuple[float, float, float]:
    """How many source voxels, along each source axis (k, j, i), one step of the target grid spans."""
    step = np.abs(target.to(source)[:3, :3]).max(axis=1)
    return float(step[2]), float(step[1]), float(step[0])


def normalise(image: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    """Every channel clipped to its 0.5 to 99.5 percentile, then mean 0 and deviation 1 over the foreground (k, j, i); the rest is BACKGROUND."""
    out = torch.full_like(image, BACKGROUND)
    for channel, values in enumerate(image):
        inside = values[foreground].double()
        if inside.numel() == 0:
            raise InputError(
                "Nothing of the scan's foreground is left at the model's spacing; the scan is too small for this model."
            )
        low, high = np.percentile(inside.numpy(), (0.5, 99.5))
        if not high > low:
            raise InputError(
                "The scan is constant: all its voxels have the same value, so there is nothing to segment."
            )
        inside = inside.clamp(low, high)
        out[channel, foreground] = ((inside - inside.mean()) / inside.std()).float()
    return out


def position_channels(foreground: torch.Tensor) -> torch.Tensor:
    """Coordinates along R, A, S: (3, k, j, i) float32, 0 at the foreground's mean and +-1 at twice its standard deviation along the axis.

    Moments, not the bounding box: a few stray voxels hardly move them.
    """
    coordinates = []
    for axis in (2, 1, 0):  # R runs along i, A along j, S along k
        profile = foreground.sum(dim=tuple(a for a in range(3) if a != axis)).double()
        index = torch.arange(foreground.shape[axis], dtype=torch.float64)
        mean = (profile * index).sum() / profile.sum()
        deviation = (profile * (index - mean) ** 2).sum().div(profile.sum()).sqrt()
        line = ((index - mean) / (2 * deviation.clamp_min(1.0))).float()
        shape = [1, 1, 1]
        shape[axis] = -1
        coordinates.append(line.view(shape).expand(foreground.shape))
    return torch.stack(coordinates)
