"""Ctrl-C and SIGTERM: a run ends after the current step, with a checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Callable
from threading import Event

from LabelConditionedSegmentationLib.core.signals import first_gently, handle_signals


def stop_on_interrupt() -> Callable[[], bool]:
    """What says whether the run should end, which the first signal makes it do; a second one ends it at once."""
    stopping = Event()
    handle_signals(first_gently(stopping.set))
    return stopping.is_set


def leave_signals(_worker: int) -> None:
    """For workers: a Ctrl-C reaches all processes of a terminal, a SIGTERM all of a job, and the main one decides when
    its workers end.
    """
    handle_signals(signal.SIG_IGN)
