"""The launcher hides what became of the Python that it started."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from Testing.host.launcher import python_slicer


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_launcher_ends_with_status_1_where_its_python_was_killed(tmp_path: Path, number: int) -> None:
    launched = subprocess.Popen(
        [*python_slicer(tmp_path), "-c", "print('ready', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert launched.stdout is not None
    assert launched.stdout.readline() == b"ready\n"
    (child,) = psutil.Process(launched.pid).children()
    os.kill(child.pid, number)
    assert launched.wait(10) == 1


def test_the_launcher_passes_on_how_its_python_ended(tmp_path: Path) -> None:
    assert subprocess.run([*python_slicer(tmp_path), "-c", "raise SystemExit(3)"], check=False).returncode == 3
