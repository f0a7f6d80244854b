"""Strokes on a scan: the box around them, what lies beyond it, and that only what is near the strokes costs time."""

from __future__ import annotations

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import Cancelled, InputError
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.core.strokes.propagation import propagate

from Testing import samples


def strokes_on(scan: Volume, **lines: tuple[slice | int, ...]) -> Strokes:
    seeds = np.zeros(scan.shape, dtype=np.uint16)
    for number, line in enumerate(lines.values(), start=1):
        seeds[line] = number
    return Strokes(Grid.of(scan), seeds, tuple(lines))


def thick_slices() -> Volume:
    """A scan of slices that are 3 mm thick, in a plane of 1 mm."""
    scan, _ = samples.scan_of_parts((20, 60, 60), np.diag([1.0, 1, 3, 1]))
    return scan


def test_strokes_in_one_slice_get_a_box_that_is_as_deep_in_mm_as_it_is_wide() -> None:
    strokes = strokes_on(thick_slices(), one=(10, slice(20, 40), 30), background=(10, 20, slice(20, 40)))
    (k0, j0, i0), (k1, j1, i1) = strokes.box
    assert (j1 - j0, i1 - i0) == (20 + 2 * 3, 20 + 2 * 3)
    assert (k0, k1) == (10 - 4, 11 + 4)  # 12 mm beyond the slice on both sides


def test_the_box_ends_where_the_scan_does() -> None:
    strokes = strokes_on(thick_slices(), one=(0, slice(0, 60), 0), background=(19, 59, slice(0, 60)))
    assert strokes.box == ((0, 0, 0), (20, 60, 60))


def test_a_ball_is_found_from_one_line_and_the_background_around_it() -> None:
    scan, balls = samples.scan_of_parts()
    k, j, i = (int(n.mean()) for n in np.nonzero(balls["bright"]))
    around = (k, slice(j - 9, j + 10, 18), slice(i - 8, i + 9))  # a line on either side
    found = propagate(strokes_on(scan, ball=(k, j, slice(i - 4, i + 5)), background=around), scan)
    inside = found.label_map == 1
    assert 2 * (inside & balls["bright"]).sum() / (inside.sum() + balls["bright"].sum()) > 0.97
    assert np.array_equal(found.probability(0) > 0.5, inside)


def test_a_structure_that_the_box_cuts_is_told() -> None:
    scan, balls = samples.scan_of_parts()
    k, j, i = (int(n.mean()) for n in np.nonzero(balls["bright"]))
    found = propagate(strokes_on(scan, ball=(k, j, slice(i - 1, i + 2)), background=(k, j + 4, i)), scan)
    assert ['"ball" reaches' in str(finding) for finding in found.findings] == [True]


def test_beyond_the_box_everything_is_background_and_certain() -> None:
    scan, _ = samples.scan_of_parts((60, 60, 60))
    strokes = strokes_on(scan, one=(30, 30, slice(28, 33)), background=(30, 34, slice(28, 33)))
    found = propagate(strokes, scan)
    outside = np.ones(scan.shape, dtype=bool)
    outside[tuple(slice(a, b) for a, b in zip(*strokes.box, strict=True))] = False
    assert outside.mean() > 0.95
    assert not found.label_map[outside].any()
    assert (found.certainty[outside] == 1).all()
    assert (found.probability(1)[outside] == 1).all()


def test_the_order_of_the_classes_changes_nothing() -> None:
    scan, balls = samples.scan_of_parts()
    k, j, i = (int(n.mean()) for n in np.nonzero(balls["dark"]))
    lines: dict[str, tuple[slice | int, ...]] = {
        "ball": (k, j, slice(i - 3, i + 4)),
        "Background": (k, j + 8, slice(i - 8, i + 5)),
    }
    one = propagate(strokes_on(scan, **lines), scan)
    other = propagate(strokes_on(scan, **dict(reversed(lines.items()))), scan)
    assert np.abs(one.probability(0) - other.probability(1)).max() < 5e-3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_no_numbers_are_refused(value: float) -> None:
    scan, _ = samples.scan_of_parts()
    voxels: Array = scan.array.astype(np.float32)
    voxels[0, 18, 22, 20] = value
    strokes = strokes_on(scan, one=(18, 22, slice(18, 20)), background=(18, 24, slice(18, 22)))
    with pytest.raises(InputError, match="NaN or infinite"):
        propagate(strokes, scan.with_array(voxels))


def test_a_cancel_ends_it() -> None:
    scan, _ = samples.scan_of_parts()
    token = CancelToken()

    def on_progress(done: float, _: str) -> None:
        if done > 0.1:
            token.cancel()

    strokes = strokes_on(scan, one=(18, 22, slice(18, 20)), background=(18, 30, slice(18, 22)))
    with pytest.raises(Cancelled):
        propagate(strokes, scan, progress=on_progress, cancel=token)
