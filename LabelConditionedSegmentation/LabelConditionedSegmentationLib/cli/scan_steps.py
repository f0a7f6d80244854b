"""The steps of a scan: it is read, answered with the model, and written; and what is kept of it. All of it can be done
in another process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ..core.errors import InputError
from ..core.examples.example_prompt import ExamplePrompt, write_prompt
from ..core.inference.features import Features
from ..core.inference.result import Result
from ..core.inference.segmenter import NETWORK, Segmenter
from ..core.progress import CancelToken, Progress, ProgressCallback
from ..core.scan.image_writing import write_image
from ..core.scan.volume import Volume
from ..core.scan.whole_files import Writer, write_all
from . import example_masks as examples
from .dicom_outputs import check_series
from .jobs import Job
from .known import Known
from .places import check_writable
from .plan import Plan
from .preview import write_preview
from .reading import Reading
from .tables import Table


@dataclass
class Results:
    """The tables as they have grown, and labels by example that are written with the first result. Nothing else is kept
    of a scan that is done.
    """

    tables: Sequence[Table]
    to_save: dict[Path, ExamplePrompt] = field(default_factory=dict)

    def write(self, written: Written, files: Mapping[Path, Writer]) -> None:
        """The files of a scan, and the tables with it, at once. Raises OutputError, and keeps the tables then."""
        tables = [
            table.with_entry(written.title, entry) for table, entry in zip(self.tables, written.entries, strict=True)
        ]
        saved = {path: partial(write_prompt, prompt) for path, prompt in self.to_save.items()}
        write_all({**files, **saved, **{table.path: table.write for table in tables}})
        self.tables, self.to_save = tables, {}


@dataclass(frozen=True)
class Work:
    """What every scan is asked for, apart from the model itself: it can be sent to another process.

    kind: what is done with each scan. by_example: labels that were shown or kept. budget: bytes of features to keep.
    """

    plan: Plan
    kind: type[Run]
    reading: Reading
    by_example: Sequence[ExamplePrompt]
    budget: int

    @property
    def overruled(self) -> dict[str, Any]:
        """What the user knows better than a check or guess."""
        arguments = self.plan.arguments
        return {"stripped": arguments.stripped} | ({"not_a_label_map": True} if arguments.not_a_label_map else {})

    def segmenter(self, device: str) -> Segmenter:
        """The model, loaded. Raises PackageError or DeviceError."""
        return Segmenter.from_package(self.plan.package.path, device, self.budget)

    def run(self, segmenter: Segmenter, cancel: CancelToken) -> Run:
        """With the model."""
        return self.kind(self, segmenter, cancel)


@dataclass(frozen=True)
class ReadScan:
    """A scan that was read, in a time. job: with its files as the command names them. placed: the same, as this process
    reaches them.
    """

    job: Job
    placed: Job
    volume: Volume
    known: Known
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What was found in a scan."""

    scan: ReadScan
    result: Result


@dataclass(frozen=True)
class Written:
    """What is left of a scan whose files are written: its entry in each table, and what there is to say of it."""

    title: str
    entries: tuple[str, ...]
    lines: tuple[str, ...] = ()


@dataclass
class Run:
    """The steps of a scan, with the model."""

    work: Work
    segmenter: Segmenter
    cancel: CancelToken

    @property
    def plan(self) -> Plan:
        """The command."""
        return self.work.plan

    def read(self, job: Job, placed: Job | None = None) -> ReadScan:
        """The first step. placed: as in `ReadScan`. Raises InputError."""
        placed = placed or job
        began = time.perf_counter()
        volume = self.work.reading.scan(placed.scan)
        took = time.perf_counter() - began
        check_series(placed.files, placed.scan, volume)
        known = self.plan.metadata.of(placed.scan.images, placed.scan.series)
        return ReadScan(job, placed, volume, known, took)

    def answer(self, scan: ReadScan, progress: ProgressCallback | None = None) -> Answer:
        """The second step, the network. Raises InputError for an answer that cannot be true, and as
        `Segmenter.segment`.
        """
        result = self._answer(scan.volume, scan.known.values, progress)
        result.report.timings = {"reading": scan.seconds, **result.report.timings}
        result.report.metadata_sources = scan.known.sources
        result.report.findings = [*scan.known.findings, *result.report.findings]
        errors = [str(finding) for finding in result.report.findings if finding.level == "error"]
        if errors and not self.plan.arguments.force:
            raise InputError(f"{' '.join(errors)} Nothing was written; --force writes it nevertheless.")
        return Answer(scan, result)

    def write(self, answer: Answer, keep: Callable[[Written, Mapping[Path, Writer]], None]) -> Written:
        """The last step. keep: writes the files, and what is left of the scan into tables. Raises OutputError."""
        scan, result = answer.scan, answer.result
        check_writable(scan.placed.files, self.plan.replaces)
        with result.report.timed("writing"):
            files = self.files_of(scan, result)
            entries = (table.layout.entry(scan.job, result, self._described) for table in self.plan.tables)
            written = Written(scan.job.scan.title, tuple(entries))
            self.cancel.check()
            keep(written, files)
        return replace(written, lines=tuple(_told(answer)))

    def _answer(self, volume: Volume, metadata: Mapping[str, str | float], progress: ProgressCallback | None) -> Result:
        """The network once, then the labels of the model, the labels by example, or both side by side."""
        labels, cancel, adaptation = self.plan.labels, self.cancel, self.plan.adaptation
        with_maps = self.plan.arguments.probabilities is not None
        wanted = labels if with_maps and labels else None
        if not self.work.by_example:
            return self.segmenter.segment(
                *(volume, labels, metadata, progress, cancel),
                probabilities=wanted,
                adaptation=adaptation,
                **self.work.overruled,
            )
        steps = Progress(progress, cancel)

        def on_network(done: float, text: str) -> None:
            steps.update(0.0, NETWORK, done, text)

        def on_labels(done: float, text: str) -> None:
            steps.update(NETWORK, 1.0, done, text)

        features = self.segmenter.features(
            *(volume, metadata, on_network, cancel), probabilities=wanted, adaptation=adaptation, **self.work.overruled
        )
        classes = _segmented(features, labels, with_maps, None, cancel) if labels else None
        shown = _segmented(features.by_example(self.work.by_example), "all", with_maps, on_labels, cancel)
        return shown if classes is None else classes.beside(shown)

    def files_of(self, scan: ReadScan, result: Result) -> dict[Path, Writer]:
        """What is written for a scan."""
        job, volume = scan.placed, scan.volume
        files = result.files(job.output) if job.output else {}
        if job.structured_report:
            files[job.structured_report] = result.structured_report()
        if job.masked_scan:
            files[job.masked_scan] = partial(write_image, result.masked(volume))
        if job.probabilities and result.probabilities:
            files |= result.probabilities.files(job.probabilities)
        for name, path in job.instances:
            files |= result.instances(name).files(path)
        if job.preview:
            files[job.preview] = write_preview(volume, result)
        return files

    @cached_property
    def _described(self) -> list[dict[str, Any]]:
        return examples.described(self.work.by_example)


def _told(answer: Answer) -> Iterator[str]:
    """What there is to say of a scan that is done."""
    job, report = answer.scan.job, answer.result.report
    if answer.scan.known.values:
        yield str(answer.scan.known)
    for finding in report.findings:
        yield f"{finding.level}: {finding}"
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in report.timings.items())
    yield f"{job.scan.title} -> {job.first_file}  ({stages} s)"


def _segmented(
    features: Features,
    labels: list[str] | str,
    with_maps: bool,
    progress: ProgressCallback | None,
    cancel: CancelToken,
) -> Result:
    """The labels of features, with their probabilities where they are wanted."""
    result = features.segment(labels, progress, cancel)
    return replace(result, probabilities=features.probabilities(labels, None, cancel)) if with_maps else result
