"""Places of their own for what a worker leaves, and a worker that is closed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.worker import exchange
from LabelConditionedSegmentationLib.worker.client import ProcessWorker

from Testing.worker.helpers import children


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stand for shared memory and the temporary folder."""
    folders = [tmp_path / "shared memory", tmp_path / "temporäre Dateien"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(exchange, "SHARED_MEMORY", folders[0])
    monkeypatch.setattr(tempfile, "tempdir", str(folders[1]))
    return folders


@pytest.fixture
def worker(tmp_path: Path, places: list[Path]) -> Iterator[ProcessWorker]:
    """A worker with a process; after the test nothing of it is left."""
    made = ProcessWorker(tmp_path / "Protokolle 日本" / "worker.log")
    yield made
    made.close()
    assert [list(place.iterdir()) for place in places] == [[], []]
    assert children() == []
