"""Binary cross entropy + soft Dice of labels that are each decided alone, over the voxels where it is known whether
they are there.
"""

from __future__ import annotations

import torch

from .streamed_softmax import IGNORE, Truth, at_least_single


def masked_sigmoid_loss(
    scores: torch.Tensor, is_there: torch.Tensor, is_known: torch.Tensor, dice_weight: float = 1.0
) -> torch.Tensor:
    """Mean binary cross entropy + dice_weight * (1 - mean soft Dice over the labels with a known voxel).

    scores (V, L) before the sigmoid; is_there, is_known (V, L) bool. The Dice has squared denominators, 1 - (2 sum(p y)
    + 1) / (sum(p^2) + sum(y^2) + 1), as in LCS (Ma, Lee and Sabuncu, MIDL 2022); a label that is absent is scored too,
    so that the network learns to find nothing. What is not known has no part (masked channels as in MultiTalent, Ulrich
    et al., MICCAI 2023). Returns a scalar, in float32 or better.
    """
    scores = at_least_single(scores)
    known, truth = is_known.to(scores.dtype), (is_there & is_known).to(scores.dtype)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        scores, truth, weight=known, reduction="sum"
    ) / known.sum().clamp_min(1)
    p = scores.sigmoid() * known
    dice = (2 * (p * truth).sum(0) + 1) / ((p * p).sum(0) + truth.sum(0) + 1)
    scored = is_known.any(0)
    dice_loss = 1 - dice[scored].mean() if bool(scored.any()) else dice[scored].sum()
    return entropy + dice_weight * dice_loss


def known_labels(truth: Truth, asked: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For every voxel and asked label: is it there, and is that known?

    asked (L, K) bool: the classes of every asked label, several for a union. Returns two (V, L) bool arrays. Where only
    a parent of a class is known, the class is unknown there unless the asked union holds the whole parent; a label is
    known nowhere when one of its classes was not annotated, except where it is seen to be.
    """
    classes = asked.shape[1]
    target = truth.seen
    single = (target >= 0) & (target < classes)
    is_there = asked.T[target.clamp(0, classes - 1)] & single[:, None]
    is_known = (target != IGNORE)[:, None] & (truth.annotated | ~asked).all(1)[None]
    in_group = (target >= classes).nonzero()[:, 0]
    if len(in_group):
        group = truth.members[target[in_group] - classes]
        whole = (asked[None] | ~group[:, None]).all(2)
        touched = (asked[None] & group[:, None]).any(2)
        is_there[in_group] = whole
        is_known[in_group] &= whole | ~touched
    return is_there, is_known | is_there
