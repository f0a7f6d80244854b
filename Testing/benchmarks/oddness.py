"""Whether the worst answers come first where nobody has labels: the oddness of answers against their Dice, on scans as
they are and shifted: python -m Testing.benchmarks.oddness [--cases NAME ...]. It prints Markdown.

A score is good where its rank correlation with the Dice is near -1, and where it puts a bad answer before a good one
(area under the curve near 1).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from LabelConditionedSegmentationLib.cli.bids_group import group_deviations
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.usual_answers import MEASURES, UsualAnswers
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from scipy.stats import spearmanr

from Testing.benchmarks.shifts import CASES, MODEL, SCANS, SHIFTS, agreement, truth_of
from Training.evaluation.markdown import markdown_table

BAD = 0.6
"""Dice below which an answer should be looked at."""


@dataclass(frozen=True)
class Judged:
    """An answer. scores: name -> how bad it is said to be."""

    case: str
    shift: str
    dice: float
    scores: Mapping[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", default=CASES, metavar="NAME", help="scans that are shifted")
    parser.add_argument("--shifts", nargs="+", default=list(SHIFTS), choices=SHIFTS, metavar="SHIFT")
    arguments = parser.parse_args()
    with Segmenter.from_package(MODEL, "cpu") as segmenter:
        judged = list(_judged(segmenter, arguments.cases, arguments.shifts))
    print(markdown_table(["scan", "shift", "Dice", *judged[0].scores], list(_rows(judged))))
    print()
    print(markdown_table(["score", "rank correlation with Dice", f"area, Dice below {BAD}"], list(summary(judged))))


def _judged(segmenter: Segmenter, cases: Sequence[str], shifts: Sequence[str]) -> Iterator[Judged]:
    usual = segmenter.package.usual
    if usual is None:
        raise SystemExit(f"{MODEL} does not say what it usually finds.")
    others = [_answer(segmenter, truth_of(path.name[:-12])[0])[1] for path in sorted(SCANS.glob("imagesTr/*"))]
    for case in cases:
        for shift in shifts:
            scan, truth = SHIFTS[shift](*truth_of(case))
            found, volumes, measures = _answer(segmenter, scan)
            scores = scores_of(measures, usual) | {
                "volumes among the group's": group_deviations([*others, volumes])[-1]
            }
            dice, _ = agreement(segmenter.package.labels, found.array[0], truth.array[0])
            yield Judged(case, shift, dice, {name: value or 0.0 for name, value in scores.items()})


def _answer(segmenter: Segmenter, scan: Volume) -> tuple[Volume, dict[str, float], Mapping[str, float]]:
    """Label map, millilitres by name, and what the judgement measured."""
    result = segmenter.segment(scan, stripped="yes")
    names = {entry.label.id: entry.label.name for entry in result.labels}
    volumes = {names[ident]: value for ident, value in result.millilitres().items()}
    return result.label_map, volumes, result.report.answer


def scores_of(measures: Mapping[str, float], usual: UsualAnswers) -> dict[str, float | None]:
    """The oddness and what might stand in its place: the mean of the measures, and each alone."""
    parts = {name: measures.get(name, 0.0) / usual.limits[name][1] for name in MEASURES if name in usual.limits}
    return {"oddness": measures.get("oddness", 0.0), "mean of measures": float(np.mean(list(parts.values()))), **parts}


def _rows(judged: Sequence[Judged]) -> Iterator[list[str]]:
    for one in sorted(judged, key=lambda one: -one.scores["oddness"]):
        yield [one.case, one.shift, f"{one.dice:.3f}", *(f"{value:.2f}" for value in one.scores.values())]


def summary(judged: Sequence[Judged]) -> Iterator[list[str]]:
    """A row a score."""
    dice = np.array([one.dice for one in judged])
    for name in judged[0].scores:
        score = np.array([one.scores[name] for one in judged])
        correlation = float(spearmanr(score, dice).statistic)
        yield [name, f"{correlation:.2f}", f"{area(score, dice < BAD):.2f}"]


def area(score: np.ndarray, is_bad: np.ndarray) -> float:
    """How often a bad answer has a higher score than a good one; NaN where there are none of either."""
    bad, good = score[is_bad], score[~is_bad]
    if not bad.size or not good.size:
        return float("nan")
    return float(np.mean((bad[:, None] > good) + 0.5 * (bad[:, None] == good)))


if __name__ == "__main__":
    main()
