"""Which label of one protocol is which part of another, as a trained network sees it: from its prompts alone, and from
what it finds in scans.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from ..labels.label_tree import Label, LabelTree
from ..scan.volume import Array
from .features import Features
from .scoring import TILE
from .segmenter import Segmenter

UNKNOWN = math.nan


@dataclass(frozen=True)
class Relation:
    """How a label is related to another one; a number that is not known is NaN.

    overlap: of the voxels that the label wins, the share that the other one wins in its own protocol. probability: the
    mean probability of the other one, among the labels of its protocol, in the voxels that the label wins. features: of
    labels of one protocol, which exclude each other, in place of these two: the mean cosine of the features of the
    voxels that the label wins and the prompt of the other one. prompts: the cosine of both prompts, see
    `prompt_cosines`. The first three are taken over what the network saw of all scans, on the
    grid of its features.
    """

    label: Label
    other: Label
    overlap: float
    probability: float
    features: float
    prompts: float

    @property
    def strength(self) -> float:
        """What it is judged by: the probability, else what the features say, without scans the prompts."""
        return next((n for n in (self.probability, self.features, self.prompts) if not math.isnan(n)), UNKNOWN)


class ClassRelations:
    """The relations of the classes of a model, from its prompts and all scans that were added.

    Args:
        segmenter: The model; it has to score labels by prompts at its head.

    Raises:
        InputError: The labels of the model enter inside its network, so that they have no prompts there.

    Examples:
        >>> relations = ClassRelations(segmenter)
        >>> relations.add(segmenter.features(read_volume("scan.nii.gz")))
        >>> closest = relations.of(segmenter.package.labels.find("Left Hippocampus"), least=0.1)[:1]
    """

    def __init__(self, segmenter: Segmenter) -> None:
        package = segmenter.package
        if package.architecture.conditioning != "head":
            raise InputError(
                f'The labels of "{package.name}" enter inside its network, so that they have no prompts to relate; take'
                " a model that has conditioning at the head."
            )
        self.tree = package.labels
        self.scans = 0
        self._prompts = prompt_cosines(segmenter.network.prompts, self.tree)
        shape = (self.tree.classes, self.tree.classes)
        self._overlap, self._values, self._voxels = np.zeros(shape), np.zeros(shape), np.zeros(shape[0])

    @property
    def has_protocols(self) -> bool:
        """Whether there are several, so that labels of one are related to those of the others."""
        return len(self.tree.protocols) > 1

    def add(self, features: Features) -> None:
        """Take in what the model found in a scan, which needs no labels. Raises InputError where that was not kept."""
        for won, values in _tiles(features, self.tree):
            self._values += (won.T @ values).numpy()
            self._overlap += (won.T @ won).numpy()
            self._voxels += won.sum(0).numpy()
        self.scans += 1

    def between(self, label: Label, other: Label) -> Relation | None:
        """Of two leaves; None where they are one, and inside one of several protocols.

        Of a label that wins no voxel nothing but its prompt is known.
        """
        is_inside = self.tree.protocol_of(label) == self.tree.protocol_of(other)
        if label == other or (self.has_protocols and is_inside):
            return None
        row, column = (self.tree.network_classes_under(leaf)[0] for leaf in (label, other))
        prompts, voxels = float(self._prompts[row, column]), self._voxels[row]
        if not voxels:
            return Relation(label, other, UNKNOWN, UNKNOWN, UNKNOWN, prompts)
        overlap, value = (float(sums[row, column] / voxels) for sums in (self._overlap, self._values))
        if self.has_protocols:
            return Relation(label, other, overlap, value, UNKNOWN, prompts)
        return Relation(label, other, UNKNOWN, UNKNOWN, value, prompts)

    def of(self, label: Label, least: float) -> list[Relation]:
        """The relations of a leaf to all others whose strength is at least so much, the strongest first.

        Once scans were added a label that wins nothing in them has none.
        """
        found = (self.between(label, other) for other in self.tree.leaves)
        told = [r for r in found if r is not None and r.strength >= least and self._is_measured(r)]
        return sorted(told, key=lambda r: -r.strength)

    def _is_measured(self, relation: Relation) -> bool:
        return not self.scans or not (math.isnan(relation.probability) and math.isnan(relation.features))


def prompt_cosines(prompts: torch.Tensor, tree: LabelTree) -> Array:
    """(classes, classes): the cosines of prompts (classes + context classes, C).

    Of several protocols the mean prompt of their own, its background included, is taken away before: a vector that is
    added to all prompts of a protocol changes no answer, so that only what is left means anything. Of one protocol,
    whose cosines UniSeg relates classes by, they are taken as they are.
    """
    vectors = prompts.detach().double().cpu()[: tree.classes].clone()
    if len(tree.protocols) > 1:
        for part in tree.class_slices.values():
            vectors[part] -= vectors[part].mean(0)
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    cosines: Array = (vectors @ vectors.T).clamp(-1, 1).numpy()
    return cosines


def _tiles(features: Features, tree: LabelTree) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Of some voxels that the network saw at a time, in double precision: which classes win them, one a protocol, as
    (V, K) of 0 and 1, and (V, K) the probability of every class inside its protocol or, of a single one, its cosine.
    """
    stored = features.kept("relate its labels")
    prompts = features.prompts.part(slice(0, tree.classes))
    vectors, bias = prompts.vectors.cpu(), prompts.bias.cpu()
    normalize = torch.nn.functional.normalize
    seen = torch.from_numpy(_seen(features)).to(stored.device)
    for tile in torch.split(stored[seen], TILE):
        rows = tile.cpu().float()
        scores = torch.addmm(bias, rows, vectors.T)
        won, values = torch.zeros_like(scores), torch.zeros_like(scores)
        for part in tree.class_slices.values():
            won[:, part].scatter_(1, scores[:, part].argmax(1, keepdim=True), 1)
            values[:, part] = scores[:, part].softmax(1)
        if len(tree.protocols) == 1:
            values = normalize(rows, dim=1) @ normalize(vectors, dim=1).T
        yield won.double(), values.double()


def _seen(features: Features) -> Array:
    """(k, j, i) bool: which voxels of the grid of the features lie in the region of the scan that the network saw; what
    is padding around it is part of no answer.
    """
    to_scan = features.feature_grid.to(features.input_grid)
    k, j, i = np.ogrid[tuple(slice(n) for n in features.feature_grid.shape)]
    seen = np.ones(features.feature_grid.shape, dtype=bool)
    for axis, low, high in zip((2, 1, 0), *features.region, strict=True):
        x = to_scan[axis, 0] * i + to_scan[axis, 1] * j + to_scan[axis, 2] * k + to_scan[axis, 3]
        seen &= (x >= low - 0.5) & (x < high - 0.5)
    return seen
