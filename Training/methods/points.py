"""Features at the points of a sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def at_points(features: torch.Tensor, points: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Linear interpolation: features (batch, C, *coarse) at voxels (batch, P, 3) of a grid of `shape` (k, j, i) over
    the same space -> (batch, C, P).

    points: (i, j, k) as whole numbers, since half precision, into which mixed-precision training turns every fraction,
    would shift them by a fifth of a voxel.
    """
    size = torch.tensor(tuple(shape)[::-1], device=points.device)
    where = (2 * (points.double() + 0.5) / size - 1).to(features.dtype)
    return torch.nn.functional.grid_sample(features, where[:, None, None], padding_mode="border", align_corners=False)[
        :, :, 0, 0
    ]
