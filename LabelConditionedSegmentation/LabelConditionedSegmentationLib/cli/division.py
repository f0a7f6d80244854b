"""On which processes the scans of a command are segmented: what --workers and --scheduler say, checked without Dask."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
from pathlib import Path

from ..core.errors import DependencyError, InputError, WorkerError

_ADDRESS = re.compile(r"([a-z]+://)?(\[[\w:.%]+\]|[\w.-]+):\d+")
"""Protocol, host and port."""


def on_processes(arguments: argparse.Namespace) -> bool:
    """Whether scans are divided among processes."""
    return arguments.workers is not None or arguments.scheduler is not None


def check_division(arguments: argparse.Namespace) -> None:
    """Raise InputError, WorkerError or DependencyError for what could not be begun."""
    if not on_processes(arguments):
        return
    if arguments.workers is not None and arguments.workers < 1:
        raise InputError(f"{arguments.workers} workers cannot do anything; ask for at least 1 with --workers.")
    if arguments.scheduler is not None:
        scheduler_address(arguments.scheduler)
    if importlib.util.find_spec("distributed") is None:
        raise DependencyError(
            "Scans are divided among workers by the package distributed (Dask), which is not installed: pip install"
            " distributed cryptography."
        )


def scheduler_address(word: str) -> str:
    """The address that a word of --scheduler is, or that the file has which it names. Raises WorkerError."""
    if os.path.isfile(word):
        return _address_in(Path(word))
    if not _ADDRESS.fullmatch(word):
        raise WorkerError(
            f'"{word}" is neither the address of a scheduler, such as tcp://10.0.0.1:8786, nor a scheduler file that'
            " is there; start one with: dask scheduler --scheduler-file FILE."
        )
    return word


def _address_in(file: Path) -> str:
    try:
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError):
        address = None
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise WorkerError(
            f'"{file}" is no scheduler file, which holds the address of a scheduler; give the one that dask scheduler'
            " --scheduler-file wrote."
        )
    return address
