"""Images of nibabel, in memory, as arrays with a place in space and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nibabel
import numpy as np

from ..errors import InputError
from .nifti import UNITS, affine_by_rule, in_order_of_nifti, nifti_header, place_of
from .placed_array import Array, PlacedArray
from .stored_image import StoredImage


def stored_of(image: Any) -> StoredImage:
    """The voxels (..., k, j, i) of an image and where they lie: for NIfTI by the rule of `core.scan.nifti`, else by the
    image's affine. Raises InputError where it is not 3D or 4D, or left and right are not known.
    """
    array: Array = np.asanyarray(image.dataobj).T
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    while array.ndim > 3 and len(array) == 1:
        array = array[0]
    if array.ndim not in (3, 4):
        raise InputError(
            f"A 3D image, or a 4D one of several channels, is needed; this one has the shape {image.shape}."
        )
    affine, header = image.affine, image.header
    is_nifti = isinstance(image, nibabel.Nifti1Pair)
    if affine is None or (isinstance(image, nibabel.AnalyzeImage) and not is_nifti):
        raise _without_sides()
    if not is_nifti or not np.allclose(affine, header.get_best_affine()):  # the header is that of another place
        return StoredImage(array, affine, ())
    by_rule, findings = affine_by_rule(header, array.shape[-3:])
    if by_rule is None:
        raise _without_sides()
    millimetres = UNITS.get(int(header["xyzt_units"]) & 7, 1.0)
    affine = np.diag([millimetres] * 3 + [1.0]) @ affine  # not rounded, as that of the header is
    return StoredImage(array, affine, (), findings=findings, nifti_place=place_of(header))


def nibabel_of(volume: PlacedArray) -> Any:
    """A NIfTI image: (i, j, k), or (i, j, k, channel) where there are several channels."""
    place = volume.nifti_place
    if place is not None and not (place.sform_code > 0 or place.qform_code > 0):  # it says no place; the volume does
        volume = replace(volume, nifti_place=None)
    header = nifti_header(volume)
    affine = volume.affine if volume.nifti_place is None else header.get_best_affine()
    return nibabel.Nifti1Image(in_order_of_nifti(volume), affine, header)


def _without_sides() -> InputError:
    return InputError(
        "The image does not say which way its voxel axes run, so left and right are not known: use Volume.from_numpy,"
        " which takes the affine, or the orientation in letters."
    )
