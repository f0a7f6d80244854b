"""What adapting to the scan gains or loses on shifted scans, way by way, and when the checks refuse it: the Dice is
that of the adapted network also where they do, and the original answer would stand.

The scans are among those that `brain` was trained on, so the figures of the row without a shift are too good; what a
shift costs, and what adapting gives back, is measured all the same.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.adaptation.adapters import ADAPTERS, DEFAULT_STEPS, Adaptation
from LabelConditionedSegmentationLib.core.adaptation.trust import Signs, not_needed, not_trusted
from LabelConditionedSegmentationLib.core.inference.adapted_pass import FEATURE_DISTANCE
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.benchmarks.measure import hardware
from Testing.benchmarks.shifts import CASES, SCANS, SHIFTS, Truth, agreement, truth_of
from Training.evaluation.markdown import markdown_table

MODEL = Path(os.environ.get("LCS_MODEL", resources_folder() / "Models" / "brain"))
WANTED = os.environ.get("LCS_ADAPT_SHIFTS", "")
"""Names of shifts, separated by semicolons; those of SHIFTS_TO_ADAPT_TO where there is none."""

SHIFTS_TO_ADAPT_TO = ("as it is", "noise, 7 % of the range", "bias field", "gamma 0.6", "gamma 1.6", "1 x 1 x 5 mm")
MADE = ("made T2",)

WAYS = [name for name, adapter in ADAPTERS.items() if adapter.objective]
STEPS = int(os.environ.get("LCS_ADAPT_STEPS", DEFAULT_STEPS))
RATE = float(os.environ.get("LCS_ADAPT_RATE", Adaptation.rate))
LOG = os.environ.get("LCS_ADAPT_LOG", "")
"""A file that gets a line of JSON for every answer, as it comes; those that it holds are not computed again."""


@dataclass(frozen=True)
class Try:
    """One scan, shifted, answered in one way; why: the checks would have refused what was learned, empty where not."""

    dice: float
    groups: float
    seconds: float
    peak_mb: float
    why: str = ""


Kept = dict[tuple[str, str, str], Try]
"""Shift, case and way -> what became of it."""


def run() -> str:
    """Markdown of this section."""
    if not SCANS.is_dir():
        return f"Not measured: {SCANS} is missing."
    shifts = WANTED.split(";") if WANTED else [*SHIFTS_TO_ADAPT_TO, *MADE]
    kept = _kept()
    with Segmenter.from_package(MODEL, "cpu") as segmenter:
        return markdown_table(["shift", "none", *WAYS], [_row(segmenter, shift, kept) for shift in shifts])


def _kept() -> Kept:
    """The answers of the log."""
    if not LOG or not Path(LOG).is_file():
        return {}
    entries = map(json.loads, Path(LOG).read_text(encoding="utf-8").splitlines())
    return {(entry.pop("shift"), entry.pop("case"), entry.pop("way")): Try(**entry) for entry in entries}


def _row(segmenter: Segmenter, shift: str, kept: Kept) -> list[str]:
    """Mean Dice over the scans, way by way, and of how many of them the checks refuse what was learned."""
    tries: dict[str, list[Try]] = {}
    for name in CASES:
        shifted: Truth | None = None
        for way in ("none", *WAYS):
            if (shift, name, way) not in kept:
                shifted = shifted or SHIFTS[shift](*truth_of(name))
                kept[shift, name, way] = _noted(shift, name, way, _try(segmenter, shifted, _adaptation(way)))
            tries.setdefault(way, []).append(kept[shift, name, way])
    return [shift, *(_cell(found, way) for way, found in tries.items())]


def _cell(tries: Sequence[Try], way: str) -> str:
    dice = f"{np.mean([each.dice for each in tries]):.3f}"
    return dice if way == "none" else f"{dice}, {sum(bool(each.why) for each in tries)} of {len(tries)} refused"


def _adaptation(way: str) -> Adaptation | None:
    return None if way == "none" else Adaptation(way, STEPS, RATE, always=True)


def _noted(shift: str, name: str, way: str, found: Try) -> Try:
    if LOG:
        with Path(LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"shift": shift, "case": name, "way": way, **vars(found)}) + "\n")
    return found


def _try(segmenter: Segmenter, shifted: Truth, adaptation: Adaptation | None) -> Try:
    scan, truth = shifted
    began = time.perf_counter()
    result = segmenter.segment(scan, stripped="yes", adaptation=adaptation)
    seconds = time.perf_counter() - began
    dice, groups = agreement(segmenter.package.labels, result.label_map.array[0], truth.array[0])
    usual = segmenter.package.statistics.get(FEATURE_DISTANCE, ())
    why = _refused(result.report.adaptation, usual) if adaptation else ""
    return Try(dice, groups, seconds, result.report.peak_memory_mb.get("process", 0.0), why)


def _refused(entry: dict[str, dict[str, float]], usual: Sequence[float]) -> str:
    """Why the checks would let the original network stand."""
    keys = ("distance", "entropy", "effective_classes")
    before, after = (Signs(*(entry[key][when] for key in keys)) for when in ("before", "after"))
    return not_needed(before, usual) or not_trusted(before, after)


if __name__ == "__main__":
    print(f"{hardware()}\n\n{run()}")
