"""The probabilities of all labels on a fixed basis of a few directions, in tiles of voxels whose scores are computed
again in the backward pass.

What looks at the answer of a network, such as a discriminator, would need an array of voxels x labels; it gets voxels x
directions, so that its memory does not grow with the number of labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch

from .streamed_softmax import TILE_VALUES


def projected_probabilities(
    features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, basis: torch.Tensor
) -> torch.Tensor:
    """softmax(F E^T + b) B: features (V, C), prompts (K, C), bias (K,), basis (K, D), all of one floating dtype ->
    (V, D). The basis has no gradient.
    """
    return cast(torch.Tensor, _Projected.apply(features, prompts, bias, basis))  # type: ignore[no-untyped-call]


class _Projected(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, basis: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(features, prompts, bias, basis)
        out = features.new_empty(len(features), basis.shape[1])
        for rows in _tiles(features, prompts):
            torch.mm(_probabilities(features[rows], prompts, bias), basis, out=out[rows])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, prompts, bias, basis = ctx.saved_tensors
        (grad,) = grads
        d_features, d_prompts, d_bias = map(torch.zeros_like, (features, prompts, bias))
        for rows in _tiles(features, prompts):
            probability = _probabilities(features[rows], prompts, bias)
            by_probability = grad[rows] @ basis.T
            mean = (probability * by_probability).sum(1, keepdim=True)
            dz = probability.mul_(by_probability.sub_(mean))
            d_features[rows] = dz @ prompts
            d_prompts += dz.T @ features[rows]
            d_bias += dz.sum(0)
        return d_features, d_prompts, d_bias, None


def _probabilities(features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.addmm(bias, features, prompts.T).softmax(1)


def _tiles(features: torch.Tensor, prompts: torch.Tensor) -> Iterator[slice]:
    size = max(64, TILE_VALUES.get(features.device.type, TILE_VALUES["cuda"]) // len(prompts))
    return (slice(start, min(start + size, len(features))) for start in range(0, len(features), size))
