"""The last, chunked product: from features and prompts to the best label of every voxel, without an array of voxels x labels."""

from __future__ import annotations

from typing import NamedTuple

import torch

TILE = 8192
"""Voxels a product. Small enough for its scores to stay in the processor's cache; fixed, so that results do not depend on how a volume is cut."""

DEFAULT_CHUNK = 160
"""Classes a product."""


class Winners(NamedTuple):
    """For every voxel: the class with the best score, that score and, where asked for, the log-sum-exp of all scores. Each (V,)."""

    best_class: torch.Tensor
    best_score: torch.Tensor
    log_sum: torch.Tensor | None


def best_classes(
    features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, chunk: int = DEFAULT_CHUNK, with_log_sum: bool = False
) -> Winners:
    """Score every voxel against every class and keep the best; among equal scores the lower class wins.

    features (V, C) of any dtype, scored in float32; prompts (K, C), bias (K,) float32. Memory beside the result: TILE x chunk scores.
    """
    voxels, classes, device = features.shape[0], prompts.shape[0], features.device
    best_class = torch.empty(voxels, dtype=torch.int16, device=device)
    best_score = torch.empty(voxels, dtype=torch.float32, device=device)
    log_sum = torch.empty(voxels, dtype=torch.float32, device=device) if with_log_sum else None
    tile_size = TILE if device.type == "cpu" else TILE * 64
    for start in range(0, voxels, tile_size):
        stop = min(start + tile_size, voxels)
        tile = features[start:stop].to(torch.float32).contiguous()
        for first in range(0, classes, chunk):
            scores = torch.addmm(bias[first : first + chunk], tile, prompts[first : first + chunk].T)
            top, index = scores.max(dim=1)
            total = scores.logsumexp(dim=1) if log_sum is not None else None
            if first == 0:
                running, winner, running_sum = top, index, total
            else:
                better = top > running
                running = torch.where(better, top, running)
                winner = torch.where(better, index + first, winner)
                running_sum = torch.logaddexp(running_sum, total) if total is not None and running_sum is not None else None
        best_class[start:stop] = winner
        best_score[start:stop] = running
        if log_sum is not None and running_sum is not None:
            log_sum[start:stop] = running_sum
    return Winners(best_class, best_score, log_sum)
