"""Which voxels of a scan count: those that do not hold what its border holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .placed_array import Array

NOISE, RINGING = 1e-3, 1e-2
"""How far from its background's value interpolation leaves most of what lies outside of a stripped scan, and nearly all
of it, as parts of the scan's range.
"""

BORDER_SHARE, NOISE_SHARE = 0.1, 0.01
"""Of the border that a background holds at least, and of the scan that is noise around it where there is any."""

SAMPLED = 96
"""Voxels along an axis, at most, that the values of a whole scan are judged by."""


@dataclass(frozen=True)
class Background:
    """What one channel of a scan holds outside of what was scanned: `value`, give or take `tolerance`."""

    value: float = 0.0
    tolerance: float = 0.0

    def differs(self, channel: Array) -> Array:
        """(k, j, i) of any real dtype -> (k, j, i) bool: the voxels that are not background."""
        if not self.tolerance:
            return np.asarray(channel != self.value)
        return np.asarray((channel < self.value - self.tolerance) | (channel > self.value + self.tolerance))


def foreground_mask(array: Array, rule: str) -> Array:
    """(channel, k, j, i) -> (k, j, i) bool: the voxels that count, by the rule of the model's input
    (`InputSpec.foreground`).

    By `nonzero` those that are not background in every channel, each of which has a background of its own.
    """
    mask = np.full(array.shape[1:], rule == "all")
    if rule != "all":
        for channel in array:
            mask |= find_background(channel).differs(channel)
    return mask


def find_background(channel: Array) -> Background:
    """The background of one channel (k, j, i): the value that stands out at the border; exactly 0 where none does, or
    where 0 fills more of the scan.

    The tolerance is 0 unless much of the scan is noise close around that value: inside a brain that was brought to mean
    0, values near 0 are no background, and the air around a head is none either, since its noise is wider than that.
    """
    sample = channel[tuple(slice(None, None, -(-n // SAMPLED)) for n in channel.shape)].astype(np.float64)
    extent = _range(sample)
    value = _standing_out(_border(channel), extent) if 0 < extent < np.inf else None
    if value is None or (sample == 0).mean() > _near(sample, value, extent).mean():
        value = 0.0
    noise = (_near(sample, value, extent) & (sample != value)).mean()
    is_noisy = noise > max(NOISE_SHARE, _beside(sample, value, extent).mean())
    return Background(value, RINGING * extent if is_noisy else 0.0)


def _range(sample: Array) -> float:
    """The range of values, a few extreme ones left aside where that leaves any."""
    low, high = np.percentile(sample, (0.1, 99.9))
    return float(high - low) or float(np.ptp(sample))


def _border(channel: Array) -> Array:
    """The values on the six faces."""
    faces = [np.take(channel, index, axis) for axis in range(3) for index in (0, -1)]
    return np.concatenate([face.ravel() for face in faces]).astype(np.float64)


def _standing_out(values: Array, extent: float) -> float | None:
    """The middle of the most frequent values within noise of each other; None where they are few, or no more than those
    beside them.
    """
    steps = np.rint(values / (NOISE * extent))
    frequent, counts = np.unique(steps, return_counts=True)
    value = float(np.median(values[steps == frequent[counts.argmax()]]))
    share = _near(values, value, extent).mean()
    return value if share > max(BORDER_SHARE, _beside(values, value, extent).mean()) else None


def _near(values: Array, value: float, extent: float) -> Array:
    """Which values are `value`, or noise around it."""
    return np.asarray(np.abs(values - value) <= NOISE * extent)


def _beside(values: Array, value: float, extent: float) -> Array:
    """Which values lie beside that noise: where they are as many, it is no noise but a part of something wider."""
    return np.asarray(np.abs(values - value) <= RINGING * extent) & ~_near(values, value, extent)
