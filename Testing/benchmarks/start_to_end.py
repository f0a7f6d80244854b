"""Where the time of `lcs segment` goes, from the start of the process to its exit: one scan a process, as a user waits
for it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.benchmarks.shifts import SCANS
from Training.evaluation.markdown import markdown_table

REPEATS = 5
START, MODEL, WRITING, LEAVING = "start, imports", "loading the model", "checks and writing", "leaving"
LOADED = re.compile(r"^model .*, loaded in (?P<seconds>[\d.]+) s$")
DONE = re.compile(r" -> .*\((?P<stages>[^()]+) s\)$")
STAGE = re.compile(r"(?P<name>[^,]+?) (?P<seconds>[\d.]+)(?:, |$)")


@dataclass(frozen=True)
class Line:
    """A line that a process printed, and the seconds after its start at which it came."""

    at: float
    text: str


@dataclass(frozen=True)
class Told:
    """What a process printed until it ended after `seconds`."""

    lines: list[Line]
    seconds: float


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
        told = lines_of(["segment", str(scan), "-o", str(Path(folder, "out.seg.nrrd"))])
    return split(told)


def lines_of(words: list[str]) -> Told:
    """Run `lcs WORDS` and listen. Raises RuntimeError where it fails."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "LabelConditionedSegmentationLib", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        lines = [Line(time.perf_counter() - began, text.rstrip("\n")) for text in process.stderr]
    if process.returncode:
        raise RuntimeError(f"lcs {' '.join(words)} failed: {lines[-1].text if lines else ''}")
    return Told(lines, time.perf_counter() - began)


def split(told: Told) -> dict[str, float]:
    """Stage -> seconds, from the lines about the model and the scan, which name their own."""
    loaded_at, loading = next((line.at, float(m["seconds"])) for line in told.lines if (m := LOADED.match(line.text)))
    done_at, words = next((line.at, m["stages"]) for line in told.lines if (m := DONE.search(line.text)))
    named: defaultdict[str, float] = defaultdict(float)
    for found in STAGE.finditer(words):
        named[found["name"]] += float(found["seconds"])
    return {
        START: loaded_at - loading,
        MODEL: loading,
        **named,
        WRITING: done_at - loaded_at - sum(named.values()),
        LEAVING: told.seconds - done_at,
        "whole": told.seconds,
    }


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {stage: median(run[stage] for run in runs) for stage in runs[0]}


def _cell(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    print(run())
