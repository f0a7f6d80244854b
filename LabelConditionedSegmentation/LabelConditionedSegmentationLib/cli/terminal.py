"""What a command says, wherever standard output and error lead: to a terminal, a pipe that was left, a full disk, or
nowhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from ..core.errors import OutputError

if TYPE_CHECKING:
    from ..core.progress import ProgressCallback


@contextmanager
def forgiving() -> Iterator[None]:
    """While this lasts whatever is written to standard error, by us or by a library, is dropped where nobody can read
    it, and raises nothing.
    """
    _fill_descriptors()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        before = sys.stderr
        sys.stderr = _Forgiving(before or nowhere)
        try:
            yield
        finally:
            sys.stderr = before


_bars: list[Any] = []
"""Progress bars that are shown now, above which lines are written, from whatever thread they come."""


def say(text: str) -> None:
    """A line for the person at the terminal: a note, what is being done, or why something is refused."""
    with ExitStack() as above_bars:
        for bar in _bars[-1:]:
            above_bars.enter_context(bar.external_write_mode(file=sys.stderr))
        print(text, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """What a command was asked to print, on standard output.

    A reader who has seen enough (`| head`) is no error; raises OutputError where there is none at all.
    """
    if sys.stdout is None:
        raise OutputError("The answer could not be written: standard output is closed.")
    letters = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(letters, "backslashreplace").decode(letters), flush=True)
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError as error:
        _silence(sys.stdout)
        raise OutputError(f"The answer could not be written to standard output ({error.strerror}).") from error


@contextmanager
def progress_bar(name: str) -> Iterator[ProgressCallback | None]:
    """A progress bar where somebody is looking."""
    if not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm

    layout = "{desc}: {percentage:3.0f}%|{bar}| {postfix} [{elapsed}<{remaining}]"
    with tqdm(total=100, desc=name[:30], bar_format=layout, file=sys.stderr) as bar:

        def show(fraction: float, text: str) -> None:
            bar.n = round(100 * fraction, 1)
            bar.set_postfix_str(text)

        _bars.append(bar)
        try:
            yield show
        finally:
            _bars.remove(bar)


class _Forgiving:
    """A text stream whose writes never fail: what it cannot write is lost, and so is all that follows.

    Names that are no UTF-8 are written with backslashes.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            self._stream.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))
        except OSError:
            _silence(self._stream)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            _silence(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _silence(stream: TextIO) -> None:
    """Lead a stream to nowhere, with what still waits in it, about which Python would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _fill_descriptors() -> None:
    """Lead descriptors 0, 1 and 2 to nowhere where they are closed; else a result would be opened under such a number,
    and libraries would write their messages into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
