"""The stand-in for the application, and a folder of models, for the tests of the panel."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6 import QtGui, QtWidgets

from Testing import samples
from Testing.host.application import Host
from Testing.host.fixtures import host as host
from Testing.panel.user import describe


@pytest.fixture(params=[9, 12])
def points(request: pytest.FixtureRequest, host: Host) -> Iterator[int]:
    """Size of the application's font."""
    before = QtWidgets.QApplication.font()
    QtWidgets.QApplication.setFont(QtGui.QFont(before.family(), request.param))
    yield request.param
    QtWidgets.QApplication.setFont(before)


@pytest.fixture
def models(tmp_path: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models, with a tiny one in it that a test may damage; the user's own files lie beside it."""
    shutil.copytree(tiny_package, tmp_path / "models" / "tiny")
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "models"


@pytest.fixture(scope="session")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that learns labels from examples."""
    return describe(
        samples.package(tmp_path_factory.mktemp("packages"), replace(samples.TINY, examples=True), name="learner").path,
        title="Learner",
    )


@pytest.fixture
def learner_models(tmp_path: Path, learner: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models, with one in it that learns labels from examples."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "learner").symlink_to(learner)
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "models"
