"""ProcessWorker: a worker in a process of its own, so that nothing in it can block or crash the application."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import Cancelled
from .launch import Child, end_of_log
from .protocol import Event, ProtocolError, cancelled, check_event, failed, from_line, to_line
from .request import Call, Request

PATIENCE = 1.2
"""Seconds that a cancelled request has for stopping by itself; then its process is ended."""


class ProcessWorker:
    """See `Worker`.

    The process is started by the first request, and anew after it was ended. `poll` never waits for it.
    """

    def __init__(self, log_file: Path, python: Sequence[str] | None = None) -> None:
        """log_file: kept over restarts, started anew where it has grown large. python: the command of the interpreter,
        this one by default.
        """
        self.log_file = log_file
        self._python = python or [sys.executable]
        self._numbers = itertools.count(1)
        self._child: Child | None = None
        self._pending: dict[
            int, tuple[bytes, dict[str, Any]]
        ] = {}  # line and claims; the child has only the first, so that the others can be cancelled without it
        self._cancelled_at: float | None = None  # when the first was
        self._events: list[Event] = []

    def send(self, request: Request) -> int:
        number = next(self._numbers)
        call = Call.of(number, request)
        try:
            child = self._living_child()
        except OSError as error:
            self._events.append(
                failed(
                    number,
                    error,
                    f"The segmentation process cannot be started ({error}); check the installation and free disk"
                    " space.",
                )
            )
            return number
        claims = {name: child.exchange.put(array) for name, array in call.arrays.items()}
        self._pending[number] = to_line({**vars(call), "arrays": claims}), claims
        if len(self._pending) == 1:
            self._send_first(child)
        return number

    def poll(self) -> list[Event]:
        if self._child is not None:
            self._hear(self._child)
        if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > PATIENCE:
            self._events.append(
                cancelled(self._take_first(), "Cancelled; the model will be loaded again at the next run.")
            )
            self._lose(Cancelled(), "The segmentation process was ended by a cancel before it came to this; ask again.")
        events, self._events = self._events, []
        return events

    def cancel(self, request: int) -> None:
        child = self._child
        if request not in self._pending or child is None:
            return
        if request != next(iter(self._pending)):
            _, claims = self._pending.pop(request)
            child.exchange.take_all(claims)  # which removes their files
            self._events.append(cancelled(request))
        elif self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            child.send(to_line({"cancel": request}))

    @property
    def busy(self) -> bool:
        return bool(self._pending or self._events)

    def close(self) -> None:
        self._end_child()
        self._pending.clear()
        self._events.clear()

    def _living_child(self) -> Child:
        """The child, started where there is none. Raises OSError."""
        if self._child is not None and not self._child.is_alive:
            self._hear(self._child)  # its last words
            self._lose_dead_child()
        if self._child is None:
            self._child = Child(self._python, self.log_file)
        return self._child

    def _hear(self, child: Child) -> None:
        """Turn what the child said into events."""
        try:
            lines = child.read_lines()
            for line in lines or ():
                self._take(from_line(line), child)
        except ProtocolError as error:
            self._lose(
                error,
                "The segmentation process sent something that cannot be understood and was ended; the next run starts a"
                " new one.",
                f"{error}\n",
            )
            return
        if lines is None:
            self._lose_dead_child()

    def _take(self, message: dict[str, Any], child: Child) -> None:
        check_event(message)
        if not self._pending or message["request"] != next(iter(self._pending)):
            raise ProtocolError(f"an event of no request: {str(message)[:200]}")
        if message["kind"] != "progress" and not child.write_on():
            raise ProtocolError(f"the end of a request that was not read: {str(message)[:200]}")
        event = Event(**{**message, "arrays": child.exchange.take_all(message["arrays"])})
        if event.kind == "done" and self._cancelled_at is not None:
            event = cancelled(event.request)  # it was too late to stop it, but not to leave it aside
        self._events.append(event)
        if event.kind != "progress":
            self._take_first()
            if self._pending:
                self._send_first(child)

    def _send_first(self, child: Child) -> None:
        line, _ = next(iter(self._pending.values()))
        child.send(line)

    def _take_first(self) -> int:
        """End the request that the child has; returns its number."""
        number: int = next(iter(self._pending))
        del self._pending[number]
        self._cancelled_at = None
        return number

    def _lose_dead_child(self) -> None:
        how = self._end_child()
        self._lose(
            ChildProcessError(how),
            f"The segmentation process ended unexpectedly ({how}). The next run starts a new one.",
        )

    def _lose(self, error: Exception, text: str, details: str = "") -> None:
        """End the child and fail what it was to do."""
        self._end_child()
        log = end_of_log(self.log_file)
        self._events += [failed(number, error, text, details + log) for number in self._pending]
        self._pending.clear()
        self._cancelled_at = None

    def _end_child(self) -> str:
        """End the child, if there is one; returns how it ended."""
        child, self._child = self._child, None
        if child is None:
            return ""
        child.end()
        return child.how_it_ended()
