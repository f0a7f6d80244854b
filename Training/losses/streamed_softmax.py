"""Cross entropy + soft Dice over ALL labels, exact, in tiles of voxels whose scores are computed again in the backward
pass.

With a linear head z = F E^T + b a score is cheap to compute again, so no array of voxels x labels ever exists and
training memory does not grow with the number of labels. The gradients are those of the plain softmax loss
(`plain_softmax_loss`, the reference in the tests).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch

from .truth import IGNORE, Truth, at_least_single

TILE_VALUES = {"cpu": 2**19, "cuda": 2**26}
"""Scores that exist at once: on a CPU few enough for its cache, on a GPU enough to fill it."""


def streamed_softmax_loss(
    features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, truth: Truth, dice_weight: float = 1.0
) -> torch.Tensor:
    """mean over voxels of the cross entropy + dice_weight * (1 - mean soft Dice of the annotated labels that are
    present).

    features (V, C), prompts (K, C), bias (K,): any floating dtype, computed in float32 (float64 where they are).
    A voxel of target 0 says "none of the annotated labels": it minimises -log(p_0 + sum of p over the classes that were
    not annotated); one of target K + g minimises -log(sum of p over group g), so the parent is learnt and its children
    stay undecided: they take no part in the Dice there. Returns a scalar.
    """
    truth.refuse_soft("streamed_softmax_loss")
    dtype = at_least_single(features).dtype
    floats = (features.to(dtype), prompts.to(dtype), bias.to(dtype))
    known = (truth.visible, truth.set_of, truth.sets)
    return cast(torch.Tensor, _StreamedSoftmax.apply(*floats, *known, truth.weights(dtype), dice_weight))  # type: ignore[no-untyped-call]


class _Tile:
    """The scores of some voxels against all classes, and what loss and gradient need of them."""

    def __init__(
        self,
        rows: slice,
        features: torch.Tensor,
        prompts: torch.Tensor,
        bias: torch.Tensor,
        target: torch.Tensor,
        set_of: torch.Tensor,
        sets: torch.Tensor,
    ) -> None:
        self.rows = rows
        self.target = target[rows]
        log_p = torch.addmm(bias, features[rows], prompts.T).log_softmax(1)
        self.in_set = (set_of[rows] >= 0).nonzero()[:, 0]
        self.single = (set_of[rows] < 0) & (self.target != IGNORE)
        self.true_class = torch.where(self.single, self.target, 0)[:, None]
        self.log_true = log_p.gather(1, self.true_class)[:, 0]
        if len(self.in_set):
            self.outside_set = ~sets[set_of[rows][self.in_set]]
            self.log_p_in_set = log_p[self.in_set].masked_fill_(self.outside_set, -torch.inf)
            self.log_true = self.log_true.index_copy(0, self.in_set, self.log_p_in_set.logsumexp(1))
        self.probability = log_p.exp_()

    def set_share(self) -> torch.Tensor:
        """(voxels in a set, K): how the network itself divides a set among its classes, however unlikely all are."""
        return self.log_p_in_set.softmax(1)

    def for_dice(self, values: torch.Tensor) -> torch.Tensor:
        """values (voxels, K) without those of undecided classes, which take no part in the Dice."""
        return (
            values.index_copy_(0, self.in_set, values[self.in_set].masked_fill_(~self.outside_set, 0))
            if len(self.in_set)
            else values
        )


def _tiles(*arguments: torch.Tensor) -> Iterator[_Tile]:
    features, prompts = arguments[:2]
    size = max(64, TILE_VALUES.get(features.device.type, TILE_VALUES["cuda"]) // prompts.shape[0])
    return (
        _Tile(slice(start, min(start + size, len(features))), *arguments) for start in range(0, len(features), size)
    )


class _StreamedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: torch.Tensor,
        prompts: torch.Tensor,
        bias: torch.Tensor,
        target: torch.Tensor,
        set_of: torch.Tensor,
        sets: torch.Tensor,
        weights: torch.Tensor,
        dice_weight: float,
    ) -> torch.Tensor:
        arguments = (features, prompts, bias, target, set_of, sets)
        total = weights.sum().clamp_min(1)
        cross_entropy = features.new_zeros(())
        predicted, count, overlap = torch.zeros_like(bias), torch.zeros_like(bias), torch.zeros_like(bias)
        for tile in _tiles(*arguments):
            weight = weights[tile.rows]
            single = tile.single.to(features.dtype) * weight
            cross_entropy -= (tile.log_true * weight).sum()
            count.index_add_(0, tile.true_class[:, 0], single)
            overlap.index_add_(0, tile.true_class[:, 0], single * tile.log_true.exp())
            predicted += weight @ tile.for_dice(tile.probability)
        scored = count > 0
        scored[0] = False  # the background's Dice would reward what is easy
        share = scored.to(features.dtype) / scored.sum().clamp_min(1)
        numerator, denominator = 2 * overlap + 1, predicted + count + 1
        dice_loss = scored.any().to(features.dtype) - (share * numerator / denominator).sum()
        # d dice_loss / d p_k(v) = on_target_k * [target(v) = k] + everywhere_k
        on_target = -2 * dice_weight * share / denominator
        everywhere = dice_weight * share * numerator / denominator**2
        ctx.save_for_backward(*arguments, weights, on_target, everywhere, total)
        return cross_entropy / total + dice_weight * dice_loss

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, prompts, bias, target, set_of, sets, weights, on_target, everywhere, total = ctx.saved_tensors
        d_features, d_prompts, d_bias = map(torch.zeros_like, (features, prompts, bias))
        for tile in _tiles(features, prompts, bias, target, set_of, sets):
            weight = weights[tile.rows]
            single = tile.single.to(features.dtype) * weight
            p_true = tile.log_true.exp()
            set_share = tile.set_share() if len(tile.in_set) else None
            # softmax: dz_k = p_k * (g_k - sum_j p_j g_j), g the gradient by probability; of the cross entropy it is p_k
            # - [what the target says]
            by_probability = (
                tile.for_dice(everywhere.expand_as(tile.probability).clone()) if len(tile.in_set) else everywhere[None]
            )
            on_true = single * on_target[tile.true_class[:, 0]] * p_true
            mean = (tile.probability * by_probability).sum(1) * weight + on_true
            per_voxel = weight / total
            dz = tile.probability.mul_(by_probability * weight[:, None] + (per_voxel - mean)[:, None])
            dz.scatter_add_(1, tile.true_class, (on_true - single / total)[:, None])
            if set_share is not None:
                dz.index_add_(0, tile.in_set, set_share * -per_voxel[tile.in_set, None])
            d_features[tile.rows] = dz @ prompts
            d_prompts += dz.T @ features[tile.rows]
            d_bias += dz.sum(0)
        (grad,) = grads
        return grad * d_features, grad * d_prompts, grad * d_bias, None, None, None, None, None


def plain_softmax_loss(
    features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, truth: Truth, dice_weight: float = 1.0
) -> torch.Tensor:
    """The same loss the plain way, with several arrays of voxels x labels: what a multi-channel network is trained
    with, and the reference in the tests.
    """
    dtype = at_least_single(features).dtype
    return softmax_loss(features.to(dtype) @ prompts.to(dtype).T + bias.to(dtype), truth, dice_weight)


def softmax_loss(scores: torch.Tensor, truth: Truth, dice_weight: float = 1.0) -> torch.Tensor:
    """Cross entropy and soft Dice of scores (V, K), as in `streamed_softmax_loss`."""
    truth.refuse_soft("softmax_loss")
    known = truth.target != IGNORE
    log_p = at_least_single(scores)[known].log_softmax(1)
    if not len(log_p):
        return log_p.sum()
    target, set_of, weight = truth.visible[known], truth.set_of[known], truth.weights(log_p.dtype)[known]
    single = set_of < 0
    true_class = torch.where(single, target, 0)
    log_true, p = log_p.gather(1, true_class[:, None])[:, 0], log_p.exp()
    one_hot = torch.nn.functional.one_hot(true_class, p.shape[1]).to(p.dtype) * (single * weight)[:, None]
    free = p
    if not bool(single.all()):
        inside = truth.sets[set_of.clamp_min(0)]
        of_set = log_p.masked_fill(~inside & ~single[:, None], -torch.inf).logsumexp(1)
        log_true = torch.where(single, log_true, of_set)
        free = p.masked_fill(inside & ~single[:, None], 0)
    count = one_hot.sum(0)
    scored = count > 0
    scored[0] = False
    dice = (2 * (p * one_hot).sum(0) + 1) / ((free * weight[:, None]).sum(0) + count + 1)
    dice_loss = 1 - dice[scored].mean() if scored.any() else p.sum() * 0
    return -(log_true * weight).sum() / weight.sum().clamp_min(1) + dice_weight * dice_loss
