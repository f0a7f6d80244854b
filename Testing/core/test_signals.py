"""Signals while work goes on: the first ends it well, a second one at once, and what handled them before is back."""

from __future__ import annotations

import os
import signal

import pytest
from LabelConditionedSegmentationLib.core.signals import SIGNALS, first_gently, handle_signals, signals_restored


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_stops_and_the_second_interrupts(number: int) -> None:
    stops: list[str] = []
    with signals_restored():
        handle_signals(first_gently(lambda: stops.append("stop")))
        os.kill(os.getpid(), number)
        assert stops == ["stop"]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert stops == ["stop"]


def test_the_handlers_of_before_are_back_whatever_happens() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]

    def fail() -> None:
        with signals_restored():
            handle_signals(signal.SIG_IGN)
            raise ValueError("work")

    with pytest.raises(ValueError, match="work"):
        fail()
    assert [signal.getsignal(number) for number in SIGNALS] == before
