"""Loaded into worker processes of Dask before they begin: scans at which they die, or stay until they are let go, as
files in a folder say.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from LabelConditionedSegmentationLib.cli.jobs import Job
from LabelConditionedSegmentationLib.cli.scan_steps import Answer, ReadScan, Run, Written
from LabelConditionedSegmentationLib.cli.warm_model import WarmModel
from LabelConditionedSegmentationLib.core.progress import ProgressCallback

FOLDER = "LCS_ODD_SCANS"
"""The variable of the environment that names the folder. In it NAME.deaths holds how often a process still dies at the
scan NAME, and while NAME.held is there the scan is not begun.
"""


def dask_setup(worker: Any) -> None:
    """Called by Dask."""
    folder, segment, answer = Path(os.environ[FOLDER]), WarmModel.segment, Run.answer

    def held(self: WarmModel, job: Job, placed: Job) -> Written:
        """Before it keeps any other scan of the worker from the network."""
        while (folder / f"{job.scan.name}.held").exists():
            self.cancel.check()
            time.sleep(0.02)
        return segment(self, job, placed)

    def deadly(self: Run, scan: ReadScan, progress: ProgressCallback | None = None) -> Answer:
        deaths = folder / f"{scan.job.scan.name}.deaths"
        left = int(deaths.read_text()) if deaths.exists() else 0
        if left:
            deaths.write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(self, scan, progress)

    WarmModel.segment = held  # type: ignore[method-assign]
    Run.answer = deadly  # type: ignore[method-assign]
