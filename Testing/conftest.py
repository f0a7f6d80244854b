"""What every test can use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from Testing import samples

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", min(2, os.cpu_count() or 1))))


@pytest.fixture(scope="session")
def tiny_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model package with random weights: 6 leaves, 2 parents, metadata sex and age."""
    return samples.package(tmp_path_factory.mktemp("packages")).path


@pytest.fixture(scope="session")
def malc2012() -> Path:
    """The labelled whole-brain scans, where they are at hand."""
    folder = samples.SHARED / "malc2012"
    if not folder.is_dir():
        pytest.skip("the labelled scans (../shared/data/malc2012) are not at hand")
    return folder
