"""The worker processes that scans are divided among: those of this machine, or those of a scheduler of Dask."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster

from ..core.errors import WorkerError
from ..core.inference.devices import choose_device
from .division import scheduler_address
from .terminal import say
from .warm_model import version

PATIENCE = 20
"""Seconds until a scheduler has to answer."""


@contextmanager
def crew(arguments: argparse.Namespace) -> Iterator[tuple[Client, Sequence[str]]]:
    """What gives scans to worker processes; and a device for each of them, where they are of this machine and end with
    the block. Raises WorkerError or DeviceError.
    """
    if arguments.scheduler is None:
        devices = devices_for(arguments.workers, arguments.device)
        threads = max(1, CPU_COUNT // len(devices))
        with _processes(len(devices), threads) as cluster, Client(cluster) as client:
            say(f"workers: {len(devices)} of {threads} threads, on {', '.join(dict.fromkeys(devices))}")
            yield client, devices
    else:
        address = scheduler_address(arguments.scheduler)
        try:
            client = Client(address, timeout=PATIENCE)
        except (OSError, ValueError) as error:
            raise WorkerError(
                f"No scheduler answers at {address}; check that it runs, and that this machine may reach it."
            ) from error
        with client:
            _check_versions(client, address)
            yield client, ()


def _processes(count: int, threads: int) -> LocalCluster:
    """Worker processes of this machine, that nobody else can give work to."""
    return LocalCluster(
        n_workers=count,
        threads_per_worker=threads,
        memory_limit=None,
        dashboard_address=None,
        security=True,
        silence_logs=logging.CRITICAL,
        scheduler_kwargs={"allowed_failures": 0, "dashboard_address": "127.0.0.1:0"},  # which is no dashboard, either
    )


def devices_for(workers: int, device: str) -> tuple[str, ...]:
    """A device for each worker process of this machine: one a GPU, and as many as were asked for on the CPU. Raises
    DeviceError.
    """
    chosen = choose_device(device)
    if chosen.type == "cpu":
        return ("cpu",) * workers
    several = chosen.type == "cuda" and chosen.index is None
    gpus = [f"cuda:{n}" for n in range(torch.cuda.device_count())] if several else [str(chosen)]
    if workers > len(gpus):
        say(f"note: A GPU holds one model, so {len(gpus)} of the {workers} workers are started.")
    return tuple(gpus[:workers])


def _check_versions(client: Client, address: str) -> None:
    """Raise WorkerError where scheduler or workers are of another version of this package, or have none."""
    try:
        found = {client.run_on_scheduler(version), *client.run(version).values()}
    except ImportError:
        found = {"none"}
    if found != {version()}:
        raise WorkerError(
            f"The scheduler {address} and its workers need this package in the version {version()}, but have"
            f" {', '.join(sorted(found))}; start them from the environment that lcs is installed in."
        )
