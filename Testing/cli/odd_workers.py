"""Loaded into worker processes of Dask before they begin: scans at which they die, or stay until they are let go, as
files in a folder say.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from LabelConditionedSegmentationLib.cli import scan_steps as steps
from LabelConditionedSegmentationLib.core.progress import ProgressCallback

FOLDER = "LCS_ODD_SCANS"
"""The variable of the environment that names the folder. In it NAME.deaths holds how often a process still dies at the
scan NAME, and while NAME.held is there the scan is not answered.
"""


def dask_setup(worker: Any) -> None:
    """Called by Dask."""
    folder, answer = Path(os.environ[FOLDER]), steps.Run.answer

    def odd(run: steps.Run, scan: steps.ReadScan, progress: ProgressCallback | None = None) -> steps.Answer:
        deaths = folder / f"{scan.job.scan.name}.deaths"
        left = int(deaths.read_text()) if deaths.exists() else 0
        if left:
            deaths.write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        while (folder / f"{scan.job.scan.name}.held").exists():
            run.cancel.check()
            time.sleep(0.02)
        return answer(run, scan, progress)

    steps.Run.answer = odd  # type: ignore[method-assign, assignment]
