"""A folder that one run at a time writes to: a lock that the system gives back when its process ends,
however it ends.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from LabelConditionedSegmentationLib.core.errors import OutputError

from .kept_files import writing_to

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
FAR = 1 << 30
"""Where Windows locks a byte: a locked one cannot be read, and the file says who has it."""

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

_held: set[FileIO] = set()


@contextmanager
def held_alone(folder: Path) -> Iterator[None]:
    """Make the folder and keep it to this process until the block ends.

    Raises OutputError where another one has it, or where it cannot be written to.

    Where the file system has no locks, that is said once and the block runs without. A folder in which nothing was
    written goes again.
    """
    is_new = not folder.exists()
    file = _open_locked(folder)
    _held.add(file)
    try:
        yield
    finally:
        _held.discard(file)
        _give_back(folder, file)
        if is_new:
            with suppress(OSError):  # not empty
                folder.rmdir()


def _open_locked(folder: Path) -> FileIO:
    path = folder / LOCK
    while True:
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("a+b", buffering=0)
            except FileNotFoundError:  # a run that wrote nothing took the folder away just now
                continue
        try:
            _lock(file)
        except BlockingIOError:
            raise OutputError(_refusal(folder, file)) from None
        if _is_still(path, file):
            with writing_to(folder):
                file.truncate(0)
                file.write(f"process {os.getpid()} on {platform.node()}".encode())
                return file
        file.close()  # the run that had it ended, and took the file with it, between our opening and locking it


def _lock(file: FileIO) -> None:
    """Raises BlockingIOError where another process has the file."""
    try:
        if sys.platform == "win32":
            file.seek(FAR)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except PermissionError:  # how Windows says it
        raise BlockingIOError from None
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        print(
            f'The file system of "{file.name}" has no locks: see to it yourself that no second run writes there.',
            file=sys.stderr,
        )


def _refusal(folder: Path, file: FileIO) -> str:
    with file:
        file.seek(0)
        who = file.read(200).decode(errors="replace")
    return (
        f'Another run ({who or "it has just begun"}) is writing to "{folder}": wait until it has ended, or choose'
        " another output. Two runs in one folder would mix their results."
    )


def _is_still(path: Path, file: FileIO) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _give_back(folder: Path, file: FileIO) -> None:
    if sys.platform == "win32":  # where an open file cannot be deleted
        file.close()
    with suppress(OSError):
        (folder / LOCK).unlink()
    file.close()


def _close_copies() -> None:
    """Processes that are forked, such as those that make samples, must not hold the lock for longer than the run."""
    while _held:
        _held.pop().close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)
