"""What the tests of several studies share."""

from __future__ import annotations

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples
from Training.studies import registration

SPACING = 2.5
"""Millimetres of the voxels of `atlas`."""


@pytest.fixture(scope="module")
def atlas() -> Volume:
    """About 10 cm of texture."""
    return samples.scan(affine=np.diag([SPACING, SPACING, SPACING, 1.0]))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of few steps."""
    monkeypatch.setattr(registration, "DEMONS_LEVELS", ((8.0, 40), (4.0, 30), (2.5, 10)))
