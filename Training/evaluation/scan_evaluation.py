"""Score a model package against labelled scans, on each scan's own grid: python Training/evaluate.py MODEL DATA
[--cases ...] [--output STEM].
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.errors import InputError, MetadataError
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.channel_stack import grid_difference
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from LabelConditionedSegmentationLib.core.scan.whole_files import write_all
from scipy.ndimage import find_objects
from tqdm import tqdm

from ..data.data_checks import metadata_problems, raise_problems
from ..data.datasets import CaseFiles, DataSet, read_data_set, read_image, read_labels
from ..data.protocol_trees import plain_part
from ..data.targets import TargetCode
from ..engine.program import ends_with_a_sentence
from .evaluation_page import page
from .evaluation_pictures import MOST, Picture, draw, worst_of
from .evaluation_results import (
    Evaluation,
    Means,
    Row,
    by_case,
    by_group,
    csv_text,
    json_text,
    mean_of,
    roots,
)
from .metrics import Scores, compare

SUFFIXES = (".csv", ".json", ".html")

GIVEN, WITHHELD, SHUFFLED = (
    "told to the model",
    "withheld from the model",
    "that of another case told to the model (seed {seed})",
)
"""What the model was given of what is known about the scans, as the reports say it."""


def evaluate(
    segmenter: Segmenter,
    data: Path,
    names: Sequence[str] = (),
    with_metadata: bool = True,
    shuffle_seed: int | None = None,
    labels: Sequence[str] = (),
    protocol: str = "",
) -> Evaluation:
    """Segment the cases of a data set (all, or those named) and compare every label with the truth.

    Labels are matched by name; a case is scored on those of `labels` (all leaves of the model, where none is named)
    that somebody looked for in it. protocol: whose labels the data set has, of a model of several; empty: the one that
    is called as the folder of the data set.
    shuffle_seed: give the model the metadata of another case. Raises InputError or LabelError, or
    SystemExit with a sentence.
    """
    data_set = read_data_set(data, names)
    package = segmenter.package
    tree = _labels_of(package, protocol or data.stem)
    code = TargetCode(tree, data_set.table, data_set.ignored_ids)
    code_of_model = TargetCode(tree, plain_part(tree, tree.protocols[0].name))
    among = None if tree is package.labels else [str(leaf.id) for leaf in tree.leaves]
    wanted = _wanted_labels(code, labels, data)
    raise_problems(metadata_problems(data_set.cases, package.metadata))
    metadata = {case.name: known_metadata(case, package.metadata) for case in data_set.cases}
    given = _given_metadata(data_set, package.metadata, with_metadata, shuffle_seed)
    rows: list[Row] = []
    pictures: tuple[Picture, ...] = ()
    for case in tqdm(data_set.cases, desc="evaluating", unit="case", disable=not sys.stderr.isatty()):
        scan, truth = read_case(case, code)
        found = segmenter.segment(scan, among, given[case.name])
        prediction = code_of_model.encode(found.label_map.array[0])
        looked_for = code.annotated(case.annotated)
        scored = [label for label in wanted if bool(looked_for[list(tree.classes_under(label))].all())]
        rows_of_case = [
            Row(case.name, label.id, scores)
            for label, scores in compare_labels(truth, prediction, code, scored, scan.spacing)
        ]
        pictures = _with_worst(pictures, rows_of_case, scan, truth, prediction, code)
        rows += rows_of_case
    return Evaluation(
        name=package.name,
        data=str(data),
        given=SHUFFLED.format(seed=shuffle_seed) if shuffle_seed is not None else GIVEN if with_metadata else WITHHELD,
        tree=tree,
        schema=package.metadata,
        models={case.name: str(package.path) for case in data_set.cases},
        trained_on=frozenset(case for case in metadata if was_trained_on(package, case)),
        metadata=metadata,
        rows=tuple(rows),
        pictures=pictures,
    )


def _labels_of(package: ModelPackage, protocol: str) -> LabelTree:
    """The labels of a package that are scored: all, or those of a protocol. Raises LabelError where it has not that."""
    return package.labels if len(package.labels.protocols) == 1 else package.labels.part_of(protocol)


def was_trained_on(package: ModelPackage, case: str) -> bool:
    """Whether the package names the case among those that it was trained on, as case or, of several sources, as
    source/case.
    """
    names: list[str] = package.about.get("provenance", {}).get("training_cases", [])
    return any(name == case or name.endswith(f"/{case}") for name in names)


def compare_labels(
    truth: Array, prediction: Array, code: TargetCode, labels: Sequence[Label], spacing: tuple[float, float, float]
) -> Iterator[tuple[Label, Scores]]:
    """The metrics of labels of the network's tree; a parent is the union of the leaves under it.

    truth: (k, j, i) targets as `TargetCode.encode` gives them. prediction: (k, j, i) classes. spacing: millimetres
    along (i, j, k). A label is left out where its truth is not known: none of it is marked, and there are voxels of an
    undivided parent that may be it.
    """
    true_boxes, predicted_boxes = _boxes(truth), _boxes(prediction)
    for label in labels:
        inside, undecided = _targets_of(code, label)
        marked = [true_boxes[n] for n in np.flatnonzero(inside[:-1]).tolist() if n in true_boxes]
        if not marked and any(n in true_boxes for n in np.flatnonzero(undecided[:-1]).tolist()):
            continue
        box = _union(marked + [predicted_boxes[n] for n in code.tree.classes_under(label) if n in predicted_boxes])
        known = ~undecided[truth[box]]
        yield label, compare(inside[truth[box]] & known, inside[prediction[box]] & known, spacing)


def _targets_of(code: TargetCode, label: Label) -> tuple[Array, Array]:
    """Two tables over targets, (K + G + 1,) bool, IGNORE being the last entry: which targets are the label, and of
    which nobody knows whether they are.
    """
    classes = np.zeros(code.classes, dtype=bool)
    classes[list(code.tree.classes_under(label))] = True
    members = code.members.numpy()
    within, touching = ~(members & ~classes).any(axis=1), (members & classes).any(axis=1)
    return np.concatenate([classes, within, [False]]), np.concatenate(
        [np.zeros(code.classes, dtype=bool), touching & ~within, [True]]
    )


Box = tuple[slice, slice, slice]


def _boxes(targets: Array) -> dict[int, Box]:
    """Target above 0 -> the box (k, j, i) that holds it."""
    return {n: box for n, box in enumerate(find_objects(targets.clip(0).astype(np.int32)), start=1) if box is not None}


def _union(boxes: Sequence[Box]) -> Box:
    """The box around boxes; without any, an empty one."""
    k, j, i = (
        slice(min((b[axis].start for b in boxes), default=0), max((b[axis].stop for b in boxes), default=0))
        for axis in range(3)
    )
    return k, j, i


def _wanted_labels(code: TargetCode, names: Sequence[str], data: Path) -> list[Label]:
    """The labels that are to be scored: those named, or all leaves.

    One sentence where the data set cannot tell them.
    """
    covered = code.annotated(None)
    wanted = [code.tree.find(name) for name in names] or [
        leaf for leaf in code.tree.leaves if covered[code.tree.class_of[leaf.id]]
    ]
    for label in wanted:
        if not bool(covered[list(code.tree.classes_under(label))].all()):
            raise SystemExit(f'"{label.name}" cannot be scored: the labels of "{data}" do not cover it.')
    if not wanted:
        raise SystemExit(f'The model and "{data}" have no label in common; labels are matched by name.')
    return list(dict.fromkeys(wanted))


def read_case(case: CaseFiles, code: TargetCode) -> tuple[Volume, Array]:
    """The scan, and the true targets (k, j, i) on its grid. Raises InputError."""
    scan, labels = read_image(case), read_labels(case)
    if difference := grid_difference(scan, labels):
        raise InputError(
            f'"{case.label}" does not lie on the grid of its scan: {difference}. Resample one to the other.'
        )
    return scan, code.encode(labels.array[0])


def known_metadata(case: CaseFiles, schema: MetadataSchema) -> dict[str, str | float | None]:
    """What is true of a case, as far as the model has a field for it."""
    try:
        return {field.name: field.parse(case.metadata.get(field.name)) for field in schema.fields}
    except MetadataError as error:
        raise MetadataError(f"Case {case.name}: {error}") from None


def _given_metadata(
    data_set: DataSet, schema: MetadataSchema, with_metadata: bool, shuffle_seed: int | None
) -> dict[str, Mapping[str, str]]:
    """Case -> what the model is given of it: the truth, nothing, or the truth of another case."""
    names = {field.name for field in schema.fields} if with_metadata else set()
    facts = {case.name: {key: value for key, value in case.metadata.items() if key in names} for case in data_set.cases}
    if shuffle_seed is None:
        return dict(facts)
    if len(facts) < 2:
        raise SystemExit("Shuffled metadata need at least two cases.")
    order = [list(facts)[n] for n in np.random.default_rng(shuffle_seed).permutation(len(facts))]
    return {
        case: facts[other] for case, other in zip(order, order[1:] + order[:1], strict=True)
    }  # one ring: nobody keeps their own


def _with_worst(
    pictures: tuple[Picture, ...], rows: Sequence[Row], scan: Volume, truth: Array, prediction: Array, code: TargetCode
) -> tuple[Picture, ...]:
    """The pictures, with those of the worst rows of a case in place of better ones; only what stays is drawn."""
    for row in sorted(rows, key=lambda r: r.scores.dice)[:MOST]:
        blank = Picture(row.case, row.label, row.scores.dice, b"")
        if row.scores.dice == 1 or blank not in worst_of([*pictures, blank]):
            continue
        inside, undecided = _targets_of(code, code.tree[row.label])
        known = ~undecided[truth]
        jpeg = draw(scan, inside[truth] & known, inside[prediction] & known)
        pictures = worst_of([*pictures, replace(blank, jpeg=jpeg)])
    return pictures


def print_summary(evaluation: Evaluation) -> None:
    """Means of every case, of the groups at the top of the tree, and of all, on the terminal."""
    print(f"{'':48s}   Dice  surface Dice  HD95 (mm)  missed  invented")
    for case, mean in by_case(evaluation).items():
        print(_line(case, mean) + ("  (trained on)" if case in evaluation.trained_on else ""))
    groups = by_group(evaluation)
    for root in roots(evaluation):
        print(_line(f"  {root.name}", groups[root.id]))
    labels = len({row.label for row in evaluation.rows})
    print(_line(f"all (labels: {labels}, cases: {len(evaluation.cases)})", mean_of(evaluation.rows)))
    print(f"metadata: {evaluation.given}")
    if evaluation.trained_on == frozenset(evaluation.cases):
        print(
            "WARNING: the model was trained on ALL of these cases; these numbers say nothing about scans that it has"
            " not seen."
        )


def _line(name: str, means: Means) -> str:
    return (
        f"{name:48s} {means['dice']:6.4f}  {means['surface_dice']:12.4f}  {means['hd95_mm']:9.2f}"
        f"  {means['missed']:6d}  {means['invented']:8d}"
    )


def check_stem(stem: Path) -> None:
    """Refuse before any work what could not be written after it."""
    if stem.suffix in SUFFIXES:
        raise SystemExit(
            f'"{stem}" ends in {stem.suffix}; leave that out, since {", ".join(SUFFIXES)} are all written.'
        )
    if stem.is_dir() or not stem.name:
        raise SystemExit(
            f'"{stem}" is a folder; name the files in it without their suffix, such as "{stem / "result"}".'
        )
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SystemExit(f'The folder "{stem.parent}" cannot be made ({error.strerror}).') from None
    if not os.access(stem.parent, os.W_OK):
        raise SystemExit(f'You may not write to the folder "{stem.parent}".')


def write_report(evaluation: Evaluation, stem: Path) -> None:
    """STEM.csv, STEM.json and STEM.html, which appear whole, or none of them. Raises OutputError."""
    texts = (csv_text(evaluation), json_text(evaluation), page(evaluation))
    places = [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
    write_all({place: partial(_write_text, text) for place, text in zip(places, texts, strict=True)})


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def build_parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a model package")
    parser.add_argument(
        "data",
        type=Path,
        help="a data set: a folder in the raw layout of nnU-Net, a MONAI datalist (.json), or a BIDS folder",
    )
    parser.add_argument("--cases", nargs="+", default=[], help="only these cases")
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only these labels, parents too; all leaves of the model by default",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="STEM",
        help="write STEM.csv (a row a case and label), STEM.json (means) and STEM.html (a page)",
    )
    parser.add_argument(
        "--protocol",
        default="",
        metavar="NAME",
        help="whose labels the data set has, of a model of several; by default that called as the data set",
    )
    parser.add_argument("--device", default="auto", help="auto (the default: a GPU if there is one), cpu, cuda:0, mps")
    telling = parser.add_mutually_exclusive_group()
    telling.add_argument("--without-metadata", action="store_true", help="tell the model nothing about the scans")
    telling.add_argument(
        "--shuffled-metadata", type=int, metavar="SEED", help="tell the model of every case the metadata of another one"
    )
    return parser


def main() -> None:
    arguments = build_parser().parse_args()
    with ends_with_a_sentence("Interrupted."):
        if arguments.output:
            check_stem(arguments.output)
        segmenter = Segmenter.from_package(arguments.model, arguments.device)
        evaluation = evaluate(
            segmenter,
            arguments.data,
            arguments.cases,
            not arguments.without_metadata,
            arguments.shuffled_metadata,
            arguments.labels,
            arguments.protocol,
        )
        print_summary(evaluation)
        if arguments.output:
            write_report(evaluation, arguments.output)
