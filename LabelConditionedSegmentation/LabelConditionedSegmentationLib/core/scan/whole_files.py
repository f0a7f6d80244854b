"""Writing files: those that belong together appear whole, all of them, or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .file_formats import LABEL_MAPS, SEGMENTATION
from .file_names import openable

Writer = Callable[[Path], None]

PROBE = 2**20
"""Bytes that are written to learn why a library could not write."""


def resolved(path: Path) -> Path:
    """The path with links, `.` and `..` on the way to its folder followed; its own name stays, be it a link's."""
    return Path(os.path.realpath(path.parent)) / path.name


def write_all(files: dict[Path, Writer]) -> None:
    """Write every file under a temporary name first; only when all are complete do they get their names.

    Raises OutputError, leaving nothing behind.

    A writer is given a plain path of the same format, since libraries choose the format by it and do not take every
    name.
    """
    with ExitStack() as folders:
        finished = {path: _written(path, write, folders) for path, write in files.items()}
        _put_in_place(finished)


def save_all(files: dict[Path, Writer], overwrite: bool) -> None:
    """As `write_all`, for files that are named in a script. Raises OutputError where one exists, unless they may be
    replaced.
    """
    for path in files:
        if os.path.lexists(path) and not overwrite:
            raise OutputError(f'"{path}" exists; choose another name, or replace it with overwrite=True.')
    write_all(files)


def as_json(content: Mapping[str, Any]) -> str:
    """As files of this package have JSON: an indented entry a line, names as they are."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write_text(text: str, path: Path) -> None:
    """Write a text in UTF-8. What is none, as bytes of a file's or label's name may be, is written with backslashes,
    which JSON reads as the same name. Raises OSError.
    """
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _written(path: Path, write: Writer, folders: ExitStack) -> Path:
    """The file under a temporary name, in a folder of its own beside its place that ends with `folders`."""
    with _told(path):
        place = resolved(path).parent
        place.mkdir(parents=True, exist_ok=True)
        folder = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix=".lcs-", dir=place)))
        name = f"new{_format(path)}"
        with openable(folder) as (opened,):
            write(opened / name)
        return folder / name


def _format(path: Path) -> str:
    """What a name says of the format, in small letters where that matters."""
    return next((s for s in (SEGMENTATION, *LABEL_MAPS) if path.name.lower().endswith(s)), path.suffix)


def _put_in_place(finished: dict[Path, Path]) -> None:
    """The first file, which the others belong to, comes last: where it is seen, they are there."""
    new: list[Path] = []
    try:
        for path, file in reversed(finished.items()):
            place = resolved(path)
            is_new = not os.path.lexists(place)
            with _told(path):
                os.replace(file, place)
            new += [place] if is_new else []
    except OutputError:
        for place in new:
            place.unlink(missing_ok=True)
        raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What goes wrong in the block, as an OutputError with the system's reason."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # SimpleITK reports a failed write as RuntimeError
        raise OutputError(
            f'"{path}" could not be written ({_reason(error, path)}); nothing was left behind.'
        ) from error


def _reason(error: OSError | RuntimeError, path: Path) -> str:
    """Why a file could not be written.

    Image libraries do not say it, but the system does when bytes are written plainly beside what they have left.
    """
    try:
        if isinstance(error, OSError) and error.errno:
            raise error
        with tempfile.TemporaryFile(dir=resolved(path).parent) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as plain:
        return os.strerror(plain.errno) if plain.errno else str(plain)
    return "the library that writes this format gives no reason"
