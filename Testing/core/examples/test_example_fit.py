"""Prompts fitted to an atlas: the best linear classifier of its features, from voxels that stand for all of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled
from LabelConditionedSegmentationLib.core.examples.example_fit import (
    AROUND,
    ELSEWHERE,
    INSIDE,
    draw_voxels,
    features_at,
    fit,
    in_layers,
)
from LabelConditionedSegmentationLib.core.progress import CancelToken, Progress
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample


def box(*bounds: tuple[int, int], shape: tuple[int, int, int] = (20, 24, 28)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in bounds)] = True
    return mask


# Layers


def test_masks_that_do_not_overlap_share_a_layer_and_others_get_their_own() -> None:
    masks = [box((0, 5), (0, 5), (0, 5)), box((4, 8), (4, 8), (4, 8)), box((10, 12), (0, 5), (0, 5))]
    layers = in_layers(iter(masks))
    assert [members for members, _ in layers] == [[0, 2], [1]]
    for members, target in layers:
        for place, number in enumerate(members, start=1):
            assert np.array_equal(target == place, masks[number])


# Voxels


def test_every_voxel_that_is_seen_is_stood_for_and_none_else_is_drawn() -> None:
    shape = (80, 90, 80)
    target = np.zeros(shape, dtype=np.int16)
    target[20:60, 20:70, 10:40] = 1
    target[30:33, 30:33, 50:53] = 2
    seen = np.zeros(shape, dtype=bool)
    seen[5:75, 5:85, 5:75] = True
    voxels, counts = draw_voxels(target, seen, np.random.default_rng(0))
    place = tuple(voxels.T)
    assert seen[place].all()
    assert len(np.unique(np.ravel_multi_index(place, shape))) == len(voxels) <= INSIDE + AROUND + ELSEWHERE
    assert counts.sum() == pytest.approx(seen.sum())
    for number in (0, 1, 2):
        assert counts[target[place] == number].sum() == pytest.approx((seen & (target == number)).sum())
    assert (target[place] == 2).sum() == 27  # all of what is small


def test_a_structure_that_fills_the_scan_leaves_no_other_voxels() -> None:
    target = np.ones((6, 6, 6), dtype=np.int16)
    voxels, counts = draw_voxels(target, target > 0, np.random.default_rng(0))
    assert len(voxels) == 216
    assert counts.tolist() == [1.0] * 216


def test_features_at_voxels_are_those_of_a_linear_resampling() -> None:
    torch.manual_seed(0)
    turned = np.array([[0.0, -0.8, 0.1, 20.0], [0.9, 0.0, 0.0, 3.0], [0.0, 0.1, 1.1, -2.0], [0.0, 0.0, 0.0, 1.0]])
    scan, coarse = Grid(turned, (10, 11, 12)), Grid(np.diag([2.0, 2.0, 2.0, 1.0]), (9, 10, 14))
    stored = torch.randn(*coarse.shape, 5)
    voxels = np.random.default_rng(0).integers(0, scan.shape, (50, 3))
    everywhere = resample(stored, coarse, scan)
    assert torch.allclose(features_at(stored, scan.to(coarse), voxels), everywhere[tuple(voxels.T)], atol=1e-4)


# The fit


def blobs(count: int, spread: float, voxels: int = 6000) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of `count` structures and a background, each around a place of its own, on axes of very
    different scale.
    """
    generator = torch.Generator().manual_seed(0)
    centres = 4 * torch.eye(count + 1, 8)
    target = torch.randint(0, count + 1, (voxels,), generator=generator)
    features = centres[target] + spread * torch.randn(voxels, 8, generator=generator)
    return features * torch.logspace(-2, 2, 8) + 50, target


def answers(features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(features @ prompts.T + bias, (1, 0)).argmax(1)


@pytest.mark.parametrize("count", [1, 5])
def test_structures_that_can_be_told_apart_are_on_voxels_that_were_not_fitted(count: int) -> None:
    features, target = blobs(count, 0.7)
    prompts, bias = fit(features[:3000], target[:3000], torch.ones(3000), Progress(None, None))
    assert prompts.shape == (count, 8)
    assert (answers(features[3000:], prompts, bias) == target[3000:]).float().mean() > 0.97


def test_voxels_count_as_many_as_they_stand_for() -> None:
    """Where two kinds of voxels look the same, the kind that stands for more wins."""
    features, target = blobs(1, 0.7)
    doubtful, known = torch.cat([features, features[:500] * 0]), torch.cat([target, torch.tensor([0, 1]).repeat(250)])
    for winner in (0, 1):
        counts = torch.ones(len(known))
        counts[len(target) :][known[len(target) :] == winner] = 20
        found = answers(doubtful[-1:], *fit(doubtful, known, counts, Progress(None, None)))
        assert found.tolist() == [winner]


def test_a_direction_without_content_is_not_blown_up() -> None:
    features, target = blobs(1, 0.7)
    flat = torch.cat([features, torch.full((len(features), 2), 3.0)], dim=1)
    prompts, bias = fit(flat, target, torch.ones(len(flat)), Progress(None, None))
    assert bool(torch.isfinite(prompts).all())
    assert bool(torch.isfinite(bias).all())
    assert (answers(flat, prompts, bias) == target).float().mean() > 0.97


def test_a_fit_can_be_cancelled() -> None:
    token = CancelToken()
    heard: list[float] = []

    def stop(fraction: float, _text: str) -> None:
        heard.append(fraction)
        if fraction > 0.2:
            token.cancel()

    features, target = blobs(2, 0.7)
    with pytest.raises(Cancelled):
        fit(features, target, torch.ones(len(features)), Progress(stop, token))
    assert max(heard) < 0.5
