"""What runs in a worker process of Dask: a model that stays loaded, and the scans that the process is given."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import SimpleITK as sitk
import torch
from distributed import WorkerPlugin, get_worker

from ..core.errors import LCSError, WorkerError
from ..core.progress import CancelToken
from ..core.scan.whole_files import write_all
from ..version import __version__
from .jobs import Job
from .scan_steps import Answer, Run, Work, Written


class WarmModel(WorkerPlugin):  # type: ignore[misc]
    """One a process, which loads the model at its first scan. Of the scans that it is given one is in the network at a
    time, while the next is read and others are written.
    """

    def __init__(self, name: str, work: Work, devices: Sequence[str] = ()) -> None:
        """name: of this run, as no other's. devices: one for each process of this machine; none, where processes are
        those of a cluster, which see no other GPU than theirs.
        """
        self.name = name
        self._work = work
        self._devices = devices

    def setup(self, worker: Any) -> None:
        """Called in a process as soon as it is there, and again in the one that takes its place after a crash."""
        self.cancel = CancelToken()
        self._ahead, self._network = threading.Lock(), threading.Lock()
        self._threads, self._address = worker.state.nthreads, worker.address
        self._device = self._work.plan.arguments.device
        if self._devices:
            self._device = self._devices[worker.name]
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; one answers

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """Frees the memory, at the end of the run."""
        self.cancel.cancel()
        with self._network:
            if "run" in vars(self):
                self.run.segmenter.close()

    @cached_property
    def run(self) -> Run:
        """The model, loaded. Raises WorkerError."""
        torch.set_num_threads(self._threads)
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(self._threads)
        try:
            return self._work.run(self._work.segmenter(self._device), self.cancel)
        except LCSError as error:
            raise WorkerError(f"The worker {self._address} cannot load the model: {error}") from error

    def segment(self, job: Job, placed: Job) -> Written:
        """All steps of a scan. placed: as in `ReadScan`. Raises LCSError."""
        return self.run.write(self._answer(job, placed), lambda _, files: write_all(dict(files)))

    def _answer(self, job: Job, placed: Job) -> Answer:
        with self._ahead:  # so that no more than one scan waits for the network
            self.cancel.check()
            scan = self.run.read(job, placed)
            self._network.acquire()
        try:
            torch.set_num_threads(self._threads)  # Dask has a thread of its own for each scan, and one core for each
            return self.run.answer(scan)
        finally:
            self._network.release()


def segment_scan(name: str, job: Job, placed: Job) -> Written | LCSError:
    """One scan, in the worker process that is asked. name: of the run. What is wrong with the scan is returned."""
    try:
        written: Written = get_worker().plugins[name].segment(job, placed)
        return written
    except LCSError as error:
        return type(error)(str(error))  # without its traceback, which would keep the scan


def stop(name: str, dask_worker: Any) -> None:
    """Cancel the scans of a run in a worker process, within one patch of the network."""
    if name in dask_worker.plugins:
        dask_worker.plugins[name].cancel.cancel()


def version() -> str:
    """Of this package in a process."""
    return __version__
