"""Progress that only rises and a token that cancels: how long work talks to whoever started it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .errors import Cancelled

ProgressCallback = Callable[[float, str], None]
"""Called with the fraction done, in [0, 1], and what is being done."""


class CancelToken:
    """Asked between patches; any thread, or a signal handler, may set it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop; it raises Cancelled within one patch."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled if so."""
        if self.cancelled:
            raise Cancelled("Cancelled; nothing was written.")


class Progress:
    """Monotone progress over stages of stated weight.

    A stage that starts again (after an out-of-memory fallback) does not go back.
    """

    def __init__(self, callback: ProgressCallback | None, cancel: CancelToken | None) -> None:
        self._callback = callback
        self._cancel = cancel
        self._reached = 0.0

    def update(self, start: float, stop: float, fraction: float, text: str) -> None:
        """`fraction` of the stage that spans [start, stop] of the whole is done.

        Raises Cancelled where that was asked for.
        """
        if self._cancel is not None:
            self._cancel.check()
        self._reached = max(self._reached, min(1.0, start + (stop - start) * fraction))
        if self._callback is not None:
            self._callback(self._reached, text)
