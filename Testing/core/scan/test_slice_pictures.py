"""Slices for pictures: which side is where, how bright, what lies beyond the scan, and colours over it."""

from __future__ import annotations

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.slice_pictures import (
    VIEWS,
    View,
    class_slice,
    coloured,
    edges_of,
    extent_of,
    gray_slice,
    gray_window,
    slice_grid,
    where_most_lies,
)
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

SIDES = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1)}
"""The RAS axis of a letter, and which end of it."""


def brighter_towards(letter: str, orientation: str = "RAS") -> Volume:
    """A scan whose values are its RAS coordinates along one axis."""
    scan = Volume.from_numpy(np.zeros((9, 11, 13)), spacing=(1.0, 1.5, 2.0), orientation=orientation)
    k, j, i = np.indices(scan.shape)
    ras = np.einsum("ab,bkji->akji", scan.affine, np.stack([i, j, k, np.ones_like(i)]))
    axis, sign = SIDES[letter]
    return Volume((sign * ras[axis])[None], scan.affine)


def whole(scan: Volume, view: View) -> Array:
    low, high = extent_of(Grid.of(scan))
    plane = slice_grid(view, (low + high) / 2, low, high, 1.0)
    return gray_slice(scan, plane, gray_window(scan.array[0]))[..., 0]


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SAR", "PIL"])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_letters_stand_where_the_sides_lie(view: View, orientation: str) -> None:
    assert whole(brighter_towards(view.left, orientation), view)[:, 0].min() > 0.9
    assert whole(brighter_towards(view.right, orientation), view)[:, -1].min() > 0.9
    assert whole(brighter_towards(view.top, orientation), view)[0].min() > 0.9


def test_a_slice_goes_through_the_point_where_most_lies() -> None:
    scan = Volume.from_numpy(np.zeros((9, 11, 13)), spacing=(1.0, 1.5, 2.0), orientation="LPS")
    mask = np.zeros(scan.shape, dtype=bool)
    mask[2, 3:6, 4:9] = True
    mask[7, 8, 4] = True
    point = where_most_lies(mask, Grid.of(scan))
    assert list(Grid.of(scan).index_of(point)) == pytest.approx([4, 3, 2])
    low, high = extent_of(Grid.of(scan))
    shown = class_slice(mask, Grid.of(scan), slice_grid(VIEWS[0], point, low, high, 1.0))
    assert shown.sum() == pytest.approx(5 * 3 * 1.5, abs=5)
    assert list(Grid.of(scan).index_of(where_most_lies(mask & False, Grid.of(scan)))) == pytest.approx([6, 5, 4])


def test_the_darkest_value_does_not_count_for_the_window() -> None:
    voxels = np.zeros(1000)
    voxels[:100] = np.linspace(50, 150, 100)
    low, high = gray_window(voxels)
    assert 50 < low < 55
    assert 145 < high < 150


def test_a_constant_scan_has_a_window() -> None:
    low, high = gray_window(np.full((2, 2, 2), 7))
    assert low < high


def test_beyond_a_turned_scan_a_picture_is_black_and_without_classes() -> None:
    turn = np.eye(4)
    turn[:2, :2] = np.sqrt(0.5) * np.array([[1, -1], [1, 1]])
    scan = Volume(np.full((1, 20, 40, 40), 100.0), turn)
    scan.array[0, 0, 0, 0] = 0
    low, high = extent_of(Grid.of(scan))
    plane = slice_grid(VIEWS[0], (low + high) / 2, low, high, 1.0)
    gray = gray_slice(scan, plane, (0, 100))[..., 0]
    classes = class_slice(np.ones(scan.shape, dtype=np.uint8), Grid.of(scan), plane)
    assert [gray[0, 0], gray[-1, -1], classes[0, 0], classes[-1, -1]] == [0, 0, 0, 0]
    assert gray[len(gray) // 2, len(gray) // 2] == 1
    assert np.array_equal(gray > 0, classes > 0)
    assert 0.45 < classes.mean() < 0.6  # a square that stands on its corner


def test_classes_are_copied_and_not_mixed() -> None:
    classes = np.zeros((4, 4, 6), dtype=np.uint16)
    classes[..., :3] = 40_000
    grid = Grid(np.diag([1.0, 1.0, 1.0, 1.0]), classes.shape)
    low, high = extent_of(grid)
    shown = class_slice(classes, grid, slice_grid(VIEWS[0], (low + high) / 2, low, high, 0.3))
    assert set(np.unique(shown)) == {0, 40_000}


def test_colours_lie_over_classes_alone_and_as_strong_as_is_said() -> None:
    gray = np.full((1, 4, 3), 0.5, dtype=np.float32)
    colours = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
    shown = coloured(gray, np.array([[-1, 0, 1, 2]]), colours, np.array([[1, 1, 0.5, 1]]))
    assert np.allclose(shown[0], [[0.5] * 3, [0.5] * 3, [0.75, 0.25, 0.25], [0.0, 0.0, 1.0]])


def test_edges_are_where_classes_meet() -> None:
    classes = np.array([[0, 1, 1, 2], [0, 1, 1, 2], [0, 0, 0, 2]])
    assert edges_of(classes).astype(int).tolist() == [[0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
