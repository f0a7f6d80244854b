"""Several channels of one scan: named with --channel, or by the suffixes _0000, _0001 that nnU-Net gives files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import InputError
from ..core.package.model_package import ModelPackage
from .scan import Scan

_NUMBERED = re.compile(r"(.+)_(\d{4})", re.DOTALL)


def named_channels(words: Sequence[str], package: ModelPackage) -> Scan:
    """The scan whose channels are given as NAME=FILE, all that the model takes, in any order. Raises InputError."""
    names = {channel.casefold(): channel for channel in package.input.channels}
    files: dict[str, Path] = {}
    for word in words:
        name, equals, file = word.partition("=")
        if not (name and equals and file):
            raise InputError(f'"{word}" is not of the form NAME=FILE, such as {package.input.channels[0]}=scan.nii.gz.')
        channel = names.get(name.strip().casefold())
        if channel is None:
            raise InputError(f'The model "{package.name}" takes no channel "{name}"; it takes {_listed(package)}.')
        if channel in files:
            raise InputError(f'The channel "{channel}" was given twice.')
        files[channel] = Path(file)
    for channel in package.input.channels:
        if channel not in files:
            raise InputError(
                f'The channel "{channel}" is missing; the model "{package.name}" takes {_listed(package)}.'
            )
        if not files[channel].exists():
            raise InputError(f'There is no file "{files[channel]}".')
    images = tuple(files[channel] for channel in package.input.channels)
    return Scan(images, images[0].name.partition(".")[0], str(images[0]))


def by_suffix(scans: Sequence[Scan], package: ModelPackage) -> tuple[Scan, ...]:
    """For a model of several channels: the scans NAME of which files NAME_0000, NAME_0001 are the channels, in the
    order of the first file of each.
    """
    if len(package.input.channels) == 1:
        return tuple(scans)
    groups: dict[tuple[Path, str], list[tuple[int, Scan]]] = {}
    for n, scan in enumerate(scans):
        numbered = _NUMBERED.fullmatch(scan.name)
        if scan.problem or scan.series or not numbered:
            groups[scan.images[0], str(n)] = [(-1, scan)]
        else:
            groups.setdefault((scan.images[0].parent, numbered[1]), []).append((int(numbered[2]), scan))
    return tuple(_one(name, members, package) for (_, name), members in groups.items())


def _one(name: str, members: Sequence[tuple[int, Scan]], package: ModelPackage) -> Scan:
    """A group of numbered files, or a single scan with the number -1, as a scan."""
    first = members[0][1]
    if members[0][0] < 0:
        problem = (
            f'"{first.title}" is one image, and the model "{package.name}" takes {_listed(package)}; give its channels'
            " with --channel, or as NAME_0000, NAME_0001."
        )
        return first if first.problem else replace(first, problem=problem)
    title = str(first.images[0].parent / Path(name).name)
    numbers = [number for number, _ in members]
    files = {number: scan.images[0] for number, scan in members}
    images = tuple(files[number] for number in sorted(files))
    return Scan(images, name, title, problem=_problem(title, numbers, package))


def _problem(title: str, numbers: Sequence[int], package: ModelPackage) -> str:
    """What is wrong with the channels of these numbers; nothing where they are those of the model."""
    channels = package.input.channels
    for number, channel in enumerate(channels):
        if numbers.count(number) != 1:
            what = "has several files for" if number in numbers else "lacks"
            return f'"{title}" {what} the channel "{channel}", which is the one called {Path(title).name}_{number:04d}.'
    surplus = [f"_{number:04d}" for number in sorted(numbers) if number >= len(channels)]
    if surplus:
        return (
            f'"{title}" has the channel {surplus[0]}, which the model "{package.name}" does not take; it takes'
            f" {_listed(package)}."
        )
    return ""


def _listed(package: ModelPackage) -> str:
    """The channels in words; with the numbers that files carry where there are several."""
    channels = package.input.channels
    if len(channels) == 1:
        return f"the channel {channels[0]}"
    return "the channels " + ", ".join(f"{channel} (_{n:04d})" for n, channel in enumerate(channels))
