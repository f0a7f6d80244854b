"""Which classes can win at all in a part of the feature volume: a score between voxels of it is a mean of the scores at
the corners of the cell, so that few corners tell for many voxels.
"""

from __future__ import annotations

from itertools import product

import torch

from .scoring import best_of, padded

ROUNDING = 2.0**-18
"""Of a score, against the sum of the sizes of what it is added up from: many times what float32 rounds away where
features are interpolated and multiplied.
"""

CHUNK = 512
"""Classes whose scores at all corners are held at once; beyond them they are computed twice."""


def possible_winners(corners: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """The classes that may have the best score somewhere between these voxels of the feature grid, in rising order.

    In every cell some class has at least its lowest score at the eight corners; a class whose highest score there is
    lower wins nowhere in the cell. What is left over are the classes that one cell at least could not rule out, so that
    the winner of every voxel is among them, whatever the weights of the interpolation.

    Args:
        corners: (k, j, i, C) float32, a box of neighbouring voxels of the feature grid.
        prompts: (K, C) float32.
        bias: (K,) float32.

    Returns:
        (n,) int64 class numbers; all of them where a score is not finite.
    """
    flat = corners.reshape(-1, corners.shape[3])
    vectors, offsets = padded(prompts, bias)
    pieces = [slice(first, first + CHUNK) for first in range(0, len(vectors), CHUNK)]
    known = [_scores(flat, vectors[pieces[0]], offsets[pieces[0]])] if len(pieces) == 1 else []
    tops, numbers = zip(
        *(best_of(known[0] if known else _scores(flat, vectors[piece], offsets[piece])) for piece in pieces),
        strict=True,
    )
    piece = torch.stack(tops).argmax(dim=0)
    best = (torch.stack(numbers) + CHUNK * torch.arange(len(pieces))[:, None])[piece, torch.arange(len(flat))]
    reached = _sure_everywhere(flat, corners.shape[:3], best, vectors, offsets) - _rounded_away(flat, prompts, bias)
    lead = [
        (known.pop() if known else _scores(flat, vectors[piece], offsets[piece])).sub_(reached).amax(dim=1)
        for piece in pieces
    ]
    ruled_out = torch.cat(lead)[: len(prompts)] < 0
    return (~ruled_out).nonzero()[:, 0]


def _scores(flat: torch.Tensor, vectors: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """(classes, corners)."""
    return torch.addmm(offsets, vectors, flat.T)


def _sure_everywhere(
    flat: torch.Tensor, shape: tuple[int, ...], best: torch.Tensor, vectors: torch.Tensor, offsets: torch.Tensor
) -> torch.Tensor:
    """(corners,): what the winner of a cell is sure to score, at the least over the cells that meet at a corner.

    best: (corners,), the class that wins there; what one of them scores at its worst corner of a cell is sure in it.
    """
    rivals, rival = torch.unique(best, return_inverse=True)
    scores = _scores(flat, vectors[rivals], offsets[rivals])
    number = torch.arange(len(flat)).view(shape)
    ways = [[slice(None)] if length == 1 else [slice(0, -1), slice(1, None)] for length in shape]
    of_cell = torch.stack([number[way].reshape(-1) for way in product(*ways)])  # (corners of a cell, cells)
    there = scores.view(-1)[(rival[of_cell] * len(flat))[:, None] + of_cell[None]]  # (rival, corner, cell)
    sure = there.amin(dim=1).amax(dim=0)
    least = torch.full((len(flat),), torch.inf)
    return least.scatter_reduce_(0, of_cell.reshape(-1), sure.repeat(len(of_cell)), reduce="amin")


def _rounded_away(flat: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    largest = flat.abs().amax() * prompts.abs().sum(dim=1).amax() + bias.abs().amax()
    return ROUNDING * largest
