"""What the tests of the extension share: it is installed once, and a small checkout can be broken by every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from .installed import TOP, install_extension
from .small_checkout import small_checkout


@pytest.fixture(scope="session")
def installed_extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of scripted modules that this checkout was installed into."""
    return install_extension(TOP, tmp_path_factory.mktemp("extension"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout of its own for every test."""
    return small_checkout(tmp_path / "checkout")
