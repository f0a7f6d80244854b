"""Cross entropy + soft Dice over ALL labels, exact, in chunks of labels that are recomputed in the backward pass.

With a linear head z = F E^T + b a score is cheap to compute again, so no array of voxels x labels ever exists and training memory does not
grow with the number of labels. The gradients are those of the plain softmax loss (`plain_softmax_loss`, the reference in the tests).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch

IGNORE = -1
"""Target of a voxel that takes no part in the loss."""


def streamed_softmax_loss(
    features: torch.Tensor,
    prompts: torch.Tensor,
    bias: torch.Tensor,
    target: torch.Tensor,
    annotated: torch.Tensor,
    chunk: int = 32,
    dice_weight: float = 1.0,
) -> torch.Tensor:
    """mean over voxels of the cross entropy + dice_weight * (1 - mean soft Dice of the annotated labels that are present).

    features (V, C), prompts (K, C), bias (K,): any floating dtype, computed in float32 (float64 where they are). target (V,): class in [0, K) or IGNORE; class 0 is
    the background. annotated (K,) bool: the classes that somebody looked for; annotated[0] is taken as true.
    A voxel of target 0 says "none of the annotated labels": it minimises -log(p_0 + sum of p over the classes that were not annotated).
    Returns a scalar.
    """
    dtype = torch.float64 if features.dtype == torch.float64 else torch.float32
    floats = (features.to(dtype), prompts.to(dtype), bias.to(dtype))
    return cast(torch.Tensor, _StreamedSoftmax.apply(*floats, target, annotated, chunk, dice_weight))  # type: ignore[no-untyped-call]


class _StreamedSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: torch.Tensor,
        prompts: torch.Tensor,
        bias: torch.Tensor,
        target: torch.Tensor,
        annotated: torch.Tensor,
        chunk: int,
        dice_weight: float,
    ) -> torch.Tensor:
        voxels = features.shape[0]
        valid = target != IGNORE
        safe = target.clamp_min(0)
        open_set = ~annotated  # the classes that the background target may turn out to be
        open_set[0] = True
        log_sum = features.new_full((voxels,), -torch.inf)
        log_open = features.new_full((voxels,), -torch.inf)
        for rows, classes, z in _scores(features, prompts, bias, chunk):
            log_sum[rows] = torch.logaddexp(log_sum[rows], z.logsumexp(1))
            inside = open_set[classes]
            if inside.any():
                log_open[rows] = torch.logaddexp(log_open[rows], z[:, inside].logsumexp(1))
        true_score = torch.cat([(features[rows] * prompts[safe[rows]]).sum(1) for rows in _tiles(voxels)]) + bias[safe]
        is_open = safe == 0
        log_target = torch.where(is_open, log_open, true_score)
        count_valid = valid.sum().clamp_min(1)
        cross_entropy = ((log_sum - log_target) * valid).sum() / count_valid

        weights = valid.to(features.dtype)
        predicted = torch.zeros_like(bias)
        for rows, classes, z in _scores(features, prompts, bias, chunk):
            predicted[classes] += weights[rows] @ (z - log_sum[rows, None]).exp()
        count = torch.zeros_like(predicted).index_add_(0, safe, weights)
        true_probability = (true_score - log_sum).exp() * weights
        overlap = torch.zeros_like(predicted).index_add_(0, safe, true_probability)
        scored = (count > 0) & annotated
        scored[0] = False  # the background's Dice would reward what is easy
        dice_share = scored.to(features.dtype) / scored.sum().clamp_min(1)
        numerator, denominator = 2 * overlap + 1, predicted + count + 1
        dice_loss = scored.any().to(features.dtype) - (dice_share * numerator / denominator).sum()
        # d dice_loss / d p_k(v) = on_target_k * [target(v) = k] + everywhere_k
        on_target = -2 * dice_weight * dice_share / denominator
        everywhere = dice_weight * dice_share * numerator / denominator**2
        ctx.save_for_backward(features, prompts, bias, safe, weights, open_set, log_sum, log_open, true_probability, on_target, everywhere, count_valid)
        ctx.chunk = chunk
        return cross_entropy + dice_weight * dice_loss

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (features, prompts, bias, safe, weights, open_set, log_sum, log_open, true_probability, on_target, everywhere, count_valid) = ctx.saved_tensors
        (grad,) = grads
        per_voxel = weights / count_valid
        is_open = safe == 0
        mean_gradient = true_probability * on_target[safe]
        for rows, classes, z in _scores(features, prompts, bias, ctx.chunk):
            mean_gradient[rows] += ((z - log_sum[rows, None]).exp() @ everywhere[classes]) * weights[rows]
        d_features, d_prompts, d_bias = map(torch.zeros_like, (features, prompts, bias))
        for rows, classes, z in _scores(features, prompts, bias, ctx.chunk):
            p = (z - log_sum[rows, None]).exp()
            dz = p * (everywhere[classes] * weights[rows, None] - mean_gradient[rows, None] + per_voxel[rows, None])
            inside = open_set[classes]
            if inside.any():  # the background target spreads over the open set as the network itself divides it
                dz[:, inside] -= (z[:, inside] - log_open[rows, None]).exp() * (per_voxel * is_open)[rows, None]
            d_features[rows] += dz @ prompts[classes]
            d_prompts[classes] += dz.T @ features[rows]
            d_bias[classes] += dz.sum(0)
        at_target = on_target[safe] * true_probability - per_voxel * ~is_open
        for rows in _tiles(features.shape[0]):
            d_features[rows] += at_target[rows, None] * prompts[safe[rows]]
            d_prompts.index_add_(0, safe[rows], at_target[rows, None] * features[rows])
        d_bias.index_add_(0, safe, at_target)
        return grad * d_features, grad * d_prompts, grad * d_bias, None, None, None, None


TILE = 16384
"""Voxels a product on a CPU, so that its scores stay in the cache; a GPU takes all at once."""


def _tiles(voxels: int, size: int = TILE) -> Iterator[slice]:
    return (slice(start, min(start + size, voxels)) for start in range(0, voxels, size))


def _scores(features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, chunk: int) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """The product in pieces: voxels, classes, and the scores (voxels, classes) of them."""
    for rows in _tiles(features.shape[0], TILE if features.device.type == "cpu" else TILE * 64):
        for first in range(0, prompts.shape[0], chunk):
            classes = slice(first, min(first + chunk, prompts.shape[0]))
            yield rows, classes, torch.addmm(bias[classes], features[rows], prompts[classes].T)


def plain_softmax_loss(
    features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, target: torch.Tensor, annotated: torch.Tensor, dice_weight: float = 1.0
) -> torch.Tensor:
    """The same loss the plain way, with several arrays of voxels x labels: the reference for tests and benchmarks."""
    valid = target != IGNORE
    features, target = features[valid], target[valid]
    if target.numel() == 0:
        return (features.sum() + prompts.sum() + bias.sum()) * 0
    p = (features @ prompts.T + bias).softmax(1)
    open_set = ~annotated
    open_set[0] = True
    p_target = torch.where(target == 0, p[:, open_set].sum(1), p.gather(1, target[:, None])[:, 0])
    truth = torch.nn.functional.one_hot(target, prompts.shape[0]).to(p.dtype)
    scored = (truth.sum(0) > 0) & annotated
    scored[0] = False
    dice = (2 * (p * truth).sum(0) + 1) / (p.sum(0) + truth.sum(0) + 1)
    dice_loss = 1 - dice[scored].mean() if scored.any() else p.sum() * 0
    return -p_target.log().mean() + dice_weight * dice_loss
