"""A written image is read again and compared, its place as well as its voxels: some writers notice neither a full disk
nor a grid that they cannot hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError, OutputError
from .itk import affine_of, without_itk_warnings
from .nifti import read_nifti
from .orientation import voxels_apart
from .placed_array import Affine, Array, NiftiPlace, PlacedArray

SAME_PLACE = 1e-3
"""Voxels, that numbers in single precision may move a corner by."""


def check_written(path: Path, layers: Sequence[PlacedArray]) -> None:
    """Raise RuntimeError where a file does not hold the voxels of these layers, of one grid, and OutputError where it
    puts them elsewhere.
    """
    is_nifti = path.name.lower().endswith((".nii", ".nii.gz"))
    try:
        voxels, affine, place = _nifti(path) if is_nifti else _other(path)
    except (InputError, RuntimeError):
        voxels, affine, place = np.empty((0, 0, 0, 0)), None, None
    if not _equal(voxels, np.concatenate([layer.array for layer in layers])):
        raise RuntimeError("what was read back is not what was written")
    wanted = layers[0]
    same = place is not None and _same(place, wanted.nifti_place)
    if not same and (affine is None or voxels_apart(wanted.affine, affine, wanted.shape) > SAME_PLACE):
        raise OutputError(
            f"The format {''.join(path.suffixes)} cannot say where the scan lies; write a .seg.nrrd or .nrrd file."
        )


def _equal(one: Array, two: Array) -> bool:
    """Whether two arrays hold the same; what is no number stands where none stood."""
    return np.array_equal(one, two, equal_nan="f" in (one.dtype.kind, two.dtype.kind))


def _nifti(path: Path) -> tuple[Array, Affine | None, NiftiPlace | None]:
    stored = read_nifti(path)
    return stored.array if stored.array.ndim == 4 else stored.array[None], stored.affine, stored.nifti_place


def _other(path: Path) -> tuple[Array, Affine | None, NiftiPlace | None]:
    with without_itk_warnings():
        image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    return array[None] if array.ndim == 3 else np.moveaxis(array, -1, 0), affine_of(image), None


def _same(one: NiftiPlace, two: NiftiPlace | None) -> bool:
    """Whether two headers say the same, which need not be a place: in both the codes may be 0."""
    return two is not None and np.allclose(_numbers(one), _numbers(two), rtol=1e-6, atol=1e-6, equal_nan=True)


def _numbers(place: NiftiPlace) -> Array:
    return np.array((*place.pixdim, place.qform_code, place.sform_code, *place.quatern, *place.srow, place.xyzt_units))
