"""Mending the worst structures of an answer: Dice after a few strokes of a simulated user, and what their neighbours
lose.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from LabelConditionedSegmentationLib.core.strokes.mending import mend
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.core.strokes.stroke_names import BACKGROUND
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.benchmarks.strokes import DATA, largest_piece, line_through
from Testing.samples import dice
from Training.evaluation.markdown import markdown_table

CASES = os.environ.get("LCS_MENDING_CASES", "malc_1002").split()
WORST = 20
COUNTS = (1, 3, 5)


@dataclass
class Mender:
    """A user who knows the true ids (k, j, i) and mends one label: a line through the largest piece that it lacks, or
    through the largest that it has too much, of what is there in truth.
    """

    truth: Array
    label: int
    painted: Array = field(init=False)

    def __post_init__(self) -> None:
        self.painted = np.full(self.truth.shape, -1, dtype=np.int32)

    def paint(self, answer: Array) -> None:
        """One more stroke on an answer (k, j, i)."""
        true, found = self.truth == self.label, answer == self.label
        piece = max(largest_piece(true & ~found), largest_piece(found & ~true), key=np.count_nonzero)
        if not piece.any():
            return
        there = int(np.bincount(self.truth[piece]).argmax())
        inside = piece & (self.truth == there)
        k = int(inside.sum(axis=(1, 2)).argmax())
        for j, i in line_through(inside[k]):
            if inside[k, j, i]:
                self.painted[k, j, i] = there

    def strokes(self, scan: Volume, names: dict[int, str]) -> Strokes:
        """What was painted. names: of the ids, and of 0."""
        ids = [int(number) for number in np.unique(self.painted) if number >= 0]
        seeds = np.zeros(self.truth.shape, dtype=np.uint16)
        for n, number in enumerate(ids, start=1):
            seeds[self.painted == number] = n
        return Strokes(Grid.of(scan), seeds, tuple(names[number] for number in ids))


@dataclass(frozen=True)
class Mended:
    """One structure. course: its Dice before and after each stroke. lost: the most that another label lost from the
    first answer to the last. seconds: of each stroke.
    """

    course: list[float]
    lost: float
    loser: str
    seconds: list[float]


def run() -> str:
    """Markdown of this section."""
    if not (DATA / "malc2012").is_dir():
        return f"Not measured: {DATA / 'malc2012'} is missing."
    found = [mended for case in CASES for mended in _of_case(case)]
    courses = np.array([mended.course for mended in found])
    seconds = [second for mended in found for second in mended.seconds]
    header = ["structures", "Dice before", *(f"after {n}" for n in COUNTS), "better", "worst neighbour loses"]
    row = [
        str(len(found)),
        *(f"{courses[:, n].mean():.3f}" for n in (0, *COUNTS)),
        str(int((courses[:, -1] > courses[:, 0]).sum())),
        f"{np.median([mended.lost for mended in found]):.3f}, at most {max(mended.lost for mended in found):.3f}",
    ]
    header += ["neighbours that lose more than 0.01", "median s a stroke", "slowest s"]
    row += [
        f"in {sum(mended.lost > 0.01 for mended in found)}",
        f"{np.median(seconds):.2f}",
        f"{max(seconds):.2f}",
    ]
    return markdown_table(header, [row])


def _of_case(case: str) -> list[Mended]:
    scan = read_volume(DATA / "malc2012" / "imagesTr" / f"{case}_0000.nii.gz")
    truth = read_volume(DATA / "malc2012" / "labelsTr" / f"{case}.nii.gz").array[0].astype(np.int64)
    with Segmenter.from_package(resources_folder() / "Models" / "brain", "cpu") as segmenter:
        features = segmenter.features(scan, stripped="yes")
    answer = features.segment().label_map.array[0]
    leaves = [leaf for leaf in features.labels.leaves if (truth == leaf.id).any()]
    truth[~np.isin(truth, [leaf.id for leaf in leaves])] = 0
    leaves.sort(key=lambda leaf: dice(answer == leaf.id, truth == leaf.id))
    return [_mended(scan, truth, features, answer, leaf, leaves) for leaf in leaves[:WORST]]


def _mended(scan: Volume, truth: Array, features: Features, before: Array, label: Label, leaves: list[Label]) -> Mended:
    user, answer = Mender(truth, label.id), before
    names = {0: BACKGROUND, **{leaf.id: leaf.name for leaf in leaves}}
    course, seconds = [dice(before == label.id, truth == label.id)], []
    for _ in range(max(COUNTS)):
        user.paint(answer)
        began = time.perf_counter()
        answer, _found = mend(user.strokes(scan, names), scan, features, before)
        seconds.append(time.perf_counter() - began)
        course.append(dice(answer == label.id, truth == label.id))
    changed = answer != before
    touched = set(np.unique(before[changed])) | set(np.unique(answer[changed]))
    losses = {
        leaf.name: dice(before == leaf.id, truth == leaf.id) - dice(answer == leaf.id, truth == leaf.id)
        for leaf in leaves
        if leaf.id in touched and leaf.id != label.id
    }
    loser = max(losses, key=lambda name: losses[name], default="")
    told = " ".join(f"{value:.3f}" for value in course)
    print(f"{label.name}: {told}; {loser} loses {losses.get(loser, 0):.3f}", file=sys.stderr, flush=True)
    return Mended(course, max(0.0, losses.get(loser, 0.0)), loser, seconds)


if __name__ == "__main__":
    print(run())
