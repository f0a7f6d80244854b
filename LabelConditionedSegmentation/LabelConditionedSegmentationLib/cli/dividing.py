"""Scans divided among worker processes of Dask, here or on a cluster. Each scan is read and written by the process that
segments it; what comes back is its entry in the tables.
"""

from __future__ import annotations

import argparse
import logging
import uuid
from collections import Counter, deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TypeVar

from distributed import CancelledError, Client, Future, KilledWorker, wait

from ..core.errors import Cancelled, DeviceError, LCSError
from ..core.progress import CancelToken, ProgressCallback
from .batch import Tally
from .crew import crew
from .jobs import Job
from .scan_steps import Results, Work, Written
from .status import FAILED
from .terminal import progress_bar, say
from .warm_model import WarmModel, segment_scan, stop

T = TypeVar("T")

IN_HAND = 2
"""Scans in the hands of a process with several threads: one in the network, while another is read or written."""

TRIES = 3
"""How often a scan is tried whose worker dies, the last time at the end and alone: then it was no other one's fault. A
scheduler that tries again by itself may come to more.
"""

GPU = "GPU"
"""The resource that a worker process declares which has a GPU; each scan takes its part of that."""

TURN = 1.0
"""Seconds after which new workers are looked for, and whether the user has cancelled."""


def divide(work: Work, results: Results, cancel: CancelToken) -> int:
    """Segment all scans of a plan in other processes. Returns the exit status. Raises WorkerError and Cancelled, and
    what is wrong with the only scan.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what there is to say is said here
    name = f"lcs-{uuid.uuid4().hex}"
    with crew(work.plan.arguments) as (client, devices):
        client.register_plugin(WarmModel(name, _to_send(work), devices), name=name)
        try:
            with progress_bar("scans") as show:
                return _Division(client, name, work, results, cancel, show).run()
        finally:
            if client.status == "running":
                client.unregister_worker_plugin(name)


def _to_send(work: Work) -> Work:
    """What a worker process needs of it; that no file is there that must not be replaced was seen before: what is there
    now, a process that died has left.
    """
    plan = work.plan
    plan = replace(
        plan,
        arguments=argparse.Namespace(**vars(plan.arguments) | {"overwrite": True}),
        package=replace(plan.package, path=plan.package.path.absolute()),
        jobs=(),
        tables=tuple(replace(table, entries={}) for table in plan.tables),
        inputs=(),
    )
    return replace(work, plan=plan)


def placed(value: T) -> T:
    """The same with every path in it led from the root, for a process that works in another folder."""
    if isinstance(value, Path):
        return type(value)(value.absolute())
    if isinstance(value, tuple):
        return type(value)(map(placed, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: placed(getattr(value, one.name)) for one in fields(value)})
    return value


class _SchedulerLostError(Exception):
    """It ended, or a new one answers at its address that knows nothing of the scans."""


@contextmanager
def _asking_scheduler() -> Iterator[None]:
    """Raises _SchedulerLostError where it does not answer."""
    try:
        yield
    except OSError as error:
        raise _SchedulerLostError from error


@dataclass
class _Division:
    """A batch under way. name: of the model in the worker processes."""

    client: Client
    name: str
    work: Work
    results: Results
    cancel: CancelToken
    show: ProgressCallback | None

    def __post_init__(self) -> None:
        self._tally = Tally(len(self.work.plan.jobs))
        self._address = self.client.scheduler.address
        self._deaths = Counter[Job]()
        self._suspects: list[Job] = []
        self._is_waiting = False

    def run(self) -> int:
        """Every scan, whatever becomes of the others. Returns the exit status. Raises as `divide`."""
        try:
            self._together(deque(self.work.plan.jobs))
            while self._suspects:
                self._together(deque([self._suspects.pop()]))
        except _SchedulerLostError:
            say(f"lcs: The scheduler {self._address} ended, or was started anew; {self._tally.so_far()}")
            return FAILED
        if self.cancel.cancelled:
            raise self._tally.cancelled()
        return self._tally.status()

    def _together(self, waiting: deque[Job]) -> None:
        """Give scans to workers as they have a hand free, so that none is lost but what a worker was busy with."""
        given: dict[Future, Job] = {}
        while waiting or given:
            with _asking_scheduler():
                if self.cancel.cancelled:
                    waiting.clear()
                    self.client.run(stop, self.name, on_error="ignore")
                room, resources = self._room() if waiting else (0, None)
                while waiting and len(given) < room:
                    job = waiting.popleft()
                    words = (segment_scan, self.name, job, placed(job))
                    given[self.client.submit(*words, resources=resources, pure=False)] = job
            for future in _ended(list(given)):
                self._take(given.pop(future), future, waiting)

    def _room(self) -> tuple[int, dict[str, float] | None]:
        """How many scans all workers can have in hand, and what each takes of one. Where there are workers with a GPU
        the others get none; where there are none at all, a scan that waits is what brings one.
        """
        workers = list(self.client.scheduler_info()["workers"].values())
        if not workers and not self._is_waiting:
            say(f"note: The scheduler {self._address} has no worker now; waiting for one.")
        self._is_waiting = not workers
        with_gpu = [worker for worker in workers if worker["resources"].get(GPU)]
        room = sum(min(worker["nthreads"], IN_HAND) for worker in with_gpu or workers)
        return max(1, room), {GPU: 1 / IN_HAND} if with_gpu else None

    def _take(self, job: Job, future: Future, waiting: deque[Job]) -> None:
        """What became of a scan. Raises what concerns every scan, and what is wrong with the only one."""
        try:
            found: Written | LCSError = future.result()
        except CancelledError as error:
            raise _SchedulerLostError from error
        except KilledWorker as error:
            self._deaths[job] += error.allowed_failures + 1
            if self._deaths[job] < TRIES:
                say(f"note: {job.scan.title}: the worker that had it in hand died; it is tried again.")
                is_last = self._deaths[job] == TRIES - 1
                (self._suspects if is_last else waiting).append(job)
                return
            found = DeviceError(
                f"The workers that had it in hand died, {self._deaths[job]} of them, as processes do that take more"
                " memory than there is; look at the scan, or ask for workers with more."
            )
        if isinstance(found, LCSError) and not self.work.plan.is_batch:
            raise found
        with suppress(Cancelled), self._tally.of(job.scan.title):
            self._keep(found)
        if self.show is not None:
            ended = self._tally.done + len(self._tally.failures)
            self.show(ended / self._tally.count, f"{ended} of {self._tally.count}")

    def _keep(self, found: Written | LCSError) -> None:
        """Write what is left of a scan into the tables. Raises what is wrong with it."""
        if isinstance(found, LCSError):
            raise found
        self.results.write(found, {})
        for line in found.lines:
            say(line)


def _ended(given: Collection[Future]) -> list[Future]:
    """Those of which something became, at the latest after a turn."""
    with suppress(TimeoutError, CancelledError):
        wait(given, timeout=TURN, return_when="FIRST_COMPLETED")
    return [future for future in given if future.done()]
