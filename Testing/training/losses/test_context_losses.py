"""The losses of CoLab: how the background is divided, near the labels and far from them, and what is asked of the
labels alone.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from Training.losses.colab_losses import context_loss, distance_weight, roi_loss, soft_targets
from Training.losses.streamed_softmax import softmax_loss
from Training.losses.truth import IGNORE, Truth

VOXELS, CLASSES, GROUP = 60, 4, 4
NO_GROUPS = torch.zeros(0, CLASSES, dtype=torch.bool)
EVERYONE = torch.ones(CLASSES, dtype=torch.bool)


def made_up(context: int = 2, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores (K + context, V) with a gradient, targets (V,), weights (V,) and a context (context + 1, V)."""
    torch.manual_seed(seed)
    scores = torch.randn(CLASSES + context, VOXELS, dtype=torch.float64, requires_grad=True)
    return (
        scores,
        torch.randint(0, CLASSES, (VOXELS,)),
        torch.rand(VOXELS, dtype=torch.float64),
        torch.rand(context + 1, VOXELS, dtype=torch.float64).softmax(0),
    )


def context_loss_of(
    scores: torch.Tensor, truth: Truth, weight: torch.Tensor, context: torch.Tensor, dice_weight: float = 1.0
) -> torch.Tensor:
    return context_loss(scores, replace(truth, soft=soft_targets(truth, weight, context)), dice_weight)


def test_the_context_counts_fully_up_to_the_margin_and_fades_beyond_it() -> None:
    roi = torch.zeros(1, 1, 60, dtype=torch.bool)
    roi[..., 0] = True
    weight = distance_weight(roi, margin=10, tau=5)[0, 0]
    assert torch.equal(weight[:11], torch.ones(11))
    assert weight[15] == pytest.approx(math.exp(-1))
    assert weight[40] == pytest.approx(math.exp(-6))


def test_a_patch_without_roi_has_plain_background() -> None:
    assert not distance_weight(torch.zeros(4, 5, 6, dtype=torch.bool), 30, 20).any()


def test_an_roi_voxel_is_of_its_class_and_background_is_divided_by_context_and_distance() -> None:
    truth = Truth(torch.tensor([0, 0, 2]), EVERYONE, NO_GROUPS)
    context = torch.tensor([[0.5, 0.5, 0.1], [0.3, 0.3, 0.2], [0.2, 0.2, 0.7]])
    target = soft_targets(truth, torch.tensor([1.0, 0.25, 1.0]), context)
    expected = [[0.5, 0, 0, 0, 0.3, 0.2], [0.875, 0, 0, 0, 0.075, 0.05], [0, 0, 1, 0, 0, 0]]
    torch.testing.assert_close(target.T, torch.tensor(expected))


def test_unknown_voxels_have_no_target() -> None:
    members = torch.tensor([[False, True, True, False]])
    looked_for = torch.tensor([True, True, True, False])
    target = soft_targets(
        Truth(torch.tensor([IGNORE, GROUP, 0, 1]), looked_for, members), torch.ones(4), torch.ones(2, 4) / 2
    )
    assert target.sum(0).tolist() == [0, 0, 0, 1]  # target 0 may be the label that nobody looked for


def test_without_context_it_is_the_loss_of_the_other_methods() -> None:
    scores, target, weight, _ = made_up(0)
    target[::7], target[3] = GROUP, IGNORE
    members = torch.tensor([[False, True, True, False]])
    for annotated in (EVERYONE, torch.tensor([True, False, True, True])):
        truth = Truth(target, annotated, members)
        ours, theirs = (
            context_loss_of(scores, truth, weight, torch.ones_like(scores[:1]).detach(), 0.7),
            softmax_loss(scores.T, truth, 0.7),
        )
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(*(torch.autograd.grad(loss, scores)[0] for loss in (ours, theirs)))


def test_it_is_the_cross_entropy_and_dice_of_the_soft_targets() -> None:
    scores, target, weight, context = made_up()
    soft = soft_targets(Truth(target, EVERYONE, NO_GROUPS), weight, context)
    p = scores.detach().softmax(0)
    dice = [float((2 * (p[c] * soft[c]).sum() + 1) / (p[c].sum() + soft[c].sum() + 1)) for c in range(1, CLASSES + 2)]
    expected = float(torch.nn.functional.cross_entropy(scores.detach().T, soft.T)) + 0.7 * (1 - sum(dice) / len(dice))
    assert float(
        context_loss_of(scores.detach(), Truth(target, EVERYONE, NO_GROUPS), weight, context, 0.7)
    ) == pytest.approx(expected, rel=1e-12)


def test_a_context_class_counts_as_background_where_only_a_set_is_known() -> None:
    """Target 0, one label not looked for: whether the network says background or context makes no difference, and
    saying the unknown label costs nothing.
    """
    truth = Truth(torch.zeros(1, dtype=torch.long), torch.tensor([True, True, True, False]), NO_GROUPS)
    for sure_of in (0, 3, 4, 5):
        scores = torch.full((CLASSES + 2, 1), -20.0)
        scores[sure_of] = 20
        assert context_loss_of(scores, truth, torch.ones(1), torch.full((3, 1), 1 / 3)) < 1e-6
    assert context_loss_of(torch.eye(CLASSES + 2)[:, 1:2] * 40, truth, torch.ones(1), torch.full((3, 1), 1 / 3)) > 10


def test_gradients_agree_with_finite_differences() -> None:
    scores, target, weight, context = made_up()
    target[:5], target[5:8] = GROUP, IGNORE
    truth = Truth(target, torch.tensor([True, True, False, True]), torch.tensor([[False, True, False, True]]))
    leaf = context.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s, q: context_loss_of(s, truth, weight, q), (scores, leaf))
    assert torch.autograd.gradcheck(lambda s: roi_loss(s, truth), (scores,))


def test_the_outer_loss_is_the_binary_cross_entropy_of_the_labels_alone() -> None:
    scores, target, _, _ = made_up()
    p, truth = scores.softmax(0)[1:CLASSES], torch.nn.functional.one_hot(target, CLASSES).T[1:].double()
    found = roi_loss(scores, Truth(target, EVERYONE, NO_GROUPS))
    torch.testing.assert_close(found, torch.nn.functional.binary_cross_entropy(p, truth))
    exchanged = scores[[CLASSES, 1, 2, 3, 0, CLASSES + 1]]  # background and context are the same to it
    torch.testing.assert_close(roi_loss(exchanged, Truth(target, EVERYONE, NO_GROUPS)), found)


def test_the_outer_loss_leaves_out_what_nobody_knows() -> None:
    scores, target, _, _ = made_up()
    annotated = torch.tensor([True, True, False, True])
    truth = [Truth(torch.where(target == 2, hidden, target), annotated, NO_GROUPS) for hidden in (0, 2)]
    torch.testing.assert_close(roi_loss(scores, truth[0]), roi_loss(scores, truth[1]))
    assert float(roi_loss(scores, Truth(torch.full_like(target, IGNORE), annotated, NO_GROUPS)).detach()) == 0
