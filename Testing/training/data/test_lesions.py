"""Lesions and age made in samples: what changes, and what must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from Training.data.ageing import Ageing, drawn_ageing
from Training.data.augmentation import Augmentation, SpatialAugmentation, View
from Training.data.lesions import with_lesions
from Training.data.prepared_cases import Case

STILL = Augmentation(rotation=0, scale=0, shift=0, warp=0, flip=False, crop=0, intensity=False)
BRAIN, VENTRICLE = 1, 2

SHAPE = (64, 60, 68)


@pytest.fixture
def tissue() -> torch.Tensor:
    inside = torch.zeros(30, 32, 34, dtype=torch.bool)
    inside[5:25, 5:27, 5:29] = True
    return inside


@pytest.mark.parametrize("seed", range(6))
def test_lesions_lie_in_their_tissue_and_are_all_brighter_or_all_darker(tissue: torch.Tensor, seed: int) -> None:
    image = torch.zeros(1, *tissue.shape)
    ill = with_lesions(image, tissue, (1, 1, 1), np.random.default_rng(seed))
    changed = ill[0] != 0
    assert bool(changed.any())
    assert not bool((changed & ~tissue).any())
    assert int(changed.sum()) < 0.5 * int(tissue.sum())
    assert len(set(ill[0][changed].sign().tolist())) == 1
    assert 0.5 <= float(ill.abs().max()) <= 2.5
    assert not bool(image.any())


def test_lesions_are_as_large_on_any_grid() -> None:
    everywhere = torch.ones(40, 40, 40, dtype=torch.bool)
    image = torch.zeros(1, 40, 40, 40)
    fine, coarse = (
        float((with_lesions(image, everywhere, (step,) * 3, np.random.default_rng(5)) != 0).sum()) * step**3
        for step in (1, 2)
    )
    assert 0.2 < coarse / fine < 5


def test_without_the_tissue_there_are_none(tissue: torch.Tensor) -> None:
    image = torch.randn(1, *tissue.shape)
    assert with_lesions(image, torch.zeros_like(tissue), (1, 1, 1), np.random.default_rng(0)) is image


def ball(shape: tuple[int, int, int], radius: float) -> torch.Tensor:
    centre = [(n - 1) / 2 for n in shape]
    axes = torch.meshgrid(*(torch.arange(n) - c for n, c in zip(shape, centre, strict=True)), indexing="ij")
    return torch.stack(axes).square().sum(0).sqrt() < radius


@pytest.fixture
def case() -> Case:
    """A ball of brain with a ventricle in its middle, 1 mm."""
    brain = ball(SHAPE, 25)
    target = (brain.long() * BRAIN).masked_fill(ball(SHAPE, 7), VENTRICLE)
    known = torch.ones(3, dtype=torch.bool)
    return Case("ball", torch.zeros(1, *SHAPE), brain, target.to(torch.int16), known, torch.zeros(0), {})


def older(case: Case, wider_mm: float, thinner_mm: float) -> tuple[int, int]:
    """Voxels of the ventricle and of all, in the case made older."""
    ageing = Ageing(torch.tensor([False, False, True]), (1, 1, 1))
    shape = SHAPE
    spatial = SpatialAugmentation(STILL, shape, (0, 1, 2), (1, 1, 1))
    view = View(case.image, case.foreground.float(), case.target.long())
    moved = spatial(view, np.random.default_rng(0), displacement=ageing.displacement(case, wider_mm, thinner_mm))
    return int((moved.target == VENTRICLE).sum()), int((moved.target > 0).sum())


def test_ventricles_widen_as_much_as_is_asked_for(case: Case) -> None:
    before, whole = older(case, 0, 0)
    assert before == int((case.target == VENTRICLE).sum())
    radius = [(3 * older(case, wider, 0)[0] / 4 / np.pi) ** (1 / 3) for wider in (0, 1, 2, 3)]
    assert radius == sorted(radius)
    assert 1.5 < radius[3] - radius[0] < 3.5
    assert older(case, 3, 0)[1] == pytest.approx(whole, rel=0.02)


def test_the_rim_recedes_and_leaves_the_ventricles(case: Case) -> None:
    before, whole = older(case, 0, 0)
    after, less = older(case, 0, 1)
    assert after == before
    lost = (3 * whole / 4 / np.pi) ** (1 / 3) - (3 * less / 4 / np.pi) ** (1 / 3)
    assert 0.5 < lost < 1.3


def test_ageing_comes_by_its_share_and_draws_nothing_without() -> None:
    generator, untouched = np.random.default_rng(1), np.random.default_rng(1)
    assert drawn_ageing(0, (1, 2), (0, 1), generator) is None
    assert generator.random() == untouched.random()
    drawn = [drawn_ageing(0.5, (1, 2), (0, 1), generator) for _ in range(400)]
    some = [each for each in drawn if each is not None]
    assert 150 < len(some) < 250
    assert all(1 <= wider <= 2 and 0 <= thinner <= 1 for wider, thinner in some)


def test_a_displacement_moves_what_it_says_in_voxels_of_the_scan(case: Case) -> None:
    shape = SHAPE
    spatial = SpatialAugmentation(replace(STILL), shape, (0, 1, 2), (1, 1, 1))
    push = torch.zeros(3, 8, 8, 8)
    push[0] = 4  # along i
    view = View(case.image, case.foreground.float(), case.target.long())
    moved = spatial(view, np.random.default_rng(0), displacement=push)
    assert torch.equal(moved.target[..., :-4], case.target.long()[..., 4:])
