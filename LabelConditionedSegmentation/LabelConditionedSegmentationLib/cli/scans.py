"""Which scans a command is about: what SCAN, -r and --channel mean."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import InputError, LCSError
from ..core.examples.example_prompt import plain_name
from ..core.package.model_package import ModelPackage
from ..core.scan.dicom import find_series
from .channel_arguments import by_suffix, named_channels
from .folders import SUFFIXES, Folder, holds_scans, holds_slices, visible_folders
from .scan import Scan


@dataclass(frozen=True)
class Chosen:
    """The scans of a command. is_batch: it goes on after a bad one. results: how many files were left out because they
    are results of earlier runs.
    """

    scans: tuple[Scan, ...]
    is_batch: bool
    results: int = 0


def choose(arguments: argparse.Namespace, package: ModelPackage) -> Chosen:
    """The scans that the words of a command ask for. Raises InputError; of a batch only where it is no batch at all."""
    _check_words(arguments)
    if arguments.channel:
        return Chosen((named_channels(arguments.channel, package),), False)
    if arguments.recursive:
        chosen = _below(arguments.scans)
    else:
        scans = tuple(_given(Path(word)) for word in arguments.scans)
        chosen = Chosen(scans, False)
    scans = by_suffix(chosen.scans, package)
    chosen = replace(chosen, scans=scans, is_batch=arguments.recursive or len(scans) > 1)
    if arguments.series and chosen.is_batch:
        raise InputError("--series chooses one series of a single scan; leave it out to take every series with -r.")
    return chosen if chosen.is_batch else replace(chosen, scans=(_usable(scans[0], arguments.series),))


def _check_words(arguments: argparse.Namespace) -> None:
    if arguments.channel and (arguments.scans or arguments.recursive or arguments.series):
        raise InputError("--channel names the files of one scan; leave SCAN, -r and --series out.")
    if not arguments.channel and not arguments.scans:
        raise InputError("No scan was given; name a file or a folder, or the files of its channels with --channel.")


def _usable(scan: Scan, series: str | None) -> Scan:
    """A scan that is no part of a batch: what is wrong with it is told at once. Raises InputError."""
    if scan.problem:
        raise InputError(scan.problem)
    return replace(scan, series=series)


def _given(path: Path) -> Scan:
    """The scan that one word stands for."""
    problem = ""
    if not os.path.exists(path):
        problem = lost_link(path) if os.path.islink(path) else f'There is no file "{path}".'
    elif os.path.isdir(path) and not holds_slices(path) and holds_scans(path):
        problem = f'"{path}" is a folder with no DICOM slices but scans below it; add -r to segment every one of them.'
    return Scan((path,), without_suffix(path.name or path.resolve().name), str(path), problem=problem)


def _below(words: Sequence[str]) -> Chosen:
    """Every scan below folders, sorted within each of them. Raises InputError."""
    seen: set[tuple[int, int]] = set()
    scans: list[Scan] = []
    results = 0
    for word in words:
        top = Path(word)
        if not top.is_dir():
            raise InputError(f'"{top}" is not a folder; -r takes every scan below a folder.')
        folders = list(visible_folders(top, seen))
        results += sum(folder.results for folder in folders)
        found = [scan for folder in folders for scan in _scans_in(folder, top)]
        scans += sorted(found, key=lambda scan: (*scan.images, scan.name))
    if not scans:
        raise InputError(f"No scans ({', '.join(SUFFIXES)}, or slices of DICOM) were found below {', '.join(words)}.")
    return Chosen(tuple(scans), True, results)


def _scans_in(folder: Folder, top: Path) -> list[Scan]:
    """What lies directly in a folder: a scan an image file, a scan a series of DICOM, and what should be one and cannot
    be read.
    """
    scans = [_named(image, top) for image in folder.images]
    scans += [replace(_named(link, top), problem=lost_link(link)) for link in folder.lost_images]
    whole = _named(folder.path, top)
    if folder.problem:
        return [*scans, replace(whole, problem=folder.problem)]
    if folder.lost_slices:
        problem = (
            f"{len(folder.lost_slices)} slices are links to files that are not there, the first of them"
            f" {folder.lost_slices[0].name}"
        )
        return [*scans, replace(whole, problem=f'Of "{folder.path}" {problem}; fetch them, or remove the links.')]
    return [*scans, *(_series_in(whole) if folder.has_slices else ())]


def _series_in(whole: Scan) -> list[Scan]:
    """A scan for each series of a folder; where there are several their numbers and descriptions belong to the name."""
    (folder,) = whole.images
    try:
        series = find_series(folder)
    except LCSError as error:
        return [replace(whole, problem=str(error))]
    if len(series) == 1:
        return [replace(whole, series=series[0].uid)]
    called = [plain_name(f"{one.number} {one.description}".strip()).replace(" ", "_") for one in series]
    unique = [
        word if called.count(word) == 1 else f"{word}_{one.choice}" for word, one in zip(called, series, strict=True)
    ]
    return [
        Scan((folder,), f"{whole.name}_{word}", f"{folder} (series {word})", one.choice)
        for word, one in zip(unique, series, strict=True)
    ]


def _named(path: Path, top: Path) -> Scan:
    """A scan below a searched folder, called by the way to it."""
    way = str(path.relative_to(top)) if path != top else path.resolve().name
    return Scan((path,), without_suffix(way), str(path))


def lost_link(path: Path) -> str:
    """What to say of a link that leads nowhere."""
    return f'"{path}" is a link to "{os.readlink(path)}", which is not there; fetch that file, or remove the link.'


def without_suffix(name: str) -> str:
    """A file's name as its results are called."""
    return next((name[: -len(s)] for s in (*SUFFIXES, ".dcm") if name.lower().endswith(s) and len(name) > len(s)), name)
