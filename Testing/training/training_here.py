"""Training where the programs start a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from Training.engine.config import read_config
from Training.engine.loop import train


def train_here(path: Path, settings: Sequence[str]) -> int:
    """What `run_training` does, in this process, which saves the seconds that a new one needs to import everything."""
    train(read_config(path, settings))
    return 0
