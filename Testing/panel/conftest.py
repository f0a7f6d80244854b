"""The stand-in for the application, and a folder of models, for the tests of the panel."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from Testing.host.fixtures import host as host


@pytest.fixture
def models(tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models, with a tiny one in it that a test may damage; the user's own files lie beside it."""
    shutil.copytree(tiny_package, tmp_path / "models" / "tiny")
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "models"
