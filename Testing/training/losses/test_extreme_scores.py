"""Losses of scores that lie far apart: finite, with the gradients that float64 has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from Training.losses.colab_losses import context_loss, roi_loss, soft_targets
from Training.losses.masked_sigmoid import masked_sigmoid_loss
from Training.losses.streamed_softmax import plain_softmax_loss, streamed_softmax_loss
from Training.losses.truth import IGNORE, Truth

CLASSES, GROUP, DICE = 6, 6, 0.7
Loss = Callable[[torch.Tensor, Truth], torch.Tensor]

TRUTHS = {
    "all": torch.ones(CLASSES, dtype=torch.bool),
    "some": torch.tensor([True, True, False, True, False, True]),
}
"""Which classes somebody looked for."""


def sure(gap: float, offset: float, dtype: torch.dtype) -> torch.Tensor:
    """(V, K): every class wins a voxel of every target by `gap`; the other classes have the score `offset`."""
    return (gap * torch.eye(CLASSES).repeat_interleave(CLASSES + 2, 0) + offset).to(dtype)


def truth_of(annotated: torch.Tensor) -> Truth:
    """For the voxels of `sure`: every class, a group and an unknown one."""
    members = torch.zeros(1, CLASSES, dtype=torch.bool)
    members[0, 3:5] = True
    return Truth(torch.tensor([*range(CLASSES), GROUP, IGNORE]).repeat(CLASSES), annotated, members)


def streamed(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    return streamed_softmax_loss(scores, torch.eye(CLASSES), torch.zeros(CLASSES), truth, DICE)


def plain(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    return plain_softmax_loss(scores, torch.eye(CLASSES), torch.zeros(CLASSES), truth, DICE)


def context(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    weight = torch.ones(len(scores), dtype=scores.dtype)
    return context_loss(scores.T, replace(truth, soft=soft_targets(truth, weight, weight[None])), DICE)


def by_definition(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    """Cross entropy of the classes that each voxel may be of, and soft Dice of the decided ones, voxel by voxel."""
    log_p = scores.log_softmax(1)
    kept = [v for v, target in enumerate(truth.visible.tolist()) if target != IGNORE]
    may_be = {
        v: truth.sets[row].nonzero()[:, 0].tolist() if (row := int(truth.set_of[v])) >= 0 else [int(truth.visible[v])]
        for v in kept
    }
    entropy = -torch.stack([log_p[v, may_be[v]].logsumexp(0) for v in kept]).mean()
    dice = []
    for c in range(1, CLASSES):
        there = [v for v in kept if may_be[v] == [c]]
        undecided = [v for v in kept if c in may_be[v] and len(may_be[v]) > 1]
        if there:
            counted = [v for v in kept if v not in undecided]
            p = log_p[:, c].exp()
            dice.append((2 * p[there].sum() + 1) / (p[counted].sum() + len(there) + 1))
    return entropy + DICE * (1 - torch.stack(dice).mean())


def roi_by_definition(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    """Only where all is annotated and no voxel undecided."""
    log_p, known = scores.log_softmax(1), truth.target != IGNORE
    terms = []
    for c in range(1, CLASSES):
        others = log_p[:, [n for n in range(CLASSES) if n != c]].logsumexp(1)
        terms.append(torch.where(truth.target == c, log_p[:, c], others)[known])
    return -torch.stack(terms).mean()


def value_and_gradient(loss: Loss, scores: torch.Tensor, truth: Truth) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = scores.clone().requires_grad_()
    value = loss(leaf, truth)
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def assert_as_in_float64(loss: Loss, reference: Loss, scores: torch.Tensor, truth: Truth) -> None:
    value, gradient = value_and_gradient(loss, scores, truth)
    expected, by_score = value_and_gradient(reference, scores.double(), truth)
    assert bool(gradient.isfinite().all())
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    rounding = 4e-3 if scores.dtype == torch.bfloat16 else 5e-4  # of the gradient; of a score of 10,000
    torch.testing.assert_close(gradient.double(), by_score, rtol=rounding, atol=1e-7)


@pytest.mark.parametrize("loss", [streamed, plain, context])
@pytest.mark.parametrize("annotated", TRUTHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("gap", "offset"), [(120, 0), (-120, 0), (1e4, 0), (1e4, -5e3), (3, 1e4)])
def test_scores_far_apart_have_the_loss_and_gradients_of_float64(
    loss: Loss, annotated: str, dtype: torch.dtype, gap: float, offset: float
) -> None:
    assert_as_in_float64(loss, by_definition, sure(gap, offset, dtype), truth_of(TRUTHS[annotated]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("gap", "offset"), [(120, 0), (1e4, 0), (3, 1e4)])
def test_the_outer_loss_of_scores_far_apart_is_that_of_float64(dtype: torch.dtype, gap: float, offset: float) -> None:
    truth = truth_of(TRUTHS["all"])
    decided = replace(truth, target=torch.where(truth.target == GROUP, IGNORE, truth.target))
    assert_as_in_float64(lambda s, t: roi_loss(s.T, t), roi_by_definition, sure(gap, offset, dtype), decided)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("score", [120.0, 1e4])
def test_sigmoid_scores_far_from_0_have_the_loss_and_gradients_of_float64(dtype: torch.dtype, score: float) -> None:
    scores = torch.tensor([[score, -score, score], [-score, score, -score]]).to(dtype)
    labels = torch.tensor([[False, True, True, True], [False, True, False, False], [False, False, False, True]])
    members = torch.tensor([[False, False, True, True]])
    truth = Truth(torch.tensor([1, 4]), torch.ones(4, dtype=torch.bool), members)
    there = torch.tensor([[True, True, False], [True, False, False]])
    known = torch.tensor([[True, True, True], [True, True, False]])

    def reference(scores: torch.Tensor, _truth: Truth) -> torch.Tensor:
        log_right = torch.nn.functional.logsigmoid(torch.where(there, scores, -scores))
        p = scores.sigmoid() * known
        dice = (2 * (p * there).sum(0) + 1) / ((p**2).sum(0) + there.sum(0) + 1)
        return -log_right[known].mean() + 1 - dice.mean()

    assert_as_in_float64(lambda s, t: masked_sigmoid_loss(s, t, labels), reference, scores, truth)


def test_a_voxel_sure_of_a_class_outside_its_group_is_pulled_to_the_group_as_the_network_divides_it() -> None:
    """All probabilities of the group are 0 in float32, their shares are not."""
    scores = torch.tensor([[0.0, 200.0, -50.0, 1.0, 0.0, -50.0]])
    truth = replace(truth_of(TRUTHS["all"]), target=torch.tensor([GROUP]))
    _, gradient = value_and_gradient(streamed, scores, truth)
    share = torch.tensor([1.0, 0.0]).softmax(0)
    torch.testing.assert_close(gradient[0], torch.tensor([0, 1, 0, -share[0], -share[1], 0]))


@pytest.mark.parametrize("loss", [plain, context, lambda scores, truth: roi_loss(scores.T, truth)])
def test_half_precision_adds_up_more_voxels_than_it_can_count(loss: Loss) -> None:
    torch.manual_seed(0)
    scores = torch.randn(70_000, CLASSES).half()
    truth = replace(truth_of(TRUTHS["all"]), target=torch.zeros(len(scores), dtype=torch.long))
    torch.testing.assert_close(loss(scores, truth).double(), loss(scores.double(), truth), rtol=1e-4, atol=1e-5)
