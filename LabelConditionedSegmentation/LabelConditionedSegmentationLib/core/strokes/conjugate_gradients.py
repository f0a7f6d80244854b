"""Conjugate gradients for many right-hand sides at once, with a multigrid cycle as preconditioner."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .grid_laplacian import GridLaplacian

MOST_STEPS = 500
"""After which the best that was found is taken; systems of real scans need 10 to 40."""

SEEN = 4.0
"""How many times as large as what one multigrid cycle corrects the error is taken to be."""


def solve(
    system: GridLaplacian,
    b: torch.Tensor,
    tolerance: float,
    on_step: Callable[[float], None] = lambda _: None,
) -> torch.Tensor:
    """The x of system x = b for every b (class, k, j, i), to `tolerance` in every voxel as far as the preconditioner,
    which sees about a third of the error, can tell; less of it in what sharp borders seal off, where ten times the
    tolerance may be left.

    on_step: gets after every step the fraction that is done; what it raises ends the work.
    """
    x = system.first_guess(b)
    r = b - system.apply(x)
    z = system.nearly_solved(r)
    p, rz = z.clone(), _dot(r, z)
    first = error = SEEN * float(z.abs().max())
    for _ in range(MOST_STEPS):
        on_step(_fraction(first, error, tolerance))
        if error <= tolerance:
            break
        q = system.apply(p)
        alpha = _ratio(rz, _dot(p, q))
        x.addcmul_(p, alpha.to(x))
        r.addcmul_(q, alpha.to(x), value=-1)
        z = system.nearly_solved(r)
        error = SEEN * float(z.abs().max())
        before, rz = rz, _dot(r, z)
        p.mul_(_ratio(rz, before).to(x)).add_(z)
    return x


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(class, 1, 1, 1): of every class on its own."""
    return (a * b).flatten(1).sum(1, dtype=torch.float64).view(-1, 1, 1, 1)


def _ratio(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a / b; 0 for a class that is solved."""
    return torch.where(b > 0, a / b.clamp(min=torch.finfo(b.dtype).tiny), 0)


def _fraction(first: float, error: float, tolerance: float) -> float:
    if error <= tolerance or first <= tolerance or error <= 0:
        return 1.0
    return max(0.0, min(1.0, math.log(first / error) / math.log(first / tolerance)))
