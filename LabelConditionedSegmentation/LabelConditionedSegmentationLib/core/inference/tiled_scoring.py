"""The best class of every voxel by tiles of a volume: few classes can win in a tile, features are interpolated where
more than one can, and both stay in the processor's cache. The answer is that of `scoring.best_classes`.
"""

from __future__ import annotations

from itertools import product

import torch

from ..scan.geometry import Grid, Shape, needed_box, resample
from .possible_winners import possible_winners
from .scoring import best_of, for_each, padded

PLANES = 16
"""Planes of a tile, along the axis that slabs of features arrive in."""

SIDE = 32
"""Voxels of a tile along the other axes: larger ones have more classes that can win, smaller ones more corners."""


def best_by_tiles(
    block: torch.Tensor,
    low: Shape,
    feature_grid: Grid,
    target: Grid,
    first: int,
    last: int,
    prompts: torch.Tensor,
    bias: torch.Tensor,
) -> torch.Tensor:
    """The class with the best score in the target's planes from `first` to before `last`; among equal ones the lower.

    Args:
        block: (k, j, i, C) of any real dtype, in main memory: the part of the feature volume that begins at `low` and
            holds what these planes need.
        low: First voxel (k, j, i) of the block on the feature grid.
        feature_grid: Grid of the features.
        target: Grid of the answer.
        first: First plane.
        last: One past the last plane.
        prompts: (K, C) float32.
        bias: (K,) float32.

    Returns:
        (last - first, j, i) int16.
    """
    best = torch.zeros((last - first, *target.shape[1:]), dtype=torch.int16)
    _, rows, columns = target.shape
    starts = list(product(range(first, last, PLANES), range(0, rows, SIDE), range(0, columns, SIDE)))

    @torch.inference_mode()
    def decide(number: int) -> None:
        start = k, j, i = starts[number]
        stop = min(k + PLANES, last), min(j + SIDE, rows), min(i + SIDE, columns)
        lower, upper = needed_box(feature_grid, target, start, stop)
        part = block[tuple(slice(a - o, b - o) for a, b, o in zip(lower, upper, low, strict=True))].float()
        classes = possible_winners(part, prompts, bias)
        place = best[k - first : stop[0] - first, j : stop[1], i : stop[2]]
        if len(classes) == 1:
            place.fill_(int(classes[0]))
            return
        tile = resample(part, feature_grid, target, start, stop, lower)
        vectors, offsets = padded(prompts[classes], bias[classes])
        _, index = best_of(torch.addmm(offsets, vectors, tile.reshape(-1, tile.shape[3]).T))
        place.copy_(classes[index].view(place.shape))

    for_each(decide, range(len(starts)), torch.get_num_threads())
    return best
