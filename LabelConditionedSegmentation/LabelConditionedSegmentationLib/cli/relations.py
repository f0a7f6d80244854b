"""`lcs relations`: which label of one protocol is which part of another, as a table and a picture."""

from __future__ import annotations

import argparse
import csv
import io
import math
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from ..core.errors import InputError, OutputError
from ..core.inference.class_relations import ClassRelations, Relation
from ..core.inference.segmenter import EXAMPLE_BUDGET, Segmenter
from ..core.package.model_package import ModelPackage
from ..core.progress import CancelToken
from ..core.scan.orientation import check_letters
from ..core.scan.whole_files import Writer, write_all, write_text
from ..core.signals import cancel_on_interrupt
from .heat_map import heat_map
from .known import Knowing
from .model_choice import resolve_model
from .places import check_outputs
from .reading import Reading
from .scan import Scan
from .scans import choose
from .status import DONE
from .terminal import answer, progress_bar, say

COLUMNS = (
    *("protocol", "label", "other_protocol", "other_label"),
    *("overlap", "probability", "features", "prompts"),
)
CSV, MARKDOWN, PNG = ".csv", ".md", ".png"


def run(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, then relate the labels. Returns the exit status. Raises LCSError."""
    files = _outputs(arguments)
    if arguments.assume_orientation is not None:
        check_letters(arguments.assume_orientation)
    package = ModelPackage.load(resolve_model(arguments.model))
    scans = choose(arguments, package).scans if arguments.scans else ()
    inputs = [package.path, *(image for scan in scans for image in scan.images)]
    check_outputs(files, inputs, arguments.overwrite)
    knowing = Knowing.from_words(package.metadata, arguments)
    segmenter = Segmenter.from_package(package.path, arguments.device, EXAMPLE_BUDGET)
    found = ClassRelations(segmenter)
    with cancel_on_interrupt() as cancel:
        for scan in scans:
            _add(found, segmenter, scan, knowing, arguments, cancel)
    write_all(dict(zip(files, _writers(found, arguments), strict=True)))
    answer(closest(found, arguments.least) or f"No relation is {arguments.least:g} or more.")
    for file in files:
        say(f"-> {file}")
    return DONE


def _outputs(arguments: argparse.Namespace) -> list[Path]:
    """The files that are asked for. Raises OutputError for names of another format."""
    files = []
    for name, suffixes in ((arguments.output, (CSV, MARKDOWN)), (arguments.picture, (PNG,))):
        if name is None:
            continue
        if not name.lower().endswith(suffixes):
            raise OutputError(f'"{name}" says no format; use a name that ends in {" or ".join(suffixes)}.')
        files.append(Path(name))
    return files


def _add(
    found: ClassRelations,
    segmenter: Segmenter,
    scan: Scan,
    knowing: Knowing,
    arguments: argparse.Namespace,
    cancel: CancelToken,
) -> None:
    """One scan. Raises LCSError with a sentence that names it."""
    volume = Reading(arguments.assume_orientation, arguments.fill_gaps).scan(scan)
    known = knowing.of(scan.images, scan.series)
    try:
        with progress_bar(scan.title.rpartition("/")[2]) as progress:
            features = segmenter.features(
                volume, known.values, progress, cancel, arguments.not_a_label_map, stripped=arguments.stripped
            )
        found.add(features)
    except InputError as error:
        raise InputError(f'"{scan.title}": {error}') from error
    for finding in (*known.findings, *features.report.findings):
        say(f"{finding.level}: {scan.title}: {finding}")


def _writers(found: ClassRelations, arguments: argparse.Namespace) -> Iterable[Writer]:
    """What writes each of the files of `_outputs`."""
    if arguments.output is not None:
        text = csv_of if arguments.output.lower().endswith(CSV) else markdown_of
        yield partial(write_text, text(found, arguments.least))
    if arguments.picture is not None:
        yield partial(heat_map(found, arguments.least).save, format="PNG")


def rows_of(found: ClassRelations, least: float) -> list[list[str]]:
    """A row a relation, those of a label one below the other; what is not known is empty."""
    return [_row(found, relation) for leaf in found.tree.leaves for relation in found.of(leaf, least)]


def _row(found: ClassRelations, relation: Relation) -> list[str]:
    names = [name for x in (relation.label, relation.other) for name in (found.tree.protocol_of(x).name, x.name)]
    numbers = (relation.overlap, relation.probability, relation.features, relation.prompts)
    return [*names, *("" if math.isnan(number) else f"{number:.4f}" for number in numbers)]


def csv_of(found: ClassRelations, least: float) -> str:
    """The relations as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows_of(found, least)])
    return text.getvalue()


def markdown_of(found: ClassRelations, least: float) -> str:
    """The relations as a table in Markdown."""
    lines: list[Sequence[str]] = [COLUMNS, ["---"] * len(COLUMNS), *rows_of(found, least)]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def closest(found: ClassRelations, least: float) -> str:
    """A line a leaf that has a relation, with its strongest one."""
    strongest = [relations[0] for leaf in found.tree.leaves if (relations := found.of(leaf, least))]
    width = max((len(relation.label.name) for relation in strongest), default=0)
    return "\n".join(f"{r.label.name:{width}}  {r.strength:5.2f}  {r.other.name}{_overlap(r)}" for r in strongest)


def _overlap(relation: Relation) -> str:
    return "" if math.isnan(relation.overlap) else f"  (overlap {relation.overlap:.2f})"
