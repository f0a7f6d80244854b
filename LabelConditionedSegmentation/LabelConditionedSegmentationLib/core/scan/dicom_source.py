"""The headers of a DICOM series that a scan was read from, as objects that are derived from it take them over."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from .dicom import header_at
from .placed_array import PlacedArray

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
"""Without which nothing can refer to an image, or say where in the patient it lies."""

MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Of which DICOM wants to know that they are not known; programs that remove names leave them out altogether."""

INSTEAD = "write a .seg.nrrd file instead."


def check_source(scan: PlacedArray, what: str) -> None:
    """Raise InputError, which names the scan `what`, unless it is a DICOM series that a segmentation can refer to.

    One header is read; the others of a series say the same.
    """
    place = scan.dicom_place
    if place is None:
        raise InputError(
            f'"{what}" is no DICOM series, which a DICOM segmentation has to refer to; give the folder of the series,'
            f" or {INSTEAD}"
        )
    if not place.files:
        raise InputError(
            f'Slices of "{what}" were interpolated, and a DICOM segmentation refers to slices that there are; {INSTEAD}'
        )
    _checked(header_at(place.files[0]), what)
    if len(set(place.files)) > 1 and any(place.frames):
        raise InputError(
            f'The slices of "{what}" lie in several multi-frame files, to which one DICOM segmentation cannot refer;'
            f" {INSTEAD}"
        )


def source_images(scan: PlacedArray, what: str) -> list[Any]:
    """The headers, as pydicom has them, of the images of a scan: one a slice in the order of k, or that of the one
    multi-frame file. What DICOM allows to be empty is there, and empty where it is a date that is none; slices whose
    thickness is not told are as thick as they lie apart.

    Raises InputError where there are none, or where one of them lacks what is needed.
    """
    check_source(scan, what)
    assert scan.dicom_place is not None
    headers = [_checked(header_at(file), what) for file in dict.fromkeys(scan.dicom_place.files)]
    for header in headers:
        for keyword in MAY_BE_EMPTY:
            if keyword not in header or not _is_told(header, keyword):
                setattr(header, keyword, None)
        if not header.get("SliceThickness"):
            header.SliceThickness = scan.spacing[2]
    return headers


def _is_told(header: Any, keyword: str) -> bool:
    """Whether a value can be read; of texts anything can."""
    from pydicom.valuerep import DA, TM

    kind = DA if keyword.endswith("Date") else TM if keyword.endswith("Time") else str
    try:
        kind(str(header.get(keyword) or ""))
    except ValueError:
        return False
    return True


def _checked(header: Any, what: str) -> Any:
    missing = [keyword for keyword in NEEDED if not header.get(keyword)]
    if missing:
        raise InputError(
            f'The images of "{what}" do not say their {", ".join(missing)}, so that a DICOM segmentation cannot refer'
            f" to them; {INSTEAD}"
        )
    return header
