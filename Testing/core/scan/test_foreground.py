"""Which voxels of a scan count: its background is what its border holds, whatever number that is."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.scan.foreground import Background, find_background, foreground_mask
from LabelConditionedSegmentationLib.core.scan.volume import Array

from Testing import samples

MODEST = settings(max_examples=25, deadline=None)


def stripped(shape: tuple[int, int, int] = (36, 44, 40)) -> tuple[Array, Array]:
    """A scan (k, j, i) float64 with background 0, and where it is not background."""
    array = samples.scan(shape).array[0].astype(np.float64)
    return array, array != 0


def overlap(found: Array, truth: Array) -> float:
    return 2 * float((found & truth).sum()) / float(found.sum() + truth.sum())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float16", "float32", "float64", ">i2"])
def test_a_background_of_exactly_0_leaves_out_what_is_exactly_0(dtype: str) -> None:
    array = (stripped()[0] / 10).astype(dtype)
    array[16:19, 20:23, 20:23] = 0
    assert np.array_equal(foreground_mask(array[None], "nonzero"), array != 0)
    assert find_background(array) == Background(0.0, 0.0)


def test_values_near_0_are_no_background_in_a_scan_that_was_brought_to_mean_0() -> None:
    array, inside = stripped()
    array[inside] = (array[inside] - array[inside].mean()) / array[inside].std()
    assert (np.abs(array[inside]) < 0.05).mean() > 0.01
    assert np.array_equal(foreground_mask(array[None], "nonzero"), inside)


def test_truth_values_are_their_own_foreground() -> None:
    array = stripped()[1]
    assert np.array_equal(foreground_mask(array[None], "nonzero"), array)


@pytest.mark.parametrize("value", [-1.0, 1e-5, -1.4901161193847656e-06, -1024.0, 100.0, 1e6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_background_is_the_value_that_the_border_holds(value: float, dtype: str) -> None:
    array, inside = stripped()
    array = np.where(inside, array, value).astype(dtype)
    assert np.array_equal(foreground_mask(array[None], "nonzero"), inside)
    assert find_background(array) == Background(float(np.dtype(dtype).type(value)), 0.0)


def test_a_scan_that_was_shifted_as_a_whole_keeps_its_foreground() -> None:
    array, inside = stripped()
    for shifted in ((array - 1024).astype(np.int16), (array + 3000).astype(np.uint16), array.astype(np.float32) - 7):
        assert np.array_equal(foreground_mask(shifted[None], "nonzero"), inside)


@MODEST
@given(st.floats(-9, 9), st.floats(-100, 100), st.booleans())
def test_units_of_a_scan_do_not_matter(magnitude: float, shift: float, noisy: bool) -> None:
    array, inside = stripped()
    if noisy:
        array += np.where(inside, 0, np.random.default_rng(0).normal(0, 0.2, array.shape))
    found = foreground_mask((array * 10**magnitude + shift * 10**magnitude)[None], "nonzero")
    assert overlap(found, inside) > 0.999


@pytest.mark.parametrize("sign", [1, -1])
def test_noise_that_interpolation_leaves_around_0_is_background(sign: int) -> None:
    array, inside = stripped()
    array = sign * array + np.where(inside, 0, np.random.default_rng(0).normal(0, 1e-3, array.shape))
    assert np.array_equal(foreground_mask(array[None], "nonzero"), inside)
    assert find_background(array).tolerance > 0


def test_what_a_spline_leaves_around_a_scan_is_background() -> None:
    array, inside = stripped((60, 70, 64))
    turn = SimpleITK.Euler3DTransform([32.0, 35, 30], 0.2, 0.1, 0.3)
    turned, mask = (
        SimpleITK.GetArrayFromImage(SimpleITK.Resample(SimpleITK.GetImageFromArray(image), turn, interpolator))
        for image, interpolator in ((array, SimpleITK.sitkBSpline), (1.0 * inside, SimpleITK.sitkLinear))
    )
    truth = mask > 0.5
    assert (turned[~truth] < 0).any()
    assert overlap(turned != 0, truth) < 0.7
    found = foreground_mask(turned[None], "nonzero")
    assert overlap(found, truth) > 0.9
    assert not (truth & ~found).any()


def test_a_scan_that_is_cropped_through_its_middle_keeps_the_background_at_the_rest_of_its_border() -> None:
    array, inside = stripped()
    array[~inside] = -1
    cropped, there = array[14:26, 4:40, 4:36], inside[14:26, 4:40, 4:36]
    assert there[0].mean() > 0.5
    assert np.array_equal(foreground_mask(cropped[None], "nonzero"), there)


def test_a_crop_without_any_background_counts_as_a_whole() -> None:
    array = stripped()[0][12:24, 14:30, 14:28]
    assert (array != 0).all()
    assert foreground_mask(array[None], "nonzero").all()


def test_faces_of_other_constants_do_not_hide_a_background_of_0() -> None:
    array, _ = stripped()
    for number in range(6):
        axis, end = divmod(number, 2)
        array.swapaxes(0, axis)[-end] = 40.0 + number
    assert np.array_equal(foreground_mask(array[None], "nonzero"), array != 0)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("sigma", [4, 12, 40])
def test_air_that_is_noisy_is_not_stripped_away(dtype: str, sigma: float) -> None:
    generator = np.random.default_rng(0)
    array, inside = stripped()
    real, imaginary = array + generator.normal(0, sigma, array.shape), generator.normal(0, sigma, array.shape)
    head = np.hypot(real, imaginary).astype(dtype)
    assert foreground_mask(head[None], "nonzero")[~inside].mean() > 0.6


def test_around_a_padded_head_only_the_padding_is_background() -> None:
    head = np.abs(stripped()[0] + np.random.default_rng(0).normal(0, 10, (36, 44, 40))) + 1
    padded = np.pad(head, 5)
    assert np.array_equal(foreground_mask(padded[None], "nonzero"), padded != 0)


def test_every_channel_has_a_background_of_its_own() -> None:
    first, inside = stripped()
    second = np.where(inside, first / 1000, -3.0)
    second[:18] = -3.0
    assert np.array_equal(foreground_mask(np.stack([first, second]), "nonzero"), inside)
    assert np.array_equal(foreground_mask(np.stack([second, second]), "nonzero"), second != -3)


def test_everything_counts_where_the_model_says_so() -> None:
    assert foreground_mask(stripped()[0][None] - 1024, "all").all()


@pytest.mark.parametrize("array", [np.zeros((4, 5, 6)), np.full((4, 5, 6), 7, dtype=np.int16)])
def test_a_constant_scan_has_no_background_but_0(array: Array) -> None:
    assert find_background(array) == Background(0.0, 0.0)
