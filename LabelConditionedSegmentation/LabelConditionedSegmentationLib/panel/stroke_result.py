"""What strokes became, as the labels that are shown and written: structures of their own, or a mended answer. Without
Qt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label
from ..core.scan.volume import Array
from ..core.strokes.stroke_names import protocol_to_mend
from ..scene.segment_strokes import SegmentStrokes, is_background
from ..scene.segmentations import segment_ids
from .runner import Answer


@dataclass(frozen=True)
class StrokeResult:
    """volume: the scan. labels: what the preview shows. maker: who made its segments, by which they are found again.
    certainty: (k, j, i) of the box, uint8 in percent. start: first voxel (k, j, i) of the box. mended: the answer that
    this one comes in the place of; None where strokes became structures of their own.
    """

    volume: Any
    winners: Winners
    labels: tuple[Label, ...]
    maker: str
    certainty: Array
    start: tuple[int, int, int]
    mended: Answer | None = None

    @property
    def answer(self) -> Answer | None:
        """The answer, mended."""
        return self.mended.with_winners(self.winners) if self.mended is not None else None

    def labels_for(self, segmentation: Any) -> list[Label]:
        """What has to be written into a segmentation: of a mended answer also what it holds of that, so that no voxel
        is in two of its structures, and none is left over.
        """
        if self.mended is None or segmentation is None:
            return list(self.labels)
        tree = self.winners.labels
        there = [tree[number] for number in segment_ids(segmentation, self.maker) if number in tree]
        return list(dict.fromkeys([*there, *self.labels]))


def structures_of(
    strokes: SegmentStrokes, owner: str, volume: Any, winners: Array, certainty: Array, start: Sequence[int]
) -> StrokeResult:
    """Structures of their own. owner: id of the segmentation that the strokes are in. winners: (k, j, i) of the box,
    n + 1 where class n wins, 0 where the background does.
    """
    tree = strokes.structures
    kept = [n for n, name in enumerate(strokes.names) if not is_background(name)]
    classes = np.zeros(len(strokes.names) + 2, dtype=np.uint16)  # one more: a background that nobody painted
    for number, n in enumerate(kept, start=1):
        classes[n + 1] = number
    k, j, i = start
    found = Winners(tree, classes[winners], (k, j, i), strokes.seeds.shape)
    return StrokeResult(volume, found, tree.leaves, f"Strokes {owner}", certainty, (k, j, i))


def mended_by(
    strokes: SegmentStrokes, answer: Answer, winners: Array, certainty: Array, start: Sequence[int]
) -> StrokeResult:
    """The answer with other classes in the box, in the protocol that the strokes are of. The labels are those that were
    painted, and those that gave or took voxels.
    """
    tree = answer.task.package.labels
    tree = tree.parts[protocol_to_mend(tree, strokes.names)]
    before = next(winners for winners in answer.winners if winners.labels == tree)
    k, j, i = start
    is_inside = all(
        a <= n and n + length <= a + size
        for n, length, a, size in zip(start, winners.shape, before.start, before.classes.shape, strict=True)
    )
    first = before.start if is_inside else (0, 0, 0)
    classes = before.classes.copy() if is_inside else _on_whole_grid(before)
    box = tuple(slice(n - a, n - a + length) for n, a, length in zip(start, first, winners.shape, strict=True))
    changed = classes[box] != winners
    touched = {*np.unique(classes[box][changed]).tolist(), *np.unique(winners[changed]).tolist()} - {0}
    classes[box] = winners
    painted = [tree.find(name) for name in strokes.names if not is_background(name)]
    leaves = [tree.leaves[number - 1] for number in sorted(touched)]
    labels = tuple(dict.fromkeys([*painted, *leaves]))
    found = Winners(tree, classes, first, before.shape)
    volume, maker = answer.task.nodes[0], answer.task.package.name
    return StrokeResult(volume, found, labels, maker, certainty, (k, j, i), answer)


def _on_whole_grid(winners: Winners) -> Array:
    """(k, j, i) of the scan: classes, background outside of the region."""
    whole = np.zeros(winners.shape, dtype=winners.classes.dtype)
    place = zip(winners.start, winners.classes.shape, strict=True)
    whole[tuple(slice(a, a + n) for a, n in place)] = winners.classes
    return whole
