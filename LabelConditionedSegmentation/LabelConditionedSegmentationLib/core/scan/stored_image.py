"""What an image file holds, before it is known whether that can be a scan."""

from __future__ import annotations

from dataclasses import dataclass

from ..findings import Finding
from .placed_array import Affine, Array, DicomPlace, NiftiPlace


@dataclass(frozen=True)
class StoredImage:
    """Voxels and place as a file states them.

    array: (..., k, j, i). affine: (4, 4) voxel index (i, j, k, 1) to RAS millimetres; None where the file does not say
    which way its axes run.
    spacing: lengths in mm of a step along (i, j, k), as stated. components: values a voxel; where there are several,
    nobody looks at the array.
    findings: what the file says in more than one way, and which was taken.
    """

    array: Array
    affine: Affine | None
    spacing: tuple[float, ...]
    components: int = 1
    findings: tuple[Finding, ...] = ()
    nifti_place: NiftiPlace | None = None
    dicom_place: DicomPlace | None = None
