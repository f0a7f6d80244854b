"""What an image file says of itself, for the faults that image readers repair without a word: impossible spacing, voxels that are missing or no numbers."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

LONGEST_HEADER = 2**20
PIECE = 2**20
_REAL = {16: "f4", 64: "f8"}


def stated_spacing(path: Path) -> tuple[float, ...]:
    """The voxel spacings in mm as the header of a NIfTI, NRRD or MHA file states them; empty where it states none or cannot be understood.

    ITK's readers turn a spacing of 0, NaN or infinity into 1 mm and a negative one into a mirrored axis.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            header = _nifti(path)
            return () if header is None else header.spacing
        if name.endswith((".nrrd", ".nhdr")):
            return _nrrd_spacing(_text_fields(path, ":", "")[0])
        if name.endswith((".mha", ".mhd")):
            return tuple(
                float(word) for word in _text_fields(path, "=", "elementdatafile")[0].get("elementspacing", "").split()
            )
    except (OSError, EOFError, zlib.error, ValueError):  # damaged in another way, which the reader tells
        pass
    return ()


@dataclass(frozen=True)
class StoredVoxels:
    """Whether all voxels are in the file, and how many of them are NaN or infinite."""

    complete: bool = True
    not_finite: int = 0


def stored_voxels(path: Path) -> StoredVoxels:
    """What is wrong with the voxels of a NIfTI or MHA file that ITK's readers do not tell: they fill missing ones with 0 or noise, and put 0 for NaN (NIfTI)."""
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            header = _nifti(path)
            return StoredVoxels() if header is None else _walk(path, header)
        return StoredVoxels(complete=not name.endswith(".mha") or _inflates(path))
    except (OSError, EOFError, zlib.error):
        return StoredVoxels(complete=False)


@dataclass(frozen=True)
class _Nifti:
    """`spacing`: along up to three axes, by pixdim and, where there is one, by the sform. `kind`: of real voxels. `start`, `length`: of the voxels, in bytes."""

    spacing: tuple[float, ...]
    kind: np.dtype[np.floating] | None
    start: int
    length: int


def _nifti(path: Path) -> _Nifti | None:
    """The header of a NIfTI-1 file in either byte order; None where it is none."""
    with _opened(path) as stream:
        data = stream.read(348)
    for order in "<>":
        if len(data) == 348 and struct.unpack_from(order + "i", data)[0] == 348:
            fields = (("8h", 40), ("2h", 70), ("8f", 76), ("f", 108), ("h", 254), ("12f", 280))
            dim, (kind, bits), pixdim, (offset,), (sform_code,), srow = (
                struct.unpack_from(order + what, data, place) for what, place in fields
            )
            axes = min(max(dim[0], 0), 3)
            spacing = pixdim[1 : 1 + axes]
            if sform_code > 0:
                spacing += tuple(math.hypot(*srow[axis::4]) for axis in range(axes))
            voxels = math.prod(max(n, 1) for n in dim[1 : 1 + min(max(dim[0], 0), 7)])
            real = np.dtype(order + _REAL[kind]) if kind in _REAL else None
            return _Nifti(spacing, real, max(0, int(offset)) if math.isfinite(offset) else 0, voxels * bits // 8)
    return None


def _opened(path: Path) -> BinaryIO:
    """The file, uncompressed where it is compressed, whatever its name says."""
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else path.open("rb")  # type: ignore[return-value]


def _walk(path: Path, header: _Nifti) -> StoredVoxels:
    length = not_finite = 0
    with _opened(path) as stream:
        stream.read(header.start)
        while piece := stream.read(PIECE):
            length += len(piece)
            if header.kind is not None:
                whole = len(piece) - len(piece) % header.kind.itemsize
                not_finite += int(np.count_nonzero(~np.isfinite(np.frombuffer(piece[:whole], header.kind))))
    return StoredVoxels(length >= header.length, not_finite)


def _inflates(path: Path) -> bool:
    """Whether the voxels of an MHA file are either not compressed or compressed without damage."""
    fields, voxels_start = _text_fields(path, "=", "elementdatafile")
    if fields.get("compresseddata", "").lower() != "true" or fields.get("elementdatafile", "").lower() != "local":
        return True
    inflate = zlib.decompressobj()
    with path.open("rb") as stream:
        stream.seek(voxels_start)
        while not inflate.eof and (piece := stream.read(PIECE)):
            inflate.decompress(piece)
    return inflate.eof


def _text_fields(path: Path, separator: str, last: str) -> tuple[dict[str, str], int]:
    """The fields of a text header by name in lower case, up to the line with the name `last` (NRRD: the empty line), and where the next line begins."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        while stream.tell() < LONGEST_HEADER and (line := stream.readline(LONGEST_HEADER)):
            name, _, value = (part.strip() for part in line.decode("latin-1").partition(separator))
            fields.setdefault(name.lower(), value)
            if name.lower() == last:
                break
        return fields, stream.tell()


def _nrrd_spacing(fields: dict[str, str]) -> tuple[float, ...]:
    """Of the axes in space: `spacings`, or the lengths of `space directions`."""
    if "spacings" in fields:
        stated = [float(word) for word in fields["spacings"].split()]
    else:
        vectors = re.findall(r"none|\([^)]*\)", fields.get("space directions", ""))
        stated = [
            math.nan if vector == "none" else math.hypot(*(float(n) for n in vector[1:-1].split(",")))
            for vector in vectors
        ]
    kinds = fields.get("kinds", "").split()
    return tuple(s for n, s in enumerate(stated) if n >= len(kinds) or kinds[n] in ("domain", "space"))
