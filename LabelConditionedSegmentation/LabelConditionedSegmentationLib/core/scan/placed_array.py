"""Voxels with a place in space, as the readers and writers of images know them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..findings import Finding

Array = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NiftiPlace:
    """The fields of a NIfTI header that say where the voxels lie, as they are stored: readers differ in which of them
    they believe.

    pixdim: the first four. quatern: quatern_b, _c, _d, qoffset_x, _y, _z. srow: the three rows of the sform.
    xyzt_units: the unit of all lengths.
    """

    pixdim: tuple[float, float, float, float]
    qform_code: int
    sform_code: int
    quatern: tuple[float, float, float, float, float, float]
    srow: tuple[float, ...]
    xyzt_units: int


@dataclass(frozen=True)
class DicomPlace:
    """The images of a DICOM series that a scan was read from, to which what is found in it refers.

    files, frames: of the slice k, the file and which of its frames; none where slices that the series lacks were
    interpolated.
    """

    files: tuple[Path, ...]
    frames: tuple[int, ...]


@dataclass(frozen=True)
class PlacedArray:
    """An image and its IJK-to-RAS affine: a `Volume` without what makes, converts and saves one.

    array: (channel, k, j, i), any real dtype; single-channel images carry a channel axis of length 1.
    affine: (4, 4) float64; maps voxel indices (i, j, k, 1) to right-anterior-superior millimetres. Its columns may lean
    against each other (a tilted gantry).
    findings: what was noticed when the scan was read. nifti_place: how a NIfTI file said where it lies, so that a
    result can say the same. dicom_place: the slices of a DICOM series, so that a result can refer to them.
    """

    array: Array
    affine: Affine
    findings: tuple[Finding, ...] = ()
    nifti_place: NiftiPlace | None = None
    dicom_place: DicomPlace | None = None

    def __post_init__(self) -> None:
        if self.array.ndim != 4:
            raise ValueError(f"a volume's array has the axes (channel, k, j, i); got the shape {self.array.shape}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"a volume's affine is 4x4; got the shape {self.affine.shape}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (k, j, i)."""
        return tuple(int(n) for n in self.array.shape[1:])  # type: ignore[return-value]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels along (i, j, k)."""
        return tuple(float(s) for s in np.linalg.norm(self.affine[:3, :3], axis=0))  # type: ignore[return-value]

    @property
    def voxel_millilitres(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def with_array(self, array: Array) -> Self:
        """The same place in space with other voxels; `array` has the axes (channel, k, j, i) or (k, j, i)."""
        return replace(self, array=array if array.ndim == 4 else array[None])


def as_stored(array: Array) -> Array:
    """The array in a type that image formats have: masks as 0 and 1, half precision as single."""
    kinds: dict[np.dtype[Any], Any] = {np.dtype(bool): np.uint8, np.dtype(np.float16): np.float32}
    return array.astype(kinds.get(array.dtype, array.dtype), copy=False)
