"""Whether a DICOM segmentation can be written at all: the library that does it, and how many segments one holds."""

from __future__ import annotations

from typing import Any

from ..errors import DependencyError, LabelError

MOST_SEGMENTS = 255
"""What programs that show DICOM segmentations take, which keep segments as a label map of one byte a voxel."""


def check_dicom(labels: int) -> None:
    """What can be said before any work: raises DependencyError where highdicom is missing, and LabelError for more
    labels than a DICOM segmentation can hold.
    """
    highdicom()
    if labels > MOST_SEGMENTS:
        raise LabelError(
            f"A DICOM segmentation of {labels} labels is more than most programs can show, which take {MOST_SEGMENTS}:"
            " ask for fewer with --labels, or write a .seg.nrrd or .nii.gz file."
        )


def highdicom() -> Any:
    """The library that writes DICOM. Raises DependencyError where it is missing."""
    try:
        import highdicom
    except ImportError:
        raise DependencyError(
            "DICOM files are written by the package highdicom, which is not installed: pip install highdicom."
        ) from None
    return highdicom
