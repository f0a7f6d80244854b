"""Reading scans: NIfTI, NRRD, MHA, MGZ or DICOM -> Volume, with one clear sentence for every file that
is not a scan.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..findings import Finding
from .file_names import openable
from .image_header import is_whole, stated_spacing, states_directions
from .itk import affine_of, without_itk_warnings
from .orientation import affine_from_letters, check_letters, leaning, upright, voxels_apart
from .stored_image import StoredImage
from .volume import Affine, Volume

UPRIGHT = 0.1
"""Voxels. Axes that lean by less than this at every corner lean because a header was rounded."""


def read_volume(
    path: str | os.PathLike[str],
    assume_orientation: str | None = None,
    series: str | None = None,
    fill_gaps: bool = False,
) -> Volume:
    """Read one scan from a file, or from a folder that holds DICOM.

    Args:
        path: A NIfTI, ANALYZE, NRRD, MHA, MGZ or DICOM file, or a folder with a DICOM series.
        assume_orientation: The sides that the voxel axes i, j and k run to, in three letters such as "LPS", if the file
            does not say.
        series: Number or UID of the DICOM series to take of a folder that holds several.
        fill_gaps: Interpolate slices of a DICOM series that are missing or unevenly spaced.

    Returns:
        The scan, of one channel; `findings` say what was noticed.

    Raises:
        InputError: The file is not there, is no 3D scan, is damaged, or does not tell left from right.

    Examples:
        >>> from LabelConditionedSegmentationLib import read_volume
        >>> volume = read_volume("scan.nii.gz")
        >>> volume.array.ndim
        4
    """
    path = Path(path)
    if assume_orientation:
        check_letters(assume_orientation)
    if not path.exists():
        raise InputError(f'There is no file "{path}".')
    stored = _read(path, series, fill_gaps)
    _check_kind(path, stored)
    _check_spacing(path, stored.spacing)
    affine, findings = _placed(path, stored, assume_orientation)
    return Volume(stored.array[None], affine, (*stored.findings, *findings), stored.nifti_place, stored.dicom_place)


def _read(path: Path, series: str | None, fill_gaps: bool) -> StoredImage:
    """Each format by its own reader, which is imported when it is needed."""
    if path.is_dir():
        from .dicom_reading import read_folder

        return read_folder(path, series, fill_gaps)
    if not os.access(path, os.R_OK):
        raise InputError(f'You may not read "{path}"; ask for permission, or copy it to a folder of your own.')
    from .freesurfer import is_freesurfer, read_freesurfer
    from .nifti import is_nifti, read_nifti

    if is_freesurfer(path):
        return read_freesurfer(path)
    if is_nifti(path):
        return read_nifti(path)
    from .dicom import SUFFIXES, is_dicom_file

    if is_dicom_file(path) or path.suffix.lower() in SUFFIXES:
        from .dicom_reading import read_file

        return read_file(path, fill_gaps)
    return _read_by_itk(path)


def _read_by_itk(path: Path) -> StoredImage:
    stated = stated_spacing(path)
    _check_spacing(path, stated)
    if not is_whole(path):
        raise InputError(
            f'"{path}" is damaged or incomplete: some of its voxels are missing. Copy or download it again.'
        )
    try:
        with openable(path) as (file,), without_itk_warnings():
            image = sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise InputError(
            f'"{path}" cannot be read as an image: it is damaged, empty, or of a format that is not known.'
        ) from error
    is_placed = image.GetDimension() == 3 and states_directions(path)
    return StoredImage(
        sitk.GetArrayFromImage(image),
        affine_of(image) if is_placed else None,
        (*stated, *image.GetSpacing()),
        image.GetNumberOfComponentsPerPixel(),
    )


def _check_kind(path: Path, stored: StoredImage) -> None:
    """Raise InputError unless an image is one 3D scan of grey values."""
    if stored.components != 1:
        raise InputError(
            f'"{path}" has {stored.components} values a voxel (colour or vector); a grey-value scan is needed.'
        )
    dimensions = stored.array.ndim
    if dimensions != 3:
        what = "a 2D picture" if dimensions == 2 else f"{dimensions}D"
        advice = " Choose one frame of it." if dimensions > 3 else ""
        raise InputError(f'"{path}" is {what}; a single 3D scan is needed.{advice}')
    if min(stored.array.shape) == 1:
        raise InputError(f'"{path}" is a single slice; a 3D scan is needed.')


def _check_spacing(path: Path, spacing: Sequence[float]) -> None:
    for length in spacing:
        if not (math.isfinite(length) and length > 0):
            raise InputError(f'"{path}" has the impossible voxel spacing {length:g} mm; repair its header.')


def _placed(path: Path, stored: StoredImage, assumed: str | None) -> tuple[Affine, list[Finding]]:
    """Where an image lies. Raises InputError where that is not known and nothing was assumed, or is impossible."""
    affine = stored.affine
    if affine is None:
        if not assumed:
            raise InputError(
                f'"{path}" does not say which way its voxel axes run, so left and right are not known: convert it anew '
                "from the original, or say it with --assume-orientation, such as LPS."
            )
        affine = affine_from_letters(assumed, stored.spacing[:3], stored.array.shape)
        text = f"The scan does not say which way its voxel axes run; {assumed.strip().upper()} was assumed, as told."
        return affine, [Finding.warning(text, "If that is wrong, left and right are exchanged.")]
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise InputError(f'"{path}" has an impossible position in space; repair its header.')
    if voxels_apart(affine, upright(affine), stored.array.shape) <= UPRIGHT:
        return affine, []
    text = (
        f"The voxel axes of the scan lean against each other by up to {leaning(affine):.1f} degrees, as under a tilted"
        " gantry."
    )
    return affine, [Finding.note(text, "It is read, and the result written, as it lies.")]
