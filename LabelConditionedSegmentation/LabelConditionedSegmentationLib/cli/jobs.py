"""Jobs: each scan with the files to make of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import OutputError
from ..core.scan.file_formats import SEGMENTATION, check_image_name, names_file, suffix_of
from .places import place
from .scan import Scan


@dataclass(frozen=True)
class Job:
    """One scan and the files to make of it."""

    scan: Scan
    output: Path
    preview: Path | None
    probabilities: Path | None

    @property
    def files(self) -> list[Path]:
        """Every file that this job writes."""
        names = [] if suffix_of(self.output) == SEGMENTATION else [names_file(self.output)]
        maps = [self.probabilities, names_file(self.probabilities)] if self.probabilities else []
        return [self.output, *names, *([self.preview] if self.preview else []), *maps]

    @property
    def is_written(self) -> bool:
        """Whether all its files are there."""
        return all(os.path.exists(file) for file in self.files)


def jobs_for(
    scans: Iterable[Scan], output: str, preview: str | None, probabilities: str | None, is_batch: bool
) -> tuple[Job, ...]:
    """Where the results of each scan go. Raises OutputError."""
    jobs = []
    for scan in scans:
        job = Job(
            scan,
            place(output, scan.name, SEGMENTATION, is_batch),
            place(preview, scan.name, ".png", is_batch) if preview else None,
            place(probabilities, scan.name, ".nii.gz", is_batch) if probabilities else None,
        )
        suffix_of(job.output)
        if job.probabilities is not None:
            check_image_name(job.probabilities)
        if job.preview is not None and job.preview.suffix.lower() != ".png":
            raise OutputError(f'The preview "{job.preview}" has to be a .png file.')
        jobs.append(job)
    return tuple(jobs)
