"""The prompts that tell structures painted on an atlas from the rest of it best: a linear classifier of the atlas's own
features.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from ..progress import Progress
from ..scan.volume import Affine, Array

INSIDE, AROUND, ELSEWHERE = 80_000, 40_000, 60_000
"""Voxels that are drawn in the structures, each of them giving as many, near them, and in the rest of the scan; each
counts as many as it stands for.
"""

NEAR = 3
"""Voxels from a structure, along any axis."""

PENALTY = 1e-5
"""On squared weights of whitened features."""

SHRINKAGE = 1e-3
"""Of the features' covariance towards their mean variance, so that directions without content are not blown up."""

ROUNDS, ITERATIONS = 12, 5
"""L-BFGS: rounds between which progress is told and cancel is heard, and iterations a round."""


def in_layers(masks: Iterable[Array]) -> list[tuple[list[int], Array]]:
    """Masks (k, j, i) bool -> as few label maps as overlaps allow: (numbers of the masks, a map of their places in that
    list, from 1; 0 elsewhere).
    """
    layers: list[tuple[list[int], Array]] = []
    for number, mask in enumerate(masks):
        layer = next((layer for layer in layers if not layer[1][mask].any()), None)
        if layer is None:
            layer = [], np.zeros(mask.shape, dtype=np.int16)
            layers.append(layer)
        layer[0].append(number)
        layer[1][mask] = len(layer[0])
    return layers


def draw_voxels(target: Array, seen: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """Voxels (n, 3) in (k, j, i) to fit on, and how many each stands for (n,). target: a map of structures; seen (k, j,
    i) bool: where the model looks.
    """
    near = _grown(target > 0) & (target == 0) & seen
    structures = range(1, int(target.max()) + 1)
    strata = [((target == number) & seen, INSIDE // len(structures)) for number in structures]
    strata += [(near, AROUND), (seen & ~near & (target == 0), ELSEWHERE)]
    places, counts = [], []
    for stratum, most in strata:
        flat = np.flatnonzero(stratum)
        drawn = flat if len(flat) <= most else generator.choice(flat, most, replace=False)
        places.append(drawn)
        counts.append(np.full(len(drawn), len(flat) / max(len(drawn), 1)))
    return np.stack(np.unravel_index(np.concatenate(places), target.shape), axis=1), np.concatenate(counts)


def _grown(mask: Array) -> Array:
    """(k, j, i) bool and the voxels near it."""
    grown = torch.from_numpy(mask)[None].float()
    for axis in range(3):
        side = [2 * NEAR + 1 if a == axis else 1 for a in range(3)]
        grown = torch.nn.functional.max_pool3d(grown, side, stride=1, padding=[n // 2 for n in side])
    out: Array = grown[0].numpy() > 0
    return out


def features_at(stored: torch.Tensor, to_features: Affine, voxels: Array) -> torch.Tensor:
    """Linear interpolation of features (k, j, i, C) at voxels (n, 3), (k, j, i) of a scan -> (n, C) float32.
    to_features: from the scan's indices (i, j, k, 1).
    """
    index = voxels[:, ::-1] @ to_features[:3, :3].T + to_features[:3, 3]
    size = np.array(stored.shape[2::-1])
    where = torch.from_numpy(2 * (index + 0.5) / size - 1).to(stored.device, torch.float32)
    volume = stored.movedim(-1, 0)[None].float()
    return torch.nn.functional.grid_sample(volume, where[None, None, None], padding_mode="border", align_corners=False)[
        0, :, 0, 0
    ].T


def fit(
    features: torch.Tensor, target: torch.Tensor, counts: torch.Tensor, steps: Progress
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts (K, C) and bias (K,) of structures 1 to K, which compete with a background of score 0: softmax cross
    entropy + soft Dice, by L-BFGS.

    features (n, C); target (n,) 0 to K; counts (n,): how many voxels each stands for. The loss is that of training; a
    small penalty on whitened features settles what the atlas leaves open.
    """
    structures = int(target.max())
    share = counts / counts.sum()
    mean = share @ features
    centred = features - mean
    covariance = (centred * share[:, None]).T @ centred
    channels = len(covariance)
    scale = covariance.diagonal().mean()
    factor = torch.linalg.cholesky(covariance + SHRINKAGE * scale * torch.eye(channels, device=features.device))
    whitening = torch.linalg.inv(factor).T
    white = centred @ whitening
    weights = torch.zeros(structures, channels, device=features.device, requires_grad=True)
    offsets = torch.zeros(structures, device=features.device, requires_grad=True)
    held = torch.zeros(structures + 1, device=features.device).index_add_(0, target, counts)
    optimizer = torch.optim.LBFGS(
        [weights, offsets], max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        log_p = torch.nn.functional.pad(torch.addmm(offsets, white, weights.T), (1, 0)).log_softmax(1)
        log_true = log_p.gather(1, target[:, None])[:, 0]
        hit = torch.zeros_like(held).index_add(0, target, counts * log_true.exp())
        dice = (2 * hit + 1) / (counts @ log_p.exp() + held + 1)
        value = -(share @ log_true) + 1 - dice[1:].mean() + PENALTY * weights.square().sum()
        torch.autograd.backward(value)
        return value

    for number in range(ROUNDS):
        steps.update(0.0, 1.0, number / ROUNDS, "learning from the example")
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        prompts = weights @ whitening.T
        return prompts, offsets - prompts @ mean
