"""What adapting to the scan gains or loses on shifted scans, way by way, and when the checks would refuse it.

The scans are among those that `brain` was trained on, so the figures of the row without a shift are too good; what a
shift costs, and what adapting gives back, is measured all the same.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
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
"""A file that gets a line of JSON for every scan, as it comes."""


@dataclass(frozen=True)
class Try:
    """One scan, shifted, answered in one way; why: the checks would have refused what was learned, empty where not."""

    dice: float
    groups: float
    seconds: float
    peak_mb: float
    why: str = ""


def run() -> str:
    """Markdown of this section."""
    if not SCANS.is_dir():
        return f"Not measured: {SCANS} is missing."
    shifts = WANTED.split(";") if WANTED else [*SHIFTS_TO_ADAPT_TO, *MADE]
    columns = ["shift", "none", *WAYS, "none, s", "adapted, s", f"refused, of {len(CASES)}"]
    with Segmenter.from_package(MODEL, "cpu") as segmenter:
        return markdown_table(columns, [_row(segmenter, shift) for shift in shifts])


def _row(segmenter: Segmenter, shift: str) -> list[str]:
    """Mean Dice over the scans, way by way; the seconds and refusals are those of the last way."""
    tries: dict[str, list[Try]] = {}
    for name in CASES:
        shifted = SHIFTS[shift](*truth_of(name))
        for way, found in zip(("none", *WAYS), _tries(segmenter, shifted), strict=True):
            tries.setdefault(way, []).append(found)
            if LOG:
                with Path(LOG).open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"shift": shift, "case": name, "way": way, **vars(found)}) + "\n")
    means = [f"{np.mean([each.dice for each in tries[way]]):.3f}" for way in ("none", *WAYS)]
    seconds = [f"{np.mean([each.seconds for each in tries[way]]):.0f}" for way in ("none", WAYS[-1])]
    return [shift, *means, *seconds, str(sum(bool(each.why) for each in tries[WAYS[-1]]))]


def _tries(segmenter: Segmenter, shifted: Truth) -> Iterator[Try]:
    yield _try(segmenter, shifted, None)
    for way in WAYS:
        yield _try(segmenter, shifted, Adaptation(way, STEPS, RATE, always=True))


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
