"""Maps of generation classes: the parts of a scan that have an intensity of their own in images made from label maps.

A structure on the left and the same on the right are one class. Where the scan of a label map is at hand, its
intensities divide the classes further, as in Billot et al., "SynthSeg", Medical Image Analysis 2023.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from scipy.cluster.vq import kmeans2

from .targets import IdTable, find_label

LEAST_VOXELS = 500
"""A class with fewer of them in a scan is not divided by its intensities."""

MOST_SAMPLES = 20_000
"""Voxels of a class that its division is found from."""


@dataclass(frozen=True)
class MapSettings:
    """What the maps of a source are made of. alike: labels of which all that lies below is one class; parts: how many
    classes each becomes by the intensities of its scan, where there is one.
    """

    alike: tuple[str, ...] = ()
    parts: int = 1


@dataclass(frozen=True)
class ClassMap:
    """classes (k, j, i) int16: the generation class of every voxel, 0 for air. names: of every class, those of its
    labels and of all that contain these; none of the air. levels: the mean intensity of every class in the normalised
    scan that the map belongs to, NaN where there is none; empty without a scan.
    """

    classes: torch.Tensor
    names: tuple[frozenset[str], ...]
    levels: tuple[float, ...] = ()

    def within(self, name: str) -> tuple[int, ...]:
        """The classes whose labels lie under the one of this name, upper and lower case being the same."""
        return tuple(n for n, names in enumerate(self.names) if name.casefold() in {each.casefold() for each in names})


def generation_classes(
    ids: np.ndarray, table: LabelTree, alike: Sequence[str] = ()
) -> tuple[list[list[str]], np.ndarray]:
    """Label ids, of any shape and real dtype -> the names of all classes of the table (see `ClassMap.names`), and the
    class of every voxel, int16 of the same shape; ids that the table does not know count as air.

    alike: labels whose parts, on both sides, are one class. SystemExit where the table has no label of such a name.
    """
    group = _groups_of(table, alike)
    numbers: dict[frozenset[int], int] = {}
    names: list[list[str]] = [[]]
    of_id = {0: 0}
    for label in table.labels:
        sides = group.get(label.id, frozenset({label.id, table.mirrored(label).id}))
        if sides not in numbers:
            numbers[sides] = len(names)
            names.append(_common_names(sides, table, is_group=label.id in group))
        of_id[label.id] = numbers[sides]
    return names, IdTable(of_id, 0).of(ids)


def _groups_of(table: LabelTree, alike: Sequence[str]) -> dict[int, frozenset[int]]:
    """Id of a label -> the ids of all that look like it, for the labels below those that are named."""
    group: dict[int, frozenset[int]] = {}
    for name in alike:
        parent = find_label(table, name, "alike")
        below = [label for label in table.labels if label == parent or parent in table.ancestors(label)]
        together = frozenset({side.id for label in below for side in (label, table.mirrored(label))})
        group |= dict.fromkeys(together, together)
    return group


def _common_names(sides: frozenset[int], table: LabelTree, is_group: bool) -> list[str]:
    """Of a pair of sides all names of both and above them; of a group only what all of its parts lie under."""
    chains = [{each.name for each in (table[side], *table.ancestors(table[side]))} for side in sorted(sides)]
    return sorted(set.intersection(*chains) if is_group and set.intersection(*chains) else set.union(*chains))


def divided_by_intensity(
    classes: np.ndarray, names: Sequence[Sequence[str]], image: np.ndarray, foreground: np.ndarray, parts: int
) -> tuple[np.ndarray, list[list[str]], list[float]]:
    """A map of generation classes and the scan that it belongs to -> the map of classes divided by k-means of the
    intensities within each, their names, and their mean intensities.

    classes, image, foreground (k, j, i): int16, normalised intensities, and the voxels that were scanned. Those of the
    foreground without a class are one of their own. Air stays class 0, of the level NaN.
    """
    classes = np.where(foreground & (classes == 0), len(names), classes * foreground)
    divided = np.zeros_like(classes, dtype=np.int16)
    out_names: list[list[str]] = [[]]
    levels = [math.nan]
    for number, own in enumerate([*names, []]):
        inside = classes == number
        if number == 0 or not inside.any():
            continue
        values = image[inside].astype(np.float64)
        centres = _centres(values, parts)
        divided[inside] = len(out_names) + np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
        out_names += [list(own)] * len(centres)
        levels += centres.tolist()
    return divided, out_names, levels


def _centres(values: np.ndarray, parts: int) -> np.ndarray:
    """Rising means of the parts that intensities (n,) fall into; one where there are few of them or all are alike."""
    if len(values) < LEAST_VOXELS or parts == 1 or np.ptp(values) == 0:
        return np.array([values.mean()])
    few = values[:: max(1, len(values) // MOST_SAMPLES)]
    start = np.quantile(few, (np.arange(parts) + 0.5) / parts)
    centres, _ = kmeans2(few, np.unique(start), minit="matrix")
    return np.sort(centres)
