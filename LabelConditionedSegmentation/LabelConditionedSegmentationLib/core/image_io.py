"""Reading scans: NIfTI, NRRD, MHA or a folder of DICOM -> Volume, with one clear sentence for every file that is not a scan."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .errors import InputError
from .file_names import openable
from .image_header import stated_spacing, stored_voxels
from .volume import Affine, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns ITK's left-posterior-superior coordinates into right-anterior-superior ones, and back."""


def affine_of(image: sitk.Image) -> Affine:
    """IJK-to-RAS affine of a 3D SimpleITK image (whose own geometry is in LPS)."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    out: Affine = LPS_TO_RAS @ affine
    return out


def image_of(volume: Volume) -> sitk.Image:
    """A single-channel volume as a SimpleITK image. The affine's columns have to be orthogonal, as those of any scanner's grid are."""
    image = sitk.GetImageFromArray(volume.array[0])
    affine = LPS_TO_RAS @ volume.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(o) for o in affine[:3, 3]])
    image.SetDirection([float(d) for d in (affine[:3, :3] / spacing).ravel()])
    return image


def read_volume(
    path: str | os.PathLike[str],
    assume_orientation: str | None = None,
    series: str | None = None,
    fill_gaps: bool = False,
) -> Volume:
    """Read one scan from a file, or from a folder that holds one DICOM series. Raises InputError with a sentence for the user.

    assume_orientation: where the voxel axes (i, j, k) run to, such as "LPS", if the file does not say. series: number or UID of the DICOM series to take of
    a folder that holds several. fill_gaps: slices of a DICOM series that are missing or unevenly spaced are interpolated.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f'There is no file "{path}".')
    image = _read_series(path) if path.is_dir() else _read_file(path)
    if image.GetDimension() != 3:
        what = "a 2D picture" if image.GetDimension() == 2 else f"{image.GetDimension()}D"
        raise InputError(
            f'"{path}" is {what}; a single 3D scan is needed.'
            + (" Choose one frame of it." if image.GetDimension() > 3 else "")
        )
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f'"{path}" has {image.GetNumberOfComponentsPerPixel()} values a voxel (colour or vector); a grey-value scan is needed.'
        )
    if min(image.GetSize()) == 1:
        raise InputError(f'"{path}" is a single slice; a 3D scan is needed.')
    _check_spacing(path, image.GetSpacing())
    if not all(math.isfinite(n) for n in (*image.GetDirection(), *image.GetOrigin())):
        raise InputError(f'"{path}" has an impossible position in space; repair its header.')
    return Volume(sitk.GetArrayFromImage(image)[None], affine_of(image))


def _check_spacing(path: Path, spacing: Sequence[float]) -> None:
    for length in spacing:
        if not (math.isfinite(length) and length > 0):
            raise InputError(f'"{path}" has the impossible voxel spacing {length:g} mm; repair its header.')


def _read_file(path: Path) -> sitk.Image:
    if not os.access(path, os.R_OK):
        raise InputError(f'You may not read "{path}"; ask for permission, or copy it to a folder of your own.')
    _check_spacing(path, stated_spacing(path))
    voxels = stored_voxels(path)
    if not voxels.complete:
        raise InputError(
            f'"{path}" is damaged or incomplete: some of its voxels are missing. Copy or download it again.'
        )
    if voxels.not_finite:
        raise InputError(
            f'"{path}" holds {voxels.not_finite} voxels that are NaN or infinite. Replace them, for example by 0, and try again.'
        )
    try:
        with openable(path) as (file,), _without_itk_warnings():
            return sitk.ReadImage(str(file))
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise InputError(
                f'"{path}" has axes that are not at right angles to each other; resample it to a regular grid, or repair its header.'
            ) from error
        raise InputError(
            f'"{path}" cannot be read as an image: it is damaged, empty, or of a format that is not known.'
        ) from error


@contextmanager
def _without_itk_warnings() -> Iterator[None]:
    """ITK writes to the terminal what is told here in a sentence, or is of no use to the user."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


def _read_series(folder: Path) -> sitk.Image:
    with _without_itk_warnings():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if len(series) != 1:
        raise InputError(f'The folder "{folder}" holds {len(series) or "no"} DICOM series; one is needed.')
    try:
        return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0]))
    except RuntimeError as error:
        raise InputError(
            f'The DICOM series in "{folder}" cannot be read: files are damaged or do not belong together.'
        ) from error
