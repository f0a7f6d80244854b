"""Binary cross entropy + soft Dice of labels that are each decided alone, over the voxels where it is known whether
they are there.
"""

from __future__ import annotations

import torch

from .truth import IGNORE, Truth, at_least_single


def masked_sigmoid_loss(
    scores: torch.Tensor, truth: Truth, labels: torch.Tensor, dice_weight: float = 1.0
) -> torch.Tensor:
    """Mean binary cross entropy + dice_weight * (1 - mean soft Dice over the labels with a known voxel).

    scores (V, L) before the sigmoid; labels (L, K) bool: the classes of every label, several for a union. The Dice has
    squared denominators, 1 - (2 sum(p y) + 1) / (sum(p^2) + sum(y^2) + 1), as in LCS (Ma, Lee and Sabuncu, MIDL 2022);
    a label that is absent is scored too, so that the network learns to find nothing. What is not known has no part
    (masked channels as in MultiTalent, Ulrich et al., MICCAI 2023). Returns a scalar, in float32 or better.
    """
    scores = at_least_single(scores)
    is_there, is_known = known_labels(truth, labels)
    weight = is_known * truth.weights(scores.dtype)[:, None]
    target = is_there.to(scores.dtype) if truth.soft is None else _soft_labels(truth.soft.to(scores), labels)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        scores, target * is_known, weight=weight, reduction="sum"
    ) / weight.sum().clamp_min(1)
    return entropy + dice_weight * soft_dice_loss(scores, target, weight)


def soft_dice_loss(scores: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """1 - mean soft Dice of the labels with a voxel that counts: scores (V, L) before the sigmoid, target and weight
    (V, L). 0 where nothing counts.
    """
    p = scores.sigmoid()
    dice = (2 * (p * target * weight).sum(0) + 1) / ((p * p * weight).sum(0) + (target * target * weight).sum(0) + 1)
    scored = (weight > 0).any(0)
    return 1 - dice[scored].mean() if bool(scored.any()) else dice[scored].sum()


def _soft_labels(soft: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(C, V) of classes -> (V, L) of labels: a union has what its classes have together."""
    return (labels.to(soft) @ soft[: labels.shape[1]]).T.clamp(0, 1)


def known_labels(truth: Truth, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For every voxel and label: is it there, and is that known?

    labels (L, K) bool: the classes of every label, several for a union. Returns two (V, L) bool arrays. Where only a
    parent of a class is known, the class is unknown there unless the union holds the whole parent; a label is known
    nowhere when one of its classes was not annotated, except where the label map has an annotated part of it.
    """
    classes = labels.shape[1]
    target = truth.visible
    single = (target >= 0) & (target < classes)
    is_there = labels.T[target.clamp(0, classes - 1)] & single[:, None]
    is_known = (target != IGNORE)[:, None] & (truth.annotated | ~labels).all(1)[None]
    in_group = (target >= classes).nonzero()[:, 0]
    if len(in_group):
        group = truth.members[target[in_group] - classes]
        whole = (labels[None] | ~group[:, None]).all(2)
        touched = (labels[None] & group[:, None]).any(2)
        is_there[in_group] = whole
        is_known[in_group] &= whole | ~touched
    return is_there, is_known | is_there
