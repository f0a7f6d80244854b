"""What DICOM files among the results need: the library that writes them, a DICOM series, and not too many labels."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core.errors import InputError, OutputError
from ..core.inference.dicom_limits import check_dicom
from ..core.labels.label_tree import LabelTree
from ..core.scan.dicom import SUFFIXES, is_dicom_file
from ..core.scan.dicom_source import INSTEAD, check_source
from ..core.scan.file_formats import is_dicom_name
from ..core.scan.volume import Volume
from .jobs import Job
from .scan import Scan


def check_dicom_outputs(
    arguments: argparse.Namespace, jobs: Sequence[Job], labels: list[str] | str, tree: LabelTree, is_batch: bool
) -> None:
    """Before any work. labels: those asked for, as `Features.segment` takes them.

    Raises DependencyError where the library is missing, LabelError for too many labels, OutputError where a report has
    no segmentation to refer to, and InputError where the only scan is no DICOM series.
    """
    if arguments.structured_report and not all(job.output and is_dicom_name(job.output) for job in jobs):
        raise OutputError(
            "A structured report refers to the segments of a DICOM segmentation: write that as well, with -o and a name"
            " that ends in .dcm."
        )
    for job in jobs:
        count = len(tree.leaves) if isinstance(labels, str) else len(labels)
        check_dicom_files(job.files, None if is_batch else job.scan, count)


def check_dicom_files(files: Iterable[Path], scan: Scan | None, labels: int = 1) -> None:
    """Of the files of a scan, as `check_dicom_outputs`. scan: None in a batch, which tells what is wrong with a scan
    when it gets there.
    """
    if not any(map(is_dicom_name, files)):
        return
    check_dicom(labels)
    path = scan.images[0] if scan else Path(".")
    if not (path.is_dir() or path.suffix.lower() in SUFFIXES or is_dicom_file(path)):
        raise InputError(
            f'"{path}" is no DICOM series, which a DICOM segmentation has to refer to; give the folder of the series,'
            f" or {INSTEAD}"
        )


def check_series(files: Iterable[Path], scan: Scan, volume: Volume) -> None:
    """After a scan was read, and before it is segmented. files: of its results. Raises InputError where a DICOM file
    among them could not refer to it.
    """
    if any(map(is_dicom_name, files)):
        check_source(volume, scan.title)
