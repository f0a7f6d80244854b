"""A fresh MRML scene for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Testing.host.mrml import boot, shut


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Any]:
    """An empty scene with the logics that the module uses."""
    mrml = boot(tmp_path)
    mrml.scene.SetRootDirectory(str(tmp_path))
    yield mrml.scene
    shut(mrml)
