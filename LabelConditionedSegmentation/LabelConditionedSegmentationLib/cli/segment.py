"""`lcs segment`: one scan or a batch, from files to files."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..core.errors import Cancelled, InputError, LabelError, LCSError, MetadataError, OutputError
from ..core.example_prompt import ExamplePrompt
from ..core.features import resolve_labels
from ..core.image_io import read_volume
from ..core.progress import CancelToken, Progress, ProgressCallback
from ..core.result import Result
from ..core.segmenter import EXAMPLE_BUDGET, FEATURE_BUDGET, NETWORK, Segmenter
from ..core.volume import Volume
from . import examples
from .main import FAILED
from .models import resolve_model
from .outputs import (
    NAME,
    SEGMENTATION,
    check_writable,
    names_file,
    suffix_of,
    write_all,
    write_json,
    write_label,
    write_names,
    write_result,
    write_volumes,
)
from .preview import write_preview

SCAN_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm")


@dataclass(frozen=True)
class Wanted:
    """What every scan is asked for. labels: of the model, as `Features.segment` takes them; none where only labels by example are. metadata: of the scans. saved: where the
    first labels by example are kept, in their order."""

    labels: list[str] | str
    by_example: list[ExamplePrompt]
    metadata: dict[str, str]
    saved: list[Path]


@dataclass(frozen=True)
class Job:
    """One scan and the files to make of it."""

    scan: Path
    output: Path
    preview: Path | None

    @property
    def files(self) -> list[Path]:
        """Every file that this job writes."""
        names = [] if suffix_of(self.output) == SEGMENTATION else [names_file(self.output)]
        return [self.output, *names, *([self.preview] if self.preview else [])]


def run(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, load the model, segment. Returns the exit status."""
    examples.check_words(arguments)
    jobs, is_batch = _plan(arguments)
    files = [*(f for job in jobs for f in job.files), *(Path(p) for p in (arguments.report, arguments.volumes) if p)]
    _refuse_twice(files)
    check_writable(files, arguments.overwrite)
    labels = _wanted(arguments)
    metadata, metadata_of_atlas = _metadata(arguments.metadata), _metadata(arguments.example_metadata)
    for job in jobs if not is_batch else ():
        if not job.scan.exists():  # told before the model is loaded
            raise InputError(f'There is no file "{job.scan}".')
    asked = examples.read_asked(arguments)
    if asked and labels:
        _refuse_label_maps(jobs)
    saved = examples.label_files(arguments.save_label, asked)
    _refuse_twice([*files, *saved])
    check_writable(saved, arguments.overwrite)
    began = time.perf_counter()
    budget = EXAMPLE_BUDGET if asked else FEATURE_BUDGET
    segmenter = Segmenter.from_package(resolve_model(arguments.model), arguments.device, budget)
    if labels:
        resolve_labels(segmenter.package.labels, labels)
    if asked:
        examples.check_asked(asked, segmenter.package)
    segmenter.metadata_schema.parse(metadata)
    segmenter.metadata_schema.parse(metadata_of_atlas)
    _say(
        f"model {segmenter.package.name} on {segmenter.plan.device.type}, loaded in {time.perf_counter() - began:.1f} s"
    )
    done: list[tuple[Job, Result]] = []
    failures: list[tuple[Job, str]] = []
    with _cancel_on_interrupt() as cancel:
        wanted = Wanted(
            labels, examples.learn(asked, segmenter, metadata_of_atlas, _bar, _say, cancel), metadata, saved
        )
        for job in jobs:
            try:
                result = _segment_one(
                    job,
                    segmenter,
                    wanted,
                    cancel,
                    arguments.overwrite,
                    [] if is_batch else _table_writers(arguments, [job], wanted),
                )
            except (Cancelled, LabelError, MetadataError):
                raise
            except LCSError as error:
                if not is_batch:
                    raise
                failures.append((job, str(error)))
                _say(f"FAILED {job.scan}: {error}")
                continue
            done.append((job, result))
    if is_batch and done:
        write_all({path: make(done) for path, make in _table_writers(arguments, jobs, wanted)})
    for job, why in failures if is_batch else ():
        print(f"lcs: {job.scan}: {why}", file=sys.stderr)
    if failures:
        print(f"lcs: {len(failures)} of {len(jobs)} scans failed; the others are done.", file=sys.stderr)
        return FAILED
    return 0


def _plan(arguments: argparse.Namespace) -> tuple[list[Job], bool]:
    """The scans and where their results go. Raises InputError or OutputError."""
    scans = _scans(arguments.scans, arguments.recursive)
    is_batch = len(scans) > 1 or arguments.recursive
    names = _names(scans, [Path(s) for s in arguments.scans] if arguments.recursive else [])
    jobs = []
    for scan, name in zip(scans, names, strict=True):
        output = _place(arguments.output, name, SEGMENTATION, is_batch)
        suffix_of(output)
        preview = _place(arguments.preview, name, ".png", is_batch) if arguments.preview else None
        if preview is not None and preview.suffix.lower() != ".png":
            raise OutputError(f'The preview "{preview}" has to be a .png file.')
        jobs.append(Job(scan, output, preview))
    return jobs, is_batch


def _scans(words: Sequence[str], recursive: bool) -> list[Path]:
    if not recursive:
        return [Path(word) for word in words]
    found: list[Path] = []
    for word in words:
        folder = Path(word)
        if not folder.is_dir():
            raise InputError(f'"{folder}" is not a folder; -r takes every scan below a folder.')
        found += sorted(
            f
            for f in folder.rglob("*")
            if f.is_file() and f.name.lower().endswith(SCAN_SUFFIXES) and not f.name.startswith(".")
        )
    if not found:
        raise InputError(f"No scans ({', '.join(SCAN_SUFFIXES)}) were found below {', '.join(words)}.")
    return found


def _names(scans: Sequence[Path], roots: Sequence[Path]) -> list[str]:
    """A name for each scan: its file name without the suffix, below a searched folder with the path to it."""
    names = []
    for scan in scans:
        root = next((r for r in roots if scan.is_relative_to(r)), None)
        name = str(scan.relative_to(root)) if root else scan.name or scan.resolve().name
        names.append(next((name[: -len(s)] for s in SCAN_SUFFIXES if name.lower().endswith(s)), name))
    return names


def _place(template: str, name: str, suffix: str, is_batch: bool) -> Path:
    """Where a file of a scan goes: {name} is filled in, a folder gets the scan's name."""
    if NAME in template:
        return Path(template.replace(NAME, name))
    path = Path(template)
    if template.endswith(("/", "\\")) or path.is_dir() or (is_batch and not path.suffix):
        return path / (name + suffix)
    if is_batch:
        raise OutputError(
            f'Several scans cannot all be written to "{template}"; give a folder, or a path with {NAME} in it.'
        )
    return path


def _refuse_twice(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        if path.absolute() in seen:
            raise OutputError(f'Two results would both be written to "{path}"; give them different names.')
        seen.add(path.absolute())


def _refuse_label_maps(jobs: Sequence[Job]) -> None:
    """Where labels of the model and labels by example are asked for, since they do not compete with each other. Raises LabelError."""
    for job in jobs:
        if suffix_of(job.output) != SEGMENTATION:
            raise LabelError(
                f'Labels by example may overlap the labels of the model, which the label map "{job.output}" cannot hold; leave --labels out, or write a .seg.nrrd file.'
            )


def _wanted(arguments: argparse.Namespace) -> list[str] | str:
    """The labels of the model; none where only labels by example are asked for. Raises InputError or LabelError."""
    if arguments.labels is None and not arguments.labels_file:
        return [] if arguments.example or arguments.label_file else "all"
    if arguments.labels_file:
        try:
            lines = Path(arguments.labels_file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise InputError(f'The labels file "{arguments.labels_file}" cannot be read as text.') from None
        names = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    else:
        names = [name.strip() for name in arguments.labels.split(",") if name.strip()]
    if not names:
        raise LabelError("No label was asked for; name at least one, or all.")
    return "all" if names == ["all"] else names


def _metadata(words: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise MetadataError(f'"{word}" is not of the form KEY=VALUE, such as age=31.')
        if key in values:
            raise MetadataError(f'The metadata field "{key}" was given twice.')
        values[key] = value
    return values


TableWriter = tuple[Path, Callable[[Sequence[tuple[Job, Result]]], Any]]


def _table_writers(arguments: argparse.Namespace, jobs: Sequence[Job], wanted: Wanted) -> list[TableWriter]:
    """The files of a whole run, and how to write them from what was done."""
    writers: list[TableWriter] = []
    if arguments.volumes:
        writers.append(
            (Path(arguments.volumes), lambda done: write_volumes([(str(job.scan), result) for job, result in done]))
        )
    if arguments.report:

        def report(done: Sequence[tuple[Job, Result]]) -> Any:
            by_example = {"labels_by_example": examples.described(wanted.by_example)} if wanted.by_example else {}
            runs = [
                {"scan": str(job.scan), "output": str(job.output), **by_example, **result.report.to_json()}
                for job, result in done
            ]
            return write_json(runs[0] if len(jobs) == 1 else {"runs": runs})

        writers.append((Path(arguments.report), report))
    for path, prompt in zip(wanted.saved, wanted.by_example, strict=False):
        writers.append((path, partial(_keep, prompt)))
    return writers


def _keep(prompt: ExamplePrompt, _done: Sequence[tuple[Job, Result]]) -> Any:
    return write_label(prompt)


def _segment_one(
    job: Job, segmenter: Segmenter, wanted: Wanted, cancel: CancelToken, overwrite: bool, tables: Sequence[TableWriter]
) -> Result:
    began = time.perf_counter()
    volume = read_volume(job.scan)
    read = time.perf_counter() - began
    with _bar(job.scan.name) as progress:
        result = _answer(segmenter, volume, wanted, progress, cancel)
    result.report.timings = {"reading": read, **result.report.timings}
    with result.report.timed("writing"):
        check_writable(job.files, overwrite)
        files = {job.output: write_result(result)}
        if suffix_of(job.output) != SEGMENTATION:
            result.label_map  # noqa: B018  refuses overlapping labels before anything is written
            files[names_file(job.output)] = write_names(result)
        if job.preview:
            files[job.preview] = write_preview(volume, result)
        files |= {path: make([(job, result)]) for path, make in tables}
        cancel.check()
        write_all(files)
    for finding in result.report.findings:
        _say(f"{finding.level}: {finding}")
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in result.report.timings.items())
    _say(f"{job.scan} -> {job.output}  ({stages} s)")
    return result


def _answer(
    segmenter: Segmenter, volume: Volume, wanted: Wanted, progress: ProgressCallback | None, cancel: CancelToken
) -> Result:
    """The network once, then the labels of the model, the labels by example, or both side by side."""
    if not wanted.by_example:
        return segmenter.segment(volume, wanted.labels, wanted.metadata, progress, cancel)
    steps = Progress(progress, cancel)
    features = segmenter.features(
        volume, wanted.metadata, lambda done, text: steps.update(0.0, NETWORK, done, text), cancel
    )
    classes = features.segment(wanted.labels, None, cancel) if wanted.labels else None
    shown = features.by_example(wanted.by_example).segment(
        "all", lambda done, text: steps.update(NETWORK, 1.0, done, text), cancel
    )
    return shown if classes is None else classes.beside(shown)


@contextmanager
def _bar(name: str) -> Iterator[ProgressCallback | None]:
    """A progress bar where somebody is looking."""
    if not sys.stderr.isatty():
        yield None
        return
    with tqdm(
        total=100,
        desc=name[:30],
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {postfix} [{elapsed}<{remaining}]",
        file=sys.stderr,
    ) as bar:

        def show(fraction: float, text: str) -> None:
            bar.n = round(100 * fraction, 1)
            bar.set_postfix_str(text)

        yield show


@contextmanager
def _cancel_on_interrupt() -> Iterator[CancelToken]:
    """Ctrl-C cancels within one patch; a second one ends at once. Either way files under temporary names are removed."""
    token = CancelToken()

    def handle(_number: int, _frame: Any) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield token
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
