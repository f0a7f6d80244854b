"""Strokes of a simulated user: how many a structure needs until Dice 0.85 and 0.90, and seconds each, with walks over
intensities, features of the network, and features with the network's answer as prior.
"""

from __future__ import annotations

import os
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

from Training.evaluation.markdown import markdown_table

DATA = Path(os.environ.get("LCS_DATA", "../shared/data"))
MOST_STROKES = 20
GOALS = (0.85, 0.90)

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
        "Left Insula",
        "Right Precuneus",
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
        """One more stroke, through the largest connected piece of what is wrong with an answer (k, j, i) bool."""
        wrong, count = scipy.ndimage.label(found != self.truth)
        if not count:
            return
        piece = wrong == 1 + np.bincount(wrong.ravel())[1:].argmax()
        k = int(piece.sum(axis=(1, 2)).argmax())
        self._line(k, piece[k], 1 if self.truth[piece].any() else 2)

    def _line(self, k: int, area: Array, mark: int) -> None:
        """A line from end to end of a flat area (j, i), through its middle."""
        pieces, _ = scipy.ndimage.label(area)
        largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
        depth = scipy.ndimage.distance_transform_edt(np.pad(largest, 1))[1:-1, 1:-1]
        js, is_ = np.nonzero(largest)
        if np.ptp(js) >= np.ptp(is_):
            line = [(j, int(depth[j].argmax())) for j in range(js.min(), js.max() + 1)]
        else:
            line = [(int(depth[:, i].argmax()), i) for i in range(is_.min(), is_.max() + 1)]
        for j, i in line:
            self.marked[k, j, i] = mark
        self.strokes += 1


@dataclass(frozen=True)
class Session:
    """What happened to one structure: Dice and seconds after each stroke, from the second on."""

    dice: list[float]
    seconds: list[float]

    def until(self, goal: float) -> int:
        """Strokes until a Dice; one more than were painted where it was not reached."""
        return next((n for n, dice in enumerate(self.dice, start=2) if dice >= goal), MOST_STROKES + 1)


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
        session.dice.append(float(2 * (found & truth).sum() / (found.sum() + truth.sum())))
        if session.dice[-1] >= max(GOALS) or user.strokes >= most:
            return session
        user.mend(found)


def run() -> str:
    """Markdown of this section."""
    rows: list[list[str]] = []
    for dataset, cases in CASES.items():
        rows += _rows(dataset, cases, STRUCTURES[dataset])
    header = ["data", "walks over", "sessions", *(f"strokes to {goal}" for goal in GOALS)]
    header += [*(f"reached {goal}" for goal in GOALS), "Dice after 2", "after 5", "s a stroke", "slowest"]
    return markdown_table(header, rows)


def _rows(dataset: str, cases: Sequence[str], names: Sequence[str], most: int = MOST_STROKES) -> list[list[str]]:
    sessions: dict[str, list[Session]] = {}
    with Segmenter.from_package(resources_folder() / "Models" / "brain", "cpu") as segmenter:
        for case in cases:
            scan = read_volume(DATA / dataset / "imagesTr" / f"{case}_0000.nii.gz")
            labels = read_volume(DATA / dataset / "labelsTr" / f"{case}.nii.gz").array[0]
            features = segmenter.features(scan, stripped="yes")
            for name, label_id in _ids(dataset, names):
                truth = labels == label_id
                for way, (given, prior) in _ways(features, name).items():
                    sessions.setdefault(way, []).append(interactive(scan, truth, name, given, prior, most))
    return [_row(dataset, way, found) for way, found in sessions.items()]


def _ways(features: Features, name: str) -> dict[str, tuple[Features | None, Features | None]]:
    """What walks go over, and what is believed; a prior only where the network knows the structure."""
    ways: dict[str, tuple[Features | None, Features | None]] = {
        "intensities": (None, None),
        "features": (features, None),
    }
    if features.labels.knows(name):
        ways["features, prior"] = (features, features)
    return ways


def _ids(dataset: str, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    table = [line.split(",") for line in (DATA / dataset / "labels.csv").read_text("utf-8").splitlines()[1:]]
    ids = {words[1]: int(words[0]) for words in table}
    return ((name, ids[name]) for name in names)


def _row(dataset: str, way: str, sessions: Sequence[Session]) -> list[str]:
    counts = [[session.until(goal) for session in sessions] for goal in GOALS]
    after = [[session.dice[min(n, len(session.dice)) - 1] for session in sessions] for n in (1, 4)]
    seconds = [second for session in sessions for second in session.seconds]
    return [
        dataset,
        way,
        str(len(sessions)),
        *(f"{np.median(count):.0f}" for count in counts),
        *(f"{sum(n <= MOST_STROKES for n in count)}" for count in counts),
        *(f"{np.mean(values):.3f}" for values in after),
        f"{np.median(seconds):.2f}",
        f"{max(seconds):.2f}",
    ]
