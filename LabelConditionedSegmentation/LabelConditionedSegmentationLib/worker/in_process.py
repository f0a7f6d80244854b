"""InProcessWorker: the same worker without a process, for scripts and tests.

`poll` does the work and returns when it is done.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from ..core.progress import CancelToken
from .protocol import Event, from_line, to_line
from .request import Call, Request
from .serving import Server


class InProcessWorker:
    """See `Worker`.

    Every `poll` does one request; only one that waits can be cancelled. Arrays are taken as they are and must not
    change before.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._server = Server()
        self._pending: dict[int, tuple[Call, CancelToken]] = {}

    def send(self, request: Request) -> int:
        call = Call.of(next(self._numbers), request)
        as_sent = replace(call, values=from_line(to_line(call.values)))  # plain values only, as between processes
        self._pending[call.number] = as_sent, CancelToken()
        return call.number

    def poll(self) -> list[Event]:
        events: list[Event] = []
        if self._pending:
            call, cancel = self._pending.pop(next(iter(self._pending)))
            self._server.serve(call, events.append, cancel)
        return events

    def cancel(self, request: int) -> None:
        if request in self._pending:
            self._pending[request][1].cancel()

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    def close(self) -> None:
        self._pending.clear()
        self._server = Server()
