"""Probabilities of all labels on a fixed basis: exact, in tiles, without an array of voxels x labels."""

from __future__ import annotations

import pytest
import torch

from Training.losses import streamed_softmax
from Training.losses.projected_scores import projected_probabilities

VOXELS, CHANNELS, LABELS, DIRECTIONS = 300, 5, 40, 3


def arguments() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((VOXELS, CHANNELS), (LABELS, CHANNELS), (LABELS,), (LABELS, DIRECTIONS))
    return tuple(torch.randn(size, generator=generator, dtype=torch.double) for size in sizes)


@pytest.mark.parametrize("tile_values", [2**6, 2**19])
def test_values_and_gradients_are_those_of_the_plain_softmax(tile_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(streamed_softmax.TILE_VALUES, "cpu", tile_values)
    features, prompts, bias, basis = arguments()
    leaves = [each.requires_grad_() for each in (features, prompts, bias)]
    weight = torch.randn(VOXELS, DIRECTIONS, dtype=torch.double)
    ours = projected_probabilities(features, prompts, bias, basis)
    plain = (features @ prompts.T + bias).softmax(1) @ basis
    torch.testing.assert_close(ours, plain)
    mine, theirs = (torch.autograd.grad((each * weight).sum(), leaves) for each in (ours, plain))
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_nothing_of_the_size_of_voxels_times_labels_is_kept_for_the_backward_pass() -> None:
    features, prompts, bias, basis = arguments()
    kept: list[int] = []

    def note(values: torch.Tensor) -> torch.Tensor:
        kept.append(values.numel())
        return values

    with torch.autograd.graph.saved_tensors_hooks(note, lambda values: values):
        projected_probabilities(features.requires_grad_(), prompts, bias, basis)
    assert kept
    assert max(kept) <= max(VOXELS * CHANNELS, LABELS * CHANNELS) < VOXELS * LABELS


def test_without_voxels_there_is_nothing_and_no_gradient() -> None:
    features, prompts, bias, basis = arguments()
    found = projected_probabilities(features[:0], prompts.requires_grad_(), bias, basis)
    assert found.shape == (0, DIRECTIONS)
    assert not torch.autograd.grad(found.sum(), prompts)[0].any()
