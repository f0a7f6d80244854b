"""Maps of generation classes: the labels of a table that have an intensity of their own in images made from label maps.

A structure on the left and the same on the right are one class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree

from .targets import IdTable


@dataclass(frozen=True)
class ClassMap:
    """classes (k, j, i) int16: the generation class of every voxel, 0 for air. names: of every class, those of its
    labels and of all that contain these; none of the air.
    """

    classes: torch.Tensor
    names: tuple[frozenset[str], ...]

    def within(self, name: str) -> tuple[int, ...]:
        """The classes whose labels lie under the one of this name, upper and lower case being the same."""
        return tuple(n for n, names in enumerate(self.names) if name.casefold() in {each.casefold() for each in names})


def generation_classes(ids: np.ndarray, table: LabelTree) -> tuple[list[list[str]], np.ndarray]:
    """Label ids, of any shape and real dtype -> the names of all classes of the table (see `ClassMap.names`), and the
    class of every voxel, int16 of the same shape; ids that the table does not know count as air.
    """
    numbers: dict[frozenset[int], int] = {}
    names: list[list[str]] = [[]]
    of_id = {0: 0}
    for label in table.labels:
        sides = frozenset({label.id, table.mirrored(label).id})
        if sides not in numbers:
            numbers[sides] = len(names)
            labels = [table[side] for side in sorted(sides)]
            above = [parent for each in labels for parent in table.ancestors(each)]
            names.append(sorted({each.name for each in (*labels, *above)}))
        of_id[label.id] = numbers[sides]
    return names, IdTable(of_id, 0).of(ids)
