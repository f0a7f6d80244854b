"""What a command is going to do, with everything checked that can be checked without the network.

Nothing here imports torch.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.adaptation.adapters import Adaptation
from ..core.package.model_package import ModelPackage
from ..core.scan.bids_facts import files_about
from ..core.scan.orientation import check_letters
from . import example_arguments as example_words
from .arguments import refuse_two_protocols, wanted_adaptation, wanted_labels
from .dicom_outputs import check_dicom_outputs
from .division import check_division
from .instances import with_instances
from .jobs import Job, jobs_for
from .known import Knowing
from .model_choice import resolve_model
from .places import NAME, check_outputs
from .scan import Scan
from .scans import Chosen, choose
from .tables import Report, Table, Volumes


@dataclass(frozen=True)
class Plan:
    """A checked command.

    arguments: its words, for what needs no preparation. jobs: of the scans that are left to do. is_batch: goes on after
    a bad scan. labels: of the model, as
    `Features.segment` takes them; none where only labels by example are asked for. metadata: of the scans and of
    the atlases. tables: with what they hold already.
    inputs: all that is read. results: count of files below a searched folder that are no scans but results of earlier
    runs. done: count of scans that are left out since their own results exist. adaptation: of the network to each scan.
    """

    arguments: argparse.Namespace
    package: ModelPackage
    jobs: tuple[Job, ...]
    is_batch: bool
    labels: list[str] | str
    metadata: Knowing
    metadata_of_atlas: Knowing
    tables: tuple[Table, ...]
    inputs: tuple[Path, ...]
    results: int
    done: int = 0
    adaptation: Adaptation | None = None

    @property
    def replaces(self) -> bool:
        """Whether files that exist are replaced: all, or those of scans that are not complete."""
        return bool(self.arguments.overwrite or self.arguments.skip_existing)

    def check_outputs(self, saved: Sequence[Path]) -> None:
        """saved: labels by example that are to be kept.

        Raises OutputError where something cannot be written, or would replace an input.
        """
        files = [file for job in self.jobs for file in job.files]
        check_outputs([*files, *(table.path for table in self.tables), *saved], self.inputs, self.replaces)


def plan_for(arguments: argparse.Namespace) -> Plan:
    """Check the words of a command and the files that they name. Raises LCSError."""
    example_words.check_words(arguments)
    if arguments.assume_orientation is not None:
        check_letters(arguments.assume_orientation)
    package = ModelPackage.load(resolve_model(arguments.model))
    chosen = choose(arguments, package)
    return plan_of(arguments, package, chosen, jobs_for(chosen.scans, arguments, chosen.is_batch))


def plan_of(arguments: argparse.Namespace, package: ModelPackage, chosen: Chosen, jobs: Sequence[Job]) -> Plan:
    """A plan for these scans and results, with the rest of the words of a command checked. Raises LCSError."""
    plan = Plan(
        arguments=arguments,
        package=package,
        jobs=tuple(jobs),
        is_batch=chosen.is_batch,
        labels=wanted_labels(arguments, package.labels),
        metadata=Knowing.from_words(package.metadata, arguments),
        metadata_of_atlas=Knowing.from_words(package.metadata, arguments, "--example-metadata"),
        tables=tuple(_tables(arguments, chosen.is_batch)),
        inputs=tuple(_inputs(arguments, chosen.scans, package)),
        results=chosen.results,
        adaptation=wanted_adaptation(arguments, package),
    )
    if arguments.instances is not None:
        plan = replace(plan, jobs=with_instances(plan.jobs, arguments.instances, package.labels, plan.labels))
    _check(plan)
    return _without_done(plan) if arguments.skip_existing else plan


def _check(plan: Plan) -> None:
    """What has to do with several parts of a plan. Raises LCSError."""
    arguments = plan.arguments
    saved = arguments.save_label if arguments.save_label and NAME not in arguments.save_label else None
    plan.check_outputs([Path(saved)] if saved else [])
    check_division(arguments)
    example_words.check_files(arguments)
    check_dicom_outputs(arguments, plan.jobs, plan.labels, plan.package.labels, plan.is_batch)
    refuse_two_protocols(plan.labels, plan.package.labels, plan.jobs)
    if plan.labels and (arguments.example or arguments.label_file):
        example_words.refuse_label_maps(plan.jobs)


def _without_done(plan: Plan) -> Plan:
    """Going on where an earlier run ended: scans are left out whose files are all there, and that the tables hold.

    Raises OutputError.
    """
    tables = tuple(table.read() for table in plan.tables)
    left = tuple(job for job in plan.jobs if not (job.is_written and all(job in table for table in tables)))
    return replace(plan, jobs=left, tables=tables, done=len(plan.jobs) - len(left))


def _tables(arguments: argparse.Namespace, is_batch: bool) -> Iterator[Table]:
    if arguments.volumes:
        yield Table(Path(arguments.volumes), Volumes())
    if arguments.report:
        yield Table(Path(arguments.report), Report(is_batch))


def _inputs(arguments: argparse.Namespace, scans: Sequence[Scan], package: ModelPackage) -> Iterator[Path]:
    """Every file and folder that the command reads."""
    images = [image for scan in scans for image in scan.images]
    atlases = [Path(atlas) for atlas, _ in arguments.example]
    yield from images
    yield package.path
    yield from atlases
    yield from (Path(mask) for _, mask in arguments.example)
    if package.metadata.fields and not arguments.ignore_file_metadata:
        yield from (file for image in (*images, *atlases) for file in files_about(image))
    yield from (Path(word) for word in arguments.label_file)
    if arguments.labels_file:
        yield Path(arguments.labels_file)
