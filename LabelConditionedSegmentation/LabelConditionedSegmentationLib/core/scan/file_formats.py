"""The formats that results are written in, as the ends of their names tell them."""

from __future__ import annotations

from pathlib import Path

from ..errors import OutputError

SEGMENTATION = ".seg.nrrd"
LABEL_MAPS = (".nii.gz", ".nii", ".nrrd", ".mha")
DICOM = ".dcm"
"""Of a DICOM segmentation, which refers to the series that was segmented."""

OVERLAPPING = (SEGMENTATION, DICOM)
"""Formats in which labels may overlap, and that name their labels themselves."""


def suffix_of(path: Path) -> str:
    """The output format a path asks for, as its suffix. Raises OutputError where it is none of those known."""
    for suffix in (SEGMENTATION, *LABEL_MAPS, DICOM):
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return suffix
    raise OutputError(
        f'"{path}" is no output that can be written; use a name that ends in {SEGMENTATION}, {", ".join(LABEL_MAPS)}'
        f" or, for a DICOM series, {DICOM}."
    )


def is_dicom_name(path: Path) -> bool:
    """Whether a name asks for a DICOM file."""
    return path.name.lower().endswith(DICOM)


def names_file(path: Path) -> Path:
    """The JSON file beside a label map that names its values."""
    return path.with_name(path.name[: -len(suffix_of(path))] + ".json")


def check_maps_name(path: Path) -> None:
    """Raise OutputError unless a name says one of the formats that hold probability maps."""
    if not is_dicom_name(path) or path.name.lower() == DICOM:
        check_image_name(path)


def check_image_name(path: Path) -> None:
    """Raise OutputError unless a name says one of the formats that hold an image."""
    name = path.name.lower()
    if name.endswith(SEGMENTATION) or not name.endswith(LABEL_MAPS) or name in LABEL_MAPS:
        raise OutputError(f'"{path}" is no image that can be written; use a name that ends in {", ".join(LABEL_MAPS)}.')
