"""Which structures of an answer lie at a point, and where a structure lies: looked up in the winner map, without the
network and without Qt.
"""

from __future__ import annotations

import numpy as np

from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label
from ..core.scan.volume import Affine, Array
from ..scene.volumes import volume_of
from .runner import Answer

Point = tuple[float, float, float]

MOST_VOXELS = 500_000
"""Voxels of the box of a structure that are looked at for its middle: of larger ones every second, or third, a way."""


class AnswerPlaces:
    """Over an answer whose volume has not changed since. Positions are world RAS, in millimetres."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self._to_ras: Affine = volume_of(answer.task.nodes).affine
        self._to_voxel = np.linalg.inv(self._to_ras)

    def labels_at(self, position: Point) -> list[Label]:
        """The structure at a point, of every protocol that has one there; none for the background and outside of what
        the model has looked at.
        """
        x, y, z = position
        i, j, k = (int(n) for n in np.rint(self._to_voxel[:3] @ (x, y, z, 1.0)))
        found = []
        for winners in self.answer.winners:
            at = tuple(n - first for n, first in zip((k, j, i), winners.start, strict=True))
            if all(0 <= n < length for n, length in zip(at, winners.classes.shape, strict=True)):
                number = int(winners.classes[at])
                found += [winners.labels.leaves[number - 1]] if number else []
        return found

    def middle(self, label: Label) -> Point | None:
        """A voxel of a structure, or of what lies under a parent, that is nearest to the middle of all of them; None
        where it has none.
        """
        found = self.answer.competition_of(label.id)
        box = found.box(label) if found is not None else None
        if found is None or box is None:
            return None
        size = np.prod([part.stop - part.start for part in box])
        step = max(1, int(np.ceil((size / MOST_VOXELS) ** (1 / 3))))
        voxels = _voxels(found, label, box, step)
        if not voxels.size:  # a thin structure in a large box
            voxels = _voxels(found, label, box, 1)
        points = self._to_ras[:3, :3] @ voxels[::-1] + self._to_ras[:3, 3:]
        nearest = ((points - points.mean(axis=1, keepdims=True)) ** 2).sum(axis=0).argmin()
        x, y, z = (float(n) for n in points[:, nearest])
        return x, y, z


def _voxels(winners: Winners, label: Label, box: tuple[slice, slice, slice], step: int) -> Array:
    """(3, n) k, j, i on the input grid of a label's voxels in a box of the winner map, every `step`th a way."""
    inside = winners.is_inside(label, winners.classes[box][::step, ::step, ::step])
    first = [[part.start + start] for part, start in zip(box, winners.start, strict=True)]
    return np.stack(np.nonzero(inside)) * step + np.array(first)
