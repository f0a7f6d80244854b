"""Hitting probabilities of random walks from sparse seeds, with or without a prior: dense soft labels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .conductance import Conductance
from .conjugate_gradients import solve
from .grid_laplacian import GridLaplacian

TOLERANCE = 1e-3
"""Of a probability, in any voxel."""


@dataclass(frozen=True)
class Prior:
    """What is known beside the strokes. probabilities: (class, k, j, i), which sum to 1. weight: the conductance from
    every voxel to it, where a step within something uniform has 1.
    """

    probabilities: torch.Tensor
    weight: float


def hitting_probabilities(
    seeds: torch.Tensor,
    classes: int,
    conductance: Conductance,
    prior: Prior | None = None,
    tolerance: float = TOLERANCE,
    on_step: Callable[[float], None] = lambda _: None,
) -> torch.Tensor:
    """The probability that a walk from a voxel first meets a seed of each class: (class, k, j, i), which sum to 1.

    Grady, "Random walks for image segmentation", IEEE TPAMI 2006; with a prior Grady, "Multilabel random walker image
    segmentation using prior models", CVPR 2005, equation 10: a walk ends at the prior as well. Differentiable with
    respect to conductances by an adjoint solve (Vernaza and Chandraker, CVPR 2017, section 3.3).

    seeds: (k, j, i) int, 0 where nothing was painted, n + 1 for class n. There is one at least, or a prior. tolerance:
    of a probability. on_step: gets the fraction that is done; what it raises ends the work.
    """
    k, j, i = conductance.along
    settings = _Settings(seeds, classes, prior, tolerance, on_step)
    all_but_last: torch.Tensor = _Walk.apply(k, j, i, settings)  # type: ignore[no-untyped-call]
    return torch.cat([all_but_last, 1 - all_but_last.sum(0, keepdim=True)]).clamp(0, 1)


def certainty(probabilities: torch.Tensor) -> torch.Tensor:
    """How sure the labels of voxels are: (k, j, i) in [0, 1], 1 - entropy / log(classes) of (class, k, j, i)."""
    entropy = torch.zeros_like(probabilities[0])
    for p in probabilities:
        entropy -= torch.xlogy(p, p)
    return (1 - entropy / math.log(len(probabilities))).clamp(0, 1)


@dataclass(frozen=True)
class _Settings:
    """What `hitting_probabilities` was asked for, apart from what has a gradient."""

    seeds: torch.Tensor
    classes: int
    prior: Prior | None
    tolerance: float
    on_step: Callable[[float], None]


class _Walk(torch.autograd.Function):
    """The Dirichlet problem of all classes but the last, and its adjoint."""

    @staticmethod
    def forward(ctx: Any, k: torch.Tensor, j: torch.Tensor, i: torch.Tensor, settings: _Settings) -> torch.Tensor:
        edges, seeds = (k, j, i), settings.seeds
        free = seeds == 0
        system = _system(edges, free, settings.prior)
        fixed = torch.stack([seeds == n + 1 for n in range(settings.classes - 1)]).to(k.dtype)
        right = _right_hand_side(edges, free, fixed, settings.prior)
        x = solve(system, right, settings.tolerance, settings.on_step)
        ctx.system, ctx.free, ctx.settings = system, free, settings
        x = x.mul_(free).add_(fixed)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, None]:
        """Of a conductance between u and v: -(y_u - y_v) (x_u - x_v), y the solution for the gradient as right-hand
        side, summed over classes.
        """
        (x,) = ctx.saved_tensors
        settings: _Settings = ctx.settings
        right = gradients[0] * ctx.free
        scale = float(right.abs().max()) or 1.0
        y = solve(ctx.system, right / scale, settings.tolerance).mul_(scale) * ctx.free
        k, j, i = (-(y.diff(dim=axis + 1) * x.diff(dim=axis + 1)).sum(0) for axis in range(3))
        return k, j, i, None


def _system(edges: tuple[torch.Tensor, ...], free: torch.Tensor, prior: Prior | None) -> GridLaplacian:
    """Of the voxels without a seed: conductances to seeds, and to the prior, leave it."""
    leak = (free * prior.weight).to(edges[0].dtype) if prior else torch.zeros_like(free, dtype=edges[0].dtype)
    inner = []
    for axis, edge in enumerate(edges):
        low, high = free.narrow(axis, 0, edge.shape[axis]), free.narrow(axis, 1, edge.shape[axis])
        leak.narrow(axis, 0, edge.shape[axis]).add_(edge * (low & ~high))
        leak.narrow(axis, 1, edge.shape[axis]).add_(edge * (high & ~low))
        inner.append(edge * (low & high))
    return GridLaplacian((inner[0], inner[1], inner[2]), leak)


def _right_hand_side(
    edges: tuple[torch.Tensor, ...], free: torch.Tensor, fixed: torch.Tensor, prior: Prior | None
) -> torch.Tensor:
    """(class, k, j, i): what flows in from seeds and from the prior."""
    total = prior.weight * prior.probabilities[: len(fixed)].to(fixed.dtype) if prior else torch.zeros_like(fixed)
    for axis, edge in enumerate(edges):
        low, high = (fixed.narrow(axis + 1, start, edge.shape[axis]) for start in (0, 1))
        total.narrow(axis + 1, 0, edge.shape[axis]).addcmul_(edge, high)
        total.narrow(axis + 1, 1, edge.shape[axis]).addcmul_(edge, low)
    return total.mul_(free)
