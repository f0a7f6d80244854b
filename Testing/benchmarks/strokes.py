"""Strokes of a simulated user: how many a structure needs until Dice 0.85 and 0.90, and seconds each, with walks over
intensities, features of the network, and features with the network's answer as prior.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.ndimage
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.core.strokes.propagation import propagate
from LabelConditionedSegmentationLib.core.strokes.stroke_names import BACKGROUND
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.benchmarks.measure import hardware
from Testing.samples import dice
from Training.evaluation.markdown import markdown_table

DATA = Path(os.environ.get("LCS_DATA", "../shared/data"))
MOST_STROKES = 12
GOALS = (0.85, 0.90)

OF_THE_NETWORK = ("malc2012",)
"""Data that the package `brain` is for. All scans of `malc2012` here were among those that it was trained on, so what
it adds is more than it would add on others. A mouse brain is a few of its voxels."""

CASES = {"malc2012": ("malc_1002", "malc_1009", "malc_1013"), "mouse": ("mouse_1", "mouse_2", "mouse_3")}

STRUCTURES = {
    "malc2012": (
        "Left Hippocampus",
        "Right Amygdala",
        "Left Putamen",
        "Right Caudate",
        "Left Thalamus Proper",
        "Right Pallidum",
        "Brain Stem",
        "Left Lateral Ventricle",
        "Cerebellar Vermal Lobules I-V",
        "Left PIns posterior insula",
        "Right PCu precuneus",
        "Left Cerebellum Exterior",
    ),
    "mouse": (
        "Right Hippocampus",
        "Left Caudate Putamen",
        "Right Thalamus",
        "Left Cerebellum",
        "Right Superior Colliculi",
        "Right Ventricles",
        "Right Hypothalamus",
        "Left Inferior Colliculi",
        "Right Central Gray",
        "Left Neocortex",
        "Right Olfactory bulb",
        "Left Globus Pallidus",
    ),
}


@dataclass
class SimulatedUser:
    """Paints lines through the middle of what is wrong, in the slice (of k) where most of it lies.

    The first stroke is on the structure; the second is a line of background around it in the same slice. truth: (k, j,
    i) bool.
    """

    truth: Array
    marked: Array = field(init=False)
    strokes: int = 0

    def __post_init__(self) -> None:
        self.marked = np.zeros(self.truth.shape, dtype=np.uint8)

    def begin(self) -> None:
        """The first two strokes."""
        k = int(self.truth.sum(axis=(1, 2)).argmax())
        self._line(k, self.truth[k], 1)
        near = scipy.ndimage.binary_dilation(self.truth[k], iterations=3)
        ring = scipy.ndimage.binary_dilation(near) & ~near
        self.marked[k][ring] = 2
        self.strokes += 1

    def mend(self, found: Array) -> None:
        """One more stroke, through the largest connected piece of what is missing from an answer (k, j, i) bool, or of
        what is too much of it.
        """
        pieces = [(largest_piece(self.truth & ~found), 1), (largest_piece(found & ~self.truth), 2)]
        piece, mark = max(pieces, key=lambda each: np.count_nonzero(each[0]))
        if piece.any():
            k = int(piece.sum(axis=(1, 2)).argmax())
            self._line(k, piece[k], mark)

    def _line(self, k: int, area: Array, mark: int) -> None:
        for j, i in line_through(area):
            self.marked[k, j, i] = mark
        self.strokes += 1


def line_through(area: Array) -> list[tuple[int, int]]:
    """A line (j, i) from end to end of the largest piece of a flat area (j, i), through its middle."""
    largest = largest_piece(area)
    depth = scipy.ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
    js, is_ = np.nonzero(largest)
    if np.ptp(js) >= np.ptp(is_):
        return [(j, int(depth[j].argmax())) for j in range(js.min(), js.max() + 1)]
    return [(int(depth[:, i].argmax()), i) for i in range(is_.min(), is_.max() + 1)]


def largest_piece(inside: Array) -> Array:
    """The largest connected piece of what is true; nothing of nothing."""
    pieces, count = scipy.ndimage.label(inside)
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax() if count else np.zeros_like(inside)


@dataclass
class Session:
    """What happened to one structure: Dice and seconds after each stroke, from the second on; before: the Dice of the
    network alone.
    """

    dice: list[float]
    seconds: list[float]
    before: float = 0.0

    def until(self, goal: float) -> float:
        """Strokes until a Dice; infinitely many where it was not reached."""
        return next((n for n, dice in enumerate(self.dice, start=2) if dice >= goal), float("inf"))


def interactive(
    scan: Volume, truth: Array, name: str, features: Features | None, prior: Features | None, most: int = MOST_STROKES
) -> Session:
    """A simulated user with one structure of a scan, who stops at the higher goal or after `most` strokes."""
    user, session = SimulatedUser(truth), Session([], [])
    user.begin()
    while True:
        began = time.perf_counter()
        strokes = Strokes(Grid.of(scan), user.marked.copy(), (name, BACKGROUND))
        found = propagate(strokes, scan, features, prior).label_map == 1
        session.seconds.append(time.perf_counter() - began)
        session.dice.append(dice(found, truth))
        if session.dice[-1] >= max(GOALS) or user.strokes >= most:
            return session
        user.mend(found)


def run(scans: int = 1, structures: int = 12, most: int = MOST_STROKES) -> str:
    """Markdown of this section: of so many scans and structures of each data set, and with at most so many strokes."""
    rows = [
        row
        for dataset, cases in CASES.items()
        for row in _rows(dataset, cases[:scans], STRUCTURES[dataset][:structures], most)
    ]
    header = ["data", "walks over", "sessions", *(f"strokes to {goal}" for goal in GOALS)]
    header += [*(f"reached {goal}" for goal in GOALS), "Dice before", "after 2", "after 5", "last"]
    return markdown_table([*header, "median s a stroke", "slowest s"], rows)


def _rows(dataset: str, cases: Sequence[str], names: Sequence[str], most: int) -> list[list[str]]:
    sessions: dict[str, list[Session]] = {}
    for case in cases:
        scan = read_volume(DATA / dataset / "imagesTr" / f"{case}_0000.nii.gz")
        labels = read_volume(DATA / dataset / "labelsTr" / f"{case}.nii.gz").array[0]
        features = _features(scan) if dataset in OF_THE_NETWORK else None
        for name, label_id in _ids(dataset, names):
            truth = labels == label_id
            alone = 0.0 if features is None else dice(features.segment([name]).label_map.array[0] > 0, truth)
            for way, (given, prior) in _ways(features).items():
                session = interactive(scan, truth, name, given, prior, most)
                session.before = alone if prior else 0.0
                sessions.setdefault(way, []).append(session)
                course = " ".join(f"{value:.2f}" for value in session.dice)
                seconds = np.median(session.seconds)
                print(f"{case}, {name}, {way}: {course}; {seconds:.2f} s", file=sys.stderr, flush=True)
    return [_row(dataset, way, found, most) for way, found in sessions.items()]


def _features(scan: Volume) -> Features:
    with Segmenter.from_package(resources_folder() / "Models" / "brain", "cpu") as segmenter:
        return segmenter.features(scan, stripped="yes")


def _ways(features: Features | None) -> dict[str, tuple[Features | None, Features | None]]:
    """What walks go over, and what is believed."""
    ways: dict[str, tuple[Features | None, Features | None]] = {"intensities": (None, None)}
    if features is not None:
        ways |= {"features": (features, None), "features, prior": (features, features)}
    return ways


def _ids(dataset: str, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    table = [line.split(",") for line in (DATA / dataset / "labels.csv").read_text("utf-8").splitlines()[1:]]
    ids = {words[1]: int(words[0]) for words in table}
    return ((name, ids[name]) for name in names)


def _row(dataset: str, way: str, sessions: Sequence[Session], most: int) -> list[str]:
    counts = [[session.until(goal) for session in sessions] for goal in GOALS]
    after = [[session.dice[min(n, len(session.dice)) - 1] for session in sessions] for n in (1, 4, most)]
    seconds = [second for session in sessions for second in session.seconds]
    return [
        dataset,
        way,
        str(len(sessions)),
        *(f"{np.median(count):.0f}" if np.median(count) <= most else f"over {most}" for count in counts),
        *(f"{sum(n <= most for n in count)}" for count in counts),
        f"{np.mean([session.before for session in sessions]):.3f}" if sessions[0].before else "",
        *(f"{np.mean(values):.3f}" for values in after),
        f"{np.median(seconds):.2f}",
        f"{max(seconds):.2f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=1, help="of each data set")
    parser.add_argument("--structures", type=int, default=12, help="of each scan")
    parser.add_argument("--most", type=int, default=MOST_STROKES, help="strokes of a session")
    arguments = parser.parse_args()
    print(f"Measured with `python -m Testing.benchmarks.strokes {' '.join(sys.argv[1:])}` on {hardware()}.\n")
    print(run(arguments.scans, arguments.structures, arguments.most))


if __name__ == "__main__":
    main()
