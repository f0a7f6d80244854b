"""Which scans count as skull-stripped."""

from __future__ import annotations

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.scan.stripped import looks_stripped
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

DISTANCE = np.linalg.norm(np.indices((50, 50, 50)) - 24.5, axis=0)


def ball(outside: float = 0.0, radius: float = 16) -> Array:
    """Tissue in a ball, (k, j, i), and one value outside; of 1.1 litres at 4 mm and this radius."""
    return np.where(radius > DISTANCE, 300.0 + 50 * np.sin(DISTANCE), outside)


def is_stripped(*channels: Array, spacing: float = 4.0) -> bool:
    return looks_stripped(Volume(np.stack(channels), np.diag([spacing, spacing, spacing, 1.0])))


@pytest.mark.parametrize("outside", [0.0, -1024.0])
def test_a_ball_of_the_size_of_a_brain_in_one_value_is_stripped(outside: float) -> None:
    assert is_stripped(ball(outside))


def test_what_goes_on_beyond_the_border_is_not() -> None:
    array = ball()
    array[10:40, 10:40, :25] = 200.0
    assert not is_stripped(array)


def test_a_brain_that_just_touches_the_border_is() -> None:
    array = np.roll(ball(), -9, axis=2)
    assert (array[:, :, 0] > 0).any()
    assert is_stripped(array)


def test_noise_in_the_air_is_no_background() -> None:
    assert not is_stripped(ball() + np.abs(np.random.default_rng(1).normal(0, 8, DISTANCE.shape)))


@pytest.mark.parametrize(("radius", "expected"), [(19.5, True), (20.8, False)])
def test_more_than_the_largest_brain_is_a_head(radius: float, expected: bool) -> None:
    assert is_stripped(ball(radius=radius)) is expected


def test_size_is_counted_in_millilitres_and_not_in_voxels() -> None:
    assert not is_stripped(ball(), spacing=8.0)


def test_every_channel_has_to_be_stripped() -> None:
    head = ball(radius=22)
    assert is_stripped(ball(), ball())
    assert not is_stripped(ball(), head)
