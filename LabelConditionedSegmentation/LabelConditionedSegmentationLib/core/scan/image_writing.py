"""Images as files, in the format that a name asks for; each is read again, since not every writer notices that it
failed.
"""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from .itk import image_of
from .nifti import write_nifti
from .placed_array import PlacedArray
from .written import check_written


def write_image(volume: PlacedArray, path: Path) -> None:
    """Write a volume. Several channels are the fourth axis of a NIfTI file, else the components of each voxel.

    Raises what the library that writes the format raises, RuntimeError where the file does not hold the voxels, and
    OutputError where the format cannot say where they lie.
    """
    if path.name.lower().endswith((".nii", ".nii.gz")):
        write_nifti(path, volume)
    else:
        sitk.WriteImage(image_of(volume), str(path), useCompression=True)
    check_written(path, [volume])
