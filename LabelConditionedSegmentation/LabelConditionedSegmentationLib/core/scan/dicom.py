"""DICOM series in folders: which there are, and what each of their slices says of its place. No voxel is read here."""

from __future__ import annotations

import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError

logging.getLogger("pydicom").addHandler(logging.NullHandler())  # else its remarks go to the terminal

NO_SCANS = ("SEG", "PR", "KO", "SR", "RTSTRUCT", "RTPLAN", "REG", "DOC")
"""Modalities that carry no scan, some of which have pixels all the same."""

PARTS = {
    "EchoTime": "echo time",
    "TemporalPositionIdentifier": "time point",
    "AcquisitionNumber": "acquisition",
    "ImageType": "image type",
    "InversionTime": "inversion time",
    "FlipAngle": "flip angle",
    "DiffusionBValue": "b-value",
    "TriggerTime": "trigger time",
    "ImageComments": "comment",
}
"""What tells the volumes apart that scanners put into one series, by keyword, most telling first."""

OF_SERIES = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SOPInstanceUID",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *PARTS,
)
OF_FRAMES = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "TemporalPositionIdentifier": "FrameContentSequence",
    "EchoTime": "MREchoSequence",
    "RepetitionTime": "MRTimingAndRelatedParametersSequence",
    "InversionTime": "MRModifierSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "ImageType": "MRImageFrameTypeSequence",
}
"""Where the functional groups of a multi-frame file have what a file of one slice has at its top."""

RENAMED = {
    "TemporalPositionIdentifier": "TemporalPositionIndex",
    "EchoTime": "EffectiveEchoTime",
    "InversionTime": "InversionTimes",
    "ImageType": "FrameType",
}

SUFFIXES = (".dcm", ".ima")
"""Names of DICOM files, some of which are too old to say so in their beginning."""

SAME_POINT_MM = 0.01

MOST_LISTED = 20
"""Series that one sentence names."""


@dataclass(frozen=True)
class SlicePlace:
    """Where a slice lies, in LPS. position: of its first pixel, mm. row, column: directions along a row and along a
    column. spacing: mm from row to row, and from column to column.
    """

    position: tuple[float, ...]
    row: tuple[float, ...]
    column: tuple[float, ...]
    spacing: tuple[float, ...]


@dataclass(frozen=True)
class DicomSlice:
    """One slice: a file, or a frame of one. size: rows and columns. place: None where the header does not tell all of
    it. about: what may tell it from a slice at the same place. scale: slope and offset of a frame that has its own.
    """

    file: Path
    frame: int
    uid: str
    size: tuple[int, int]
    place: SlicePlace | None
    about: Mapping[str, str]
    scale: tuple[float, ...] | None = None


@dataclass(frozen=True)
class DicomSeries:
    """One series of a folder, or one volume of a series that holds several. number: SeriesNumber, 0 where it is not
    told. choice: what `--series` takes to mean it alone. files: each once, in no particular order. unreadable: damaged
    DICOM files of the same folder, which may have belonged to it.
    """

    folder: Path
    uid: str
    number: int
    description: str
    modality: str
    files: tuple[Path, ...]
    slices: tuple[DicomSlice, ...] = ()
    choice: str = ""
    unreadable: tuple[Path, ...] = ()

    def __str__(self) -> str:
        name = f'"{self.description}"' if self.description else self.uid
        return f"{self.choice}: {name} ({self.modality or 'no modality'}, {len(self.slices)} slices)"


def is_dicom_file(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM, whatever its name."""
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def find_series(folder: Path) -> list[DicomSeries]:
    """The series of images whose files lie directly in a folder, by their numbers.

    Several volumes in one (echoes, time points) are series of their own.

    Raises InputError where all DICOM files there are damaged.
    """
    return series_of(folder, (path for path in sorted(folder.iterdir()) if path.is_file() and path.name[0] != "."))


def series_of(folder: Path, files: Iterable[Path]) -> list[DicomSeries]:
    """The series of images among these files of a folder, as `find_series` has them."""
    headers: dict[str, list[tuple[Path, Any]]] = defaultdict(list)
    unreadable = []
    for file in files:
        header = _header(file)
        if header is not None and _is_scan(header):
            headers[str(header.get("SeriesInstanceUID", ""))].append((file, header))
        elif header is None and (is_dicom_file(file) or file.suffix.lower() in SUFFIXES):
            unreadable.append(file)
    if unreadable and not headers:
        raise InputError(
            f'"{folder}" holds {len(unreadable)} DICOM files that are damaged, such as "{unreadable[0].name}", and no'
            " others; copy them again."
        )
    series = [part for uid, found in headers.items() for part in _volumes(_one_series(folder, uid, found))]
    series.sort(key=lambda one: (one.number, one.uid, one.choice))
    return [replace(one, unreadable=tuple(unreadable)) for one in _with_choices(series)]


def choose_series(folder: Path, found: Sequence[DicomSeries], wanted: str | None) -> DicomSeries:
    """The series of a folder that was asked for by its number or UID, or the only one.

    Raises InputError, which lists them where it is not clear.
    """
    if not found:
        below = next((p.parent for p in folder.glob("*/*") if is_dicom_file(p)), None)
        hint = f' The folder "{below}" below it does: give that, or take all with -r.' if below else ""
        raise InputError(f'The folder "{folder}" holds no DICOM series that is a scan.{hint}')
    fitting = [
        one for one in found if wanted is None or wanted.strip() in (one.choice, one.choice.partition(".")[0], one.uid)
    ]
    if len(fitting) == 1:
        return fitting[0]
    listed = _listed(fitting or found)
    if wanted is None:
        raise InputError(f'The folder "{folder}" holds {len(found)} DICOM series; choose one with --series: {listed}.')
    how_many = f"{len(fitting)} series" if fitting else "no series"
    raise InputError(f'The folder "{folder}" holds {how_many} "{wanted}"; choose one with --series: {listed}.')


def _listed(found: Sequence[DicomSeries]) -> str:
    more = f"; and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
    return "; ".join(map(str, found[:MOST_LISTED])) + more


def header_of(path: Path, wanted: str | None) -> tuple[Any, int]:
    """The whole header, as pydicom has it, of one file of a series, and a frame of the file that belongs to it: of the
    file `path`, or of a folder's series as `choose_series` takes it. Raises InputError.
    """
    found = find_series(path) if path.is_dir() else series_of(path.parent, [path])
    one = choose_series(path, found, wanted).slices[0]
    return header_at(one.file), one.frame


def header_at(file: Path) -> Any:
    """The whole header of a file that was read before, as pydicom has it. Raises InputError."""
    header = _header(file, None)
    if header is None:
        raise InputError(f'"{file}" cannot be read any more; copy it again.')
    return header


def value_of_frame(header: Any, number: int, keyword: str) -> Any:
    """What the functional groups of a multi-frame file say of one frame; None where they say nothing."""
    frames = header.get("PerFrameFunctionalGroupsSequence")
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    return _of_frame(keyword, frames[number], shared) if frames else None


def _header(file: Path, keywords: Sequence[str] | None = OF_SERIES) -> Any:
    """The header of a DICOM file, what these keywords say or all of it; None for everything else, and for damaged
    ones.
    """
    import pydicom  # a part of a second, which looking for scans does not need
    from pydicom.errors import InvalidDicomError

    unmarked = file.suffix.lower() in SUFFIXES and not is_dicom_file(file)
    try:
        with warnings.catch_warnings(action="ignore"):
            tags = None if keywords is None else list(keywords)
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags, force=unmarked)
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError):
        return None
    kind = header.get("SOPClassUID") or header.file_meta.get(
        "MediaStorageSOPClassUID"
    )  # the latter alone in a DICOMDIR
    return header if kind else None


def _is_scan(header: Any) -> bool:
    return "Rows" in header and "Columns" in header and str(header.get("Modality", "")) not in NO_SCANS


def _one_series(folder: Path, uid: str, found: Sequence[tuple[Path, Any]]) -> DicomSeries:
    first = found[0][1]
    slices = tuple(one for file, header in found for one in _slices(file, header))
    number = first.get("SeriesNumber")
    return DicomSeries(
        folder,
        uid,
        int(number) if number not in (None, "") else 0,
        str(first.get("SeriesDescription", "")).strip(),
        str(first.get("Modality", "")),
        tuple(file for file, _ in found),
        slices,
    )


def _slices(file: Path, header: Any) -> list[DicomSlice]:
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        count = int(header.get("NumberOfFrames") or 1)
        one = _slice(file, 0, header, lambda keyword: header.get(keyword))
        return [replace(one, frame=n, place=one.place if count == 1 else None) for n in range(count)]
    shared = (header.get("SharedFunctionalGroupsSequence") or [None])[0]
    return [_slice(file, n, header, partial(_of_frame, frame=frame, shared=shared)) for n, frame in enumerate(frames)]


def _of_frame(keyword: str, frame: Any, shared: Any) -> Any:
    """What a frame, or all of them together, say of themselves."""
    for groups in (frame, shared):
        group = groups.get(OF_FRAMES.get(keyword, ""), None) if groups is not None else None
        if group:
            value = group[0].get(keyword, group[0].get(RENAMED.get(keyword, keyword)))
            if value is not None:
                return value
    return None


def _slice(file: Path, frame: int, header: Any, value: Callable[[str], Any]) -> DicomSlice:
    return DicomSlice(
        file,
        frame,
        str(header.get("SOPInstanceUID", "")),
        (int(header.Rows), int(header.Columns)),
        _place(value),
        {words: str(value(keyword)) for keyword, words in PARTS.items() if value(keyword) not in (None, "")},
        _numbers([value("RescaleSlope"), value("RescaleIntercept")], 2),
    )


def _place(value: Callable[[str], Any]) -> SlicePlace | None:
    position, spacing = _numbers(value("ImagePositionPatient"), 3), _numbers(value("PixelSpacing"), 2)
    directions = _numbers(value("ImageOrientationPatient"), 6)
    if position is None or spacing is None or directions is None or min(spacing) <= 0:
        return None
    return SlicePlace(position, directions[:3], directions[3:], spacing)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """So many finite numbers, or None where the header has them not."""
    try:
        numbers = tuple(float(n) for n in np.atleast_1d(value))
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and bool(np.isfinite(numbers).all()) else None


def _volumes(series: DicomSeries) -> list[DicomSeries]:
    """The volumes of a series: itself, unless slices lie at the same place and something tells them apart."""
    if not _has_doubles(series.slices):
        return [series]
    for keys in (*((key,) for key in PARTS.values()), *combinations(PARTS.values(), 2)):
        groups: dict[tuple[str, ...], list[DicomSlice]] = defaultdict(list)
        for one in series.slices:
            groups[tuple(one.about.get(key, "") for key in keys)].append(one)
        if len(groups) > 1 and not any(_has_doubles(group) for group in groups.values()):
            return [
                replace(
                    series,
                    description=f"{series.description}, {', '.join(map(' '.join, zip(keys, values, strict=True)))}",
                    files=tuple(dict.fromkeys(one.file for one in group)),
                    slices=tuple(group),
                    choice=str(n),
                )
                for n, (values, group) in enumerate(sorted(groups.items()), start=1)
            ]
    return [series]


def _has_doubles(slices: Sequence[DicomSlice]) -> bool:
    """Whether two different slices lie at one place; the same slice sent twice does not count."""
    own = {(one.uid, one.frame): one for one in slices}.values()
    places = Counter(
        tuple(np.rint(np.array((*one.place.position, *one.place.row)) / SAME_POINT_MM).astype(int))
        for one in own
        if one.place
    )
    return any(times > 1 for times in places.values())


def _with_choices(series: Sequence[DicomSeries]) -> list[DicomSeries]:
    """Each with a word that means it alone: its number or, where numbers are missing or shared, its place in the list;
    then which of its volumes it is.
    """
    uids = list(dict.fromkeys(one.uid for one in series))
    numbers = {one.uid: one.number for one in series}
    if 0 in numbers.values() or len(set(numbers.values())) < len(numbers):
        numbers = {uid: n for n, uid in enumerate(uids, start=1)}
    return [replace(one, choice=f"{numbers[one.uid]}.{one.choice}".rstrip(".")) for one in series]
