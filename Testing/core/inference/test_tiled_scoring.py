"""The best class of every voxel by tiles: the answer of the product with all classes, from far fewer of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.inference import possible_winners as possible_winners_module
from LabelConditionedSegmentationLib.core.inference import tiled_scoring
from LabelConditionedSegmentationLib.core.inference.possible_winners import possible_winners
from LabelConditionedSegmentationLib.core.inference.scoring import best_classes
from LabelConditionedSegmentationLib.core.inference.tiled_scoring import best_by_tiles
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, needed_box, resample

COARSE = (14, 13, 12)
CHANNELS = 8

TURN = np.array([[0.8, -0.6, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def features(seed: int, step: float = 0.4) -> torch.Tensor:
    """A field that changes by about `step` from voxel to voxel: (k, j, i, C)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, CHANNELS, 4, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=COARSE, mode="trilinear", align_corners=True)[0]
    return (smooth + step * torch.randn(smooth.shape, generator=generator)).permute(1, 2, 3, 0).contiguous().half()


def prompts(classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(classes)
    return 3 * torch.randn(classes, CHANNELS, generator=generator), torch.randn(classes, generator=generator)


def target(kind: str) -> Grid:
    """A finer grid in, across or partly outside of the grid of the features, whose voxels measure 2 mm."""
    fine = np.diag([0.9, 0.8, 1.0, 1.0])
    if kind == "flipped":
        fine = fine @ np.array([[-1.0, 0, 0, 20], [0, 0, 1, 3], [0, 1, 0, 2], [0, 0, 0, 1]])
    if kind == "oblique":
        fine = TURN @ fine
    if kind == "outside":
        fine[:3, 3] = -4
    return Grid(fine, (23, 40, 37))


def answers(values: torch.Tensor, grid: Grid, vectors: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """By tiles, and by the product with all classes."""
    source = Grid(np.diag([2.0, 2.0, 2.0, 1.0]), COARSE)
    planes = (3, 23)
    lower, upper = needed_box(source, grid, (planes[0], 0, 0), (planes[1], *grid.shape[1:]))
    block = values[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))]
    fine = resample(block, source, grid, (planes[0], 0, 0), (planes[1], *grid.shape[1:]), lower)
    expected = best_classes(fine.reshape(-1, CHANNELS), vectors, bias).best_class.view(fine.shape[:3])
    return best_by_tiles(block, lower, source, grid, *planes, vectors, bias), expected


@pytest.mark.parametrize("classes", [2, 17, 135, 600])
@pytest.mark.parametrize("kind", ["parallel", "flipped", "oblique", "outside"])
def test_the_answer_is_that_of_all_classes(classes: int, kind: str) -> None:
    found, expected = answers(features(classes), target(kind), *prompts(classes))
    assert torch.equal(found, expected)
    assert len(torch.unique(expected)) > 1


def test_scores_of_more_classes_than_are_held_at_once_are_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(possible_winners_module, "CHUNK", 32)
    found, expected = answers(features(1), target("parallel"), *prompts(135))
    assert torch.equal(found, expected)


def test_where_features_change_slowly_few_classes_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def counted(*arguments: torch.Tensor) -> torch.Tensor:
        tried.append(len(possible_winners(*arguments)))
        return possible_winners(*arguments)

    monkeypatch.setattr(tiled_scoring, "possible_winners", counted)
    monkeypatch.setattr(tiled_scoring, "PLANES", 6)  # small against the changes of the features
    monkeypatch.setattr(tiled_scoring, "SIDE", 6)
    found, expected = answers(features(3, step=0.02), target("parallel"), *prompts(135))
    assert torch.equal(found, expected)
    assert np.mean(tried) <= 45


def test_a_class_that_wins_between_voxels_and_at_none_is_found() -> None:
    corners = torch.tensor([-1.0, 1.0]).view(1, 1, 2, 1)
    vectors = torch.tensor([[-10.0], [0.0], [10.0], [0.0]])
    bias = torch.tensor([0.0, 5.0, 0.0, -11.0])
    assert possible_winners(corners, vectors, bias).tolist() == [0, 1, 2]  # the last one can win nowhere


def test_one_class_that_wins_everywhere_is_the_only_one_left() -> None:
    corners = features(4, step=0).float()
    vectors, bias = prompts(20)
    bias[7] = 1000
    assert possible_winners(corners, vectors, bias).tolist() == [7]


def test_among_equal_scores_the_lower_class_wins() -> None:
    vectors, bias = prompts(40)
    found, expected = answers(features(5), target("parallel"), torch.cat([vectors, vectors]), torch.cat([bias, bias]))
    assert torch.equal(found, expected)
    assert int(found.max()) < 40


def test_where_a_score_is_no_number_no_class_is_ruled_out() -> None:
    corners = features(6).float()
    corners[1, 1, 1, 0] = torch.nan
    assert len(possible_winners(corners, *prompts(33))) == 33


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found, expected = answers(features(7), target("parallel"), *prompts(60))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found, expected)
