"""Binary cross entropy of every class by itself, over several data sets whose tables differ (UniSeg), with soft targets
for what a data set does not know but its classes are related to.
"""

from __future__ import annotations

import torch

from .masked_sigmoid import known_labels, soft_dice_loss
from .truth import Truth, at_least_single

NULL = -1.0
"""A relation that was not measured: it has no part in a loss."""


def class_independent_loss(
    scores: torch.Tensor, truth: Truth, dice_weight: float = 0.0, relations: torch.Tensor | None = None
) -> torch.Tensor:
    """Sum over the classes of the binary cross entropy, mean over the labelled voxels, + dice_weight * (1 - mean soft
    Dice), after Kim et al., "Learning semantic segmentation from multiple datasets with label shifts" (ECCV 2022),
    which has no Dice.

    scores (V, K - 1) of the classes without the background, before the sigmoid. A class that nobody looked for is null:
    it has no part in the loss of the sample. relations (K, K), as `soft_targets` gives them: what is null in a voxel of
    class c gets the target relations[c, k], where that is not NULL; what is known keeps its truth, and background, or
    voxels that are known only to lie in a parent, say nothing of what is null. Returns a scalar, in float32 or better.
    """
    scores = at_least_single(scores)
    classes = scores.shape[1] + 1
    everyone = torch.eye(classes, dtype=torch.bool, device=scores.device)[1:]
    is_there, is_known = known_labels(truth, everyone)
    voxels, hard = truth.weights(scores.dtype), is_there.to(scores.dtype)
    target, counts = hard, is_known
    if relations is not None:
        related = _related(truth, relations.to(scores))
        is_related = (related != NULL) & ~is_known
        target, counts = torch.where(is_related, related, hard), is_known | is_related
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(
        scores, target * counts, weight=counts * voxels[:, None], reduction="sum"
    ) / voxels.sum().clamp_min(1)
    if not dice_weight:
        return entropy
    return entropy + dice_weight * soft_dice_loss(scores, hard, is_known * voxels[:, None])


def _related(truth: Truth, relations: torch.Tensor) -> torch.Tensor:
    """(V, K - 1): what the class of every voxel is related to, NULL where it has none of its own."""
    own = truth.visible
    is_single = (own > 0) & (own < len(relations))
    return torch.where(is_single[:, None], relations[torch.where(is_single, own, 0), 1:], NULL)


def soft_targets(similarity: torch.Tensor, scale: float, mapping: str) -> torch.Tensor:
    """Targets (K, K) in [0, 1] from mean cosine similarities (K, K) of the voxels of class c (row) to class k (column),
    NaN where c was not seen.

    The paper adds the identity, clips to 1 and leaves out what is null, but does not say how a similarity s becomes a
    target. Here it does by `sigmoid`, sigmoid(scale * s), what a cosine classifier of that scale would answer for a
    voxel of that similarity, or by `clipped`, s itself where it is positive. NULL stands where the similarity is NaN,
    and in row and column of the background.
    """
    mapped = torch.sigmoid(scale * similarity) if mapping == "sigmoid" else similarity.clamp_min(0)
    targets = (mapped + torch.eye(len(similarity)).to(mapped)).clamp_max(1)
    targets = torch.where(similarity.isnan(), NULL, targets)
    targets[0], targets[:, 0] = NULL, NULL
    return targets
