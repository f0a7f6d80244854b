"""What the header of an NRRD or MetaImage file says, for the faults that ITK's readers repair without a word."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable
from pathlib import Path

LONGEST_HEADER = 2**20
PIECE = 2**20

NRRD, META = (".nrrd", ".nhdr"), (".mha", ".mhd")
BODILY = re.compile(r"(right|left)-(anterior|posterior)-superior(-time)?|(ras|las|lps)t?")
"""The `space` of an NRRD file whose axes are those of a body. ITK takes every other one for left-posterior-superior."""

META_DIRECTIONS = ("transformmatrix", "rotation", "orientation")


def stated_spacing(path: Path) -> tuple[float, ...]:
    """The voxel spacings in mm as the header states them; empty where it states none or cannot be understood.

    ITK's readers turn a spacing of 0, NaN or infinity into 1 mm and a negative one into a mirrored axis.
    """
    try:
        if path.name.lower().endswith(NRRD):
            return _nrrd_spacing(_nrrd_fields(path)[0])
        if path.name.lower().endswith(META):
            return tuple(float(word) for word in _meta_fields(path)[0].get("elementspacing", "").split())
    except (OSError, ValueError):  # damaged in another way, which the reader tells
        pass
    return ()


def states_directions(path: Path) -> bool:
    """Whether the header says to which sides of the body the voxel axes run; other formats have no words for it."""
    try:
        if path.name.lower().endswith(NRRD):
            return BODILY.fullmatch(_nrrd_fields(path)[0].get("space", "").lower()) is not None
        if path.name.lower().endswith(META):
            return any(name in _meta_fields(path)[0] for name in META_DIRECTIONS)
    except OSError:
        pass
    return False


def is_whole(path: Path) -> bool:
    """Whether the compressed voxels in an NRRD or MHA file unpack to their end, with the right checksum: ITK fills what
    is missing with 0 or noise.
    """
    try:
        if path.name.lower().endswith(NRRD):
            fields, start = _nrrd_fields(path)
            packed = fields.get("encoding", "").lower() in ("gzip", "gz")
            here = not ({"data file", "datafile"} & fields.keys())
            return not (packed and here) or _unpacks(path, start, zlib.MAX_WBITS | 16)
        if path.name.lower().endswith(META):
            fields, start = _meta_fields(path)
            packed = fields.get("compresseddata", "").lower() == "true"
            here = fields.get("elementdatafile", "").lower() == "local"
            return not (packed and here) or _unpacks(path, start, zlib.MAX_WBITS)
    except (OSError, zlib.error):
        return False
    return True


def _unpacks(path: Path, start: int, bits: int) -> bool:
    inflate = zlib.decompressobj(bits)
    with path.open("rb") as stream:
        stream.seek(start)
        while not inflate.eof and (piece := stream.read(PIECE)):
            inflate.decompress(piece)
    return inflate.eof


def _nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    return _fields(path, ":", lambda name: not name)


def _meta_fields(path: Path) -> tuple[dict[str, str], int]:
    return _fields(path, "=", lambda name: name == "elementdatafile")


def _fields(path: Path, separator: str, is_last: Callable[[str], bool]) -> tuple[dict[str, str], int]:
    """The fields of a text header by name in lower case, up to its last line, and where the next one begins."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        while stream.tell() < LONGEST_HEADER and (line := stream.readline(LONGEST_HEADER)):
            name, _, value = (part.strip() for part in line.decode("latin-1").partition(separator))
            fields.setdefault(name.lower(), value.removeprefix("=").strip() if separator == ":" else value)
            if is_last(name.lower()):
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
