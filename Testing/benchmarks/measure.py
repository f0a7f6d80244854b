"""Time and peak memory of a piece of work, and the words that say on what it was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Measurement:
    """Wall time in seconds and peak memory in MiB above what was there before."""

    seconds: float
    peak_mb: float


def measured(work: Callable[[], Any]) -> Measurement:
    """Run `work` once.

    Peak memory is the process's highest resident size meanwhile, less its size before (Linux only, else NaN).
    """
    before = _status("VmRSS")
    _forget_peak()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return Measurement(seconds, _status("VmHWM") - before)


def _status(key: str, file: str = "/proc/self/status") -> float:
    """MiB that a process states about itself; NaN where it is gone, or no file tells."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("nan")
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith(key)), float("nan"))


def _forget_peak() -> None:
    if CLEAR.exists():
        CLEAR.write_text("5")


def hardware() -> str:
    """Processor, cores, threads, memory, versions and date, in one line."""
    name = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        name = next(
            (line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")),
            name,
        )
    memory = (
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else float("nan")
    )
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ", no GPU"
    return (
        f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {memory:.0f} GiB{gpu}; "
        f"Python {platform.python_version()}, torch {torch.__version__}; {datetime.now(UTC).date().isoformat()}"
    )


def warm(work: Callable[[], Any]) -> Measurement:
    """Run `work` four times: the best of the last three in time, the first in memory."""
    runs = [measured(work) for _ in range(4)]
    return Measurement(min(run.seconds for run in runs[1:]), runs[0].peak_mb)


@dataclass(frozen=True)
class Line:
    """A line that a process has just printed, the seconds since its start, and the most that it has held in memory
    (MiB, Linux only, else NaN).
    """

    text: str
    seconds: float
    peak_mb: float


def lcs_lines(words: Sequence[str]) -> Iterator[Line]:
    """Run `lcs WORDS` in a process of its own and listen to what it says to the person at the terminal; the last line
    is empty, and comes when it has ended. Raises RuntimeError where it fails.
    """
    command = [sys.executable, "-m", "LabelConditionedSegmentationLib", *words]
    began, text = time.perf_counter(), ""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for text in process.stderr:
            yield Line(text.rstrip("\n"), time.perf_counter() - began, _status("VmHWM", f"/proc/{process.pid}/status"))
    if process.returncode:
        raise RuntimeError(f"lcs {' '.join(words)} failed: {text.strip()}")
    yield Line("", time.perf_counter() - began, float("nan"))


def in_fresh_process(module: str, *words: str) -> Any:
    """Run `python -m module words...`, which prints one line of JSON last, and return that: memory of one case never
    hides in another's.
    """
    done = subprocess.run([sys.executable, "-m", module, *words], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])
