"""Strokes as somebody might paint them, from label maps: python -m Training.studies.simulate_strokes DATA --whole X Y Z
-o FOLDER.

The rule: of every structure of a scan, and of the background, --slices slices are taken, spread evenly over those that
show it. In each of them its largest part gets a line through the middle: along the part's longer side, of every run of
voxels across it the one farthest from the part's border and from the edge of the slice; a voxel at the border itself is
painted only where nothing lies deeper. All other voxels are unknown. The cases of --whole keep their label maps, so
that a network that learned from the strokes (FOLDER/datalist.json is a data set for Training/train.py) is validated on
them. Nothing is drawn by chance.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from scipy.ndimage import distance_transform_edt, label
from tqdm import tqdm

from ..data.datasets import CaseFiles, DataSet, read_data_set
from ..data.targets import TargetCode, find_label, select
from ..engine.kept_files import keep_to, writing_to, written_whole
from ..engine.program import ends_with_a_sentence
from ..evaluation.scan_evaluation import read_case
from ..losses.truth import IGNORE
from .raw_layout import COLUMNS, rows_of

AXES = "kji"
"""Which axis of a scan's array slices lie across."""

RIM = 1.0
"""How deep a voxel lies at the border of a part."""


@dataclass(frozen=True)
class Rule:
    """How strokes are painted. slices: of each structure, at most. width: of a stroke, in voxels. axis: of AXES."""

    slices: int = 3
    width: int = 1
    axis: str = "k"

    def strokes(self, targets: Array) -> Array:
        """Targets (k, j, i) as `TargetCode` gives them -> the same where a stroke lies, IGNORE elsewhere."""
        across = np.moveaxis(targets, AXES.index(self.axis), 0)
        out = np.full_like(across, IGNORE)
        for target in np.unique(across[across != IGNORE]).tolist():
            region = across == target
            shown = np.flatnonzero(region.any((1, 2)))
            places = (np.arange(self.slices) + 0.5) / self.slices * len(shown)
            for n in np.unique(shown[places.astype(int)]).tolist():
                out[n][stroke_through(region[n], self.width)] = target
        return np.ascontiguousarray(np.moveaxis(out, 0, AXES.index(self.axis)))


def stroke_through(region: Array, width: int = 1) -> Array:
    """(rows, columns) bool, not empty -> bool: a line through the middle of its largest part, as wide as `width` where
    the part is.
    """
    parts, _ = label(region)
    part = parts == 1 + np.argmax(np.bincount(parts[region])[1:])
    depth = distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    rows, columns = (np.ptp(np.flatnonzero(part.any(axis))) for axis in (1, 0))
    line = _deepest_of_runs(depth) if rows >= columns else _deepest_of_runs(depth.T).T
    inner = line & (depth > RIM)
    line = inner if inner.any() else line & (depth == depth[line].max())
    stroke: Array = part & (distance_transform_edt(~line) < width / 2)
    return stroke


def _deepest_of_runs(depth: Array) -> Array:
    """(rows, columns) of depths, 0 outside of the part -> bool: the deepest voxel of every run of a row, of several the
    middle one.
    """
    out = np.zeros(depth.shape, dtype=bool)
    for row, values in enumerate(depth):
        runs, count = label(values > 0)
        for number in range(1, count + 1):
            run = np.flatnonzero(runs == number)
            deepest = run[values[run] == values[run].max()]
            out[row, deepest[len(deepest) // 2]] = True
    return out


class StrokeData:
    """A data set of strokes in a folder: labels/CASE.nii.gz, labels.csv and, once all cases are there, datalist.json.

    The labels have the ids that they have in `tree`; the one after the highest is what is unknown.
    """

    def __init__(self, folder: Path, code: TargetCode) -> None:
        self.folder, self.tree = folder, code.tree
        self.unknown = max(each.id for each in code.tree.labels) + 1
        parents = [each for each in code.tree.labels if len(code.tree.leaves_under(each)) > 1]  # as TargetCode has them
        ids = [0, *(leaf.id for leaf in code.tree.leaves), *(parent.id for parent in parents), self.unknown]
        self.id_of = np.array(ids, dtype=np.int32)  # the last one is that of IGNORE, which is -1

    def label_of(self, case: CaseFiles) -> Path:
        """Where the labels of a case lie."""
        return self.folder / "labels" / f"{case.name}.nii.gz"

    def write_labels(self, case: CaseFiles, scan: Volume, targets: Array) -> None:
        """targets (k, j, i). Raises OutputError."""
        path = self.label_of(case)
        with writing_to(path.parent):
            path.parent.mkdir(exist_ok=True)
        with written_whole(path) as temporary:
            try:
                image = image_of(scan.with_array(self.id_of[targets][None]))
                sitk.WriteImage(image, str(temporary), useCompression=True)
            except RuntimeError as error:  # how SimpleITK reports a failed write
                raise OutputError(
                    f'"{path}" could not be written; the disk may be full. Free some space and run the same command'
                    " again."
                ) from error

    def write_table(self) -> None:
        """The labels with their parents, and the id of what is unknown."""
        with (
            written_whole(self.folder / "labels.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows([*rows_of(self.tree), (self.unknown, "unknown", "", "", "", "", 0)])

    def write_list(self, cases: Sequence[CaseFiles], annotated: Sequence[Sequence[str] | None]) -> Path:
        """annotated: for each case the labels that were looked for; None stands for all. Returns the list's path."""
        entries = []
        for case, names in zip(cases, annotated, strict=True):
            images = [os.path.relpath(path, self.folder) for path in case.images]
            own = {"name": case.name, "image": images, "label": os.path.relpath(self.label_of(case), self.folder)}
            entries.append(case.metadata | own | ({} if names is None else {"annotated": list(names)}))
        path = self.folder / "datalist.json"
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps({"training": entries}, indent=1, ensure_ascii=False), encoding="utf-8")
        return path


def simulate(data: Path, labels: Sequence[str], whole: Sequence[str], rule: Rule, folder: Path) -> tuple[Path, float]:
    """Write the data set of strokes; returns the path of its datalist, and the share of voxels that a stroke has.

    labels: names of structures; none stand for all leaves of the table, and all else is background. whole: cases that
    keep their label maps. SystemExit with a sentence, InputError or OutputError where that cannot be done.
    """
    if rule.slices < 1 or rule.width < 1:
        raise SystemExit("Strokes need one slice and one voxel of width at least; set --slices and --width from 1 on.")
    data_set = read_data_set(data)
    _check_whole(data_set, whole)
    tree = select(data_set.table, [find_label(data_set.table, name, "--labels").name for name in labels])
    code = TargetCode(tree, data_set.table, data_set.ignored_ids)
    question = {
        "data": str(data.resolve()),
        "labels": [leaf.name for leaf in tree.leaves],
        "whole": sorted(whole),
        "rule": [rule.slices, rule.width, rule.axis],
    }
    keep_to(folder, question, "strokes")
    made, shares = StrokeData(folder, code), []
    made.write_table()
    for case in tqdm(data_set.cases, desc="painting strokes", unit="case", disable=not sys.stderr.isatty()):
        scan, targets = read_case(case, code)
        strokes = targets if case.name in whole else rule.strokes(targets)
        made.write_labels(case, scan, strokes)
        if case.name not in whole:
            shares.append(float((strokes != IGNORE).mean()))
    annotated = [None if case.annotated is None else _annotated(case, code) for case in data_set.cases]
    return made.write_list(data_set.cases, annotated), float(np.mean(shares))


def _check_whole(data_set: DataSet, whole: Sequence[str]) -> None:
    names = [case.name for case in data_set.cases]
    if missing := sorted(set(whole) - set(names)):
        raise SystemExit(f'--whole: the data set "{data_set.root}" has no case called {", ".join(missing)}.')
    if set(names) <= set(whole):
        raise SystemExit("All cases are named with --whole, so that none is left to paint strokes in.")


def _annotated(case: CaseFiles, code: TargetCode) -> list[str]:
    """Names of the labels that were looked for in a case where those were not all."""
    looked_for = code.annotated(case.annotated)
    return [leaf.name for n, leaf in enumerate(code.tree.leaves, start=1) if bool(looked_for[n])]


def build_parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    rule = Rule()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a data set, as for Training/train.py")
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the structures that get strokes, all else being background; all leaves of the table by default",
    )
    parser.add_argument(
        "--whole", nargs="+", default=[], metavar="CASE", help="cases that keep their label maps, to validate on"
    )
    parser.add_argument(
        "--slices", type=int, default=rule.slices, help=f"slices with a stroke, of each structure ({rule.slices})"
    )
    parser.add_argument("--width", type=int, default=rule.width, help=f"of a stroke, in voxels ({rule.width})")
    parser.add_argument(
        "--axis",
        choices=list(AXES),
        default=rule.axis,
        help=f"axis of the stored array that slices lie across ({rule.axis})",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the data set of strokes; data.root is its datalist.json then",
    )
    return parser


def main() -> None:
    words = build_parser().parse_args()
    rule = Rule(words.slices, words.width, words.axis)
    with ends_with_a_sentence():
        path, share = simulate(words.data, words.labels, words.whole, rule, words.output)
    print(f"Strokes: {path}; {share:.2%} of the voxels have one")


if __name__ == "__main__":
    main()
