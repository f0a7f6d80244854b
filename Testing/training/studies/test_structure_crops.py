"""Crops around single structures: where they were, with the one label, and with room around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from Testing.training.made_up_data import write_data_set
from Training.data.datasets import read_data_set, read_image, read_labels
from Training.studies.structure_crops import cut

NAMES = ["Left Hippocampus", "Right Hippocampus"]


@pytest.fixture
def brains(tmp_path: Path) -> Path:
    return write_data_set(tmp_path / "brains", cases=2)


def test_every_side_is_a_case_where_it_lies_in_its_scan(brains: Path, tmp_path: Path) -> None:
    assert cut(brains, NAMES, "Hippocampus", 2.0, tmp_path / "crops") == 4
    crops = read_data_set(tmp_path / "crops")
    assert [leaf.name for leaf in crops.table.leaves] == ["Hippocampus"]
    assert [case.name for case in crops.cases][:2] == ["case_0_left_hippocampus", "case_0_right_hippocampus"]
    whole = read_data_set(brains).cases[0]
    scan, labels = read_image(whole), read_labels(whole)
    for case, ident in zip(crops.cases[:2], (48, 47), strict=True):
        part, mask = read_image(case), read_labels(case)
        assert int(mask.array.sum()) == int((labels.array == ident).sum())
        k, j, i = (int(n) for n in np.argwhere(mask.array[0])[0])
        place = np.linalg.inv(scan.affine) @ part.affine @ np.array([i, j, k, 1.0])
        i, j, k = np.rint(place[:3]).astype(int)
        assert labels.array[0, k, j, i] == ident
        assert scan.array[0, k, j, i] == part.array[0][tuple(np.argwhere(mask.array[0])[0])]
        found = np.argwhere(mask.array[0])
        inside = np.array(part.shape) - 1 - found.max(0)
        assert (np.minimum(found.min(0), inside) <= 2 / np.linalg.norm(part.affine[:3, 0]) + 1).all()


def test_what_cannot_be_cut_is_told(brains: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"--labels: .*Left Hipocampus"):
        cut(brains, ["Left Hipocampus"], "Hippocampus", 2.0, tmp_path / "crops")
    with pytest.raises(SystemExit, match=r"--margin-mm is below 0"):
        cut(brains, NAMES, "Hippocampus", -1.0, tmp_path / "crops")
    assert not (tmp_path / "crops").exists()
    cut(brains, NAMES, "Hippocampus", 2.0, tmp_path / "crops")
    with pytest.raises(SystemExit, match=r"keeps crops of another question \(other margin_mm\)"):
        cut(brains, NAMES, "Hippocampus", 3.0, tmp_path / "crops")
