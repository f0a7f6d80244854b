"""How well are labels found that were shown on an atlas? python -m Training.studies.labels_by_example PACKAGE DATA
--atlases A --cases X Y --registration demons -o FOLDER.

The labels of the atlases become prompts of the model, which may never have seen them, and are asked for in the cases;
the same atlases, registered to the cases, are what that is compared with. What was scored is kept in the folder, so
that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from LabelConditionedSegmentationLib.core.examples.example_prompt import SUFFIX, ExamplePrompt, write_prompt
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from ..data.datasets import CaseFiles, read_image
from ..engine.kept_files import keep_to, written_whole
from ..engine.program import ends_with_a_sentence
from ..engine.threads import use_threads
from ..evaluation.evaluation_results import Evaluation, Row, by_group, mean_of, roots
from ..evaluation.markdown import markdown_table
from ..evaluation.metrics import Scores
from ..evaluation.scan_evaluation import (
    GIVEN,
    compare_labels,
    known_metadata,
    was_trained_on,
    write_report,
)
from .example_answers import ExampleAnswers, Question, ask, by_registration
from .registration import WAYS, require

BY_EXAMPLE, INSIDE, POOLED = "by example", "by example, inside the parent", "by example, pooled"
BY_MODEL = (BY_EXAMPLE, INSIDE, POOLED)
REGISTRATION = "registration, "


@dataclass(frozen=True)
class Kept:
    """The scores of one way in one case. seconds: for this scan. seconds_before: for what is done once for all scans,
    where this was the first one of a call.
    """

    rows: tuple[Row, ...]
    seconds: float
    seconds_before: float

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Kept:
        """Inverse of `write`."""
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = tuple(Row(row["case"], row["label"], Scores(**row["scores"])) for row in content["rows"])
        return Kept(rows, content["seconds"], content["seconds_before"])


def answer(model: ExampleAnswers, registrations: Sequence[str], folder: Path) -> dict[str, dict[str, Kept]]:
    """Way -> case -> its scores; what the folder does not keep yet is computed and kept.

    Raises InputError or MetadataError.
    """
    question = model.question
    ways = [
        BY_EXAMPLE,
        *([INSIDE] if model.parents else []),
        *([POOLED] if model.segmenter.network.examples is not None else []),
        *(REGISTRATION + name for name in registrations),
    ]
    for case in question.cases:
        waiting = [way for way in ways if not _kept(folder, way, case).is_file()]
        if not waiting:
            continue
        scan, truth = question.read(case)
        labels, spacing = _scored(question, case, truth), read_image(case).spacing
        for way, found, seconds, before in _answers(model, case, scan, waiting):
            rows = tuple(
                Row(case.name, label.id, scores)
                for label, scores in compare_labels(truth, found, question.code, labels, spacing)
            )
            Kept(rows, seconds, before).write(_kept(folder, way, case))
            print(f"{case.name}, {way}: mean Dice {mean_of(rows)['dice']:.3f}, {seconds:.1f} s", flush=True)
    return {way: {case.name: Kept.read(_kept(folder, way, case)) for case in question.cases} for way in ways}


def _answers(
    model: ExampleAnswers, case: CaseFiles, scan: Volume, ways: Sequence[str]
) -> Iterator[tuple[str, Array, float, float]]:
    """Way, the class of every voxel, seconds for the scan, seconds before it; the network runs once for all ways that
    need it.
    """
    by_model = [way for way in ways if way in BY_MODEL]
    if by_model:
        start = time.perf_counter()
        features = model.features(case, scan)
        network = time.perf_counter() - start
        for way in by_model:
            start = time.perf_counter()
            prompts = model.pooled_prompts if way == POOLED else model.prompts
            shown = time.perf_counter()
            found = model.found(features, prompts, way == INSIDE)
            yield way, found, network + time.perf_counter() - shown, shown - start
    for way in ways:
        if way not in by_model:
            start = time.perf_counter()
            found = by_registration(model.question, scan, way.removeprefix(REGISTRATION))
            yield way, found, time.perf_counter() - start, 0.0


def _kept(folder: Path, way: str, case: CaseFiles) -> Path:
    return folder / _slug(way) / f"{case.name}.json"


def _slug(way: str) -> str:
    return re.sub("[^a-z]+", "-", way)


def _scored(question: Question, case: CaseFiles, truth: Array) -> list[Label]:
    """The labels that somebody looked for, and found, in a case."""
    looked_for, there = question.code.annotated(case.annotated), set(np.unique(truth).tolist())
    return [leaf for n, leaf in enumerate(question.labels.leaves, start=1) if looked_for[n] and n in there]


def asked(question: Question, package: ModelPackage) -> dict[str, Any]:
    """What the kept scores are an answer to, in plain values."""
    return {
        "package": package.weights_sha256,
        "data": str(question.data_set.root.resolve()),
        "atlases": [atlas.name for atlas in question.atlases],
        "labels": [leaf.name for leaf in question.labels.leaves],
        "scale": question.scale,
    }


def evaluation_of(way: str, kept: Mapping[str, Kept], question: Question, package: ModelPackage) -> Evaluation:
    """What one way found, as Training/evaluate.py reports it."""
    trained_on = frozenset(case.name for case in question.cases if was_trained_on(package, case.name))
    return Evaluation(
        name=f"{package.name}, {way}" if way in BY_MODEL else way,
        data=str(question.data_set.root),
        given=GIVEN,
        tree=question.labels,
        schema=package.metadata,
        models={case.name: str(package.path) if way in BY_MODEL else way for case in question.cases},
        trained_on=trained_on & frozenset(kept),
        metadata={case.name: known_metadata(case, package.metadata) for case in question.cases},
        rows=tuple(row for one in kept.values() for row in one.rows),
        pictures=(),
    )


def table(evaluations: Mapping[str, Evaluation], answers: Mapping[str, Mapping[str, Kept]]) -> str:
    """A row a way in Markdown: the mean Dice over labels and cases, of all labels and of the groups at the top of the
    tree, and the seconds.
    """
    groups = roots(next(iter(evaluations.values())))
    heading = ["way", "all", *(group.name for group in groups), "seconds before", "seconds a scan"]
    lines = []
    for way, evaluation in evaluations.items():
        of_groups = by_group(evaluation)
        means = [mean_of(evaluation.rows)["dice"], *(of_groups[group.id]["dice"] for group in groups)]
        kept = answers[way].values()
        seconds = [max(one.seconds_before for one in kept), statistics.fmean(one.seconds for one in kept)]
        lines.append([way, *(f"{mean:.3f}" for mean in means), *(f"{value:.1f}" for value in seconds)])
    return markdown_table(heading, lines)


def remarks(question: Question, package: ModelPackage) -> list[str]:
    """What has to be known of the table: how often, on what, and which labels nobody could have found."""
    atlases, cases = (", ".join(case.name for case in chosen) for chosen in (question.atlases, question.cases))
    shown, labels = question.shown(), question.labels.leaves
    out = [
        (
            f"Mean Dice over the labels that are in a case, and over cases. Package: {package.name}. Atlases:"
            f" {atlases}. Cases: {cases}. Labels: {len(labels)}."
        ),
        "Seconds before: for the atlases, once for any number of scans. Seconds a scan: for all atlases together.",
    ]
    absent = [leaf.name for leaf in labels if leaf not in shown]
    if absent:
        out.append(
            f"{len(absent)} of {len(labels)} labels are in no atlas and count as not found: {', '.join(absent)}."
        )
    seen = sorted(case.name for case in question.cases if was_trained_on(package, case.name))
    if seen:
        out.append(
            f"WARNING: the package was trained on {', '.join(seen)}; their scores say nothing about scans that it has"
            " not seen."
        )
    return out


def write_prompts(prompts: Iterable[ExamplePrompt], folder: Path) -> None:
    """Every label by example as a file of its own, as `lcs` and the Slicer module read them."""
    folder.mkdir(exist_ok=True)
    for prompt in prompts:
        with written_whole(folder / (re.sub(r"[^\w-]+", "-", prompt.name) + SUFFIX)) as temporary:
            write_prompt(prompt, temporary)


def build_parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="a model package that was trained to learn labels from examples")
    _add_question(parser)
    parser.add_argument(
        "--registration",
        nargs="+",
        default=[],
        choices=WAYS,
        help=(
            "ways to register the atlases to the cases, which the answer is compared with; syn and syn_quick need"
            " antspyx"
        ),
    )
    parser.add_argument("--prompts", action="store_true", help="write the labels by example too, into FOLDER/prompts")
    parser.add_argument("--device", default="auto", help="auto (the default: a GPU if there is one), cpu, cuda:0, mps")
    parser.add_argument(
        "--threads", type=int, help="for the network and the registration; by default as many as there are cores"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the table (table.md), and CSV, JSON and HTML of every way",
    )
    return parser


def _add_question(parser: argparse.ArgumentParser) -> None:
    """Which labels are shown on which scans, and looked for in which."""
    parser.add_argument("data", type=Path, help="a data set, as for Training/evaluate.py")
    parser.add_argument(
        "--atlases", nargs="+", required=True, metavar="CASE", help="the cases that the labels are shown on"
    )
    parser.add_argument(
        "--cases", nargs="+", required=True, metavar="CASE", help="the cases that they are looked for in"
    )
    parser.add_argument(
        "--labels",
        default="",
        metavar="A,B",
        help="only these labels, parents too; all leaves of the data set by default",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="enlarge the scans by this factor, such as a mouse's brain for a model of human ones",
    )


def main() -> None:
    arguments = build_parser().parse_args()
    use_threads(arguments.threads)
    with ends_with_a_sentence("Interrupted; the same command goes on."):
        require(arguments.registration)
        labels = [name.strip() for name in arguments.labels.split(",") if name.strip()]
        question = ask(arguments.data, arguments.atlases, arguments.cases, labels, arguments.scale)
        segmenter = Segmenter.from_package(arguments.package, arguments.device)
        keep_to(arguments.output, asked(question, segmenter.package), "the scores")
        model = ExampleAnswers(segmenter, question)
        answers = answer(model, list(dict.fromkeys(arguments.registration)), arguments.output)
        if arguments.prompts:
            write_prompts(model.prompts.values(), arguments.output / "prompts")
        evaluations = {way: evaluation_of(way, kept, question, segmenter.package) for way, kept in answers.items()}
        for way, evaluation in evaluations.items():
            write_report(evaluation, arguments.output / _slug(way))
        text = "\n\n".join([table(evaluations, answers), *remarks(question, segmenter.package)])
        with written_whole(arguments.output / "table.md") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
