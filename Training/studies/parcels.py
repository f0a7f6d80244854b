"""Fine labels that nobody had to draw: python -m Training.studies.parcels DATA --labels "Frontal cortex" "Deep gray
matter" --template A --cases X Y Z -o FOLDER.

Coarse labels of one scan, the template, are divided into parcels, the same ones left and right, which registration of
the images carries to the other scans; there, every voxel of a coarse label gets the nearest parcel of that label. A
network that is trained with the parcels as its labels (the folder is a data set for Training/train.py) learns where in
a structure a voxel lies, and with that, labels that an atlas shows it later, although people drew coarse ones only. A
parcel has no meaning of its own: it is a task to learn from, as in self-supervised learning of anatomical
correspondence (K. Yan et al., "SAM: Self-supervised learning of pixel-wise anatomical embeddings in radiological
images", IEEE TMI 2022), with registration in place of augmented copies of one scan.
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
from scipy.cluster.vq import kmeans2
from scipy.spatial import KDTree
from tqdm import tqdm

from ..data.datasets import CaseFiles, read_data_set
from ..data.targets import TargetCode, find_label, select
from ..engine.kept_files import keep_to, written_whole
from ..engine.program import ends_with_a_sentence
from ..engine.threads import use_threads
from ..evaluation.scan_evaluation import read_case
from ..losses.truth import IGNORE
from .registration import affine, demons

PARCEL_ML = 3.0
"""The usual size of a parcel."""

FEWEST = 16
"""Parcels that every coarse label is divided into at least, on each side."""

LEARNED_ON = 20_000
"""Voxels of a coarse label that its parcels are found by."""

SIDES = ("right", "left")
"""The order in which the parcels of both sides are numbered."""

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Parcels:
    """A template and how its coarse labels are divided.

    symmetric (4, 4): from points of the template (LPS, mm) to coordinates in which left and right mirror each other at
    x = 0. centres: for every coarse label the parcels (n, 3) in these coordinates, with |x| for x.
    """

    template: sitk.Image
    symmetric: Array
    centres: tuple[Array, ...]

    @property
    def unknown(self) -> int:
        """The id of what is unknown, behind those of the parcels."""
        return 2 * sum(map(len, self.centres)) + 1

    def numbers(self, points: Array, targets: Array) -> Array:
        """Points (n, 3) of the template and their classes (n,), 1 to the number of coarse labels -> parcels (n,), from
        1: right and left of each in turn.
        """
        folded, is_left = _folded(points, self.symmetric)
        out = np.zeros(len(points), dtype=np.int32)
        before = 0
        for number, centres in enumerate(self.centres, start=1):
            here = targets == number
            out[here] = 1 + 2 * (before + KDTree(centres).query(folded[here])[1]) + is_left[here]
            before += len(centres)
        return out


def divide(scan: Volume, targets: Array, millilitres: float, seed: int) -> Parcels:
    """Find the parcels of a template. scan; targets (k, j, i): 1, 2, ... for coarse labels, other values elsewhere."""
    image = sitk.Cast(image_of(scan), sitk.sitkFloat32)
    mirrored = sitk.Cast(image_of(Volume(scan.array, np.diag([-1.0, 1.0, 1.0, 1.0]) @ scan.affine)), sitk.sitkFloat32)
    symmetric = (
        np.eye(4) + _matrix(affine(image, mirrored))
    ) / 2  # halfway between a point and where its mirror image looks the same
    generator = np.random.default_rng(seed)
    centres = []
    for number in range(1, int(targets.max()) + 1):
        points = _points(scan, targets == number)
        folded, _ = _folded(points, symmetric)
        count = max(FEWEST, round(len(points) * scan.voxel_millilitres / 2 / millilitres))
        drawn = folded[generator.permutation(len(folded))[:LEARNED_ON]]
        centres.append(kmeans2(drawn, min(count, len(drawn)), minit="++", seed=generator)[0])
    return Parcels(image, symmetric, tuple(centres))


def carry(parcels: Parcels, scan: Volume, targets: Array, is_template: bool = False) -> Array:
    """Parcels (k, j, i) of a scan, 0 outside of its coarse labels (targets, as in `divide`).

    The template itself is not registered.
    """
    inside = targets > 0
    points = _points(scan, inside)
    if not is_template:
        fixed = sitk.Cast(image_of(scan), sitk.sitkFloat32)
        transform = demons(fixed, parcels.template)
        field = sitk.TransformToDisplacementField(
            transform,
            sitk.sitkVectorFloat32,
            fixed.GetSize(),
            fixed.GetOrigin(),
            fixed.GetSpacing(),
            fixed.GetDirection(),
        )
        points = points + sitk.GetArrayViewFromImage(field)[inside]
    out = np.zeros(targets.shape, dtype=np.int32)
    out[inside] = parcels.numbers(points, targets[inside])
    return out


def _folded(points: Array, symmetric: Array) -> tuple[Array, Array]:
    """Points (n, 3) in the coordinates of `Parcels.centres`, and which of them lie on the left (n,)."""
    placed = points @ symmetric[:3, :3].T + symmetric[:3, 3]
    is_left = placed[:, 0] > 0
    placed[:, 0] = np.abs(placed[:, 0])
    return placed, is_left


def _points(scan: Volume, mask: Array) -> Array:
    """The voxels of a mask (k, j, i) in mm, LPS (n, 3)."""
    index = np.argwhere(mask)[:, ::-1]
    points: Array = (index @ scan.affine[:3, :3].T + scan.affine[:3, 3]) * [-1, -1, 1]
    return points


def _matrix(transform: sitk.Transform) -> Array:
    """(4, 4) of an affine transform."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(transform.TransformPoint(tuple(axis))) - origin for axis in np.eye(3).tolist()]
    return np.vstack([np.column_stack([*columns, origin]), [0, 0, 0, 1]])


class Made:
    """A data set of parcels in a folder: labels/CASE.nii.gz, labels.csv and, once all cases are there,
    datalist.json.
    """

    def __init__(self, folder: Path, coarse: Sequence[str]) -> None:
        self.folder = folder
        self.coarse = coarse

    def label_of(self, case: CaseFiles) -> Path:
        """Where the parcels of a case lie."""
        return self.folder / "labels" / f"{case.name}.nii.gz"

    def write_labels(self, case: CaseFiles, scan: Volume, numbers: Array) -> None:
        """numbers (k, j, i). Raises OutputError."""
        path = self.label_of(case)
        path.parent.mkdir(exist_ok=True)
        with written_whole(path) as temporary:
            try:
                sitk.WriteImage(image_of(scan.with_array(numbers[None])), str(temporary), useCompression=True)
            except RuntimeError as error:  # how SimpleITK reports a failed write
                raise OutputError(
                    f'"{path}" could not be written; the disk may be full. Free some space: the same command goes on.'
                ) from error

    def write_table(self, parcels: Parcels) -> None:
        """Every parcel below its coarse label, with its side, and the id of what is unknown."""
        rows = [
            (f"{name}, part {n}, {side}", f"{name}, part {n}", side, name, 1)
            for name, centres in zip(self.coarse, parcels.centres, strict=True)
            for n in range(1, len(centres) + 1)
            for side in SIDES
        ]
        with (
            written_whole(self.folder / "labels.csv") as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["id", "name", "structure", "hemisphere", "parent", "scored"])
            writer.writerows(
                (number, *row) for number, row in enumerate([*rows, (UNKNOWN, UNKNOWN, "", "", 0)], start=1)
            )

    def write_list(self, cases: Sequence[CaseFiles], annotated: Sequence[Sequence[str] | None]) -> Path:
        """annotated: for each case the coarse labels that were looked for; None stands for all.

        Returns the path of the datalist.
        """
        entries = []
        for case, names in zip(cases, annotated, strict=True):
            images = [os.path.relpath(path, self.folder) for path in case.images]
            entry = {
                **case.metadata,
                "name": case.name,
                "image": images,
                "label": os.path.relpath(self.label_of(case), self.folder),
            }
            entries.append(entry if names is None else entry | {"annotated": list(names)})
        path = self.folder / "datalist.json"
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps({"training": entries}, indent=1, ensure_ascii=False), encoding="utf-8")
        return path


def make(
    data: Path, labels: Sequence[str], template: str, cases: Sequence[str], millilitres: float, seed: int, folder: Path
) -> Path:
    """Write the data set of parcels; a folder that an interrupted call with the same words left is gone on with.

    Returns the path of its datalist.

    labels: names of coarse labels; none stand for all leaves of the table. cases: none stand for all. SystemExit with a
    sentence, or InputError, where that cannot be done.
    """
    if not millilitres > 0:
        raise SystemExit(f"Parcels of {millilitres:g} ml are impossible; give a number above 0.")
    data_set = read_data_set(data, [*cases, template] if cases else [])
    known = {case.name: case for case in data_set.cases}
    if template not in known:
        raise SystemExit(f'The data set "{data}" has no case called {template}.')
    tree = select(data_set.table, [find_label(data_set.table, name, "--labels").name for name in labels])
    code = TargetCode(tree, data_set.table, data_set.ignored_ids)
    coarse = [leaf.name for leaf in tree.leaves]
    made = Made(folder, coarse)
    question = {
        "data": str(data.resolve()),
        "labels": coarse,
        "template": template,
        "millilitres": millilitres,
        "seed": seed,
    }
    keep_to(folder, question, "parcels")
    parcels = _parcels_of(known[template], code, millilitres, seed)
    made.write_table(parcels)
    wanted = [known[name] for name in (dict.fromkeys(cases) if cases else known)]
    for case in tqdm(wanted, desc="carrying parcels", unit="case", disable=not sys.stderr.isatty()):
        if not made.label_of(case).is_file():
            made.write_labels(case, *_carried(parcels, case, code, case.name == template))
    annotated = [
        None if case.annotated is None else [coarse[n - 1] for n in np.flatnonzero(code.annotated(case.annotated))[1:]]
        for case in wanted
    ]
    return made.write_list(wanted, annotated)


def _parcels_of(template: CaseFiles, code: TargetCode, millilitres: float, seed: int) -> Parcels:
    """The parcels of a template. SystemExit with a sentence where one of the coarse labels is not in it."""
    scan, targets = read_case(template, code)
    there = set(np.unique(targets).tolist())
    for number, leaf in enumerate(code.tree.leaves, start=1):
        if number not in there:
            raise SystemExit(
                f"The template {template.name} has no {leaf.name}; choose another one, or leave that label out."
            )
    return divide(scan, targets_of_classes(targets, code), millilitres, seed)


def _carried(parcels: Parcels, case: CaseFiles, code: TargetCode, is_template: bool) -> tuple[Volume, Array]:
    """The scan of a case and its parcels (k, j, i), with the id of what is unknown where nobody looked."""
    scan, targets = read_case(case, code)
    numbers = carry(parcels, scan, targets_of_classes(targets, code), is_template)
    numbers[(targets == IGNORE) | (targets >= code.classes)] = parcels.unknown
    return scan, numbers


def targets_of_classes(targets: Array, code: TargetCode) -> Array:
    """Targets (k, j, i) with 0 for everything that is no class."""
    return np.where((targets > 0) & (targets < code.classes), targets, 0)


def build_parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a data set, as for Training/train.py")
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="NAME",
        help="the coarse labels; all leaves of the data set's table by default",
    )
    parser.add_argument(
        "--template",
        required=True,
        metavar="CASE",
        help="the case whose labels are divided; the parcels are carried from it to the others",
    )
    parser.add_argument(
        "--cases",
        nargs="+",
        default=[],
        metavar="CASE",
        help="the cases that get parcels, the template among them if it is to; all by default",
    )
    parser.add_argument(
        "--millilitres", type=float, default=PARCEL_ML, help=f"the usual size of a parcel (default {PARCEL_ML:g})"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="for the registration; by default as many as there are cores")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the data set of parcels; data.root is its datalist.json then",
    )
    return parser


def main() -> None:
    words = build_parser().parse_args()
    use_threads(words.threads)
    with ends_with_a_sentence("Interrupted; the same command goes on."):
        path = make(words.data, words.labels, words.template, words.cases, words.millilitres, words.seed, words.output)
    print(f"Parcels: {path}")


if __name__ == "__main__":
    main()
