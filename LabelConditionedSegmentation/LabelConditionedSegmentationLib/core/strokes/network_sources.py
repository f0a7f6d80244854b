"""What the network found in a box of a scan, as random walks use it: feature channels, and probabilities as a prior."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..inference.features import Features
from ..inference.scoring import best_classes, probabilities_of
from ..labels.label_tree import LabelTree
from ..scan.geometry import Shape, needed_box, resample
from .stroke_names import BACKGROUND


def channels_in(features: Features, start: Shape, stop: Shape) -> torch.Tensor:
    """The features of the voxels from `start` to before `stop` (k, j, i) of the scan: (channel, k, j, i) float32.

    Raises InputError where they were not kept.
    """
    stored = features.kept("spread strokes by its features")
    low, high = needed_box(features.feature_grid, features.input_grid, start, stop)
    block = stored[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    fine = resample(block, features.feature_grid, features.input_grid, start, stop, low)
    return fine.movedim(-1, 0)


def prior_in(features: Features, names: Sequence[str], channels: torch.Tensor, start: Shape) -> torch.Tensor:
    """How probable the network finds every painted class: (class, k, j, i) float32, which sum to 1.

    What it gives to labels that are none of `names` is shared evenly by those of them that it does not know, the
    background among them; where it knows them all the shares are scaled to sum to 1. Outside of the region that it saw
    everything is such a rest.

    channels: of the box that begins at `start`, from `channels_in`.
    """
    tree = _tree_of(features, names)
    prompts = features.prompts.part(features.labels.class_slices[tree.protocols[0].name])
    known = [n for n, name in enumerate(names) if _is_label(tree, name)]
    groups = [tree.classes_under(tree.find(names[n])) for n in known]
    rows = channels.flatten(1).T
    chunk = features.plan.chunk
    best = best_classes(rows, prompts.vectors, prompts.bias, chunk, with_log_sum=True, context=prompts.context)
    assert best.log_sum is not None
    found = probabilities_of(groups, rows, prompts.vectors, prompts.bias, best.log_sum, chunk)
    shares = torch.zeros(len(names), *channels.shape[1:], device=channels.device)
    inside = _seen(features, start, channels)
    shares[known] = found.view(len(known), *channels.shape[1:]) * inside
    rest = (1 - shares.sum(0)).clamp(min=0)
    unknown = [n for n in range(len(names)) if n not in known]
    if unknown:
        shares[unknown] = rest / len(unknown)
        return shares
    return (shares + 1e-6) / (shares + 1e-6).sum(0)


def _tree_of(features: Features, names: Sequence[str]) -> LabelTree:
    """The labels of the protocol that knows most of the names."""
    parts = features.labels.parts.values()
    return max(parts, key=lambda part: sum(_is_label(part, name) for name in names))


def _is_label(tree: LabelTree, name: str) -> bool:
    return name.casefold() != BACKGROUND.casefold() and tree.knows(name)


def _seen(features: Features, start: Shape, channels: torch.Tensor) -> torch.Tensor:
    """(k, j, i) bool of a box that begins at `start`: what lies in the region that the network saw."""
    seen = torch.zeros(channels.shape[1:], dtype=torch.bool, device=channels.device)
    low, high = (torch.tensor(corner) - torch.tensor(start) for corner in features.region)
    seen[tuple(slice(max(0, int(a)), max(0, int(b))) for a, b in zip(low, high, strict=True))] = True
    return seen
