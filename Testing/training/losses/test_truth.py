"""One type for what is known of voxels: every loss counts weights alike and takes soft targets or refuses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from Training.losses.colab_losses import context_loss, roi_loss, soft_targets
from Training.losses.masked_sigmoid import masked_sigmoid_loss
from Training.losses.streamed_softmax import softmax_loss, streamed_softmax_loss
from Training.losses.truth import IGNORE, Truth

CLASSES, GROUP = 5, 5
LABELS = torch.tensor([[False, True, False, False, False], [False, False, True, True, False]])


def streamed(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    return streamed_softmax_loss(scores, torch.eye(CLASSES).double(), torch.zeros(CLASSES), truth, 0.7)


def context(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    everywhere = torch.ones(len(scores), dtype=torch.float64)
    return context_loss(scores.T, replace(truth, soft=soft_targets(truth, everywhere, everywhere[None])), 0.7)


LOSSES: dict[str, Callable[[torch.Tensor, Truth], torch.Tensor]] = {
    "streamed softmax": streamed,
    "softmax": lambda scores, truth: softmax_loss(scores, truth, 0.7),
    "masked sigmoid": lambda scores, truth: masked_sigmoid_loss(scores[:, :2], truth, LABELS, 0.7),
    "context": context,
    "regions of interest": lambda scores, truth: roi_loss(scores.T, truth),
}


def made_up() -> tuple[torch.Tensor, Truth]:
    """Scores (V, K) with a gradient, and voxels of every class, of a group and unknown ones; class 4 was not
    annotated.
    """
    torch.manual_seed(0)
    target = torch.tensor([*range(CLASSES), GROUP, IGNORE, 0]).repeat(8)
    members = torch.tensor([[False, True, True, False, False]])
    scores = torch.randn(len(target), CLASSES, dtype=torch.float64, requires_grad=True)
    return scores, Truth(target, torch.arange(CLASSES) < 4, members)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_voxel_of_weight_2_counts_as_two_voxels_and_one_of_weight_0_not_at_all(
    loss: Callable[[torch.Tensor, Truth], torch.Tensor],
) -> None:
    scores, truth = made_up()
    weight = torch.tensor([0, 1, 2]).repeat(len(scores))[: len(scores)]
    weighted = loss(scores, replace(truth, weight=weight.double()))
    again = torch.arange(len(scores)).repeat_interleave(weight)
    repeated = loss(scores[again], replace(truth, target=truth.target[again]))
    torch.testing.assert_close(weighted, repeated, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(value, scores)[0] for value in (weighted, repeated)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-13)
    assert not torch.isclose(weighted, loss(scores, truth))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_weights_of_1_change_no_bit(loss: Callable[[torch.Tensor, Truth], torch.Tensor]) -> None:
    scores, truth = made_up()
    plain, weighted = loss(scores, truth), loss(scores, replace(truth, weight=torch.ones(len(scores))))
    assert torch.equal(plain, weighted)
    assert torch.equal(*(torch.autograd.grad(value, scores)[0] for value in (plain, weighted)))


def test_soft_targets_that_are_hard_give_the_loss_of_hard_ones() -> None:
    scores, truth = made_up()
    one_hot = torch.nn.functional.one_hot(truth.visible.clamp(0, CLASSES - 1), CLASSES).T.double()
    known = replace(truth, target=torch.where(truth.target == GROUP, IGNORE, truth.target))
    assert torch.equal(
        masked_sigmoid_loss(scores[:, :2], replace(known, soft=one_hot), LABELS),
        masked_sigmoid_loss(scores[:, :2], known, LABELS),
    )


def test_a_soft_target_is_best_met_by_its_own_probability() -> None:
    truth = Truth(torch.tensor([1]), torch.ones(3, dtype=torch.bool), torch.zeros(0, 3, dtype=torch.bool))
    soft = replace(truth, soft=torch.tensor([[0.0], [0.25], [0.5]]))
    labels = torch.tensor([[False, True, False], [False, True, True]])  # a quarter, and the union of both
    scores = torch.tensor([[0.25, 0.75]]).logit().requires_grad_()
    (gradient,) = torch.autograd.grad(masked_sigmoid_loss(scores, soft, labels, 0.0), scores)
    torch.testing.assert_close(gradient, torch.zeros(1, 2))


@pytest.mark.parametrize("name", ["streamed softmax", "softmax"])
def test_soft_targets_are_not_left_out_in_silence(name: str) -> None:
    scores, truth = made_up()
    with pytest.raises(ValueError, match="takes hard targets; soft ones are for context_loss"):
        LOSSES[name](scores, replace(truth, soft=torch.ones(CLASSES, len(scores))))


def test_a_loss_of_soft_targets_says_that_it_has_none() -> None:
    scores, truth = made_up()
    with pytest.raises(ValueError, match="context_loss takes soft targets"):
        context_loss(scores.T, truth)
