"""NIfTI-1 and -2, single files and pairs, and ANALYZE 7.5: read by one stated rule of where the voxels lie, and written
so that every program agrees.

The rule is that of nibabel, FSL and FreeSurfer: the sform where its code is above 0, else the qform where its code is;
where both codes are 0 left and right are not known. ITK, and with it 3D Slicer, takes the other form in some cases, so
a header that disagrees with itself is told.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling, array_from_file

from ..errors import InputError
from ..findings import Finding
from .orientation import corners, is_mirrored, upright, voxels_apart
from .placed_array import Affine, Array, NiftiPlace, PlacedArray, as_stored
from .stored_image import StoredImage

SAME_PLACE = 0.05
"""Voxels. Two statements of a header whose corners lie closer than this are one, rounded differently."""

MAGICS = (b"n+1", b"ni1", b"n+2", b"ni2")
"""What a NIfTI header holds at its end, or, NIfTI-2, near its beginning; a header without is an ANALYZE header, or a
damaged one.
"""

UNITS = {1: 1000.0, 3: 0.001}
"""Millimetres of a metre and of a micrometre; every other code, 0 among them, means millimetres."""

PIECE = 2**20
MOST_BY_GZIP = 1100
"""Bytes that one byte of a gzip file can stand for, at most."""

TAKEN = "The sform was taken, as nibabel, FSL and FreeSurfer do"


@dataclass(frozen=True)
class _Header:
    """fields: by their names in the NIfTI standard. stated: whether they say where the voxels lie, as those of ANALYZE
    do not. file: which holds the voxels.
    """

    fields: Any
    stated: bool
    file: Path
    start: int


def is_nifti(path: Path) -> bool:
    """Whether a file is a NIfTI or ANALYZE image, compressed or not and whatever its name, or the voxels (.img) or
    header (.hdr) of a pair.
    """
    return path.name.lower().endswith((".img", ".img.gz", ".hdr", ".hdr.gz")) or _size_of_header(path) in (348, 540)


def read_nifti(path: Path) -> StoredImage:
    """The image in such a file, its voxels scaled as its header says.

    Raises InputError where it is damaged, incomplete, or of a kind that is not known.
    """
    header = _read_header(path)
    shape = _shape(path, header.fields)
    dtype = _dtype(path, header.fields)
    spacing = tuple(float(n) for n in header.fields["pixdim"][1 : 1 + min(3, len(shape))])
    components = len(dtype.names) if dtype.names else math.prod(shape[4:])
    if components > 1:
        return StoredImage(np.empty((0, 0, 0)), None, spacing, components)
    voxels = _read_voxels(path, header, shape[:4], dtype)
    if len(shape) < 3 or not header.stated:
        return StoredImage(voxels, None, spacing)
    place = place_of(header.fields)
    affine, findings = affine_by_rule(header.fields, voxels.shape[-3:])
    lengths = tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist()) if affine is not None else ()
    return StoredImage(voxels, affine, (*spacing, *lengths), findings=findings, nifti_place=place)


def write_nifti(path: Path, volume: PlacedArray) -> None:
    """Write a volume as `nifti_header` says, compressed where the name ends in .gz; several channels are its fourth
    axis. Raises OSError where the disk is full, and what nibabel raises for too many voxels.
    """
    data = nibabel.Nifti1Image(in_order_of_nifti(volume), None, nifti_header(volume)).to_bytes()
    packed = gzip.compress(data, compresslevel=4, mtime=0) if path.name.lower().endswith(".gz") else data
    path.write_bytes(packed)


def in_order_of_nifti(volume: PlacedArray) -> Array:
    """The voxels as (i, j, k) or, where there are several channels, (i, j, k, channel)."""
    array = as_stored(volume.array)
    return array.T if len(array) > 1 else array[0].T


def nifti_header(volume: PlacedArray) -> Any:
    """A header with both forms and codes of the one that the volume came from, or else its affine as both.

    A grid whose axes lean cannot be said by a qform, whose code is 0 then.
    """
    voxels = in_order_of_nifti(volume)
    header = nibabel.Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    if volume.nifti_place is None:
        leans = voxels_apart(volume.affine, upright(volume.affine), volume.shape) > SAME_PLACE
        header.set_sform(volume.affine, code=1)
        header.set_qform(volume.affine, code=0 if leans else 1)
        header["xyzt_units"] = 2
    else:
        _put_place(header, volume.nifti_place)
    return header


def _size_of_header(path: Path) -> int:
    """What the first four bytes of a file say, in either byte order; 0 where it is no file of this family."""
    try:
        with _opened(path) as stream:
            start = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return 0
    return next((size for size in (348, 540) for order in ("little", "big") if start == size.to_bytes(4, order)), 0)


def _opened(path: Path) -> BinaryIO:
    """The file, uncompressed where it is compressed, whatever its name says."""
    with path.open("rb") as stream:
        compressed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else path.open("rb")  # type: ignore[return-value]


def _read_header(path: Path) -> _Header:
    first = _partner(path, ".hdr")
    try:
        with _opened(first) as stream:
            data = stream.read(540)
    except (OSError, EOFError, zlib.error):
        data = b""
    size = _size_of_header(first)
    if len(data) < max(size, 348) or not size:
        raise _unreadable(path)
    kind = nibabel.Nifti1Header if size == 348 else nibabel.Nifti2Header
    fields = kind(data[:size], check=False)
    magic = bytes(fields["magic"])[:3]
    stated = magic in MAGICS
    is_pair = first != path or magic.startswith(b"ni") or (not stated and _partner(path, ".img") != path)
    offset = float(fields["vox_offset"])
    start = int(offset) if math.isfinite(offset) and offset > 0 else 0 if is_pair else size + 4
    return _Header(fields, stated, _partner(path, ".img") if is_pair else path, start)


def _partner(path: Path, suffix: str) -> Path:
    """The file of a pair that ends in `suffix` (.hdr or .img): beside the other one, perhaps compressed.

    A single file is both. Raises InputError.
    """
    name = path.name
    for end in (".hdr.gz", ".img.gz", ".hdr", ".img"):
        if name.lower().endswith(end):
            if end.startswith(suffix):
                return path
            stem = name[: -len(end)]
            wanted = (stem + s for s in (suffix, suffix + ".gz", suffix.upper(), suffix.upper() + ".GZ"))
            found = next((path.with_name(other) for other in wanted if path.with_name(other).exists()), None)
            if found is None:
                raise InputError(
                    f'"{path}" is one file of a pair, and there is no "{stem}{suffix}" beside it; give both.'
                )
            return found
    return path


def _shape(path: Path, fields: Any) -> tuple[int, ...]:
    """Voxels along (i, j, k, ...), without axes of length 1 beyond the third."""
    dim = [int(n) for n in fields["dim"]]
    if not 1 <= dim[0] <= 7 or any(n < 1 for n in dim[1 : 1 + dim[0]]):
        raise _unreadable(path)
    shape = dim[1 : 1 + dim[0]]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


def _dtype(path: Path, fields: Any) -> np.dtype[Any]:
    try:
        return fields.get_data_dtype()  # type: ignore[no-any-return]
    except HeaderDataError:
        code = int(fields["datatype"])
        raise InputError(f'"{path}" holds voxels of a kind that cannot be read (NIfTI datatype {code}).') from None


def _read_voxels(path: Path, header: _Header, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """(..., k, j, i), all of them or none: InputError where the file ends too early or its checksum is wrong. Whatever
    follows them is no concern of ours.
    """
    size = math.prod(shape) * dtype.itemsize
    try:
        with _opened(header.file) as stream:
            limit = header.file.stat().st_size * (MOST_BY_GZIP if isinstance(stream, gzip.GzipFile) else 1)
            if size > limit:  # before memory is asked for
                raise EOFError
            voxels = array_from_file(shape, dtype, stream, header.start, mmap=False)
            _check_the_end(stream)
    except (OSError, EOFError, zlib.error):
        raise InputError(
            f'"{path}" is damaged or incomplete: some of its voxels are missing. Copy or download it again.'
        ) from None
    slope, offset = (float(header.fields[name]) for name in ("scl_slope", "scl_inter"))
    if math.isfinite(slope) and math.isfinite(offset) and slope and (slope, offset) != (1.0, 0.0):
        scaled = apply_read_scaling(voxels, np.float32(slope), np.float32(offset))
        voxels = scaled.astype(np.float32, copy=False)
    native: Array = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    return native.T


def _check_the_end(stream: BinaryIO) -> None:
    """Read on to where a gzip file has its checksum.

    What follows that, in whatever form, is ignored, as gzip itself does.
    """
    try:
        while stream.read(PIECE):
            pass
    except gzip.BadGzipFile as error:
        if "CRC" in str(error) or "length" in str(error):
            raise
    except zlib.error:
        pass


def place_of(fields: Any) -> NiftiPlace:
    """What a header says of the place of its voxels."""
    pixdim = [float(n) for n in fields["pixdim"][:4]]
    quatern = [float(fields[f"quatern_{n}"]) for n in "bcd"] + [float(fields[f"qoffset_{n}"]) for n in "xyz"]
    srow = [float(n) for axis in "xyz" for n in fields[f"srow_{axis}"]]
    codes = int(fields["qform_code"]), int(fields["sform_code"])
    return NiftiPlace(tuple(pixdim), *codes, tuple(quatern), tuple(srow), int(fields["xyzt_units"]))  # type: ignore[arg-type]


def _put_place(header: Any, place: NiftiPlace) -> None:
    header["pixdim"][:4] = place.pixdim
    header["qform_code"], header["sform_code"], header["xyzt_units"] = (
        place.qform_code,
        place.sform_code,
        place.xyzt_units,
    )
    for name, value in zip(("b", "c", "d"), place.quatern[:3], strict=True):
        header[f"quatern_{name}"] = value
    for n, axis in enumerate("xyz"):
        header[f"qoffset_{axis}"] = place.quatern[3 + n]
        header[f"srow_{axis}"] = place.srow[4 * n : 4 * n + 4]


def affine_by_rule(fields: Any, shape: Sequence[int]) -> tuple[Affine | None, tuple[Finding, ...]]:
    """The affine by the rule of this module, None where the codes say that there is none; and in what the header
    disagrees with itself. shape (k, j, i).
    """
    millimetres = UNITS.get(int(fields["xyzt_units"]) & 7, 1.0)
    sform = _in_millimetres(np.asarray(fields.get_sform()), millimetres) if int(fields["sform_code"]) > 0 else None
    qform = _qform(fields, millimetres) if int(fields["qform_code"]) > 0 else None
    findings = []
    if millimetres != 1.0:
        unit = "metres" if millimetres > 1 else "micrometres"
        findings.append(Finding.note(f"The header gives its lengths in {unit}; they were read as such."))
    if sform is None:
        return qform, tuple(findings)
    if _is_usable(sform):
        findings += _disagreements(fields, sform, qform, millimetres, shape)
    return sform, tuple(findings)


def _in_millimetres(affine: Affine, millimetres: float) -> Affine:
    return np.diag([millimetres] * 3 + [1.0]) @ affine.astype(np.float64)


def _qform(fields: Any, millimetres: float) -> Affine | None:
    """The qform; None where its numbers are no rotation."""
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # infinite lengths, which are refused by their number
            return _in_millimetres(np.asarray(fields.get_qform()), millimetres)
    except (HeaderDataError, ValueError):
        return None


def _is_usable(affine: Affine | None) -> bool:
    return affine is not None and bool(np.isfinite(affine).all()) and abs(np.linalg.det(affine[:3, :3])) > 1e-12


def _disagreements(
    fields: Any, sform: Affine, qform: Affine | None, millimetres: float, shape: Sequence[int]
) -> list[Finding]:
    """What the header says of the place of the voxels beside its sform, where that is something else."""
    codes = f"sform (code {int(fields['sform_code'])}) and qform (code {int(fields['qform_code'])})"
    findings = []
    lengths, pixdim = np.linalg.norm(sform[:3, :3], axis=0), np.abs(fields["pixdim"][1:4] * millimetres)
    if (np.abs(lengths - pixdim) / lengths * (np.array(shape[::-1]) - 1)).max() > SAME_PLACE:
        by_sform, by_pixdim = (" x ".join(f"{n:.4g}" for n in sizes) for sizes in (lengths, pixdim))
        findings.append(
            Finding.warning(
                f"The voxels measure {by_sform} mm by the header's sform and {by_pixdim} mm by its pixdim. {TAKEN}.",
                "Check the volumes in millilitres, or repair the header.",
            )
        )
    if int(fields["qform_code"]) > 0 and not _is_usable(qform):
        findings.append(Finding.warning(f"The header's qform holds impossible numbers. {TAKEN}.", "Repair the header."))
    elif qform is not None and is_mirrored(sform, qform):
        findings.append(
            Finding.warning(
                f"The header says twice where the scan lies, and its {codes} disagree about left and right. "
                f"{TAKEN}; programs that take the qform show left as right.",
                "Make sure that left is left, and repair the header.",
            )
        )
    elif qform is not None and voxels_apart(sform, qform, shape) > SAME_PLACE:
        apart = np.linalg.norm(((sform - qform) @ corners(shape))[:3], axis=0).max()
        findings.append(
            Finding.warning(
                f"The header says twice where the scan lies, and its {codes} lie up to {apart:.3g} mm apart. "
                f"{TAKEN}; programs that take the qform show the scan elsewhere.",
                "The result carries both, as the scan does.",
            )
        )
    return findings


def _unreadable(path: Path) -> InputError:
    return InputError(f'"{path}" cannot be read as an image: it is damaged, empty, or of a format that is not known.')
