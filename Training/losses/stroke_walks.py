"""Random walks from strokes: for every voxel the probabilities of the strokes that a walk from it hits first, and how
they change with the conductances of the walk.

After Grady, "Random walks for image segmentation", IEEE TPAMI 2006, and, with conductances that are learned, Vernaza
and Chandraker, "Learning random-walk label propagation for weakly-supervised semantic segmentation", CVPR 2017, arXiv
1802.00470. The probabilities are harmonic: with the graph's Laplacian L, the voxels U without and S with a stroke, and
Y the strokes, they solve L_UU X = -L_US Y.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from scipy.ndimage import label

from .grid_systems import Edges, GridSystem, neighbours, solve

UNSEEN = -1
"""What a voxel without a stroke has in place of the number of its stroke."""

LEAST = 1e-5
"""The smallest conductance between neighbours, beside the largest one of 1: what keeps a system solvable in float32."""

MOST = 200
"""Iterations after which a solution is taken as it is."""


def boundary_conductances(boundary: torch.Tensor, inside: torch.Tensor, spacing: Sequence[float]) -> Edges:
    """exp(-(B(x) + B(y)) / 2), for a boundary map B that is not negative.

    boundary, inside (k, j, i): no walk leaves what is inside. spacing (i, j, k) in mm: neighbours that lie further
    apart conduct less, by the square of their distance, as in finite differences.
    """
    return _edges([(-(a + b) / 2).exp() for a, b in neighbours(boundary)], inside, spacing)


def intensity_conductances(
    image: torch.Tensor, contrast: float, inside: torch.Tensor, spacing: Sequence[float]
) -> Edges:
    """exp(-contrast * |I(x) - I(y)|^2) (Grady 2006), for an image (channel, k, j, i) whose intensities have a standard
    deviation of about 1; the rest as in `boundary_conductances`.
    """
    return _edges([(-contrast * ((a - b) ** 2).sum(0)).exp() for a, b in neighbours(image)], inside, spacing)


def hitting_probabilities(
    edges: Edges, inside: torch.Tensor, seeds: torch.Tensor, count: int, tolerance: float = 1e-3
) -> torch.Tensor:
    """(count, k, j, i): for every voxel inside the probabilities of the strokes that a random walk from it hits first.

    inside (k, j, i) bool; seeds (k, j, i): the number of a voxel's stroke, from 0 to count - 1, or UNSEEN. They add up
    to 1, but to 0 outside and where no stroke can be reached. tolerance: the relative residual that is left. The
    gradient by the conductances is that of the exact solution, from one more system with the same matrix (the adjoint).
    """
    numbers = torch.arange(count, device=seeds.device).view(-1, 1, 1, 1)
    known = ((seeds[None] == numbers) & inside).to(edges[0].dtype)
    free = (_reaches(inside, inside & (seeds != UNSEEN)) & (seeds == UNSEEN)).to(edges[0].dtype)
    return cast(torch.Tensor, _HittingProbabilities.apply(*edges, known, free, tolerance))  # type: ignore[no-untyped-call]


class _HittingProbabilities(torch.autograd.Function):
    """X = -L_UU^-1 L_US Y. With the gradient G by X and L_UU A = G, that by the conductance of an edge between a and b
    is -sum over strokes of (A_a - A_b)(X_a - X_b), A being 0 at strokes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        along_k: torch.Tensor,
        along_j: torch.Tensor,
        along_i: torch.Tensor,
        known: torch.Tensor,
        free: torch.Tensor,
        tolerance: float,
    ) -> torch.Tensor:
        edges = (along_k, along_j, along_i)
        right = -free * GridSystem(edges, torch.zeros_like(free)).times(known)
        found = known + solve(_between_strokes(edges, free), right, tolerance, MOST)
        ctx.save_for_backward(*edges, free, found)
        ctx.tolerance = tolerance
        return found

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        *edges, free, found = ctx.saved_tensors
        system = _between_strokes((edges[0], edges[1], edges[2]), free)
        adjoint = solve(system, grads[0] * free, ctx.tolerance, MOST)
        by_edges = [
            -((a - b) * (x - y)).sum(0) for (a, b), (x, y) in zip(neighbours(adjoint), neighbours(found), strict=True)
        ]
        return (*by_edges, None, None, None)


def _reaches(inside: torch.Tensor, strokes: torch.Tensor) -> torch.Tensor:
    """(k, j, i) bool: the voxels inside from which there is a way to a stroke."""
    parts, _ = label(inside.cpu().numpy())
    struck = np.unique(parts[strokes.cpu().numpy()])
    return torch.from_numpy(np.isin(parts, struck)).to(inside.device) & inside


def _between_strokes(edges: Edges, free: torch.Tensor) -> GridSystem:
    """L_UU: edges between voxels without a stroke, and as their leaks the edges to strokes."""
    leak = torch.zeros_like(free)
    for conductance, (a, b), (at_a, at_b) in zip(edges, neighbours(free), neighbours(leak), strict=True):
        at_a += conductance * a * (1 - b)
        at_b += conductance * b * (1 - a)
    along_k, along_j, along_i = (
        conductance * a * b for conductance, (a, b) in zip(edges, neighbours(free), strict=True)
    )
    return GridSystem((along_k, along_j, along_i), leak)


def _edges(conductances: Sequence[torch.Tensor], inside: torch.Tensor, spacing: Sequence[float]) -> Edges:
    """No conductance across the rim of what is inside, elsewhere LEAST at least, scaled by distance."""
    scales = [(min(spacing) / distance) ** 2 for distance in reversed(spacing)]
    along_k, along_j, along_i = (
        scale * values.clamp_min(LEAST) * (a & b)
        for scale, values, (a, b) in zip(scales, conductances, neighbours(inside), strict=True)
    )
    return along_k, along_j, along_i
