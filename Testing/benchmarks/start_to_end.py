"""Where the time of `lcs segment` goes, from the start of the process to its exit: one scan a process, as a user waits
for it.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.benchmarks.measure import Line, lcs_lines
from Testing.benchmarks.shifts import SCANS
from Training.evaluation.markdown import markdown_table

REPEATS = 5
START, MODEL, WRITING, LEAVING = "start, imports", "loading the model", "checks and writing", "leaving"
LOADED = re.compile(r"^model .*, loaded in (?P<seconds>[\d.]+) s$")
DONE = re.compile(r" -> .*\((?P<stages>[^()]+) s\)$")
STAGE = re.compile(r"(?P<name>[^,]+?) (?P<seconds>[\d.]+)(?:, |$)")


def run() -> str:
    """Markdown of this section: a column a scan, the medians of REPEATS runs after one that warms the disk's cache."""
    scans = {"Colin27, raw head": resources_folder() / "SampleData" / "colin27_t1_head.nii.gz"}
    if SCANS.is_dir():
        scans = {"stripped, 160 x 200 x 165": SCANS / "imagesTr" / "malc_1002_0000.nii.gz"} | scans
    columns = {name: _medians([stages_of(scan) for _ in range(REPEATS + 1)][1:]) for name, scan in scans.items()}
    stages = list(dict.fromkeys(stage for column in columns.values() for stage in column))
    rows = [[stage, *(_cell(column.get(stage)) for column in columns.values())] for stage in stages]
    return markdown_table(["seconds", *columns], rows)


def stages_of(scan: Path) -> dict[str, float]:
    """Stage -> seconds of one run; the stages follow each other, and "whole" is their sum."""
    with tempfile.TemporaryDirectory() as folder:
        return split(list(lcs_lines(["segment", str(scan), "-o", str(Path(folder, "out.seg.nrrd"))])))


def split(lines: Sequence[Line]) -> dict[str, float]:
    """Stage -> seconds, from the lines about the model and the scan, which name their own."""
    loaded_at, loading = next((line.seconds, float(m["seconds"])) for line in lines if (m := LOADED.match(line.text)))
    done_at, words = next((line.seconds, m["stages"]) for line in lines if (m := DONE.search(line.text)))
    named: defaultdict[str, float] = defaultdict(float)
    for found in STAGE.finditer(words):
        named[found["name"]] += float(found["seconds"])
    return {
        START: loaded_at - loading,
        MODEL: loading,
        **named,
        WRITING: done_at - loaded_at - sum(named.values()),
        LEAVING: lines[-1].seconds - done_at,
        "whole": lines[-1].seconds,
    }


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {stage: median(run[stage] for run in runs) for stage in runs[0]}


def _cell(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    print(run())
