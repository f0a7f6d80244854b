"""Helpers of the worker's tests: a run, a request that may be large, and waiting for the end of a request."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.worker.protocol import Event, Worker
from LabelConditionedSegmentationLib.worker.request import Reply, Request, RequestContext
from LabelConditionedSegmentationLib.worker.requests import RunRequest

LIMIT = 60.0
"""Seconds after which a worker that does not answer is a failed test and not one that hangs."""


@dataclass(frozen=True)
class WeighRequest(Request, name="weigh"):
    """A request of the tests, which the worker knows as soon as its process has imported this file.

    Answer: read, the sha256 of the text.
    """

    text: str

    def answer(self, _context: RequestContext) -> Reply:
        return {"read": self.weight}, {}

    @property
    def weight(self) -> str:
        """What the worker should answer."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def run_of(package: Path, volume: Volume, /, **changes: Any) -> RunRequest:
    """A run on the CPU."""
    return replace(RunRequest(str(package), "cpu", {}, volume, False, "auto"), **changes)


def wait(worker: Worker, request: int, text: str = "") -> Event:
    """Poll until the request has ended or, where a text is given, its progress says so; the event of that.

    Other requests' events are lost.
    """
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        for event in worker.poll():
            if event.request == request and (event.kind != "progress" or (text and text in event.text)):
                return event
        time.sleep(0.01)
    raise AssertionError(f"request {request} has not ended")


def ends(worker: Worker) -> dict[int, Event]:
    """Poll until nothing is pending; how each request ended, which it did once."""
    until = time.monotonic() + LIMIT
    ended: dict[int, Event] = {}
    while worker.busy:
        assert time.monotonic() < until, "the worker does not come to an end"
        for event in worker.poll():
            if event.kind != "progress":
                assert event.request not in ended
                ended[event.request] = event
        time.sleep(0.01)
    return ended


def answer(worker: Worker, request: Request) -> Event:
    """Ask and wait for the answer."""
    return wait(worker, worker.send(request))


def children() -> list[psutil.Process]:
    """The processes that this one has started and that have not ended, without the one that Python keeps to tidy up."""
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if not any("resource_tracker" in word for word in child.cmdline())]


def all_gone(processes: list[psutil.Process]) -> bool:
    """Wait until processes are gone; whether they are."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        if not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            return True
        time.sleep(0.02)
    return False


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow beyond this many bytes, for this process and those it starts: the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
