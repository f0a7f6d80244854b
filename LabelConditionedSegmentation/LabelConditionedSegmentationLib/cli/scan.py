"""One scan that a command is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scan:
    """A scan before it is read.

    images: a file a channel, in the order of the model's channels, or one folder of DICOM. name: what its results are
    called. title: what it is called in messages and tables, different for each scan of a command. series: number or UID
    of the DICOM series in the folder. problem: why it cannot be read, where that is known already.
    """

    images: tuple[Path, ...]
    name: str
    title: str
    series: str | None = None
    problem: str = ""
