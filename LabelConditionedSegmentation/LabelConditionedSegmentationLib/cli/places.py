"""Where results go: the formats that a name asks for, a place for every scan, and what is refused before any work."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..core.errors import OutputError
from ..core.scan.whole_files import resolved
from .inputs import refuse_inputs

NAME = "{name}"
"""In a path, for the name of what is written."""


def place(template: str, name: str, suffix: str, is_batch: bool) -> Path:
    """Where a file of a scan goes: {name} is filled in, a folder gets the scan's name.

    Raises OutputError where several scans would go to one file.
    """
    if NAME in template:
        return Path(template.replace(NAME, name))
    path = Path(template)
    if template.endswith(("/", "\\")) or os.path.isdir(path) or (is_batch and not path.suffix):
        return path / (name + suffix)
    if is_batch:
        raise OutputError(
            f'Several scans cannot all be written to "{template}"; give a folder, or a path with {NAME} in it.'
        )
    return path


def check_outputs(paths: Sequence[Path], inputs: Iterable[Path], replace: bool) -> None:
    """Refuse before any work what could not be written after it, or would replace an input. replace: files that exist
    are replaced. Raises OutputError.
    """
    _refuse_twice(paths)
    refuse_inputs([resolved(path) for path in paths], inputs)
    check_writable(paths, replace)


def check_writable(paths: Iterable[Path], replace: bool) -> None:
    """Raise OutputError for a path that cannot be written, or that exists and is not to be replaced."""
    for path in paths:
        try:
            _check_place(path, resolved(path), replace)
        except OSError as error:
            raise OutputError(f'"{path}" cannot be written ({error.strerror}).') from error


def _check_place(path: Path, real: Path, replace: bool) -> None:
    """As `check_writable`, of one path and its resolved form. Raises OSError where the system does not take a name."""
    if real.is_dir():
        raise OutputError(f'"{path}" is a folder; give the name of a file in it.')
    if os.path.lexists(real) and not replace:
        raise OutputError(
            f'"{path}" exists; use --overwrite to replace it, or --skip-existing to leave out what is done.'
        )
    folder = next(above for above in real.parents if above.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f'"{path}" cannot be written: "{folder}" is not a folder that you may write to.')
    for part in real.relative_to(folder).parts:  # a name that is too long is told here
        with suppress(FileNotFoundError):
            (folder / part).lstat()


def _refuse_twice(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        real = resolved(path)
        if real in seen:
            raise OutputError(f'Two results would both be written to "{path}"; give them different names.')
        seen.add(real)
