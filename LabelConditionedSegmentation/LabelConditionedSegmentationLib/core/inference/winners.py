"""Winners: which class won every voxel of a scan, from which the mask of any label is a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..labels.label_tree import Label, LabelTree
from ..scan.volume import Array

Index = tuple[int, int, int]


@dataclass(frozen=True)
class Winners:
    """The winner map of a scan, with what is needed to read it.

    classes: (k, j, i) of the scanned region, the network's class of every voxel (0 is background). start: first voxel
    (k, j, i) of the region on the input grid.
    shape: (k, j, i) of the input grid, whose voxels outside the region are background.
    """

    labels: LabelTree
    classes: Array
    start: Index
    shape: Index

    def mask(self, label: Label) -> tuple[Array, Index] | None:
        """The label's mask, (k, j, i) uint8 of 0 and 1, in the smallest box that holds it, and the first voxel of that
        box on the input grid. None where it has no voxel.
        """
        box = self.box(label)
        if box is None:
            return None
        k, j, i = box
        return self.is_inside(label, self.classes[box]), (
            k.start + self.start[0],
            j.start + self.start[1],
            i.start + self.start[2],
        )

    def box(self, label: Label) -> tuple[slice, slice, slice] | None:
        """The smallest box (k, j, i) of `classes` that holds the label's voxels; None where it has none."""
        classes = list(self.labels.classes_under(label))
        hit = [np.asarray(present[classes].any(axis=0)) for present in self._present]
        if not hit[0].any():
            return None
        k, j, i = (slice(int(on.argmax()), len(on) - int(on[::-1].argmax())) for on in hit)
        return k, j, i

    def is_inside(self, label: Label, classes: Array) -> Array:
        """1 where voxels of these classes, of any shape, belong to the label, else 0; uint8."""
        belongs = np.zeros(len(self.labels.leaves) + 1, dtype=np.uint8)
        belongs[list(self.labels.classes_under(label))] = 1
        inside: Array = belongs[classes]
        return inside

    @cached_property
    def _present(self) -> tuple[Array, Array, Array]:
        """For each axis (k, j, i): (class, position) bool, whether the class has a voxel there.

        Counted once; afterwards a mask looks at its own box only.
        """
        number = len(self.labels.leaves) + 1
        out = []
        for axis, length in enumerate(self.classes.shape):
            shape = [1, 1, 1]
            shape[axis] = length
            bins = self.classes + number * np.arange(length, dtype=np.int32).reshape(shape)
            out.append(np.bincount(bins.ravel(), minlength=number * length).reshape(length, number).T > 0)
        return out[0], out[1], out[2]

    def counts(self) -> Array:
        """Voxels of every class, background first; those outside the region are not counted. Counted once."""
        return self._counts

    @cached_property
    def _counts(self) -> Array:
        return np.bincount(self.classes.ravel(), minlength=len(self.labels.leaves) + 1)
