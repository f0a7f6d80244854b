"""Images made from label maps: what they keep of the map, and that every property of a scan can be had alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from Training.data.acquisition import Acquisition
from Training.data.made_images import ImageMaker, MadeImage

PLAIN = Acquisition(
    deviation=(0, 0),
    shared=0,
    divided=0,
    faint=0,
    stripped=0,
    black_air=1,
    blur_mm=(0, 0),
    bias=0,
    gamma=0,
    sharp=1,
    noise=0,
    cropped=0,
)
"""A scanner without faults: every class has its own intensity, and the air is 0."""

AIR, SKIN, GRAY, WHITE = range(4)


@pytest.fixture
def head() -> torch.Tensor:
    """Balls within each other in air: skin, gray and white matter. (k, j, i)"""
    distance = np.linalg.norm(np.indices((40, 44, 48)) - np.array([20, 22, 24])[:, None, None, None], axis=0)
    return torch.from_numpy(np.select([distance < 8, distance < 12, distance < 17], [WHITE, GRAY, SKIN], AIR))


def made(labels: torch.Tensor, seed: int = 3, spacing: Any = (1.0, 1.0, 1.0), **changes: Any) -> MadeImage:
    maker = ImageMaker(4, (GRAY, WHITE), spacing, replace(PLAIN, **changes))
    return maker(labels, np.random.default_rng(seed))


def values(image: MadeImage, labels: torch.Tensor, number: int) -> torch.Tensor:
    return image.image[labels == number]


def test_without_faults_every_class_has_one_intensity_and_the_air_is_outside(head: torch.Tensor) -> None:
    image = made(head)
    assert [len(set(values(image, head, number).tolist())) for number in (SKIN, GRAY, WHITE)] == [1, 1, 1]
    assert torch.equal(image.foreground, head > 0)
    assert bool(image.field_of_view.all())
    inside = image.image[image.foreground]
    assert (float(inside.mean()), float(inside.std())) == pytest.approx((0, 1), abs=1e-4)


def test_every_sample_has_another_contrast(head: torch.Tensor) -> None:
    brighter = {
        float(values(made(head, seed), head, WHITE)[0] - values(made(head, seed), head, GRAY)[0]) > 0
        for seed in range(12)
    }
    assert brighter == {True, False}


def test_the_same_generator_makes_the_same_image(head: torch.Tensor) -> None:
    maker = ImageMaker(4, (GRAY, WHITE), (1, 1, 1))
    first, again, other = (maker(head, np.random.default_rng([7, n])) for n in (1, 1, 2))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.foreground, again.foreground)
    assert not torch.equal(first.image, other.image)


def test_where_a_patch_holds_no_brain_nothing_is_taken_away() -> None:
    skin = torch.full((20, 20, 20), SKIN)
    skin[:5] = AIR
    assert bool(made(skin, stripped=1).foreground.any())


def test_all_faults_at_once_leave_finite_images(head: torch.Tensor) -> None:
    maker = ImageMaker(4, (GRAY, WHITE), (1, 1, 1))
    for seed in range(30):
        image = maker(head, np.random.default_rng(seed))
        assert bool(image.image.isfinite().all())
        assert bool((image.foreground & ~image.field_of_view).sum() == 0)


def test_without_the_skull_the_brain_is_left_and_at_most_a_rim_around_it(head: torch.Tensor) -> None:
    brain = (head == GRAY) | (head == WHITE)
    near = torch.nn.functional.max_pool3d(brain.float()[None], 11, 1, 5)[0] > 0
    for seed in range(8):
        left = made(head, seed, stripped=1, rim_mm=(0.0, 3.0)).foreground
        assert bool(left[brain].float().mean() > 0.9)
        assert not bool(left[~near].any())


def test_the_brain_is_cut_where_the_rim_is_below_zero(head: torch.Tensor) -> None:
    brain = ((head == GRAY) | (head == WHITE)).sum()
    sizes = [int(made(head, stripped=1, rim_mm=(rim, rim)).foreground.sum()) for rim in (-2.0, 0.0, 2.0)]
    assert sizes[0] < 0.7 * brain < 0.9 * brain < sizes[1] < 1.1 * brain < 1.3 * brain < sizes[2]


def test_black_air_is_outside_and_noisy_air_is_not(head: torch.Tensor) -> None:
    assert not bool(made(head, black_air=1, noise=0.05).foreground[head == AIR].any())
    assert bool(made(head, black_air=0, noise=0.05).foreground[head == AIR].float().mean() > 0.5)


def test_noise_is_as_wide_in_bright_tissue_as_its_deviation_says(head: torch.Tensor) -> None:
    still, noisy = made(head), made(head, noise=0.05)
    assert float(values(still, head, WHITE).std()) == 0
    assert 0 < float(values(noisy, head, WHITE).std()) < 0.6


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0)])
def test_thick_slices_are_smooth_along_one_axis_alone(head: torch.Tensor, spacing: Any) -> None:
    image = made(head, spacing=spacing, sharp=0, isotropic=0, thickness_mm=(6, 6), black_air=0).image
    sharp = made(head, spacing=spacing, black_air=0).image
    ratios = [float(image.diff(dim=axis).abs().amax() / sharp.diff(dim=axis).abs().amax()) for axis in range(3)]
    assert sum(ratio < 0.6 for ratio in ratios) == 1
    assert sum(ratio > 0.8 for ratio in ratios) == 2


def largest_step(image: torch.Tensor, axis: int) -> float:
    """From one voxel to the next along an axis, as a share of the range of the image."""
    return float(image.diff(dim=axis).abs().amax() / (image.amax() - image.amin()))


def test_coarse_voxels_are_smooth_along_every_axis(head: torch.Tensor) -> None:
    coarse = made(head, sharp=0, isotropic=1, thickness_mm=(4, 4), black_air=0).image
    sharp = made(head, black_air=0).image
    assert all(largest_step(coarse, axis) < 0.7 * largest_step(sharp, axis) for axis in range(3))


def test_a_bias_field_shades_a_class_smoothly(head: torch.Tensor) -> None:
    shaded = made(head, bias=0.5)
    assert float(values(shaded, head, WHITE).std()) > 0
    inside = head == WHITE
    steps = shaded.image.diff(dim=2)[inside[:, :, 1:] & inside[:, :, :-1]]
    assert float(steps.abs().max()) < 0.3


def test_a_divided_class_has_regions_of_its_own(head: torch.Tensor) -> None:
    assert float(values(made(head, divided=1), head, WHITE).std()) > 0.01


def test_classes_that_share_a_gaussian_cannot_be_told_apart(head: torch.Tensor) -> None:
    def apart(seed: int) -> bool:
        image = made(head, seed, shared=0.4, noise=1e-3)
        white, gray = (values(image, head, number) for number in (WHITE, GRAY))
        return bool((white.mean() - gray.mean()).abs() > 0.5 * (white.std() + gray.std()))

    assert {apart(seed) for seed in range(20)} == {True, False}


def test_a_faint_brain_is_nearly_of_one_intensity(head: torch.Tensor) -> None:
    def contrast(seed: int, faint: float) -> float:
        image = made(head, seed, faint=faint)
        skin, gray, white = (float(values(image, head, number).mean()) for number in (SKIN, GRAY, WHITE))
        return abs(gray - white) / max(abs(skin - white), abs(skin - gray))

    plain, faint = (np.median([contrast(seed, share) for seed in range(20)]) for share in (0, 1))
    assert faint < 0.5 * plain


@pytest.mark.filterwarnings("error")
def test_where_no_class_is_of_the_brain_none_becomes_faint(head: torch.Tensor) -> None:
    image = ImageMaker(4, (), (1, 1, 1), replace(PLAIN, faint=1))(head, np.random.default_rng(3))
    assert torch.allclose(image.image[head > 0], made(head, faint=0).image[head > 0])


def test_beyond_the_field_of_view_nothing_counts(head: torch.Tensor) -> None:
    cut = [made(head, seed, cropped=1) for seed in range(10)]
    assert all(not bool((image.foreground & ~image.field_of_view).any()) for image in cut)
    kept = [float(image.foreground.sum() / (head > 0).sum()) for image in cut]
    assert all(0.1 < share < 1 for share in kept)


def test_a_patch_of_nothing_but_air_is_an_image_of_air(head: torch.Tensor) -> None:
    image = ImageMaker(4, (GRAY, WHITE), (1, 1, 1))(torch.zeros_like(head), np.random.default_rng(1))
    assert bool(image.image.isfinite().all())
    assert bool(image.foreground.any())
