"""Hitting probabilities against a direct solve of the same Laplacian, built edge by edge, and against finite
differences.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled
from LabelConditionedSegmentationLib.core.progress import CancelToken, Progress
from LabelConditionedSegmentationLib.core.scan.volume import Array
from LabelConditionedSegmentationLib.core.strokes.conductance import (
    SMALLEST,
    Conductance,
    across_boundaries,
    between_channels,
)
from LabelConditionedSegmentationLib.core.strokes.random_walk import Prior, certainty, hitting_probabilities

Shape = tuple[int, int, int]
Spacing = tuple[float, float, float]


def solved_directly(conductance: Conductance, seeds: torch.Tensor, classes: int, prior: Prior | None = None) -> Array:
    """(class, k, j, i) float64 of Grady's equations with a sparse matrix and a direct solver."""
    index = np.arange(seeds.numel()).reshape(seeds.shape)
    first = np.concatenate([index.take(range(n - 1), axis).ravel() for axis, n in enumerate(seeds.shape)])
    second = np.concatenate([index.take(range(1, n), axis).ravel() for axis, n in enumerate(seeds.shape)])
    weight = np.concatenate([along.double().numpy().ravel() for along in conductance.along])
    pairs = (np.r_[first, second], np.r_[second, first])
    adjacency = scipy.sparse.coo_matrix((np.r_[weight, weight], pairs), shape=(index.size, index.size)).tocsr()
    laplacian = scipy.sparse.diags(np.asarray(adjacency.sum(1)).ravel()) - adjacency
    given = seeds.numpy().ravel()
    free = given == 0
    matrix = laplacian[free][:, free]
    if prior:
        matrix = matrix + prior.weight * scipy.sparse.identity(int(free.sum()))
    found = np.zeros((classes, index.size))
    for n in range(classes):
        found[n, ~free] = given[~free] == n + 1
        right = -laplacian[free][:, ~free] @ found[n, ~free]
        if prior:
            right = right + prior.weight * prior.probabilities[n].double().numpy().ravel()[free]
        found[n, free] = scipy.sparse.linalg.spsolve(matrix.tocsc(), right)
    return found.reshape(classes, *seeds.shape)


def problem(shape: Shape, spacing: Spacing, seed: int = 0) -> tuple[torch.Tensor, Conductance, torch.Tensor]:
    """Seeds of three classes, conductances of a noisy image with an edge, and a prior (3, k, j, i)."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, *shape, generator=generator) + 2 * (torch.arange(shape[2]) > shape[2] // 2)
    seeds = torch.zeros(shape, dtype=torch.long)
    seeds[0, 2:8, 2], seeds[0, 3, -3:], seeds[-1, -4, 3:9] = 1, 2, 3
    return seeds, between_channels(image, spacing), torch.rand(3, *shape, generator=generator).softmax(0)


@pytest.mark.parametrize("with_prior", [False, True], ids=["seeds alone", "with a prior"])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((12, 14, 16), (1.0, 1.0, 1.0)), ((9, 20, 21), (4.0, 1.0, 1.3)), ((1, 30, 31), (1.0, 0.5, 0.5))],
    ids=["cube", "anisotropic", "one slice"],
)
def test_probabilities_are_those_of_a_direct_solve(shape: Shape, spacing: Spacing, with_prior: bool) -> None:
    seeds, conductance, belief = problem(shape, spacing)
    prior = Prior(belief, 0.05) if with_prior else None
    found = hitting_probabilities(seeds, 3, conductance, prior, tolerance=1e-5)
    assert np.abs(found.numpy() - solved_directly(conductance, seeds, 3, prior)).max() < 1e-4


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-4])
def test_an_error_stays_near_the_tolerance(tolerance: float) -> None:
    for seed in range(3):
        seeds, conductance, _ = problem((17, 14, 16), (1, 1, 1), seed)
        found = hitting_probabilities(seeds, 3, conductance, tolerance=tolerance)
        assert np.abs(found.numpy() - solved_directly(conductance, seeds, 3)).max() < 3 * tolerance


def test_in_a_uniform_bar_probability_falls_evenly() -> None:
    seeds = torch.zeros(1, 1, 11, dtype=torch.long)
    seeds[0, 0, 0], seeds[0, 0, -1] = 1, 2
    found = hitting_probabilities(seeds, 2, between_channels(torch.zeros(1, 1, 1, 11), (1, 1, 1)), tolerance=1e-6)
    assert found[0, 0, 0].tolist() == pytest.approx(np.linspace(1, 0, 11).tolist(), abs=1e-5)


def test_the_same_walk_on_longer_voxels_gives_the_same_answer() -> None:
    """A uniform block of 12 x 12 x 12 mm, sampled every mm or every 2 mm along k: the smooth answer is the same."""
    fine, coarse = torch.zeros(12, 12, 12, dtype=torch.long), torch.zeros(6, 12, 12, dtype=torch.long)
    for seeds in (fine, coarse):
        seeds[:, 0, :], seeds[:, -1, :6], seeds[:, -1, 6:] = 1, 2, 1
    one, other = (
        hitting_probabilities(seeds, 2, between_channels(torch.zeros(1, *seeds.shape), (step, 1, 1)), tolerance=1e-5)
        for seeds, step in ((fine, 1.0), (coarse, 2.0))
    )
    assert float((one[:, ::2] - other).abs().max()) < 1e-3


def test_a_longer_spacing_holds_walks_back_along_that_axis() -> None:
    seeds = torch.zeros(9, 9, 9, dtype=torch.long)
    seeds[0, 4, 4], seeds[4, 0, 4] = 1, 2
    near = [
        float(
            hitting_probabilities(seeds, 2, between_channels(torch.zeros(1, 9, 9, 9), (length, 1, 1)), tolerance=1e-4)[
                0, 4, 4, 4
            ]
        )
        for length in (1.0, 3.0)
    ]
    assert near[0] == pytest.approx(0.5, abs=1e-3)
    assert near[1] < 0.42


def test_walks_keep_to_their_side_of_an_edge() -> None:
    image = torch.zeros(1, 8, 20, 20)
    image[..., 10:] = 100
    seeds = torch.zeros(8, 20, 20, dtype=torch.long)
    seeds[4, 10, 3], seeds[4, 10, 15] = 1, 2
    left = hitting_probabilities(seeds, 2, between_channels(image, (1, 1, 1)))[0] > 0.5
    assert torch.equal(left, (image[0] == 0))


def test_without_seeds_the_prior_is_smoothed_and_kept() -> None:
    _, conductance, belief = problem((10, 11, 12), (1, 1, 1))
    none = torch.zeros(10, 11, 12, dtype=torch.long)
    found = hitting_probabilities(none, 3, conductance, Prior(belief, 0.1), tolerance=1e-5)
    assert float((found.sum(0) - 1).abs().max()) < 1e-5
    assert found.mean(dim=(1, 2, 3)).tolist() == pytest.approx(belief.mean(dim=(1, 2, 3)).tolist(), abs=1e-4)
    assert float(found.std()) < float(belief.std())


def test_every_voxel_is_reached_however_sharp_the_borders() -> None:
    image = torch.zeros(1, 9, 9, 9)
    image[0, 3:6, 3:6, 3:6] = 1e6
    seeds = torch.zeros(9, 9, 9, dtype=torch.long)
    seeds[0, 0, 0], seeds[8, 8, 8] = 1, 2
    conductance = between_channels(image, (1, 1, 1), contrast=1e4)
    assert min(float(along.min()) for along in conductance.along) == pytest.approx(SMALLEST)
    assert float(hitting_probabilities(seeds, 2, conductance, tolerance=1e-4)[0, 4, 4, 4]) == pytest.approx(
        0.5, abs=0.01
    )


@pytest.mark.parametrize("with_prior", [False, True], ids=["seeds alone", "with a prior"])
def test_the_gradient_of_a_boundary_map_is_that_of_finite_differences(with_prior: bool) -> None:
    seeds, _, belief = problem((5, 8, 12), (1, 1, 1))
    prior = Prior(belief.double(), 0.05) if with_prior else None
    generator = torch.Generator().manual_seed(1)
    boundary = torch.rand(5, 8, 12, dtype=torch.float64, generator=generator)
    wanted = torch.rand(3, 5, 8, 12, dtype=torch.float64, generator=generator)

    def loss(of: torch.Tensor) -> torch.Tensor:
        found = hitting_probabilities(seeds, 3, across_boundaries(of, (2, 1, 1)), prior, tolerance=1e-9)
        return (found * wanted).sum()

    boundary.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(boundary), boundary)
    for place in ((0, 3, 3), (2, 4, 6), (4, 7, 11), (1, 0, 5)):
        step = torch.zeros_like(boundary)
        step[place] = 1e-4
        slope = float(loss(boundary.detach() + step) - loss(boundary.detach() - step)) / 2e-4
        assert float(gradient[place]) == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_certainty_is_1_where_one_class_is_sure_and_0_where_all_are_alike() -> None:
    probabilities = torch.tensor([[1.0, 1 / 3, 0.5], [0.0, 1 / 3, 0.5], [0.0, 1 / 3, 0.0]])[:, None, None, :]
    assert certainty(probabilities)[0, 0].tolist() == pytest.approx([1.0, 0.0, 1 - math.log(2) / math.log(3)], abs=1e-6)


def test_a_cancel_ends_the_solver_between_two_steps() -> None:
    seeds, conductance, _ = problem((20, 20, 20), (1, 1, 1))
    token = CancelToken()
    seen: list[float] = []

    def on_progress(done: float, _: str) -> None:
        seen.append(done)
        if len(seen) == 3:
            token.cancel()

    steps = Progress(on_progress, token)
    with pytest.raises(Cancelled):
        hitting_probabilities(seeds, 3, conductance, tolerance=1e-6, on_step=lambda done: steps.update(0, 1, done, ""))
    assert len(seen) == 3
