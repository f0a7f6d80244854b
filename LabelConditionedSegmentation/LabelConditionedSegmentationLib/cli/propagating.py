"""Running `lcs propagate`: each scan and its strokes are read, the strokes spread, and the structures written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..core.errors import InputError
from ..core.inference.features import Features
from ..core.inference.probability_maps import ProbabilityMaps
from ..core.inference.report import RunReport
from ..core.inference.result import Result
from ..core.inference.segmented_label import SegmentedLabel
from ..core.inference.segmenter import EXAMPLE_BUDGET, Segmenter
from ..core.labels.label_tree import Label, LabelTree
from ..core.progress import CancelToken, Progress, ProgressCallback
from ..core.scan.image_writing import write_image
from ..core.scan.volume import Array, Volume
from ..core.scan.whole_files import Writer, write_all
from ..core.signals import cancel_on_interrupt
from ..core.strokes.network_sources import tree_of
from ..core.strokes.painted_strokes import Strokes
from ..core.strokes.propagation import Propagation, propagate
from .batch import over_batch
from .dicom_outputs import check_series
from .places import check_writable
from .reading import Reading
from .status import DONE
from .stroke_files import Painted, read_strokes
from .stroke_plan import StrokeJob, StrokePlan
from .terminal import progress_bar, say

NETWORK = 0.7
"""Where the network's part ends, as a fraction of the whole."""


def run_strokes(plan: StrokePlan) -> int:
    """All scans of a plan; returns the exit status. Raises LCSError; in a batch only for what concerns every scan."""
    segmenter = None
    if plan.package is not None:
        segmenter = Segmenter.from_package(plan.package.path, plan.arguments.device, EXAMPLE_BUDGET)
        say(f"model {segmenter.package.name} on {segmenter.plan.device.type}")
    reading = Reading(plan.arguments.assume_orientation, plan.arguments.fill_gaps)
    with cancel_on_interrupt() as cancel:
        work = _StrokeRun(plan, segmenter, reading, cancel)
        if plan.is_batch:
            return over_batch(plan.jobs, work.one, lambda job: job.scan.title)
        work.one(plan.jobs[0])
        return DONE


@dataclass(frozen=True)
class _StrokeRun:
    """What every scan is treated with."""

    plan: StrokePlan
    segmenter: Segmenter | None
    reading: Reading
    cancel: CancelToken

    def one(self, job: StrokeJob) -> None:
        """One scan. Raises LCSError."""
        began = time.perf_counter()
        scan = self.reading.scan(job.scan)
        check_series(job.files, job.scan, scan)
        tree = self._labels
        painted = read_strokes(job.strokes, self.reading, self.plan.arguments.background, tree)
        try:
            strokes = Strokes.painted(scan, [(stroke.name, stroke.mask) for stroke in painted])
        except InputError as error:
            raise InputError(f'"{job.strokes}": {error}') from error
        with progress_bar(job.scan.title.rpartition("/")[2]) as progress:
            found = self._spread(job, scan, strokes, progress)
        self._write(job, scan, painted, found)
        for finding in found.findings:
            say(f"{finding.level}: {finding}")
        say(f"{job.scan.title} -> {job.output}  ({time.perf_counter() - began:.1f} s)")

    def _spread(self, job: StrokeJob, scan: Volume, strokes: Strokes, progress: ProgressCallback | None) -> Propagation:
        if self.segmenter is None:
            return propagate(strokes, scan, progress=progress, cancel=self.cancel)
        if self.plan.arguments.prior:
            assert self._labels is not None
            tree_of(self._labels, strokes.names)  # before the network runs for nothing
        steps = Progress(progress, self.cancel)
        features = self._features(job, scan, lambda done, text: steps.update(0.0, NETWORK, done, text))
        arguments = self.plan.arguments
        believed = features if arguments.protocol is None else features.of_protocol(arguments.protocol)
        return propagate(
            strokes,
            scan,
            features if arguments.features else None,
            believed if arguments.prior else None,
            lambda done, text: steps.update(NETWORK, 1.0, done, text),
            self.cancel,
        )

    @property
    def _labels(self) -> LabelTree | None:
        """Of the model, inside the protocol that was asked for; None without a model."""
        if self.segmenter is None:
            return None
        tree, protocol = self.segmenter.package.labels, self.plan.arguments.protocol
        return tree if protocol is None else tree.part_of(protocol)

    def _features(self, job: StrokeJob, scan: Volume, progress: ProgressCallback) -> Features:
        assert self.segmenter is not None
        assert self.plan.metadata is not None
        known = self.plan.metadata.of(job.scan.images, job.scan.series)
        arguments = self.plan.arguments
        features = self.segmenter.features(
            scan, known.values, progress, self.cancel, arguments.not_a_label_map, stripped=arguments.stripped
        )
        for finding in (*known.findings, *features.report.findings):
            say(f"{finding.level}: {finding}")
        return features

    def _write(self, job: StrokeJob, scan: Volume, painted: Sequence[Painted], found: Propagation) -> None:
        """All files of a scan at once."""
        arguments = self.plan.arguments
        check_writable(job.files, arguments.overwrite or arguments.skip_existing)
        result = as_result(scan, painted, found, self.segmenter)
        files: dict[Path, Writer] = dict(result.files(job.output))
        if job.certainty:
            files[job.certainty] = partial(write_image, placed(scan, found.certainty))
        if job.probabilities and result.probabilities:
            files |= result.probabilities.files(job.probabilities)
        self.cancel.check()
        write_all(files)


def placed(scan: Volume, array: Array) -> Volume:
    """An image (k, j, i) or (channel, k, j, i) on the scan's voxels."""
    return replace(scan, array=array if array.ndim == 4 else array[None], findings=())


def as_result(scan: Volume, painted: Sequence[Painted], found: Propagation, segmenter: Segmenter | None) -> Result:
    """The structures, without the background, as a result that knows how to be written."""
    structures = [(n, stroke) for n, stroke in enumerate(painted) if not stroke.is_background]
    labels = tuple(Label(stroke.value, stroke.name, color=stroke.color) for _, stroke in structures)
    tree = LabelTree(labels)
    table = np.zeros(len(found.strokes.names) + 1, dtype=np.min_scalar_type(max(label.id for label in labels)))
    for (n, _), label in zip(structures, labels, strict=True):
        table[n + 1] = label.id
    name = segmenter.package.name if segmenter else "strokes"
    sha256 = segmenter.package.weights_sha256 if segmenter else ""
    report = RunReport(name, sha256, str(found.probabilities.device), is_interactive=True)
    maps = np.stack([found.probability(n) for n, _ in structures])
    return Result(
        (placed(scan, table[found.label_map]),),
        tuple(SegmentedLabel(label.id, 0, label) for label in labels),
        report,
        (tree,),
        ProbabilityMaps(placed(scan, maps), labels, (tree,), name, sha256, is_interactive=True),
    )
