"""The steps of a batch: the next scan is read and the last one written while one is answered, and a failure is that of
its scan.
"""

from __future__ import annotations

import threading

import pytest
from LabelConditionedSegmentationLib.cli.batch import overlapping
from LabelConditionedSegmentationLib.core.errors import Cancelled, InputError, LabelError, OutputError

LONG = 60
"""Seconds after which what is waited for will not come."""


def test_the_next_scan_is_read_and_the_last_one_written_while_one_is_answered() -> None:
    read = [threading.Event() for _ in range(3)]
    answered = [threading.Event() for _ in range(3)]

    def answer(n: int) -> int:
        assert n == 2 or read[n + 1].wait(LONG)
        answered[n].set()
        return n

    def write(n: int) -> None:
        assert n == 2 or answered[n + 1].wait(LONG)

    assert overlapping(range(3), (lambda n: read[n].set() or n, answer, write), str) == 0  # type: ignore[func-returns-value]


def test_no_second_answer_is_looked_for_where_the_memory_holds_one() -> None:
    held: list[int] = []
    most: list[int] = []

    def answer(n: int) -> int:
        held.append(n)
        most.append(len(held))
        return n

    assert overlapping(range(4), (int, answer, held.remove), str, holds_two=False) == 0
    assert most == [1, 1, 1, 1]


def test_no_more_than_one_scan_is_read_ahead() -> None:
    began = [threading.Event() for _ in range(4)]

    def answer(n: int) -> int:
        assert n == 3 or began[n + 1].wait(LONG)
        assert not any(event.is_set() for event in began[n + 2 :])
        return n

    assert overlapping(range(4), (lambda n: began[n].set() or n, answer, lambda n: None), str) == 0  # type: ignore[func-returns-value]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_step_that_fails_is_a_failure_of_its_scan_alone(step: int, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[list[int]] = [[], [], []]

    def at(number: int, n: int) -> int:
        if (number, n) == (step, 1):
            raise (InputError, InputError, OutputError)[number]("It is odd.")
        seen[number].append(n)
        return n

    steps = (lambda n: at(0, n), lambda n: at(1, n), lambda n: print(at(2, n)))
    assert overlapping(range(4), steps, "scan {}".format) == 1
    assert seen[2] == [0, 2, 3]
    assert [len(each) for each in seen] == [4 - (number >= step) for number in range(3)]
    assert capsys.readouterr().err.splitlines() == [
        "FAILED scan 1: It is odd.",
        "lcs: scan 1: It is odd.",
        "lcs: 1 of 4 scans failed; the others are done.",
    ]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_what_concerns_every_scan_ends_the_batch(step: int) -> None:
    written: list[int] = []

    def at(number: int, n: int) -> int:
        if (number, n) == (step, 2):
            raise LabelError("There is no such label.")
        return n

    with pytest.raises(LabelError):
        overlapping(range(9), (lambda n: at(0, n), lambda n: at(1, n), lambda n: written.append(at(2, n))), str)
    assert written == [0, 1]


def test_a_batch_that_is_cancelled_says_how_far_it_got() -> None:
    def answer(n: int) -> int:
        if n == 3:
            raise Cancelled("Cancelled; nothing was written.")
        return n

    with pytest.raises(Cancelled, match=r"3 of 9 scans are done, .*--skip-existing"):
        overlapping(range(9), (int, answer, lambda n: None), str)
