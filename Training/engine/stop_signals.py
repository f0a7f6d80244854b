"""Ctrl-C and SIGTERM: a run ends after the current step, with a checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_restored() -> Iterator[None]:
    """Who enters has the handlers of before again at the end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_on_interrupt() -> Callable[[], bool]:
    """What says whether the run should end, which the first signal makes it do; a second one ends it at once."""
    received: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    for number in SIGNALS:
        signal.signal(number, handle)
    return lambda: bool(received)


def leave_signals(_worker: int) -> None:
    """For workers: a Ctrl-C reaches all processes of a terminal, a SIGTERM all of a job, and the main one decides when
    its workers end.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
