"""Masks out of a winner map."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.inference.winners import Winners

from Testing import samples

SOURCE = Path(__file__).resolve().parents[3] / "LabelConditionedSegmentation"


def spread(winners: Winners, label_id: int) -> np.ndarray:
    """The mask on the whole input grid."""
    out = np.zeros(winners.shape, dtype=np.uint8)
    found = winners.mask(winners.labels[label_id])
    if found is not None:
        mask, (k, j, i) = found
        out[k : k + mask.shape[0], j : j + mask.shape[1], i : i + mask.shape[2]] = mask
    return out


@pytest.fixture(scope="module")
def winners_and_result(tiny_package: Path) -> tuple[Winners, dict[int, np.ndarray]]:
    segmenter = Segmenter.from_package(tiny_package, "cpu")
    features = segmenter.features(samples.scan())
    tree = segmenter.package.labels
    winners = Winners(tree, features.winner_map(), features.region[0], samples.scan().shape)
    masks = {}
    for label in tree.labels:  # one by one: a parent and its children overlap
        result = features.segment([label.name])
        masks[label.id] = result.mask(label.name).to_numpy()
    return winners, masks


def test_masks_are_those_of_a_segmentation(winners_and_result: tuple[Winners, dict[int, np.ndarray]]) -> None:
    winners, masks = winners_and_result
    assert sum(int(mask.any()) for mask in masks.values()) >= 4
    for label_id, mask in masks.items():
        np.testing.assert_array_equal(spread(winners, label_id), mask)


def test_the_box_of_a_mask_is_tight(winners_and_result: tuple[Winners, dict[int, np.ndarray]]) -> None:
    winners, masks = winners_and_result
    for label_id, whole in masks.items():
        found = winners.mask(winners.labels[label_id])
        if found is None:
            assert not whole.any()
            continue
        mask, _start = found
        assert mask.dtype == np.uint8
        for axis in range(3):
            hit = np.asarray(mask.any(axis=tuple(b for b in range(3) if b != axis)))
            assert hit[[0, -1]].all()


def test_counts_are_voxels_of_every_class(winners_and_result: tuple[Winners, dict[int, np.ndarray]]) -> None:
    winners, masks = winners_and_result
    counts = winners.counts()
    assert counts.sum() == winners.classes.size
    for leaf in winners.labels.leaves:
        assert counts[winners.labels.class_of[leaf.id]] == masks[leaf.id].sum()


def test_a_label_without_voxels_has_no_mask() -> None:
    tree = samples.label_tree()
    winners = Winners(tree, np.ones((2, 3, 4), dtype=np.uint8), (1, 1, 1), (5, 5, 5))
    assert winners.mask(tree.leaves[1]) is None
    assert winners.mask(tree.leaves[0]) is not None


@pytest.mark.parametrize(
    "module",
    [
        "inference.winners",
        "package.model_package",
        "scan.scan_checks",
        "labels.label_tree",
        "scan.metadata",
        "progress",
        "scan.input_spec",
    ],
)
def test_what_the_application_reads_without_torch_is_read_without_torch(module: str) -> None:
    code = f"import sys; sys.modules['torch'] = None\nimport LabelConditionedSegmentationLib.core.{module}"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)}, timeout=60)
