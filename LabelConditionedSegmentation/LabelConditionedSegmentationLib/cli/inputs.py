"""No output may be an input: what a command reads is never replaced, by whatever name or link it is reached."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ..core.errors import OutputError

LONGEST_HEADER = 2**16
_VOXELS_BESIDE = re.compile(rb"^(?:data file:|datafile:|ElementDataFile *=)(.*)$", re.IGNORECASE | re.MULTILINE)


def refuse_inputs(outputs: Sequence[Path], inputs: Iterable[Path]) -> None:
    """Raise OutputError where a file that is to be written is one that is read.

    outputs: with the way to their folders resolved. inputs: files, and folders with all that lies below them. Two names
    are one file where the system
    says so: through links of both kinds, and in upper or lower case where it does not tell them apart.
    """
    written = {identity: output for output in outputs for identity in _identities(output)}
    if not written:  # none of them exists
        return
    for path in inputs:
        for file in _files_of(path):
            for identity in _identities(file):
                if identity in written:
                    raise OutputError(
                        f'"{written[identity]}" would replace "{file}", which is read; choose another name for the'
                        " result."
                    )


def _identities(path: Path) -> Iterator[tuple[int, int]]:
    """What a path is on disk: the file, and the link that leads to it; nothing where there is neither."""
    for look in (os.stat, os.lstat):
        try:
            status = look(path)
        except (OSError, ValueError):
            continue
        yield status.st_dev, status.st_ino


def _files_of(path: Path) -> Iterator[Path]:
    """A file, and those that hold its voxels beside it; or all below a folder."""
    yield path
    if os.path.isdir(path):
        for folder, _, names in os.walk(path):
            yield from (Path(folder, name) for name in names)
    else:
        yield from _beside(path)


def _beside(path: Path) -> Iterator[Path]:
    """The other half of a NIfTI pair, or the files that a header without voxels names."""
    name, suffix = path.name, path.suffix.lower()
    if suffix in (".img", ".hdr") or name.lower().endswith((".img.gz", ".hdr.gz")):
        stem = re.sub(r"\.(img|hdr)(\.gz)?$", "", name, flags=re.IGNORECASE)
        yield from (path.with_name(stem + other) for other in (".img", ".hdr", ".img.gz", ".hdr.gz"))
    elif suffix in (".nhdr", ".mhd"):
        yield from (path.parent / os.fsdecode(file) for file in _named_in(path))


def _named_in(header: Path) -> list[bytes]:
    """The files that a header names, on the line that says so or, for a list, on those that follow."""
    try:
        with header.open("rb") as stream:
            text = stream.read(LONGEST_HEADER)
    except OSError:
        return []
    found = _VOXELS_BESIDE.search(text)
    if found is None:
        return []
    first, *others = (line.strip() for line in text[found.start(1) :].splitlines())
    return others if first.startswith(b"LIST") else [first]
