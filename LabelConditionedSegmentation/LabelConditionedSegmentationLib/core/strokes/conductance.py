"""Conductances: how easily a random walk steps between neighbouring voxels, from intensities, features or a map of
boundaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

SMALLEST = 1e-3
"""Of a step across the sharpest border, where a step within something uniform has 1: no voxel is out of reach.

Training has a smaller one of its own (`Training.losses.stroke_walks.LEAST`): what is learned needs a gradient there.
"""

CONTRAST = 1.0
"""How much the square of a difference counts, in units of `noise_of`."""

SAME = 1e-3
"""Of the mean squared difference: neighbours that differ by less are alike, as in the air around a stripped brain."""

NOISY = 0.1
"""An image of whose neighbours a smaller share differs has no noise; its differences are all borders."""

SAMPLES = 2**17
"""Pairs of neighbours along an axis that the median is taken of."""


@dataclass(frozen=True)
class Conductance:
    """One number for each pair of neighbours of a grid (k, j, i), 0 or more: `along[a]` has one voxel less along axis a
    and joins every voxel to the next one along it.
    """

    along: tuple[torch.Tensor, torch.Tensor, torch.Tensor]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the grid along (k, j, i)."""
        k, (_, j, i) = self.along[0].shape[0] + 1, self.along[0].shape
        return k, j, i


def between_channels(channels: torch.Tensor, spacing: Sequence[float], contrast: float = CONTRAST) -> Conductance:
    """exp(-contrast * d^2 / noise), d the distance between the channels of two neighbours: the weights of Grady,
    "Random walks for image segmentation", IEEE TPAMI 2006, for any number of channels; see `noise_of`.

    channels: (channel, k, j, i), intensities or features. spacing: mm along (k, j, i); see `spaced`.
    """
    squares = [_squares(channels, axis) for axis in range(3)]
    noise = noise_of(squares)
    factor = -contrast / noise if noise > 0 else 0.0
    k, j, i = (square.mul_(factor).exp_() for square in squares)
    return spaced(Conductance((k, j, i)), spacing)


def noise_of(squares: Sequence[torch.Tensor]) -> float:
    """The median of the squared differences (k, j, i) between neighbours that differ, which borders hardly change."""
    some = torch.cat([square.flatten()[:: max(1, square.numel() // SAMPLES)] for square in squares])
    least = SAME * float(some.mean())
    differing = some[some > least]
    return float(differing.median()) if len(differing) > NOISY * len(some) else least


def _squares(channels: torch.Tensor, axis: int) -> torch.Tensor:
    """The squared distances between neighbours along an axis."""
    total = channels[0].float().diff(dim=axis).square_()
    for channel in channels[1:]:
        difference = channel.float().diff(dim=axis)
        total.addcmul_(difference, difference)
    return total


def across_boundaries(boundary: torch.Tensor, spacing: Sequence[float]) -> Conductance:
    """exp(-(B(x) + B(y)) / 2), differentiable: Vernaza and Chandraker, "Learning random-walk label propagation for
    weakly-supervised semantic segmentation", CVPR 2017, equation 4.

    boundary: B (k, j, i), 0 or more, high on borders between structures. spacing: mm along (k, j, i); see `spaced`.
    """
    pairs = (boundary.unfold(axis, 2, 1).mean(-1) for axis in range(3))
    k, j, i = (torch.exp(-pair) for pair in pairs)
    return spaced(Conductance((k, j, i)), spacing)


def spaced(conductance: Conductance, spacing: Sequence[float]) -> Conductance:
    """The same tissue on voxels of other lengths: a walk needs the square of a distance in steps, so those along an
    axis are scaled by 1 / length^2, in units of the shortest length; and none is below SMALLEST of that.
    """
    k, j, i = (
        along.clamp(min=SMALLEST) * (min(spacing) / length) ** 2
        for along, length in zip(conductance.along, spacing, strict=True)
    )
    return Conductance((k, j, i))
