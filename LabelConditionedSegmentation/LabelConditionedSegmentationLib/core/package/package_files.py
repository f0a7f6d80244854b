"""The files of a model package, in a folder or a zip: read whole, of bounded size, and nothing else is unpacked."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path

from ..errors import PackageFormatError, PackageInstallError, PackageIntegrityError, PackageNotFoundError

DESCRIPTION, WEIGHTS, CARD = "model.json", "weights.safetensors", "MODEL_CARD.md"
STATISTICS = "statistics.safetensors"
LARGEST = {DESCRIPTION: 16 * 2**20, WEIGHTS: 2 * 2**30, CARD: 16 * 2**20, STATISTICS: 2**20}
"""Bytes of each file, at most."""


def read_member(path: Path, member: str) -> bytes:
    """One file of a package folder or zip, of bounded size. Raises a PackageError."""
    largest = LARGEST[member]
    if path.is_dir():
        file = path / member
        if not file.is_file():
            raise PackageFormatError(f'"{path}" is no complete model package: it has no {member}.')
        if file.stat().st_size > largest:
            raise PackageIntegrityError(f'"{file}" is larger than any model file may be ({largest >> 20} MiB).')
        return file.read_bytes()
    if not path.exists():
        raise PackageNotFoundError(f'There is no model package "{path}"; check its name, or install it again.')
    if not zipfile.is_zipfile(path):
        raise PackageFormatError(f'"{path}" is no model package: neither a folder nor a zip file.')
    try:
        with zipfile.ZipFile(path) as archive:
            names = _members_of(archive, path)
            if member not in names:
                raise PackageFormatError(f'"{path}" is no complete model package: it has no {member}.')
            with archive.open(names[member]) as stream:
                data: bytes = stream.read(largest + 1)  # what a header says of a size is not believed
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
    ) as error:  # RuntimeError: encrypted, or packed in a way that Python does not know
        raise PackageFormatError(
            f'"{path}" is a zip file that cannot be unpacked: it is damaged, encrypted, or packed in an unknown way.'
        ) from error
    if len(data) > largest:
        raise PackageInstallError(
            f'"{path}": {member} unpacks to more than {largest >> 20} MiB; the archive is refused.'
        )
    return data


def _members_of(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The package's files in an archive, at its top or in one folder.

    Absolute paths, `..`, links and anything else refuse the whole archive.
    """
    members: dict[str, zipfile.ZipInfo] = {}
    tops = set()
    for info in archive.infolist():
        parts = info.filename.replace("\\", "/").split("/")
        if info.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise PackageInstallError(
                f'"{path}" holds the path "{info.filename}", which leads out of the package; the archive is refused.'
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            raise PackageInstallError(f'"{path}" holds the link "{info.filename}"; the archive is refused.')
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PackageInstallError(
                f'"{path}" holds "{info.filename}", packed in an unusual way; the archive is refused.'
            )
        if info.is_dir():
            continue
        if len(parts) > 2 or parts[-1] not in LARGEST or parts[-1] in members:
            raise PackageInstallError(
                f'"{path}" holds "{info.filename}", which is no part of a model package; the archive is refused.'
            )
        tops.add(parts[0] if len(parts) == 2 else "")
        members[parts[-1]] = info
    if len(tops) > 1:
        raise PackageInstallError(f'"{path}" holds files of more than one folder; the archive is refused.')
    if sum(info.file_size for info in members.values()) > LARGEST[WEIGHTS]:
        raise PackageInstallError(
            f'"{path}" unpacks to more than {LARGEST[WEIGHTS] >> 20} MiB; the archive is refused.'
        )
    return members
