"""How two label maps overlap, counted for all pairs of values at once: the same as mask by mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from LabelConditionedSegmentationLib.core.inference.label_overlap import LabelOverlap
from LabelConditionedSegmentationLib.core.scan.volume import Array

GRID = (14, 15, 16)


def on_grid(part: Array, start: tuple[int, int, int]) -> Array:
    """A map that lies in a part of the grid, 0 elsewhere."""
    whole = np.zeros(GRID, part.dtype)
    whole[tuple(slice(a, a + n) for a, n in zip(start, part.shape, strict=True))] = part
    return whole


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize("begin", [(0, 0, 0), (3, 2, 5), (8, 9, 10)])
def test_every_pair_is_counted_as_its_masks_are(begin: tuple[int, int, int], dtype: npt.DTypeLike) -> None:
    random = np.random.default_rng(0)
    one: Array = random.integers(0, 4, (8, 9, 10)).astype(dtype)
    other: Array = random.integers(0, 6, (6, 6, 6)).astype(np.int16)
    found = LabelOverlap.of(one, (0, 0, 0), other, begin)
    here, there = on_grid(one, (0, 0, 0)), on_grid(other, begin)
    for a in range(1, 4):
        for b in range(1, 6):
            masks = here == a, there == b
            assert found.joint[a, b] == (masks[0] & masks[1]).sum()
            expected = 2 * (masks[0] & masks[1]).sum() / (masks[0].sum() + masks[1].sum())
            assert found.dice([a], [b]) == pytest.approx(expected)
    union = np.isin(here, [1, 3]), np.isin(there, [2, 4])
    expected = 2 * (union[0] & union[1]).sum() / (union[0].sum() + union[1].sum())
    assert found.dice([1, 3], [2, 4]) == pytest.approx(expected)


def test_values_that_are_not_there_have_no_voxels() -> None:
    one, other = np.array([[[1, 1, 0]]]), np.array([[[0, 0, 2]]])
    found = LabelOverlap.of(one, (0, 0, 0), other, (0, 0, 0))
    assert found.dice([1], [9]) == 0.0
    assert found.dice([9], [9]) is None
    nothing = LabelOverlap.of(np.zeros((0, 0, 0), np.uint8), (0, 0, 0), other, (0, 0, 0))
    assert nothing.dice([1], [2]) == 0.0
