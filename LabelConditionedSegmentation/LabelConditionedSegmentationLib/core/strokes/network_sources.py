"""What the network found in a box of a scan, as random walks use it: a few channels of its features, and probabilities
as a prior.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import InputError
from ..inference.features import Features
from ..inference.scoring import best_classes, probabilities_of
from ..labels.label_tree import LabelTree
from ..scan.geometry import Shape, needed_box, resample
from .stroke_names import BACKGROUND

CHANNELS = 12
"""Principal components of the features in a box: of 64 channels they hold nearly all that differs there."""

LEAST = 1e-6
"""Of a probability, so that its logarithm can be interpolated."""


def channels_in(features: Features, start: Shape, stop: Shape) -> torch.Tensor:
    """What differs among the features of the voxels from `start` to before `stop` (k, j, i) of the scan: their first
    principal components there, (channel, k, j, i) float32.

    They are found where the features lie, and interpolated, which commutes. Raises InputError where the features were
    not kept.
    """
    block, low = _stored_in(features, start, stop)
    rows = block.reshape(-1, block.shape[3])
    rows = rows - rows.mean(0)
    _, directions = torch.linalg.eigh(rows.T @ rows)
    few = (rows @ directions[:, -CHANNELS:]).view(*block.shape[:3], -1)
    return resample(few, features.feature_grid, features.input_grid, start, stop, low).movedim(-1, 0)


def prior_in(features: Features, names: Sequence[str], start: Shape, stop: Shape) -> torch.Tensor:
    """How probable the network finds every painted class in a box: (class, k, j, i) float32, which sum to 1.

    Logarithms of the probabilities are interpolated from where the features lie. What the network gives to labels that
    are none of `names` is shared evenly by those of them that it does not know, the background among them; where it
    knows them all the shares are scaled to sum to 1. Outside of the region that it saw everything is such a rest.
    Raises InputError where the features were not kept, or it knows none of the names.
    """
    tree = tree_of(features.labels, names)
    known = [n for n, name in enumerate(names) if _is_label(tree, name)]
    block, low = _stored_in(features, start, stop)
    found = _probabilities(features, tree, [names[n] for n in known], block)
    logs = torch.cat([found, 1 - found.sum(-1, keepdim=True)], dim=-1).clamp(min=LEAST).log()
    fine = resample(logs, features.feature_grid, features.input_grid, start, stop, low).movedim(-1, 0).softmax(0)
    fine[:-1] *= _seen(features, start, stop).to(fine.device)
    shares = torch.zeros(len(names), *fine.shape[1:], device=fine.device)
    shares[known] = fine[:-1]
    unknown = [n for n in range(len(names)) if n not in known]
    if unknown:
        shares[unknown] = (1 - fine[:-1].sum(0)) / len(unknown)
        return shares
    return (shares + LEAST) / (shares + LEAST).sum(0)


def _stored_in(features: Features, start: Shape, stop: Shape) -> tuple[torch.Tensor, Shape]:
    """The features (k, j, i, channel) float32 that a box of the scan needs, and where they begin on their own grid."""
    stored = features.kept("spread strokes by what the network found")
    low, high = needed_box(features.feature_grid, features.input_grid, start, stop)
    return stored[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].float(), low


def _probabilities(features: Features, tree: LabelTree, names: Sequence[str], block: torch.Tensor) -> torch.Tensor:
    """The softmax over all classes of a tree, summed over those of each name: (k, j, i, name) of features (k, j, i,
    channel).
    """
    prompts = features.prompts
    if len(features.labels.protocols) > 1:
        prompts = prompts.part(features.labels.class_slices[tree.protocols[0].name])
    rows, chunk = block.reshape(-1, block.shape[3]), features.plan.chunk
    groups = [tree.classes_under(tree.find(name)) for name in names]
    best = best_classes(rows, prompts.vectors, prompts.bias, chunk, with_log_sum=True, context=prompts.context)
    assert best.log_sum is not None
    found = probabilities_of(groups, rows, prompts.vectors, prompts.bias, best.log_sum, chunk)
    return found.T.reshape(*block.shape[:3], len(names))


def tree_of(labels: LabelTree, names: Sequence[str]) -> LabelTree:
    """Of a model's labels those of the protocol that knows most of the painted names. Raises InputError where none
    knows any.
    """
    tree = max(labels.parts.values(), key=lambda part: sum(_is_label(part, name) for name in names))
    if not any(_is_label(tree, name) for name in names):
        listed = ", ".join(f'"{name}"' for name in names)
        raise InputError(
            f"The model knows none of the painted structures ({listed}), so it is no prior for them; name them as its"
            " labels, or spread the strokes without a prior."
        )
    return tree


def _is_label(tree: LabelTree, name: str) -> bool:
    return name.casefold() != BACKGROUND.casefold() and tree.knows(name)


def _seen(features: Features, start: Shape, stop: Shape) -> torch.Tensor:
    """(k, j, i) bool of a box: what lies in the region that the network saw."""
    seen = torch.zeros([b - a for a, b in zip(start, stop, strict=True)], dtype=torch.bool)
    low, high = ([max(0, n - a) for n, a in zip(corner, start, strict=True)] for corner in features.region)
    seen[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return seen
