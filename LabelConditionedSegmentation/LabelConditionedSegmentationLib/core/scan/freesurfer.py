"""FreeSurfer's volumes, .mgh and .mgz."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError

from ..errors import InputError
from .stored_image import StoredImage

SUFFIXES = (".mgh", ".mgz", ".mgh.gz")
GOOD_RAS = slice(28, 30)
"""The bytes of the header that say whether it holds directions; nibabel puts usual ones where it holds none, and then
says that it does.
"""


def is_freesurfer(path: Path) -> bool:
    """By its name: the format has no other mark."""
    return path.name.lower().endswith(SUFFIXES)


def read_freesurfer(path: Path) -> StoredImage:
    """The image in a .mgh or .mgz file. Raises InputError where it is damaged or incomplete."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            is_placed = int.from_bytes(stream.read(GOOD_RAS.stop)[GOOD_RAS], "big", signed=True) > 0
            stream.seek(0)
            image = nibabel.MGHImage.from_file_map(nibabel.MGHImage.make_file_map({"image": stream}))
            voxels = np.asarray(image.dataobj)
    except (OSError, EOFError, zlib.error, ValueError, MGHError, HeaderDataError):
        raise InputError(
            f'"{path}" is damaged or incomplete, or no volume of FreeSurfer. Copy or download it again.'
        ) from None
    while voxels.ndim > 3 and voxels.shape[-1] == 1:
        voxels = voxels[..., 0]
    spacing = tuple(float(n) for n in image.header["delta"])
    native = voxels.astype(voxels.dtype.newbyteorder("="), copy=False).T
    return StoredImage(native, np.asarray(image.affine, dtype=np.float64) if is_placed else None, spacing)
