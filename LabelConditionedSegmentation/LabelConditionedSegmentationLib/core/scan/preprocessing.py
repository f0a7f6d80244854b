"""From a scan to what the network sees: its grid, its intensities, and where each voxel lies in the scanned region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from .foreground import foreground_mask
from .geometry import Grid, Shape, bounding_box, needed_box, network_grid, resample, smooth_for
from .input_spec import InputSpec, Intensity
from .volume import Array, Volume

BACKGROUND = -3.0
"""The value of voxels outside the foreground after normalisation."""

Z_SCORE_PERCENTILES = 0.5, 99.5
"""Of the foreground, between which values are clipped by the intensity scheme `z-score`."""

LARGEST_EXTENT_MM = 2500.0
"""No scan of a patient is longer."""


FINEST, SMALLEST, LARGEST = 1e3, 1e-30, 1e30
"""Values up to so many times larger than their range, whose range and size are between these, are told apart by 32-bit
floats as they are.
"""


@dataclass(frozen=True)
class NetworkInput:
    """A scan as the network sees it: `image` (channel, k, j, i) float32 and `foreground` (k, j, i) bool on `grid`, and
    the part of the input grid that it covers.
    """

    image: torch.Tensor
    foreground: torch.Tensor
    grid: Grid
    region: tuple[tuple[int, int, int], tuple[int, int, int]]


def box_around(prepared: NetworkInput, centre: tuple[float, float, float], shape: Shape, source: Grid) -> NetworkInput:
    """The part of a prepared scan, of at most `shape` voxels (k, j, i), around a voxel (k, j, i) of it. source: the
    grid of the scan.
    """
    size = [min(n, wanted) for n, wanted in zip(prepared.grid.shape, shape, strict=True)]
    start = [
        min(max(round(c - n / 2), 0), whole - n) for c, n, whole in zip(centre, size, prepared.grid.shape, strict=True)
    ]
    stop = [first + n for first, n in zip(start, size, strict=True)]
    k, j, i = (slice(first, last) for first, last in zip(start, stop, strict=True))
    grid = prepared.grid.box(tuple(start), tuple(stop))  # type: ignore[arg-type]
    low, high = needed_box(source, grid, (0, 0, 0), grid.shape)
    region = (
        tuple(max(a, b) for a, b in zip(low, prepared.region[0], strict=True)),
        tuple(min(a, b) for a, b in zip(high, prepared.region[1], strict=True)),
    )
    return NetworkInput(
        prepared.image[:, k, j, i].contiguous(),
        prepared.foreground[k, j, i].contiguous(),
        grid,
        region,  # type: ignore[arg-type]
    )


def prepare(
    volume: Volume, spec: InputSpec, multiple: int, with_position: bool, found: Array | None = None
) -> NetworkInput:
    """Crop a scan to its foreground, put it on the network's grid, normalise it and append the position channels.

    found: (k, j, i) bool, the voxels that count, where another model has found them; else the rule of the input says
    which. Raises InputError where there is no foreground or where its values do not vary.
    """
    if volume.array.shape[0] != len(spec.channels):
        raise InputError(
            f"The model needs {len(spec.channels)} channel(s) ({', '.join(spec.channels)}), but the scan has"
            f" {volume.array.shape[0]}; give the scan that the model was made for."
        )
    mask = foreground_mask(volume.array, spec.foreground) if found is None else found
    region = bounding_box(mask)
    if region is None:
        raise InputError("The scan is empty: all its voxels are background. Check that the right file was chosen.")
    covered = Grid.of(volume).box(*region)
    longest = max(n * s for n, s in zip(covered.shape[::-1], volume.spacing, strict=True))
    if longest > LARGEST_EXTENT_MM:
        raise InputError(
            f"The scan would be {longest / 1000:.1f} m long; its voxel spacing is wrong. Repair its header."
        )
    k, j, i = (slice(start, stop) for start, stop in zip(*region, strict=True))
    inside = mask[k, j, i]
    grid = network_grid(covered, spec.spacing, spec.margin_mm, multiple, inside)
    values = _in_single_precision(volume.array[:, k, j, i], inside, spec.intensity)
    # with a rim of background, replication at the border continues it and not what lies inside
    rim = 0 if spec.foreground == "all" and found is None else 1
    image, foreground = _on_grid(values, inside, covered, grid, rim)
    image = normalise(image, foreground, spec.intensity)
    if with_position:
        image = torch.cat([image, position_channels(foreground)])
    return NetworkInput(image.contiguous(), foreground, grid, region)


def _in_single_precision(array: Array, inside: Array, intensity: Intensity) -> Array:
    """(channel, k, j, i) as float32; a channel whose values there would run together, or out of range, is brought to 0
    to 1 first, which normalisation by the scan's own values does not see. Where values mean something (`window`) they
    stay what they are.
    """
    if np.can_cast(array.dtype, np.float32):
        return array.astype(np.float32, order="C")
    if intensity.scheme == "window":
        return array.clip(-LARGEST, LARGEST).astype(np.float32, order="C")
    return np.stack([_channel_in_single_precision(channel, inside) for channel in array])


def _channel_in_single_precision(channel: Array, inside: Array) -> Array:
    values = channel[inside].astype(np.float64)
    low, high = float(values.min()), float(values.max())
    largest, reach = max(abs(low), abs(high)), high - low
    if reach == 0 or (reach > SMALLEST and largest < LARGEST and largest < FINEST * reach):
        return channel.astype(np.float32)
    scaled = np.zeros(channel.shape, dtype=np.float32)
    scaled[inside] = (values - low) / reach
    return scaled


def _on_grid(values: Array, inside: Array, source: Grid, target: Grid, rim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values (channel, k, j, i) float32 and foreground (k, j, i) bool of `source` on the grid `target`, by normalised
    convolution: what lies outside mixes into nothing.

    rim: voxels of background that are put around the source.
    """
    weight = torch.from_numpy(np.ascontiguousarray(inside, dtype=np.float32))[None]
    around = source.box((-rim,) * 3, tuple(n + rim for n in source.shape))  # type: ignore[arg-type]
    factors = _coarsening(source, target)
    image, weight = (
        resample(smooth_for(torch.nn.functional.pad(t, (rim,) * 6), factors).movedim(0, -1), around, target).movedim(
            -1, 0
        )
        for t in (torch.from_numpy(values) * weight, weight)
    )
    return image / weight.clamp_min(0.5), weight[0] > 0.5


def _coarsening(source: Grid, target: Grid) -> tuple[float, float, float]:
    """How many source voxels, along each source axis (k, j, i), one step of the target grid spans."""
    step = np.abs(target.to(source)[:3, :3]).max(axis=1)
    return float(step[2]), float(step[1]), float(step[0])


def normalise(image: torch.Tensor, foreground: torch.Tensor, intensity: Intensity) -> torch.Tensor:
    """Every channel (channel, k, j, i) normalised by the intensity scheme over the foreground (k, j, i); the rest is
    BACKGROUND. Raises InputError where nothing is left to tell apart.
    """
    out = torch.full_like(image, BACKGROUND)
    for channel, values in enumerate(image):
        inside = values[foreground].double()
        if inside.numel() == 0:
            raise InputError(
                "Nothing of the scan's foreground is left at the model's spacing; the scan is too small for this model."
            )
        if intensity.scheme == "window":
            normalised = _windowed(inside, *intensity.limits)
        else:
            normalised = _by_percentiles(inside, intensity)
        out[channel, foreground] = normalised.float()
    return out


def _windowed(inside: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Values clipped to a fixed window, whose ends become -1 and 1."""
    clipped = inside.clamp(low, high)
    if not clipped.max() > clipped.min():
        raise InputError(
            f"The scan holds nothing between the values {low:g} and {high:g} that the model tells apart; check that it"
            " is of the kind that the model expects, for CT in Hounsfield units."
        )
    return _from_minus_1_to_1(clipped, low, high)


def _by_percentiles(inside: torch.Tensor, intensity: Intensity) -> torch.Tensor:
    """Values clipped to percentiles of their own, then brought to mean 0 and deviation 1 or to -1 and 1."""
    is_z_score = intensity.scheme == "z-score"
    low, high = np.percentile(inside.numpy(), Z_SCORE_PERCENTILES if is_z_score else intensity.limits)
    if not high > low:
        raise InputError("The scan is constant: all its voxels have the same value, so there is nothing to segment.")
    clipped = inside.clamp(low, high)
    return (clipped - clipped.mean()) / clipped.std() if is_z_score else _from_minus_1_to_1(clipped, low, high)


def _from_minus_1_to_1(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return (values - low) * (2 / (high - low)) - 1


def position_channels(foreground: torch.Tensor) -> torch.Tensor:
    """Coordinates along R, A, S: (3, k, j, i) float32, 0 at the foreground's mean and +-1 at twice its standard
    deviation along the axis.

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
