"""A batch of scans: what happens where one fails, or the rest is cancelled, and what is done at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TypeVar

from ..core.errors import Cancelled, LabelError, LCSError, MetadataError, WorkerError
from .status import DONE, FAILED
from .terminal import say

T = TypeVar("T")
Read = TypeVar("Read")
Answer = TypeVar("Answer")

EVERY_SCAN = (LabelError, MetadataError, WorkerError)
"""Errors that concern every scan of a batch."""


@dataclass
class Tally:
    """What became of the scans of a batch. Those that failed are told as they come and once more at the end."""

    count: int
    done: int = 0
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def of(self, title: str) -> Iterator[None]:
        """The last step of one scan: it is done after the block, or failed. Raises what concerns every scan, and
        Cancelled.
        """
        with self.failing(title):
            yield
            self.done += 1

    @contextmanager
    def failing(self, title: str) -> Iterator[None]:
        """A step of one scan, in which it may fail. Raises as `of`."""
        try:
            yield
        except (Cancelled, *EVERY_SCAN):
            raise
        except LCSError as error:
            self.failures.append(f"{title}: {error}")
            say(f"FAILED {self.failures[-1]}")

    def status(self) -> int:
        """The exit status of a batch that has come to its end, where its failures are told."""
        for failure in self.failures:
            say(f"lcs: {failure}")
        if self.failures:
            say(f"lcs: {len(self.failures)} of {self.count} scans failed; the others are done.")
        return FAILED if self.failures else DONE

    def so_far(self) -> str:
        """How far a batch got that ended early, and how to go on."""
        return (
            f"{self.done} of {self.count} scans are done, and the same command with --skip-existing goes on with the"
            " others."
        )

    def cancelled(self) -> Cancelled:
        """What to say where it was cancelled."""
        return Cancelled(f"Cancelled; {self.so_far()}" if self.done else "Cancelled; nothing was written.")


def over_batch(jobs: Sequence[T], work: Callable[[T], None], title: Callable[[T], str]) -> int:
    """Every scan, one after the other, whatever becomes of the others; returns the exit status.

    title: what a scan is called. Raises what concerns every scan: LabelError, MetadataError, and Cancelled, which says
    how far it got.
    """
    tally = Tally(len(jobs))
    try:
        for job in jobs:
            with tally.of(title(job)):
                work(job)
    except Cancelled as error:
        raise tally.cancelled() from error
    return tally.status()


def overlapping(
    jobs: Sequence[T],
    steps: tuple[Callable[[T], Read], Callable[[Read], Answer], Callable[[Answer], None]],
    title: Callable[[T], str],
    holds_two: bool = True,
) -> int:
    """As `over_batch`, in three steps (read, answer, write): while one scan is answered, here, the next is read and the
    one before is written, on a thread each.

    holds_two: whether the memory holds two answers; else each is written before the next is looked for.
    """
    read, answer, write = steps
    tally = Tally(len(jobs))

    def finish(job: T, found: Answer) -> None:
        with tally.of(title(job)):
            write(found)

    try:
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            coming = reader.submit(read, jobs[0])
            behind = writer.submit(lambda: None)
            for job, following in zip_longest(jobs, jobs[1:]):
                scan, coming = coming, reader.submit(read, following) if following is not None else coming
                with tally.failing(title(job)):
                    found = answer(scan.result())
                    behind.result()
                    behind = writer.submit(finish, job, found)
                    del found
                    if not holds_two:
                        behind.result()
            behind.result()
    except Cancelled as error:
        raise tally.cancelled() from error
    return tally.status()
