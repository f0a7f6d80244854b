"""The losses of CoLab: soft targets that divide the background among context classes, and the loss of the regions
of interest alone.

After Li et al., "Context label learning: improving background class representations in semantic segmentation", IEEE TMI
2023, arXiv 2212.08423. A network scores K + t - 1 classes: the background, the labels (the regions of interest, ROI),
and t - 1 context classes, which are background too.
"""

from __future__ import annotations

import torch
from scipy.ndimage import distance_transform_edt

from .masked_sigmoid import known_labels
from .truth import IGNORE, Truth, at_least_single


def distance_weight(is_roi: torch.Tensor, margin: float, tau: float) -> torch.Tensor:
    """w = min(1, exp((margin - d) / tau)), d the distance to the ROI in voxels: how much of a voxel's context enters
    its target.

    is_roi (k, j, i) bool -> float32 of the same shape. A patch without ROI has w = 0 everywhere: what lies near it
    cannot be told, so all of it is plain background.
    """
    if not bool(is_roi.any()):
        return torch.zeros(is_roi.shape, device=is_roi.device)
    distance = torch.from_numpy(distance_transform_edt(~is_roi.cpu().numpy())).to(is_roi.device, torch.float32)
    return ((margin - distance) / tau).clamp_max(0).exp()


def soft_targets(truth: Truth, weight: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    """(K + t - 1, V): what each voxel should be.

    An ROI voxel is of its class; a background voxel is divided as w * context + (1 - w) * background.

    weight (V,): w. context (t, V): probabilities of the background class and of the context classes. Voxels that are
    unknown, or known only to be one of several classes, have no target: their column is 0. In float32 (float64 where
    the context is).
    """
    weight, context = at_least_single(weight), at_least_single(context)
    decided = (truth.set_of < 0) & (truth.target != IGNORE)
    target = truth.visible
    classes = torch.arange(1, len(truth.annotated), device=target.device)
    roi = ((target[None] == classes[:, None]) & decided).to(context.dtype)
    background = ((target == 0) & decided).to(context.dtype)
    return torch.cat([(background * (1 - weight + weight * context[0]))[None], roi, background * weight * context[1:]])


def context_loss(scores: torch.Tensor, truth: Truth, dice_weight: float = 1.0) -> torch.Tensor:
    """Mean cross entropy with the soft targets + dice_weight * (1 - mean soft Dice over the ROI and context classes
    that have a target).

    scores (K + t - 1, V); truth with the soft targets (K + t - 1, V) that `soft_targets` gives. A voxel of which only a
    set of classes is known (see `Truth`) has the sum of their probabilities as its own, the context counting as
    background, and its undecided classes take no part in the Dice. Without context classes this is `softmax_loss`.
    Computed in float32 (float64 where they are). ValueError without soft targets.
    """
    if truth.soft is None:
        raise ValueError("context_loss takes soft targets, as soft_targets gives them.")
    scores, target = at_least_single(scores), truth.soft
    known = truth.weights(scores.dtype)
    log_p = scores.log_softmax(0)
    log_true, p = (target * log_p).sum(0), log_p.exp()
    in_set = truth.set_of >= 0
    if bool(in_set.any()):
        sets = truth.sets
        may_be_context = torch.zeros(len(sets), len(scores) - sets.shape[1], dtype=torch.bool, device=sets.device)
        may_be_context[0] = True
        inside = torch.cat([sets, may_be_context], dim=1)[truth.set_of.clamp_min(0)].T
        log_true = torch.where(in_set, log_p.masked_fill(~inside & in_set, -torch.inf).logsumexp(0), log_true)
        p = p.masked_fill(inside & in_set, 0)
    entropy = -(log_true * known).sum() / known.sum().clamp_min(1)
    if truth.weight is not None:
        target = target * known
    count = target.sum(1)[1:]
    dice = (2 * (p * target).sum(1)[1:] + 1) / ((p * known).sum(1)[1:] + count + 1)
    scored = (count > 0).to(scores.dtype)
    return entropy + dice_weight * ((1 - dice) * scored).sum() / scored.sum().clamp_min(1)


def roi_loss(scores: torch.Tensor, truth: Truth) -> torch.Tensor:
    """Mean binary cross entropy of the ROI probabilities, which are those of a softmax over all classes: the outer
    loss, blind to how the background is divided.

    scores (K + t - 1, V). Whether a voxel is of a label is left out where nobody knows.
    Computed in float32 (float64 where they are).
    """
    log_p, classes = at_least_single(scores).log_softmax(0), len(truth.annotated)
    is_there, is_known = known_labels(truth, torch.eye(classes, dtype=torch.bool, device=log_p.device)[1:])
    others = torch.stack([torch.cat([log_p[:c], log_p[c + 1 :]]).logsumexp(0) for c in range(1, classes)])
    log_right = torch.where(is_there.T, log_p[1:classes], others)
    known = is_known.T * truth.weights(log_p.dtype)
    return -(log_right * known).sum() / known.sum().clamp_min(1)
