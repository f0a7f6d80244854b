"""What `lcs propagate` is going to do, with everything checked that can be checked before torch is loaded."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import InputError, OutputError
from ..core.package.model_package import ModelPackage
from ..core.scan.file_formats import (
    LABEL_MAPS,
    SEGMENTATION,
    check_image_name,
    check_maps_name,
    suffix_of,
)
from ..core.scan.orientation import check_letters
from .dicom_outputs import check_dicom_files
from .jobs import are_written, name_files
from .known import Knowing
from .model_choice import resolve_model
from .places import check_outputs, place
from .scan import Scan
from .scans import without_suffix

MODEL_OPTIONS = ("model", "metadata", "ignore_file_metadata", "protocol")
"""Which mean nothing where no network runs."""


@dataclass(frozen=True)
class StrokeJob:
    """One scan with its strokes, and the files to make of them."""

    scan: Scan
    strokes: Path
    output: Path
    certainty: Path | None
    probabilities: Path | None

    @property
    def files(self) -> list[Path]:
        """Every file that this job writes."""
        each = (self.output, self.certainty, self.probabilities)
        return [*filter(None, each), *name_files(self.output, self.probabilities)]

    @property
    def is_written(self) -> bool:
        """Whether all its files are there."""
        return are_written(self.files)


@dataclass(frozen=True)
class StrokePlan:
    """A checked command. package: of the model that runs; None where walks go over intensities alone."""

    arguments: argparse.Namespace
    package: ModelPackage | None
    metadata: Knowing | None
    jobs: tuple[StrokeJob, ...]
    is_batch: bool


def stroke_plan_for(arguments: argparse.Namespace) -> StrokePlan:
    """Check the words of a command and the files that they name. Raises LCSError."""
    if arguments.assume_orientation is not None:
        check_letters(arguments.assume_orientation)
    package, metadata = _model(arguments)
    jobs = _jobs(arguments)
    inputs = [path for job in jobs for path in (*job.scan.images, job.strokes)]
    files = [file for job in jobs for file in job.files]
    check_outputs(
        files,
        [*inputs, *([package.path] if package else [])],
        replace=arguments.overwrite or arguments.skip_existing,
    )
    left = tuple(job for job in jobs if not (arguments.skip_existing and job.is_written))
    return StrokePlan(arguments, package, metadata, left, len(jobs) > 1)


def _model(arguments: argparse.Namespace) -> tuple[ModelPackage | None, Knowing | None]:
    if not arguments.features and not arguments.prior:
        given = next((option for option in MODEL_OPTIONS if getattr(arguments, option)), None)
        if given:
            raise InputError(
                f"--{given.replace('_', '-')} says something of a model, which only --features or --prior let run; add"
                " one of them, or leave it out."
            )
        return None, None
    package = ModelPackage.load(resolve_model(arguments.model))
    if arguments.protocol is not None:
        package.labels.part_of(arguments.protocol)
        if not arguments.prior:
            raise InputError(
                "--protocol says which labels of a model are believed, which only --prior does; add it, or leave"
                " --protocol out."
            )
    return package, Knowing.from_words(package.metadata, arguments)


def _jobs(arguments: argparse.Namespace) -> list[StrokeJob]:
    words: list[str] = arguments.scans
    if len(words) % 2:
        raise InputError(
            f"Every scan needs its strokes: give SCAN STROKES, and SCAN STROKES again for more scans; {len(words)}"
            " names were given."
        )
    pairs = [(Path(scan), Path(strokes)) for scan, strokes in zip(words[::2], words[1::2], strict=True)]
    if len(pairs) > 1 and arguments.series:
        raise InputError("--series chooses one series of a single scan; leave it out for several.")
    return [_job(scan, strokes, arguments, len(pairs) > 1) for scan, strokes in pairs]


def _job(image: Path, strokes: Path, arguments: argparse.Namespace, is_batch: bool) -> StrokeJob:
    for path in (image, strokes):
        if not path.exists():
            raise InputError(f'There is no file "{path}".')
    if not strokes.name.lower().endswith((SEGMENTATION, *LABEL_MAPS)):
        raise InputError(
            f'"{strokes}" holds no strokes that can be read; give a file that ends in {SEGMENTATION},'
            f" {', '.join(LABEL_MAPS)}."
        )
    scan = Scan((image,), without_suffix(image.name or image.resolve().name), str(image), arguments.series)
    if not arguments.output:
        raise OutputError("No place for the result was given; name one with -o.")
    further = [
        place(template, scan.name, ".nii.gz", is_batch) if template else None
        for template in (arguments.certainty, arguments.probabilities)
    ]
    job = StrokeJob(scan, strokes, place(arguments.output, scan.name, SEGMENTATION, is_batch), *further)
    suffix_of(job.output)
    if job.certainty is not None:
        check_image_name(job.certainty)
    if job.probabilities is not None:
        check_maps_name(job.probabilities)
    check_dicom_files(job.files, None if is_batch else scan)
    return job
