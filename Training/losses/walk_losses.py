"""The losses of learning from strokes beside that on the strokes themselves: agreement with what random walks say of
the voxels between them, and the entropy of the network's own answer.

After Vernaza and Chandraker, CVPR 2017, arXiv 1802.00470.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .truth import Truth, at_least_single


def entropy(p: torch.Tensor) -> torch.Tensor:
    """-sum of p log p over the first axis, in nats: p (C, ...) -> (...)."""
    negative: torch.Tensor = torch.special.xlogy(p, p).sum(0)
    return -negative


def certainty_weight(soft: torch.Tensor, strength: float) -> torch.Tensor:
    """exp(-strength * entropy): how much a voxel counts whose walks end in strokes of (C, ...) probabilities; 0 where
    they end nowhere.

    It has no gradient: conductances learn from where the walks should end, never from what makes a voxel count less.
    """
    soft = soft.detach()
    return (-strength * entropy(soft)).exp() * soft.sum(0)


def walk_loss(
    scores: torch.Tensor,
    soft: torch.Tensor,
    targets: Sequence[int],
    weight: torch.Tensor,
    truth: Truth,
    dice_weight: float = 1.0,
) -> torch.Tensor:
    """Weighted mean over voxels of the cross entropy with soft targets + dice_weight * (1 - mean soft Dice of the
    classes that have a stroke).

    scores (V, K). soft (T, V): for every voxel what share of its walks ends in strokes of each of T targets, which are
    classes or groups as `Truth` has them; a target that stands for several classes is met by the sum of their
    probabilities, so a background stroke where not all labels were annotated may be any of the others. weight (V,). The
    cross entropy is divided by the number of voxels and not by their weights, so that uncertain walks say less; its
    gradient goes to the soft targets too, that of the Dice to the scores alone. of `truth` only annotated and members
    are read. Computed in float32 (float64 where they are).
    """
    log_p = at_least_single(scores).log_softmax(1)
    log_of = torch.stack([_log_of_target(log_p, target, truth) for target in targets])
    cross_entropy = -((soft * log_of).sum(0) * weight).mean()
    single = [n for n, target in enumerate(targets) if 0 < target < log_p.shape[1]]
    if not single or not dice_weight:
        return cross_entropy
    p, wanted = log_of[single].exp(), soft.detach()[single]
    overlap, size = (p * wanted * weight).sum(1), ((p + wanted) * weight).sum(1)
    return cross_entropy + dice_weight * (1 - ((2 * overlap + 1) / (size + 1)).mean())


def entropy_loss(scores: torch.Tensor) -> torch.Tensor:
    """Mean entropy of the softmax of scores (V, K), over log K: from 0 to 1 (Grandvalet and Bengio, NeurIPS 2004)."""
    p = at_least_single(scores).softmax(1)
    return entropy(p.T).mean() / torch.tensor(float(p.shape[1])).log()


def _log_of_target(log_p: torch.Tensor, target: int, truth: Truth) -> torch.Tensor:
    """(V,): the logarithm of the probability that a target is met, log_p (V, K)."""
    classes = log_p.shape[1]
    if target >= classes:
        return log_p[:, truth.members[target - classes]].logsumexp(1)
    return log_p[:, truth.sets[0]].logsumexp(1) if target == 0 else log_p[:, target]
