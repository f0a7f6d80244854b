"""The level `participant` of `lcs bids`: each scan of each participant."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.errors import InputError
from ..core.inference.result import Result
from ..core.inference.result_files import names_of
from ..core.package.model_package import ModelPackage
from ..core.scan.file_formats import names_file
from ..core.scan.whole_files import Writer, as_json, write_text
from .bids_files import about_images, describe_data_set, label_table, volume_table
from .bids_scans import BidsScan, find_scans, segmentation_name
from .jobs import Job
from .model_choice import resolve_model
from .plan import plan_of
from .running import run_plan
from .scan import Scan
from .scan_steps import ReadScan, Run
from .scans import Chosen
from .segment import tell
from .status import DONE
from .tables import Report


@dataclass(frozen=True, kw_only=True)
class BidsJob(Job):
    """One scan of a data set with the files that BIDS derivatives have of it."""

    bids: BidsScan
    label_table: Path
    volumes: Path
    report: Path

    @property
    def files(self) -> list[Path]:
        """Every file that this job writes, the label map first."""
        return [*super().files, self.label_table, self.volumes, self.report]


def run_participants(arguments: argparse.Namespace, source: Path, folder: Path) -> int:
    """Segment the scans of a data set. Returns the exit status. Raises LCSError."""
    package = ModelPackage.load(resolve_model(arguments.model))
    if len(package.input.channels) > 1:
        raise InputError(
            f'The model "{package.name}" takes several channels at once, which lcs bids does not put together; use lcs'
            " segment --channel."
        )
    jobs = list(_jobs(arguments, package, source, folder))
    scans = tuple(job.scan for job in jobs)
    plan = plan_of(arguments, package, Chosen(scans, is_batch=True), jobs)
    describe_data_set(folder, source)
    tell(plan)
    return run_plan(plan, BidsRun) if plan.jobs else DONE


def _jobs(arguments: argparse.Namespace, package: ModelPackage, source: Path, folder: Path) -> Iterator[BidsJob]:
    name = segmentation_name(package.name)
    for found in find_scans(source, arguments.suffix, arguments.participant_label):

        def result(ending: str, found: BidsScan = found) -> Path:
            return found.result(folder, name, ending)

        yield BidsJob(
            Scan((found.file,), found.stem, str(found.file.relative_to(source))),
            result("dseg.nii.gz"),
            found.figure(folder, name),
            result("probseg.nii.gz") if arguments.probabilities else None,
            bids=found,
            label_table=result("dseg.tsv"),
            volumes=result("volumes.tsv"),
            report=result("report.json"),
        )


class BidsRun(Run):
    """Writes what BIDS derivatives have of a scan."""

    def files_of(self, scan: ReadScan, result: Result) -> dict[Path, Writer]:
        """What is written for a scan."""
        job = scan.placed
        assert isinstance(job, BidsJob)
        assert job.output is not None
        files = super().files_of(scan, result)
        source = Path(job.scan.title).as_posix()
        about = about_images(result.report.model, source)
        named = names_of(result.labels, result.report.model, job.output)
        texts = {
            names_file(job.output): as_json({**about, **named}),
            job.label_table: label_table(result),
            job.volumes: volume_table(result),
            job.report: Report(is_batch=False).whole([Report(is_batch=False).entry(scan.job, result, ())]),
        }
        if job.probabilities and result.probabilities:
            maps = result.probabilities
            label_map = {"LabelMap": [label.name for label in maps.labels]}
            texts[names_file(job.probabilities)] = as_json({**about, **label_map, **maps.names(job.probabilities)})
        return files | {path: partial(write_text, text) for path, text in texts.items()}
