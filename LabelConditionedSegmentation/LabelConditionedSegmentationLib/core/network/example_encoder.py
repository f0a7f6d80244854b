"""From an example (the trunk's view of an atlas, and a mask on it) to a prompt that the features of any scan are
multiplied with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

NEIGHBOURHOOD = 5
"""Side of the cube, in voxels of a level, whose share of the mask says how near to it a voxel lies."""

HIDDEN = 128


class Pooled(NamedTuple):
    """Sums over an atlas, or a part of it, for M masks. found: for every level of the trunk (M, 2, channels), what was
    found there, and weight: (M, 2), how many voxels of
    the level that were: index 0 inside the mask, 1 around it. The sums of the windows of an atlas add up.
    """

    found: list[torch.Tensor]
    weight: list[torch.Tensor]

    def plus(self, other: Pooled) -> Pooled:
        """The sums of both."""
        return Pooled(
            [a + b for a, b in zip(self.found, other.found, strict=True)],
            [a + b for a, b in zip(self.weight, other.weight, strict=True)],
        )


def pool(levels: Sequence[torch.Tensor], masks: torch.Tensor, share: torch.Tensor | None = None) -> Pooled:
    """The sums of masked average pooling at every level of the trunk.

    levels: (channels, *space) each, the last one the finest. masks (M, *space of the finest): the share of the mask in
    every voxel. share, of the same space: how much of a voxel counts here, where windows overlap. Sums are in float32.
    """
    masks = masks.float()
    inside = masks if share is None else masks * share
    counted = torch.ones_like(masks[:1]) if share is None else share[None]
    found: list[torch.Tensor] = []
    weights: list[torch.Tensor] = []
    places = None
    for level in reversed(levels):
        if level.shape[1:] != masks.shape[1:]:
            factor = masks.shape[1] // level.shape[1]
            masks, inside, counted = (nn.functional.avg_pool3d(values, factor) for values in (masks, inside, counted))
            places = None
        if places is None:
            places = torch.stack([inside, _smoothed(masks) * (1 - masks) * counted], dim=1).flatten(2)
        found.insert(0, places @ level.float().flatten(1).T)
        weights.insert(0, places.sum(2))
    return Pooled(found, weights)


def _smoothed(values: torch.Tensor) -> torch.Tensor:
    """The mean over a cube around every voxel, axis by axis."""
    for axis in range(3):
        side = [NEIGHBOURHOOD if a == axis else 1 for a in range(3)]
        rim = [n // 2 for n in reversed(side) for _ in range(2)]
        values = nn.functional.avg_pool3d(
            nn.functional.pad(values, rim), side, stride=1
        )  # its own padding refuses levels that are smaller than the cube
    return values


class ExampleEncoder(nn.Module):
    """Masked average pooling of the atlas's own features at several scales -> prompt and bias (after Ma, Lee and
    Sabuncu, MIDL 2022, arXiv 2203.10091).

    What is pooled inside a mask and around it, at every level of the decoder and of the features themselves, and the
    mask's size, pass through a learned projection to the C channels of the features and a bias: how sharply a structure
    is set off comes from the example too. The background of examples has the score 0.
    """

    def __init__(self, channels: Sequence[int], feature_channels: int) -> None:
        """channels: of the pooled levels, as `Trunk.levels` gives them and the features last."""
        super().__init__()
        self.channels = tuple(channels)
        pooled = 2 * sum(self.channels) + 1
        self.norm = nn.LayerNorm(pooled)
        self.hidden = nn.Sequential(
            nn.Linear(pooled, HIDDEN), nn.LeakyReLU(0.01), nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(0.01)
        )
        self.direct = nn.Linear(pooled, feature_channels)
        self.refined = nn.Linear(HIDDEN, feature_channels + 1)

    def forward(self, pooled: Pooled) -> tuple[torch.Tensor, torch.Tensor]:
        """Prompts (M, C) and bias (M,). A mask without a voxel gives a prompt of no meaning."""
        means = [
            (found / weight.clamp_min(1e-6)[..., None]).flatten(1)
            for found, weight in zip(pooled.found, pooled.weight, strict=True)
        ]
        size = pooled.weight[-1][:, :1].clamp_min(1e-3).log() / 10
        description = self.norm(torch.cat([*means, size], dim=1).to(self.norm.weight.dtype))
        refined = self.refined(self.hidden(description))
        return self.direct(description) + refined[:, :-1], refined[:, -1]
