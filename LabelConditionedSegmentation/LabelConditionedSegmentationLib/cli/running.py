"""Running a plan: the model is loaded, then each scan is read, segmented and written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from .batch import over_batch
from .dicom_outputs import check_series
from .jobs import Job
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
    segmenter = _loaded(plan, EXAMPLE_BUDGET if asked else FEATURE_BUDGET)
    if asked:
        examples.check_asked(asked, segmenter.package)
    overruled: dict[str, Any] = {"stripped": plan.arguments.stripped}
    overruled |= {"not_a_label_map": True} if plan.arguments.not_a_label_map else {}
    with cancel_on_interrupt() as cancel:
        prompts = examples.learn(asked, segmenter, plan.metadata_of_atlas, cancel, overruled)
        run = (kind or Run)(
            plan, segmenter, reading, prompts, overruled, cancel, plan.tables, _to_save(plan, saved, prompts)
        )
        return run.batch() if plan.is_batch else run.single()


def _loaded(plan: Plan, budget: int) -> Segmenter:
    began = time.perf_counter()
    segmenter = Segmenter.from_package(plan.package.path, plan.arguments.device, budget)
    took = time.perf_counter() - began
    say(f"model {segmenter.package.name} on {segmenter.plan.device.type}, loaded in {took:.1f} s")
    return segmenter


def _to_save(plan: Plan, saved: Sequence[Path], prompts: Sequence[ExamplePrompt]) -> dict[Path, ExamplePrompt]:
    """The labels that are shown, which come before those from files, with their places; those that an earlier run has
    saved stay.
    """
    pairs = zip(saved, prompts, strict=False)
    return {path: prompt for path, prompt in pairs if plan.arguments.overwrite or not path.exists()}


@dataclass
class Run:
    """What every scan is asked for, and the tables as they have grown. Nothing else is kept of a scan that is done.

    by_example: labels that were shown or kept. overruled: what the user knows better than a check or guess. to_save:
    labels by example that are written with the first result.
    """

    plan: Plan
    segmenter: Segmenter
    reading: Reading
    by_example: Sequence[ExamplePrompt]
    overruled: dict[str, Any]
    cancel: CancelToken
    tables: Sequence[Table]
    to_save: dict[Path, ExamplePrompt] = field(default_factory=dict)

    def single(self) -> int:
        """The only scan; what is wrong with it is raised."""
        self._segment(self.plan.jobs[0])
        return DONE

    def batch(self) -> int:
        """Every scan, whatever becomes of the others."""
        return over_batch(self.plan.jobs, self._segment, lambda job: job.scan.title)

    def _segment(self, job: Job) -> None:
        began = time.perf_counter()
        volume = self.reading.scan(job.scan)
        read = time.perf_counter() - began
        check_series(job.files, job.scan, volume)
        known = self.plan.metadata.of(job.scan.images, job.scan.series)
        with progress_bar(job.scan.title.rpartition("/")[2]) as progress:
            result = self._answer(volume, known.values, progress)
        result.report.timings = {"reading": read, **result.report.timings}
        result.report.metadata_sources = known.sources
        result.report.findings = [*known.findings, *result.report.findings]
        errors = [str(finding) for finding in result.report.findings if finding.level == "error"]
        if errors and not self.plan.arguments.force:
            raise InputError(f"{' '.join(errors)} Nothing was written; --force writes it nevertheless.")
        self._write(job, volume, result)
        if known.values:
            say(str(known))
        for finding in result.report.findings:
            say(f"{finding.level}: {finding}")
        stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in result.report.timings.items())
        say(f"{job.scan.title} -> {job.first_file}  ({stages} s)")

    def _answer(self, volume: Volume, metadata: Mapping[str, str | float], progress: ProgressCallback | None) -> Result:
        """The network once, then the labels of the model, the labels by example, or both side by side."""
        labels, cancel, adaptation = self.plan.labels, self.cancel, self.plan.adaptation
        with_maps = self.plan.arguments.probabilities is not None
        wanted = labels if with_maps and labels else None
        if not self.by_example:
            return self.segmenter.segment(
                *(volume, labels, metadata, progress, cancel),
                probabilities=wanted,
                adaptation=adaptation,
                **self.overruled,
            )
        steps = Progress(progress, cancel)

        def on_network(done: float, text: str) -> None:
            steps.update(0.0, NETWORK, done, text)

        def on_labels(done: float, text: str) -> None:
            steps.update(NETWORK, 1.0, done, text)

        features = self.segmenter.features(
            *(volume, metadata, on_network, cancel), probabilities=wanted, adaptation=adaptation, **self.overruled
        )
        classes = _segmented(features, labels, with_maps, None, cancel) if labels else None
        shown = _segmented(features.by_example(self.by_example), "all", with_maps, on_labels, cancel)
        return shown if classes is None else classes.beside(shown)

    def _write(self, job: Job, volume: Volume, result: Result) -> None:
        """All files of a scan, and the tables with it, at once."""
        check_writable(job.files, self.plan.replaces)
        with result.report.timed("writing"):
            files = self.files_of(job, volume, result)
            tables = [table.with_result(job, result, self._described) for table in self.tables]
            self.cancel.check()
            write_all(files | {table.path: table.write for table in tables})
        self.tables, self.to_save = tables, {}

    def files_of(self, job: Job, volume: Volume, result: Result) -> dict[Path, Writer]:
        """What is written for a scan."""
        files = result.files(job.output) if job.output else {}
        if job.structured_report:
            files[job.structured_report] = result.structured_report()
        if job.masked_scan:
            files[job.masked_scan] = partial(write_image, result.masked(volume))
        if job.probabilities and result.probabilities:
            files |= result.probabilities.files(job.probabilities)
        for name, path in job.instances.items():
            files |= result.instances(name).files(path)
        if job.preview:
            files[job.preview] = write_preview(volume, result)
        return files | {path: partial(write_prompt, prompt) for path, prompt in self.to_save.items()}

    @cached_property
    def _described(self) -> list[dict[str, Any]]:
        return examples.described(self.by_example)


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
