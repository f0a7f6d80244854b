"""Volumes as SimpleITK images and back, and ITK without its words on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk

from .placed_array import Affine, PlacedArray, as_stored

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns ITK's left-posterior-superior coordinates into right-anterior-superior ones, and back."""


def affine_of(image: sitk.Image) -> Affine:
    """IJK-to-RAS affine of a 3D SimpleITK image (whose own geometry is in LPS)."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    out: Affine = LPS_TO_RAS @ affine
    return out


def image_of(volume: PlacedArray) -> sitk.Image:
    """A volume as a SimpleITK image; several channels are the components of its voxels.

    ITK's writer of NIfTI puts axes that lean at right angles: use `core.nifti` for it.
    """
    array = as_stored(volume.array)
    several = len(array) > 1
    image = sitk.GetImageFromArray(np.moveaxis(array, 0, -1) if several else array[0], isVector=several)
    affine = LPS_TO_RAS @ volume.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(o) for o in affine[:3, 3]])
    image.SetDirection([float(d) for d in (affine[:3, :3] / spacing).ravel()])
    return image


@contextmanager
def without_itk_warnings() -> Iterator[None]:
    """ITK writes to the terminal what is told here in a sentence, or is of no use to the user."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)
