"""The file that a volume was loaded from: whether its header says something else of its place than the application
took, or nothing.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..core.findings import Finding
from ..core.scan.itk import LPS_TO_RAS, without_itk_warnings
from ..core.scan.orientation import is_mirrored, voxels_apart
from ..core.scan.volume import Affine

SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img", ".img.gz")
SAME_PLACE = 0.05
"""Voxels, as `core.nifti` has it."""


def check_file(node: Any) -> list[Finding]:
    """What the file of a volume node says of sides and place that the user has to know.

    The application reads NIfTI by ITK, which takes the qform of some files
    where nibabel, FSL and FreeSurfer, and with them `lcs`, take the sform; where the file has neither, it guesses.
    """
    storage = node.GetStorageNode()
    path = storage.GetFullNameFromFileName() if storage is not None else ""
    try:
        changed = os.stat(path).st_mtime_ns if path and path.lower().endswith(SUFFIXES) else None
    except OSError:  # the scene has outlived the file
        changed = None
    return [] if changed is None else list(_findings(path, changed))


@lru_cache(maxsize=64)
def _findings(path: str, _changed: int) -> tuple[Finding, ...]:
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    try:
        with without_itk_warnings():
            reader.ReadImageInformation()
        said = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}
        codes = int(said["sform_code"]), int(said["qform_code"])
    except (RuntimeError, KeyError, ValueError):  # not as ITK reads it: the application had another way
        return ()
    if codes == (0, 0):
        text = (
            "The file of the scan does not say which way its voxel axes run, so left and right were guessed when it was"
            " loaded."
        )
        return (Finding.warning(text, "Make sure that left is left."),)
    if codes[0] == 0 or reader.GetDimension() < 3:
        return ()
    sform, taken = _sform(said), _taken(reader)
    if not np.isfinite(sform).all() or abs(np.linalg.det(sform[:3, :3])) < 1e-12:
        return ()
    who = "nibabel, FSL, FreeSurfer and lcs take the sform"
    if is_mirrored(sform, taken):
        text = (
            "The sform and the qform in the file of the scan disagree about left and right; here the qform was taken,"
            f" while {who}."
        )
    elif voxels_apart(sform, taken, reader.GetSize()[2::-1]) > SAME_PLACE:
        text = f"The sform and the qform in the file of the scan lie apart; here the qform was taken, while {who}."
    else:
        return ()
    return (Finding.warning(text, "Make sure that left is left, and repair the file."),)


def _sform(said: dict[str, str]) -> Affine:
    unit = {1: 1000.0, 3: 0.001}.get(int(said.get("xyzt_units", 2)) & 7, 1.0)
    rows = [[float(word) for word in said[f"srow_{axis}"].split()] for axis in "xyz"]
    return np.array([*(np.array(rows) * unit), [0, 0, 0, 1]])


def _taken(reader: sitk.ImageFileReader) -> Affine:
    """Where ITK puts the first three axes, in RAS."""
    size = reader.GetDimension()
    affine = np.eye(4)
    affine[:3, :3] = np.array(reader.GetDirection()).reshape(size, size)[:3, :3] * np.array(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    out: Affine = LPS_TO_RAS @ affine
    return out
