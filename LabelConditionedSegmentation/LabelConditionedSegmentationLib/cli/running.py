"""Running a plan: the model is loaded, then each scan is read, segmented and written."""

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
from ..core.inference.segmenter import EXAMPLE_BUDGET, FEATURE_BUDGET, NETWORK, Segmenter
from ..core.progress import CancelToken, Progress, ProgressCallback
from ..core.scan.image_writing import write_image
from ..core.scan.volume import Volume
from ..core.scan.whole_files import Writer, write_all
from ..core.signals import cancel_on_interrupt
from . import example_masks as examples
from .batch import overlapping
from .dicom_outputs import check_series
from .division import on_processes
from .jobs import Job
from .known import Known
from .places import check_writable
from .plan import Plan
from .preview import write_preview
from .reading import Reading
from .status import DONE
from .tables import Table
from .terminal import progress_bar, say


def run_plan(plan: Plan, kind: type[Run] | None = None) -> int:
    """Segment all scans of a plan. kind: what is done with each of them; by default its files are written.

    Returns the exit status. Raises LCSError; in a batch only for what concerns every scan.
    """
    reading = Reading(plan.arguments.assume_orientation, plan.arguments.fill_gaps)
    asked = examples.read_asked(plan.arguments, reading)
    saved = examples.label_files(plan.arguments.save_label, asked)
    plan.check_outputs(saved)
    if asked:
        examples.check_asked(asked, plan.package)
    work = Work(plan, kind or Run, reading, asked.made, EXAMPLE_BUDGET if asked else FEATURE_BUDGET)
    is_divided = on_processes(plan.arguments)
    segmenter = None if is_divided and not asked.shown else _loaded(work)
    with cancel_on_interrupt() as cancel:
        if segmenter is not None:
            prompts = examples.learn(asked, segmenter, plan.metadata_of_atlas, cancel, work.overruled)
            work = replace(work, by_example=tuple(prompts))
        results = Results(plan.tables, _to_save(plan, saved, work.by_example))
        if segmenter is not None and not is_divided:
            return _here(work.run(segmenter, cancel), results)
        if segmenter is not None:
            segmenter.close()
        from .dividing import divide  # and with it Dask, which is an extra

        return divide(work, results, cancel)


def _loaded(work: Work) -> Segmenter:
    began = time.perf_counter()
    segmenter = work.segmenter(work.plan.arguments.device)
    took = time.perf_counter() - began
    say(f"model {segmenter.package.name} on {segmenter.plan.device.type}, loaded in {took:.1f} s")
    return segmenter


def _to_save(plan: Plan, saved: Sequence[Path], prompts: Sequence[ExamplePrompt]) -> dict[Path, ExamplePrompt]:
    """The labels that are shown, which come before those from files, with their places; those that an earlier run has
    saved stay.
    """
    pairs = zip(saved, prompts, strict=False)
    return {path: prompt for path, prompt in pairs if plan.arguments.overwrite or not path.exists()}


def _here(run: Run, results: Results) -> int:
    """All scans in this process: those of a batch whatever becomes of the others; what is wrong with the only one is
    raised.
    """
    plan = run.work.plan

    def answer(scan: ReadScan) -> Answer:
        with progress_bar(scan.job.scan.title.rpartition("/")[2]) as progress:
            return run.answer(scan, progress)

    def write(found: Answer) -> None:
        for line in run.write(found, results.write).lines:
            say(line)

    if not plan.is_batch:
        write(answer(run.read(plan.jobs[0])))
        return DONE
    holds_two = not plan.arguments.probabilities  # which may be larger than all the rest
    return overlapping(plan.jobs, (run.read, answer, write), lambda job: job.scan.title, holds_two)


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
