"""DICOM series in folders: which there are, and what each of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DicomSeries:
    """One series in a folder. number: SeriesNumber, 0 where it is not told. files: its slices, in no particular order."""

    folder: Path
    uid: str
    number: int
    description: str
    modality: str
    files: tuple[Path, ...]


def is_dicom_file(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM, whatever its name."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def find_series(folder: Path) -> list[DicomSeries]:
    """The image series whose files lie directly in a folder, by their numbers."""
    raise NotImplementedError
