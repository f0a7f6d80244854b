"""The last, chunked product: from features and prompts to the best label of every voxel, without an array of voxels x
labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch

TILE = 8192
"""Voxels a product.

Small enough for its scores to stay in the processor's cache; fixed, so that results do not depend on how a volume is
cut.
"""

DEFAULT_CHUNK = 160
"""Classes a product."""


class BestClasses(NamedTuple):
    """For every voxel: the class with the best score, that score and, where asked for, the log-sum-exp of all scores.

    Each (V,).
    """

    best_class: torch.Tensor
    best_score: torch.Tensor
    log_sum: torch.Tensor | None


GROUP = 16
"""Classes are padded to groups of this many: the best group is sought first, then the best class in it, which is faster
than one search with indices.
"""


def best_classes(
    features: torch.Tensor,
    prompts: torch.Tensor,
    bias: torch.Tensor,
    chunk: int = DEFAULT_CHUNK,
    with_log_sum: bool = False,
    context: int = 0,
) -> BestClasses:
    """Score every voxel against every class and keep the best; among equal scores the lower class wins.

    features (V, C) of any dtype, scored in float32; prompts (K, C), bias (K,) float32; chunk: classes a product, a
    multiple of GROUP. context: so many of the last
    classes divide the background: a voxel that one of them wins is of class 0.
    Memory beside the result: TILE x chunk scores.
    """
    voxels, device = features.shape[0], features.device
    best_class = torch.empty(voxels, dtype=torch.int16, device=device)
    best_score = torch.empty(voxels, dtype=torch.float32, device=device)
    log_sum = torch.empty(voxels, dtype=torch.float32, device=device) if with_log_sum else None
    labels = prompts.shape[0] - context
    prompts, bias = padded(prompts, bias)
    tile_size = _tile_size(device)

    @torch.inference_mode()
    def score(start: int) -> None:
        place = slice(start, min(start + tile_size, voxels))
        tile = features[place].to(torch.float32).T
        for first in range(0, len(bias), chunk):
            scores = torch.addmm(
                bias[first : first + chunk], prompts[first : first + chunk], tile
            )  # (classes, voxels): searched along whole rows
            top, index = best_of(scores)
            if first == 0:
                best_score[place], best_class[place] = top, index
            else:
                better = top > best_score[place]
                best_score[place] = torch.where(better, top, best_score[place])
                best_class[place] = torch.where(better, (index + first).to(torch.int16), best_class[place])
            if log_sum is not None:
                part = scores.logsumexp(dim=0)
                log_sum[place] = part if first == 0 else torch.logaddexp(log_sum[place], part)

    for_each(score, range(0, voxels, tile_size), torch.get_num_threads() if device.type == "cpu" else 1)
    if context:
        best_class[best_class >= labels] = 0
    return BestClasses(best_class, best_score, log_sum)


def probabilities_of(
    groups: Sequence[Sequence[int]],
    features: torch.Tensor,
    prompts: torch.Tensor,
    bias: torch.Tensor,
    log_sum: torch.Tensor,
    chunk: int = DEFAULT_CHUNK,
) -> torch.Tensor:
    """The softmax of every voxel's scores, summed over each group of classes: (groups, V) float32.

    features, prompts, bias and chunk as in `best_classes`, and log_sum as it gives it: of all classes, whichever are in
    groups. Memory beside the result: TILE x chunk scores.
    """
    device = features.device
    classes = torch.tensor([number for group in groups for number in group], dtype=torch.long, device=device)
    owner = torch.tensor([n for n, group in enumerate(groups) for _ in group], dtype=torch.long, device=device)
    out = torch.zeros(len(groups), len(features), device=device)
    tile_size = _tile_size(device)

    @torch.inference_mode()
    def score(start: int) -> None:
        place = slice(start, min(start + tile_size, len(features)))
        tile = features[place].to(torch.float32).T
        for part, owners in zip(torch.split(classes, chunk), torch.split(owner, chunk), strict=True):
            scores = torch.addmm(bias[part, None], prompts[part], tile)
            out[:, place].index_add_(0, owners, scores.sub_(log_sum[place]).exp_())

    for_each(score, range(0, len(features), tile_size), torch.get_num_threads() if device.type == "cpu" else 1)
    return out.clamp_(max=1)


def _tile_size(device: torch.device) -> int:
    return TILE if device.type == "cpu" else TILE * 64


def for_each(work: Callable[[int], None], items: Sequence[int], threads: int) -> None:
    """Do independent pieces of work, each of them on one core.

    Every operation on a tile would else be shared by all cores and wait for the slowest; where the machine is busy that
    takes many times as long.
    """
    if threads == 1 or len(items) == 1:
        for item in items:
            work(item)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(work, items):
                pass
    finally:
        torch.set_num_threads(threads)  # part of the setting is shared by all threads


def padded(prompts: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts (K, C) and bias (K,) -> (n * GROUP, C) and (n * GROUP, 1), with classes at the end that never win."""
    padding = -len(bias) % GROUP
    return (
        torch.nn.functional.pad(prompts, (0, 0, 0, padding)),
        torch.nn.functional.pad(bias, (0, padding), value=-torch.inf)[:, None],
    )


def best_of(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(n * GROUP, V) -> the best score of every voxel and its class, the first one where several are equal."""
    groups = scores.view(-1, GROUP, scores.shape[1])
    top, group = groups.amax(dim=1).max(dim=0)
    members = groups.gather(0, group.view(1, 1, -1).expand(1, GROUP, -1))[0]
    return top, group * GROUP + members.max(dim=0).indices
