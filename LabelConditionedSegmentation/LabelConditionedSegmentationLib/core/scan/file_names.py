"""File names that are no UTF-8, such as Latin-1 names from old archives: the libraries in C++ end the process over
them, so they are given links.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

HEADERS = (".nhdr", ".mhd")
"""Files whose voxels lie in others beside them."""


@contextmanager
def openable(*paths: Path) -> Iterator[list[Path]]:
    """The paths, files or folders, under names that any library can open: their own or, while this lasts, links in a
    folder for temporary files.

    Raises InputError where a link is needed and the system makes none.
    """
    if all(map(_is_utf8, paths)):
        yield list(paths)
        return
    with tempfile.TemporaryDirectory(prefix="lcs-names-") as folder:
        try:
            links = [path if _is_utf8(path) else _link(path, Path(folder, str(n))) for n, path in enumerate(paths)]
        except OSError as error:
            names = ", ".join(f'"{path}"' for path in paths)
            raise InputError(f"{names} cannot be opened, since the name is not UTF-8; rename it.") from error
        yield links


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _link(path: Path, folder: Path) -> Path:
    """A link to a path in a new folder; for a header beside links to its neighbours, among which are its voxels."""
    folder.mkdir()
    if path.suffix.lower() in HEADERS:
        for neighbour in path.parent.iterdir():
            (folder / neighbour.name).symlink_to(neighbour.absolute())
    suffixes = "".join(suffix for suffix in path.suffixes[-2:] if suffix.isascii())
    link = folder / f"named-by-lcs{suffixes}"
    link.symlink_to(path.absolute())
    return link
