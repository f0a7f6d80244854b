"""Random walks from strokes: against a dense solution, against finite differences, and where they can and cannot go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.strokes.conjugate_gradients import solve
from LabelConditionedSegmentationLib.core.strokes.grid_laplacian import Edges, GridLaplacian

from Training.losses.stroke_walks import (
    UNSEEN,
    boundary_conductances,
    hitting_probabilities,
    intensity_conductances,
    neighbours,
)

SHAPE = (5, 6, 7)
SPACING = (1.0, 2.0, 1.5)


def scene(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A boundary map in double precision, what is inside (with a hole), and strokes of three labels."""
    torch.manual_seed(seed)
    inside = torch.ones(SHAPE, dtype=torch.bool)
    inside[2:4, 2, 3:5] = False
    inside[0, 0, 0] = False
    seeds = torch.full(SHAPE, UNSEEN)
    seeds[0, 1, 1:4], seeds[4, 5, 6], seeds[2, 4, 2:4] = 0, 1, 2
    return 3 * torch.rand(SHAPE, dtype=torch.float64), inside, seeds


def dense(edges: Edges, inside: torch.Tensor, seeds: torch.Tensor, count: int) -> np.ndarray:
    """The same by a matrix: (count, k, j, i)."""
    number = np.arange(inside.numel()).reshape(SHAPE)
    matrix = np.zeros((inside.numel(), inside.numel()))
    for conductance, (a, b) in zip(edges, neighbours(torch.from_numpy(number)), strict=True):
        for c, x, y in zip(conductance.flatten().tolist(), a.flatten().tolist(), b.flatten().tolist(), strict=True):
            matrix[[x, y], [x, y]] += c
            matrix[[x, y], [y, x]] -= c
    flat, there = seeds.flatten().numpy(), inside.flatten().numpy()
    free, struck = np.flatnonzero(there & (flat == UNSEEN)), np.flatnonzero(there & (flat != UNSEEN))
    out = np.zeros((count, inside.numel()))
    out[flat[struck], struck] = 1
    out[:, free] = -np.linalg.solve(matrix[np.ix_(free, free)], matrix[np.ix_(free, struck)] @ out[:, struck].T).T
    return out.reshape(count, *SHAPE)


def test_probabilities_are_those_of_a_dense_solution() -> None:
    boundary, inside, seeds = scene()
    image = torch.stack([boundary, boundary.flip(0)])
    for edges in (
        boundary_conductances(boundary, inside, SPACING),
        intensity_conductances(image, 0.7, inside, SPACING),
    ):
        found = hitting_probabilities(edges, inside, seeds, 3, tolerance=1e-10)
        np.testing.assert_allclose(found.numpy(), dense(edges, inside, seeds, 3), atol=1e-8)
        torch.testing.assert_close(found.sum(0), inside.double())


def small_scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As `scene`, few voxels of it."""
    boundary, inside, seeds = (each[:3, 1:4, 1:4].clone() for each in scene())
    seeds[2, 2, 2], seeds[2, 0, 0] = 1, 2
    return boundary, inside, seeds


def test_the_gradient_by_the_boundary_map_is_that_of_finite_differences() -> None:
    boundary, inside, seeds = small_scene()

    def found(boundary: torch.Tensor) -> torch.Tensor:
        edges = boundary_conductances(boundary, inside, SPACING)
        return hitting_probabilities(edges, inside, seeds, 3, tolerance=1e-12)

    assert torch.autograd.gradcheck(found, (boundary.requires_grad_(),), fast_mode=True)


def test_the_gradient_by_an_image_is_that_of_finite_differences() -> None:
    image, inside, seeds = small_scene()

    def found(image: torch.Tensor) -> torch.Tensor:
        edges = intensity_conductances(image[None], 0.5, inside, SPACING)
        return hitting_probabilities(edges, inside, seeds, 3, tolerance=1e-12)

    assert torch.autograd.gradcheck(found, (image.requires_grad_(),), fast_mode=True)


def test_between_two_strokes_of_a_line_the_probability_falls_evenly_and_a_boundary_makes_it_jump() -> None:
    shape = (1, 1, 9)
    inside, seeds, boundary = torch.ones(shape, dtype=torch.bool), torch.full(shape, UNSEEN), torch.zeros(shape)
    seeds[..., 0], seeds[..., -1] = 0, 1
    even = hitting_probabilities(boundary_conductances(boundary, inside, (1, 1, 1)), inside, seeds, 2, 1e-5)
    torch.testing.assert_close(even[1, 0, 0], torch.linspace(0, 1, 9), atol=1e-4, rtol=0)
    boundary[..., 3] = 8
    parted = hitting_probabilities(boundary_conductances(boundary, inside, (1, 1, 1)), inside, seeds, 2, 1e-5)
    assert (parted[0, 0, 0, :3] > 0.95).all()
    assert (parted[1, 0, 0, 4:] > 0.95).all()


def test_neighbours_that_lie_further_apart_conduct_less() -> None:
    inside = torch.ones(2, 2, 2, dtype=torch.bool)
    along_k, along_j, along_i = boundary_conductances(torch.zeros(2, 2, 2), inside, (1.0, 2.0, 4.0))
    assert [float(edges.mean()) for edges in (along_i, along_j, along_k)] == [1, 1 / 4, 1 / 16]


def test_where_no_stroke_can_be_reached_no_walk_ends() -> None:
    """A part that touches others at no face, as specks of a foreground do."""
    _, inside, seeds = scene()
    inside[:, :, 5] = False
    seeds[:, :, 6] = UNSEEN
    found = hitting_probabilities(boundary_conductances(torch.zeros(SHAPE), inside, SPACING), inside, seeds, 3)
    assert not found[:, :, :, 5:].any()
    torch.testing.assert_close(found[..., :5].sum(0), inside[..., :5].float(), atol=1e-2, rtol=0)


def test_strokes_outside_start_no_walk() -> None:
    boundary, inside, seeds = scene()
    seeds[2, 2, 3] = 1
    edges = boundary_conductances(boundary, inside, SPACING)
    assert not hitting_probabilities(edges, inside, seeds, 3)[:, 2, 2, 3].any()


@pytest.mark.parametrize("edge", [12, 40])
def test_a_larger_grid_with_strong_boundaries_takes_hardly_more_iterations(
    edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the coarser grids it would be as many as there are voxels along an axis, several times."""
    torch.manual_seed(0)
    inside = torch.ones(edge, edge, edge, dtype=torch.bool)
    seeds = torch.full((edge, edge, edge), UNSEEN)
    seeds[edge // 2, 2 : edge // 2, 2], seeds[edge // 2, edge // 2 :, -3] = 0, 1
    edges = boundary_conductances(6 * torch.rand(edge, edge, edge), inside, (1, 1, 1))
    times, cycle = [], GridLaplacian.nearly_solved

    def count(self: GridLaplacian, residual: torch.Tensor) -> torch.Tensor:
        times.append(len(self.leak) == edge)
        return cycle(self, residual)

    monkeypatch.setattr(GridLaplacian, "nearly_solved", count)
    found = hitting_probabilities(edges, inside, seeds, 2, 1e-3)
    assert 3 < sum(times) < 25
    torch.testing.assert_close(found.sum(0), torch.ones(edge, edge, edge), atol=1e-2, rtol=0)


def test_a_system_that_is_solved_already_stays_zero() -> None:
    edges = boundary_conductances(torch.zeros(SHAPE), torch.ones(SHAPE, dtype=torch.bool), SPACING)
    system = GridLaplacian(edges, torch.ones(SHAPE))
    assert not solve(system, torch.zeros(2, *SHAPE), 1e-3).any()
