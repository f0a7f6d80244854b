"""Where a scan lies in a data set, and which tables of it may speak of the scan: names and folders in the manner of
BIDS and of nnU-Net. No file is opened here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .file_formats import LABEL_MAPS

SUFFIXES = (*LABEL_MAPS, ".nhdr", ".mhd", ".mgz", ".img.gz", ".img", ".hdr.gz", ".hdr", ".dcm", ".ima")
"""What is no part of the name of a scan."""

ASIDE = ("derivatives", "sourcedata")
"""Folders of a data set with folders of its subjects, of whom the tables of the data set speak."""

_SUBJECT = re.compile(r"sub-[A-Za-z0-9+]+")
_NAME = re.compile(rf"{_SUBJECT.pattern}(?:_[a-z]+-[A-Za-z0-9+]+)*_([A-Za-z0-9]+)")


@dataclass(frozen=True)
class BidsPlace:
    """Of one scan.

    sidecar: its JSON file; None for a folder. suffix: of a file name as BIDS has it, such as T1w, or phase where that
    is the part of the image; empty for other names. subjects, sessions: such as sub-01 and ses-02, of the file's own
    name and then of its folders; more than one contradict each other. names: what participants.tsv may call the scan.
    folders: that may hold tables, nearest first.
    """

    sidecar: Path | None
    suffix: str
    subjects: tuple[str, ...]
    sessions: tuple[str, ...]
    names: tuple[str, ...]
    folders: tuple[Path, ...]

    @property
    def participants(self) -> list[Path]:
        """The tables of participants that are there, nearest first."""
        return [table for folder in self.folders if (table := folder / "participants.tsv").is_file()]

    @property
    def session_tables(self) -> list[Path]:
        """The tables of the subject's sessions that are there, nearest first; none where no session is named."""
        wanted = self.subjects[:1] if self.sessions else ()
        tables = (folder / one / f"{one}_sessions.tsv" for folder in self.folders for one in wanted)
        return [table for table in tables if table.is_file()]


def place_of(scan: Path) -> BidsPlace:
    """The place of a file, or of a folder of DICOM, by the way that leads to it: links are not followed."""
    path = Path(os.path.abspath(scan))
    is_folder = path.is_dir()
    stem = path.name if is_folder else _stem(path.name)
    inside, folders = _inside_and_above(path, is_folder)
    ways = [stem, *(folder.name for folder in inside)]
    subjects = _of_each("sub", ways)
    return BidsPlace(
        None if is_folder else path.with_name(f"{stem}.json"),
        "" if is_folder else _suffix(stem),
        subjects,
        _of_each("ses", ways),
        tuple(dict.fromkeys((stem, re.sub(r"_\d{4}$", "", stem), *subjects[:1]))),
        folders,
    )


def _stem(name: str) -> str:
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name)


def _suffix(stem: str) -> str:
    found = _NAME.fullmatch(stem)
    part = _entity("part", stem).removeprefix("part-")
    return "" if found is None else found[1] if part in ("", "mag") else part


def _inside_and_above(path: Path, is_folder: bool) -> tuple[Sequence[Path], tuple[Path, ...]]:
    """The folders of the subject, the innermost first, and those that may hold tables: up to the one that holds the
    subject's and, from what lies aside, that of the data set. Without such a folder the nearest two, as in nnU-Net.
    """
    above = (path, *path.parents) if is_folder else tuple(path.parents)
    count = next((n for n, folder in enumerate(above, 1) if _SUBJECT.fullmatch(folder.name)), 0)
    if not count:
        return (), tuple(path.parents[:2])
    holder = above[count]
    roots = [folder.parent for folder in (holder, holder.parent) if folder.name in ASIDE]
    return above[:count], (*above[: count + 1], *roots[:1])


def _of_each(key: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entity for name in names if (entity := _entity(key, name))))


def _entity(key: str, name: str) -> str:
    """The part of a name such as sub-01_ses-02_T1w that begins with the key; empty where there is none."""
    found = re.search(rf"(?:^|_)({key}-[A-Za-z0-9+]+)(?=_|$)", name)
    return found[1] if found else ""
