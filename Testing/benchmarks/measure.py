"""Time and peak memory of a piece of work, and the words that say on what it was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

STATUS = Path("/proc/self/status")


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


def _status(key: str) -> float:
    if not STATUS.exists():
        return float("nan")
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return float(line.split()[1]) / 1024


def _forget_peak() -> None:
    if STATUS.exists():
        Path("/proc/self/clear_refs").write_text("5")


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


def in_fresh_process(module: str, *words: str) -> Any:
    """Run `python -m module words...`, which prints one line of JSON last, and return that: memory of one case never
    hides in another's.
    """
    done = subprocess.run([sys.executable, "-m", module, *words], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])
