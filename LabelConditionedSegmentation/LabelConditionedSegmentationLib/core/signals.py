"""Ctrl-C and the end of a job (SIGTERM): what handles them while work goes on, and what did before it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .progress import CancelToken

Handler = Callable[[int, FrameType | None], None]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def signals_restored() -> Iterator[None]:
    """What handles signals within the block is forgotten at its end."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def handle_signals(handler: Handler | signal.Handlers) -> None:
    """From now on; see `signals_restored`."""
    for number in SIGNALS:
        signal.signal(number, handler)


def first_gently(stop: Callable[[], None]) -> Handler:
    """The first signal calls `stop`, which lets the work end well; a second one ends it at once."""
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        stop()

    return handle


@contextmanager
def cancel_on_interrupt() -> Iterator[CancelToken]:
    """Within the block Ctrl-C cancels work that asks the token, within one patch of a network; a second one ends it at
    once.
    """
    token = CancelToken()
    with signals_restored():
        handle_signals(first_gently(token.cancel))
        yield token
