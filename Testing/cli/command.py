"""Helpers of the command-line tests: run `lcs` as its own process, write scans, and see what changed in a folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from Testing import samples

LCS = (sys.executable, "-m", "LabelConditionedSegmentationLib")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def lcs(*words: str | Path, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. before: called in the new process before it starts."""
    return subprocess.run(
        [*LCS, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
        preexec_fn=before,
        check=False,
    )


def one_sentence(stderr: str) -> str:
    """What `lcs` said was wrong: one line, the last, beside at most the line about the model; no traceback, no noise of
    libraries.
    """
    lines = [line for line in stderr.splitlines() if not line.startswith("model ")]
    assert len(lines) == 1, stderr
    assert lines[0].startswith("lcs: "), stderr
    assert lines[0].endswith((".", "!", "?")), stderr
    return lines[0]


def write_scan(path: Path, volume: Volume | None = None) -> Path:
    """Write a volume (a scan-like one by default) in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image_of(volume or samples.scan()), str(path))
    return path


def read_back(path: Path) -> tuple[Array, sitk.Image]:
    """Voxels (k, j, i) of a written file, and the image for its geometry."""
    image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image), image


def same_place(path: Path, other: Path) -> bool:
    """Whether two image files lie on the same grid, to 1e-5."""
    one, two = (sitk.ReadImage(str(p)) for p in (path, other))
    numbers = [
        np.array([*image.GetSize(), *image.GetSpacing(), *image.GetOrigin(), *image.GetDirection()])
        for image in (one, two)
    ]
    return numbers[0].shape == numbers[1].shape and bool(np.allclose(numbers[0], numbers[1], rtol=0, atol=1e-5))


def contents(*folders: Path) -> dict[Path, str]:
    """Everything below the folders, hidden things too: path -> hash of the file, or what else it is."""
    found: Sequence[Path] = [path for folder in folders for path in folder.rglob("*")]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder" for path in found}
