"""InProcessWorker: the same worker without a process, for scripts and tests.

`poll` does the work and returns when it is done.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ..core.progress import CancelToken
from ..core.scan.volume import Array
from .protocol import Event, Request, from_line, to_line
from .serving import Server


class InProcessWorker:
    """See `Worker`.

    Every `poll` does one request; only one that waits can be cancelled. Arrays are taken as they are and must not
    change before.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._server = Server()
        self._pending: dict[int, tuple[Request, CancelToken]] = {}

    def ask(
        self, what: str, arguments: Mapping[str, Any] | None = None, arrays: Mapping[str, Array] | None = None
    ) -> int:
        number = next(self._numbers)
        # plain values only, as between processes
        self._pending[number] = Request(number, what, from_line(to_line(arguments or {})), arrays or {}), CancelToken()
        return number

    def poll(self) -> list[Event]:
        events: list[Event] = []
        if self._pending:
            request, cancel = self._pending.pop(next(iter(self._pending)))
            self._server.serve(request, events.append, cancel)
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
