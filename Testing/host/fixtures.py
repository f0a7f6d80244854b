"""The fixture `host`: the stand-in for the application, made for one test and taken back after it.

A conftest imports it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from Testing.host.application import Host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A running application with an empty scene.

    The test fails where a callback raised an exception that it did not clear.
    """
    folder = tmp_path / "slicer"
    folder.mkdir()
    running = Host(folder)
    yield running
    running.close()
    assert not running.errors, f"callbacks raised {running.errors}"
    assert not running.answers, f"no dialog asked for these answers: {list(running.answers)}"
