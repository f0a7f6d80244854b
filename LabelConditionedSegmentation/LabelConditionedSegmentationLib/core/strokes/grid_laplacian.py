"""The Laplacian of a grid of 6 neighbours with a diagonal added, never built as a matrix, and a multigrid cycle that
nearly inverts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

Edges = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

COARSEST = 64
"""Voxels of the coarsest grid, on which the system is solved by a matrix."""

DAMPING = 0.8
"""Of the smoothing steps."""


@dataclass(frozen=True)
class GridLaplacian:
    """The symmetric matrix of a graph Laplacian with conductances `edges` (as in `Conductance.along`) plus a diagonal
    `leak` (k, j, i), 0 or more: what leads from a voxel to seeds or to its prior. A voxel without edges and leak takes
    no part: its row is empty.
    """

    edges: Edges
    leak: torch.Tensor

    @cached_property
    def diagonal(self) -> torch.Tensor:
        """(k, j, i)."""
        total = self.leak.clone()
        for axis, edge in enumerate(self.edges):
            length = edge.shape[axis]
            total.narrow(axis, 0, length).add_(edge)
            total.narrow(axis, 1, length).add_(edge)
        return total

    @cached_property
    def inverse_diagonal(self) -> torch.Tensor:
        """(k, j, i), 0 where a voxel takes no part."""
        return torch.where(self.diagonal > 0, 1 / self.diagonal.clamp(min=torch.finfo(self.leak.dtype).tiny), 0)

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """The product with every x (class, k, j, i)."""
        out = self.diagonal * x
        for axis, edge in enumerate(self.edges):
            length = edge.shape[axis]
            low, high = (x.narrow(axis + 1, start, length) for start in (0, 1))
            out.narrow(axis + 1, 0, length).addcmul_(edge, high, value=-1)
            out.narrow(axis + 1, 1, length).addcmul_(edge, low, value=-1)
        return out

    @cached_property
    def _blocks(self) -> tuple[int, int, int]:
        """How many voxels along (k, j, i) become one on the coarser grid: 2 along the axes on which walks go fast."""
        speeds = [float(edge.mean()) if edge.numel() else 0.0 for edge in self.edges]
        k, j, i = (2 if speed > max(speeds) / 4 else 1 for speed in speeds)
        return k, j, i

    @cached_property
    def coarser(self) -> GridLaplacian | None:
        """The same on a grid of blocks; None where there is nothing left to make coarser.

        Conductances between blocks are sums over the voxels that touch, halved along an axis whose steps become twice
        as long; leaks are sums.
        """
        if self.leak.numel() <= COARSEST or 2 not in self._blocks:
            return None
        edges = []
        for axis, edge in enumerate(self.edges):
            if self._blocks[axis] == 2:
                crossing = edge.narrow(axis, 1, edge.shape[axis] - 1) if edge.shape[axis] else edge
                crossing = crossing[tuple(slice(None, None, 2 if n == axis else 1) for n in range(3))] / 2
            else:
                crossing = edge
            others = [1 if n == axis else size for n, size in enumerate(self._blocks)]
            edges.append(summed(crossing[None], (others[0], others[1], others[2]))[0])
        return GridLaplacian((edges[0], edges[1], edges[2]), self.restricted(self.leak[None])[0])

    def restricted(self, x: torch.Tensor) -> torch.Tensor:
        """(class, k, j, i) summed over the blocks of the coarser grid."""
        return summed(x, self._blocks)

    def prolonged(self, x: torch.Tensor) -> torch.Tensor:
        """The transpose of `restricted`."""
        for axis, size in enumerate(self._blocks):
            if size == 2:
                x = x.repeat_interleave(2, dim=axis + 1).narrow(axis + 1, 0, self.leak.shape[axis])
        return x

    def nearly_solved(self, b: torch.Tensor) -> torch.Tensor:
        """About the solution for every b (class, k, j, i): one symmetric V-cycle, a positive definite map."""
        if self.coarser is None:
            exact: torch.Tensor = b.flatten(1) @ self._inverse
            return exact.view_as(b)
        x = b * (DAMPING * self.inverse_diagonal)
        rest = b - self.apply(x)
        x += self.prolonged(self.coarser.nearly_solved(self.restricted(rest))) * (self.diagonal > 0)
        return x.add_((b - self.apply(x)).mul_(DAMPING * self.inverse_diagonal))

    def first_guess(self, b: torch.Tensor) -> torch.Tensor:
        """A start for every b (class, k, j, i): the solution on the coarsest grid, made better on each finer one."""
        if self.coarser is None:
            return self.nearly_solved(b)
        x = self.prolonged(self.coarser.first_guess(self.restricted(b))) * (self.diagonal > 0)
        return x.add_(self.nearly_solved(b - self.apply(x)))

    @cached_property
    def _inverse(self) -> torch.Tensor:
        """(voxels, voxels), of the coarsest grid; voxels that take no part have empty rows."""
        count = self.leak.numel()
        unit = torch.eye(count, dtype=torch.float64, device=self.leak.device)
        exact = GridLaplacian(
            (self.edges[0].double(), self.edges[1].double(), self.edges[2].double()), self.leak.double()
        )
        matrix = exact.apply(unit.view(count, *self.leak.shape)).view(count, count)
        inverse: torch.Tensor = torch.linalg.pinv(matrix, hermitian=True).to(self.leak.dtype)
        return inverse


def summed(x: torch.Tensor, blocks: tuple[int, int, int]) -> torch.Tensor:
    """(class, k, j, i) summed over blocks of 1 or 2 voxels along (k, j, i); what is left over is a block."""
    for axis, size in enumerate(blocks, start=1):
        if size == 2 and x.shape[axis] > 1:
            even, odd = (x[(slice(None),) * axis + (slice(start, None, 2),)] for start in (0, 1))
            total = even.clone()
            total.narrow(axis, 0, odd.shape[axis]).add_(odd)
            x = total
    return x
