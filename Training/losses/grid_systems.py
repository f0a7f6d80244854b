"""Linear systems of walks on a grid, as many right sides as there are strokes at once, without a matrix: conjugate
gradients with a multigrid cycle as preconditioner.

The unknowns are the voxels of a grid; each conducts to its six neighbours and, through its leak, to a value of 0. A
coarser grid merges blocks of two voxels an axis, and a block conducts what its voxels do (Galerkin's product with a
prolongation that is constant in a block): so every level is a system of the same kind. W. L. Briggs, V. E. Henson and
S. F. McCormick, "A multigrid tutorial", SIAM 2000; for the corrections that are too short, D. Braess, "Towards
algebraic multigrid for elliptic problems of second order", Computing 1995.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import avg_pool3d, interpolate

Edges = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""The conductances between neighbours along k, j and i: (k - 1, j, i), (k, j - 1, i) and (k, j, i - 1)."""

DAMPING = 0.7
"""Of the Jacobi steps before and after each correction."""

LENGTHENED = 1.8
"""What a correction is multiplied with: constant in blocks it costs about twice the energy that it should."""

COARSEST, STEPS_THERE = 4, 8
"""Voxels of the shortest axis below which a grid is not made coarser, and Jacobi steps on the coarsest one."""


@dataclass(frozen=True)
class GridSystem:
    """edges; leak (k, j, i): the conductance of each voxel to 0. A voxel without any conductance has the value 0."""

    edges: Edges
    leak: torch.Tensor

    def times(self, x: torch.Tensor) -> torch.Tensor:
        """The matrix times x (count, k, j, i): leak * own value + sum of conductance * (own value - neighbour's)."""
        out = self.leak * x
        for conductance, (a, b), (at_a, at_b) in zip(self.edges, neighbours(x), neighbours(out), strict=True):
            flow = conductance * (a - b)
            at_a += flow
            at_b -= flow
        return out

    def diagonal(self) -> torch.Tensor:
        """(k, j, i): that of the matrix."""
        out = self.leak.clone()
        for conductance, (at_a, at_b) in zip(self.edges, neighbours(out), strict=True):
            at_a += conductance
            at_b += conductance
        return out

    def coarser(self) -> GridSystem:
        """The same system for values that are equal in blocks of two voxels an axis."""
        along_k, along_j, along_i = self.edges
        edges = (
            _sums(along_k[1::2], (1, 2, 2)),
            _sums(along_j[:, 1::2], (2, 1, 2)),
            _sums(along_i[:, :, 1::2], (2, 2, 1)),
        )
        return GridSystem(edges, _sums(self.leak, (2, 2, 2)))


class MultigridCycle:
    """A symmetric V-cycle: from a residual (count, k, j, i) to about the error that it stands for."""

    def __init__(self, system: GridSystem) -> None:
        self.system = system
        diagonal = system.diagonal()
        self.smoothing, self.conducts = DAMPING * inverse_of(diagonal), diagonal > 0
        self.below = MultigridCycle(system.coarser()) if min(system.leak.shape) > COARSEST else None

    def __call__(self, residual: torch.Tensor) -> torch.Tensor:
        x = self.smoothing * residual
        if self.below is None:
            for _ in range(STEPS_THERE):
                x += self.smoothing * (residual - self.system.times(x))
            return x
        k, j, i = residual.shape[1:]
        error = self.below(_sums(residual - self.system.times(x), (2, 2, 2)))
        x += LENGTHENED * self.conducts * interpolate(error[None], scale_factor=2)[0, :, :k, :j, :i]
        x += self.smoothing * (residual - self.system.times(x))
        return x


def solve(system: GridSystem, right: torch.Tensor, tolerance: float, most: int) -> torch.Tensor:
    """x with system.times(x) = right (count, k, j, i), to a residual of `tolerance` times the right side's; each right
    side has steps of its own. Of voxels that conduct to each other and nowhere to 0 the values are left open.
    """
    cycle = MultigridCycle(system)
    x, r = torch.zeros_like(right), right
    z = cycle(r)
    p, rz = z, _dot(r, z)
    goal = tolerance**2 * _dot(r, r)
    for _ in range(most):
        if bool((_dot(r, r) <= goal).all()):
            break
        ap = system.times(p)
        step = rz * inverse_of(_dot(p, ap))
        x, r = x + step * p, r - step * ap
        z = cycle(r)
        before, rz = rz, _dot(r, z)
        p = z + rz * inverse_of(before) * p
    return x


def neighbours(values: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """values (..., k, j, i) -> along each of k, j and i those at one end and those at the other end of all edges."""
    return [
        (values.narrow(axis, 0, values.shape[axis] - 1), values.narrow(axis, 1, values.shape[axis] - 1))
        for axis in (-3, -2, -1)
    ]


def inverse_of(values: torch.Tensor) -> torch.Tensor:
    """1 / values, 0 where they are 0: of voxels without neighbours, and of systems that are solved."""
    return torch.where(values > 0, 1 / values, 0)


def _sums(values: torch.Tensor, block: tuple[int, int, int]) -> torch.Tensor:
    """Sums over blocks of the last three axes, the last of which may be cut: values (count, k, j, i) or (k, j, i)."""
    batch = values[None] if values.ndim == 4 else values[None, None]
    summed = avg_pool3d(batch, block, ceil_mode=True, divisor_override=1)
    return summed[0] if values.ndim == 4 else summed[0, 0]


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(count, 1, 1, 1): the product of each right side."""
    return (a * b).sum((-3, -2, -1), keepdim=True)
