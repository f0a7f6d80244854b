"""Scans an hour: `lcs segment` over whole-brain scans in one process, and divided among one and two workers."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.benchmarks.measure import lcs_lines
from Testing.samples import SHARED
from Training.evaluation.markdown import markdown_table

SCANS = Path(os.environ.get("LCS_MALC2012", SHARED / "malc2012")) / "imagesTr"
MODEL = Path(os.environ.get("LCS_MODEL", resources_folder() / "Models" / "brain"))
COUNT = int(os.environ.get("LCS_THROUGHPUT_SCANS", "8"))
WAYS = {"one process": (), "one worker": ("--workers", "1"), "two workers": ("--workers", "2")}


@dataclass(frozen=True)
class Run:
    """When what of a command was done, in seconds after its start. each: at which a scan was done."""

    each: tuple[float, ...]
    whole: float

    def an_hour(self, workers: int) -> float:
        """Scans an hour once every worker is at work: those that were done after the first of each."""
        return 3600 * (len(self.each) - workers) / (self.each[-1] - self.each[0])


def run() -> str:
    """Markdown of this section: the same stripped scans and all labels every time, with a table of volumes."""
    scans = sorted(SCANS.glob("*.nii.gz"))[:COUNT]
    rows = []
    for name, words in WAYS.items():
        done = timed(scans, words)
        rate = done.an_hour(int(words[-1]) if words else 1)
        rows.append([name, f"{done.each[0]:.0f}", f"{done.whole:.0f}", f"{rate:.0f}"])
    return markdown_table(
        ["way", "first scan done s", f"all {len(scans)} done s", "scans an hour after the first"], rows
    )


def timed(scans: list[Path], words: tuple[str, ...]) -> Run:
    """Segment the scans with these words of the command beside those that are always the same."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["-o", f"{folder}/{{name}}.nii.gz", "--volumes", f"{folder}/volumes.csv", "--model", str(MODEL)]
        lines = list(lcs_lines(["segment", *map(str, scans), *out, *words]))
    each = tuple(line.seconds for line in lines if " -> " in line.text)
    if len(each) != len(scans):
        raise SystemExit(f"Only {len(each)} of {len(scans)} scans were segmented.")
    return Run(each, lines[-1].seconds)
