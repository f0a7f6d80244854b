"""What the tests of several studies share."""

from __future__ import annotations

import pytest

from Training.studies import registration


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of few steps."""
    monkeypatch.setattr(registration, "DEMONS_LEVELS", ((8.0, 40), (4.0, 30), (2.5, 10)))
