"""Winners: which class won every voxel of a scan, from which the mask of any label is a comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import Label, LabelTree
from .volume import Array

Index = tuple[int, int, int]


@dataclass(frozen=True)
class Winners:
    """The winner map of a scan, with what is needed to read it.

    classes: (k, j, i) of the scanned region, the network's class of every voxel (0 is background). start: first voxel (k, j, i) of the region on the input grid.
    shape: (k, j, i) of the input grid, whose voxels outside the region are background.
    """

    labels: LabelTree
    classes: Array
    start: Index
    shape: Index

    def mask(self, label: Label) -> tuple[Array, Index] | None:
        """The label's mask, (k, j, i) uint8 of 0 and 1, in the smallest box that holds it, and the first voxel of that box on the input grid. None where it has no voxel."""
        is_inside = np.zeros(len(self.labels.leaves) + 1, dtype=np.uint8)
        is_inside[list(self.labels.classes_under(label))] = 1
        full = is_inside[self.classes]
        box = []
        for axis in range(3):  # the farthest axis first: what remains to be looked at shrinks
            hit = np.flatnonzero(full.any(axis=tuple(a for a in range(3) if a != axis)))
            if not hit.size:
                return None
            box.append((int(hit[0]), int(hit[-1]) + 1))
            full = full[tuple(slice(*box[axis]) if a == axis else slice(None) for a in range(3))]
        k, j, i = (low + offset for (low, _), offset in zip(box, self.start, strict=True))
        return full, (k, j, i)

    def counts(self) -> Array:
        """Voxels of every class, background first; those outside the region are not counted."""
        return np.bincount(self.classes.ravel(), minlength=len(self.labels.leaves) + 1)
