"""Exchange: hands arrays from one process to another through files in private folders, in memory where the system has a
place for that.
"""

from __future__ import annotations

import errno
import itertools
import math
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import OutputError
from ..core.scan.volume import Array
from .protocol import ProtocolError

SHARED_MEMORY = Path("/dev/shm")
"""Files in here are memory (Linux)."""

DTYPE = re.compile(r"[<>|][biuf]\d{1,2}")
"""Numbers and bool, in numpy's array-interface codes; nothing that holds objects."""


class Exchange:
    """Folders that two processes share.

    One side puts an array and sends the claim, plain values for a JSON line; the other takes the array for it.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        """folders: in the order in which they are to be used; where one has no room, the next one is."""
        self.folders = tuple(folders)
        self._names = itertools.count()
        self._lock = threading.Lock()

    @staticmethod
    def create() -> Exchange:
        """New folders that only this user can enter. Raises OSError."""
        places = [
            *([SHARED_MEMORY] if os.access(SHARED_MEMORY, os.W_OK | os.X_OK) else []),
            Path(tempfile.gettempdir()),
        ]
        return Exchange([Path(tempfile.mkdtemp(prefix="lcs-worker-", dir=place)) for place in places])

    def put(self, array: Array) -> dict[str, Any]:
        """Write an array to a file; the claim says which, and what is in it.

        Raises OutputError where no folder has room.
        """
        bare = np.asarray(array, order="C")
        claim = {"dtype": bare.dtype.str, "shape": list(bare.shape)}
        failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        with self._lock:
            for folder in self.folders:
                file = folder / f"{os.getpid()}-{next(self._names)}"
                try:
                    _write(file, bare)
                except OSError as error:
                    file.unlink(missing_ok=True)
                    failure = error
                else:
                    return {"file": str(file), **claim}
        size, place = f"{bare.nbytes / 2**20:.0f} MB", self.folders[-1].parent
        raise OutputError(
            f"{size} cannot be handed to or from the segmentation process ({failure.strerror or failure}); free disk"
            f' space in "{place}".'
        )

    def take(self, claim: Any) -> Array:
        """The array of a claim; its file is gone afterwards.

        Raises ProtocolError where the claim and the file do not fit.
        """
        try:
            file, dtype_code, shape = Path(claim["file"]), str(claim["dtype"]), tuple(claim["shape"])
            if (
                file.parent not in self.folders
                or not DTYPE.fullmatch(dtype_code)
                or any(type(n) is not int or n < 0 for n in shape)
            ):
                raise ValueError("no array of ours")
            dtype = np.dtype(dtype_code)
            if file.stat().st_size != math.prod(shape) * dtype.itemsize:
                raise ValueError("the file has another size")
            return _read(file, dtype, shape)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise ProtocolError(f"a wrong array ({error}): {str(claim)[:200]}") from None

    def take_all(self, claims: Mapping[str, Any]) -> dict[str, Array]:
        """The arrays of several claims, by name. Raises ProtocolError."""
        return {name: self.take(claim) for name, claim in claims.items()}

    def remove(self) -> None:
        """Remove the folders; nothing can be put any more."""
        with self._lock:  # a file that is being written would keep its folder
            for folder in self.folders:
                shutil.rmtree(folder, ignore_errors=True)


def _write(file: Path, array: Array) -> None:
    """Ordinary writing: where the disk is full it raises OSError, while writing to a mapping would end the process."""
    if shutil.disk_usage(file.parent).free < array.nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with file.open("xb") as stream:
        stream.write(array.reshape(-1).view(np.uint8).data)


def _read(file: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    if sys.platform == "win32" or not math.prod(
        shape
    ):  # Windows keeps a file as long as it is mapped, and nothing empty can be mapped
        array = np.fromfile(file, dtype).reshape(shape)
    else:
        array = np.asarray(
            np.memmap(file, dtype, "c", shape=shape)
        )  # "c": writable without effect on the file; torch warns of arrays that are not
    file.unlink()
    return array
