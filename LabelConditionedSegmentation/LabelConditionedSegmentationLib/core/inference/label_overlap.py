"""How two label maps of one grid overlap: the voxels that every pair of values shares, counted in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..scan.volume import Array
from .winners import Index


@dataclass(frozen=True)
class LabelOverlap:
    """joint: (values of one map, values of the other), voxels that have both. one, other: (values,), voxels of each
    value in the whole of its map.
    """

    joint: Array
    one: Array
    other: Array

    @staticmethod
    def of(one: Array, start: Index, other: Array, begin: Index) -> LabelOverlap:
        """Count two maps (k, j, i) of whole numbers from 0, each with its first voxel (k, j, i) on the grid that they
        share; outside of its map a voxel has no value.
        """
        sizes = int(one.max(initial=0)) + 1, int(other.max(initial=0)) + 1
        first = np.maximum(start, begin)
        last = np.minimum(np.add(start, one.shape), np.add(begin, other.shape))
        joint = np.zeros(sizes, dtype=np.int64)
        if (first < last).all():
            here, there = (
                part[tuple(slice(a, b) for a, b in zip(first - at, last - at, strict=True))]
                for part, at in ((one, np.array(start)), (other, np.array(begin)))
            )
            for a, b in zip(here, there, strict=True):  # a slice at a time, since pairs take eight bytes a voxel
                pairs = a.astype(np.int64) * sizes[1] + b
                joint += np.bincount(pairs.ravel(), minlength=joint.size).reshape(sizes)
        return LabelOverlap(joint, _counts(one, sizes[0]), _counts(other, sizes[1]))

    def dice(self, ones: Sequence[int], others: Sequence[int]) -> float | None:
        """Dice coefficient of what has one of the values `ones` in the one map and of `others` in the other; None where
        neither has a voxel.
        """
        here = [value for value in ones if value < len(self.one)]
        there = [value for value in others if value < len(self.other)]
        total = int(self.one[here].sum() + self.other[there].sum())
        return 2 * int(self.joint[np.ix_(here, there)].sum()) / total if total else None


def _counts(part: Array, size: int) -> Array:
    """(size,): voxels of each value."""
    counts = np.zeros(size, dtype=np.int64)
    for plane in part:
        counts += np.bincount(plane.ravel().astype(np.int64), minlength=size)
    return counts
