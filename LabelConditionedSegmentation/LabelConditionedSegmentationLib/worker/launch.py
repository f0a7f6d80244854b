"""Child: a process of the worker as its parent sees it: started, written to, read from without waiting, and ended with
all that it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from .exchange import Exchange
from .protocol import ProtocolError

BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv[1]); from LabelConditionedSegmentationLib.worker.process import main;"
    " main(sys.argv[2:])"
)
LIBRARY_PARENT = Path(__file__).resolve().parents[2]
NO_WINDOW: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
"""Windows would show a console."""

LARGEST_LOG = 10**6
LOG_END = 8000
"""Bytes of it that are shown, enough for where every thread was at a crash."""

LONGEST_LINE = 4 * 2**20
MOST_AT_ONCE = 2**20
"""Bytes read in one go, so that a child that never stops talking cannot keep its parent."""

PIECE = 2**16
"""Bytes written in one go."""


class Child:
    """A running process and the exchange that is shared with it.

    `end` ends the process tree and removes the exchange, also when the parent exits or forgets this object.
    """

    def __init__(self, python: Sequence[str], log_file: Path) -> None:
        """Start it. python: the command of the interpreter. log_file: its error output is added there.

        Raises OSError.
        """
        self.exchange = Exchange.create()
        try:
            with _open_log(log_file) as log:
                command = [*python, "-u", "-P", "-c", BOOTSTRAP, str(LIBRARY_PARENT), *map(str, self.exchange.folders)]
                self._process = subprocess.Popen(
                    command,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    creationflags=NO_WINDOW,
                    start_new_session=True,  # a group that can be ended as a whole; Windows has other means, see _end
                )
        except OSError:
            self.exchange.remove()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)  # Windows: Python 3.12 or newer
        self._unread, self._unsent = b"", bytearray()
        self.end = weakref.finalize(self, _end, self._process, self.exchange)

    @property
    def is_alive(self) -> bool:
        """Whether it was not ended and did not end by itself."""
        return self.end.alive and self._process.poll() is None

    def send(self, line: bytes) -> None:
        """Write a line as far as the pipe takes it now; `read_lines` writes on.

        What a dead child cannot take is lost, which reading finds out; what a deaf one does not take waits for its end.
        """
        self._unsent += line
        self.write_on()

    def write_on(self) -> bool:
        """Write what waits to be sent until the pipe is full, which some kilobytes may do.

        Returns whether nothing waits any more: before that the child cannot have read the last line.
        """
        try:
            while self._unsent:
                del self._unsent[: os.write(self._input, self._unsent[:PIECE])]
        except BlockingIOError:
            pass  # the child is busy
        except OSError:
            self._unsent.clear()  # nobody will read it
        return not self._unsent

    def read_lines(self) -> list[bytes] | None:
        """Write on what waits to be sent, and return the lines that have arrived, without waiting for more; None where
        the child has ended.

        Not by a thread: inside Slicer the interpreter's lock is held by the application's event loop, and threads of
        Python starve. Raises ProtocolError for a line without an end.
        """
        self.write_on()
        try:
            data = os.read(self._output, MOST_AT_ONCE)
        except BlockingIOError:
            return []
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        if len(self._unread) > LONGEST_LINE:
            raise ProtocolError(f"an endless line: {self._unread[:200]!r}")
        return lines

    def how_it_ended(self) -> str:
        """In words, after `end`.

        Inside the application it is the launcher that has ended, which does not show that its Python was killed.
        """
        status = self._process.returncode
        if status is not None and status < 0:
            return f"killed by signal {-status}" + (": often too little memory" if status == -9 else "")
        return f"exit status {status}: its log says why, or there was too little memory"


def _open_log(file: Path) -> contextlib.AbstractContextManager[IO[bytes]]:
    file.parent.mkdir(parents=True, exist_ok=True)
    log = file.open("wb" if file.exists() and file.stat().st_size > LARGEST_LOG else "ab")
    log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} a segmentation process is started\n".encode())
    return log


def end_of_log(file: Path) -> str:
    """The last lines of a log, for an error's details."""
    return file.read_bytes()[-LOG_END:].decode(errors="replace") if file.exists() else ""


def _end(process: subprocess.Popen[bytes], exchange: Exchange) -> None:
    """End the process with all that it started, wait until it is gone, and remove what it shared with its parent."""
    if process.returncode is None:  # else its number may be somebody else's by now
        if sys.platform == "win32":
            taskkill = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
            subprocess.run(
                taskkill, stdin=subprocess.DEVNULL, capture_output=True, creationflags=NO_WINDOW, check=False
            )
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone already; macOS says the latter
                os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(2)
    exchange.remove()
