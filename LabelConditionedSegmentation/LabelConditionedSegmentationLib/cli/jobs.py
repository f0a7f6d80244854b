"""Jobs: each scan with the files to make of it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import OutputError
from ..core.scan.file_formats import (
    OVERLAPPING,
    SEGMENTATION,
    check_image_name,
    check_maps_name,
    is_dicom_name,
    names_file,
    suffix_of,
)
from .places import place
from .scan import Scan


@dataclass(frozen=True)
class Job:
    """One scan and the files to make of it. is_for_masked: the masked scan is what was asked for, the rest comes with
    it. instances: names of labels, each with the file of its numbered pieces.
    """

    scan: Scan
    output: Path | None
    preview: Path | None
    probabilities: Path | None
    masked_scan: Path | None = None
    structured_report: Path | None = None
    is_for_masked: bool = False
    instances: tuple[tuple[str, Path], ...] = ()

    @property
    def files(self) -> list[Path]:
        """Every file that this job writes."""
        each = (self.output, self.masked_scan, self.preview, self.probabilities, self.structured_report)
        numbered = [file for _, path in self.instances for file in (path, names_file(path))]
        return [*filter(None, each), *name_files(self.output, self.probabilities), *numbered]

    @property
    def first_file(self) -> Path:
        """The one that is told of."""
        return self.masked_scan if self.is_for_masked and self.masked_scan else self.files[0]

    @property
    def is_written(self) -> bool:
        """Whether all its files are there."""
        return are_written(self.files)


def name_files(output: Path | None, probabilities: Path | None) -> list[Path]:
    """The files of names beside a result and its probabilities; formats that hold the names themselves have none."""
    named = [output] if output and suffix_of(output) not in OVERLAPPING else []
    named += [probabilities] if probabilities and not is_dicom_name(probabilities) else []
    return [names_file(path) for path in named]


def are_written(files: Iterable[Path]) -> bool:
    """Whether all of them are there."""
    return all(os.path.exists(file) for file in files)


def jobs_for(scans: Iterable[Scan], arguments: argparse.Namespace, is_batch: bool) -> tuple[Job, ...]:
    """Where the results of each scan go, as the words of a command say. Raises OutputError."""
    if not arguments.output and not arguments.masked_scan:
        raise OutputError("No place for the result was given; name one with -o, or with --masked-scan.")
    jobs = []
    for scan in scans:
        job = Job(
            scan,
            _placed(arguments.output, scan, SEGMENTATION, is_batch),
            _placed(arguments.preview, scan, ".png", is_batch),
            _placed(arguments.probabilities, scan, ".nii.gz", is_batch),
            _placed(arguments.masked_scan, scan, ".nii.gz", is_batch),
            _placed(arguments.structured_report, scan, "_volumes.dcm", is_batch),
            is_for_masked=arguments.command == "brain",
        )
        if job.output is not None:
            suffix_of(job.output)
        if job.probabilities is not None:
            check_maps_name(job.probabilities)
        if job.masked_scan is not None:
            check_image_name(job.masked_scan)
        if job.structured_report is not None and not is_dicom_name(job.structured_report):
            raise OutputError(f'The structured report "{job.structured_report}" has to be a .dcm file.')
        if job.preview is not None and job.preview.suffix.lower() != ".png":
            raise OutputError(f'The preview "{job.preview}" has to be a .png file.')
        jobs.append(job)
    return tuple(jobs)


def _placed(template: str | None, scan: Scan, suffix: str, is_batch: bool) -> Path | None:
    """Where a file of a scan goes; None where it is not asked for."""
    return place(template, scan.name, suffix, is_batch) if template else None
