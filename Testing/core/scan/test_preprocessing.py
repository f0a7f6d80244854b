"""From a scan to what the network sees: intensities, positions, and inputs of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.errors import InputError, PackageFormatError
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside, Intensity
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND, normalise, position_channels, prepare
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from Testing.samples import scan

MODEST = settings(max_examples=25, deadline=None)


def z_scores(image: torch.Tensor, foreground: torch.Tensor) -> torch.Tensor:
    return normalise(image, foreground, Intensity())


def some_image(channels: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tissue and a foreground in the middle of it."""
    generator = torch.Generator().manual_seed(seed)
    image = 300 + 100 * torch.randn(channels, 9, 10, 11, generator=generator)
    foreground = torch.zeros(9, 10, 11, dtype=torch.bool)
    foreground[2:8, 1:9, 3:10] = True
    return image, foreground


def ball(shape: tuple[int, int, int], centre: tuple[float, float, float], radius: float) -> torch.Tensor:
    axes = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float32) - c for n, c in zip(shape, centre, strict=True)), indexing="ij"
    )
    return axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2 <= radius**2


def test_the_foreground_has_mean_0_and_deviation_1_in_every_channel() -> None:
    image, foreground = some_image(channels=3)
    image[1] *= 50
    out = z_scores(image, foreground)
    for channel in out:
        assert float(channel[foreground].mean()) == pytest.approx(0, abs=1e-5)
        assert float(channel[foreground].std()) == pytest.approx(1, abs=1e-5)


def test_outside_the_foreground_everything_is_background() -> None:
    image, foreground = some_image()
    out = z_scores(image, foreground)
    assert (out[0][~foreground] == BACKGROUND).all()
    assert not (out[0][foreground] == BACKGROUND).all()


@MODEST
@given(st.floats(0.1, 1000), st.floats(-1000, 1000))
def test_brightness_and_contrast_of_a_scan_do_not_matter(scale: float, shift: float) -> None:
    image, foreground = some_image()
    torch.testing.assert_close(
        z_scores(image * scale + shift, foreground), z_scores(image, foreground), atol=1e-4, rtol=0
    )


def test_what_lies_outside_the_foreground_does_not_matter() -> None:
    image, foreground = some_image()
    other = torch.where(foreground, image, torch.full_like(image, 1e6))
    assert torch.equal(z_scores(other, foreground), z_scores(image, foreground))


def test_a_few_extreme_voxels_hardly_matter() -> None:
    image, _ = some_image()
    image, foreground = image.tile(1, 3, 3, 3) + torch.arange(33), torch.ones(27, 30, 33, dtype=torch.bool)
    spiky = image.clone()
    spiky[0, 4, 4, :10] = 1e7
    spikes = spiky != image
    before, after = z_scores(image, foreground), z_scores(spiky, foreground)
    assert (after - before)[~spikes].abs().max() < 0.1
    assert (after - before)[~spikes].abs().mean() < 0.01
    assert after[spikes].max() < 4


def test_inverting_a_scan_is_noticed() -> None:
    image, foreground = some_image()
    assert not torch.allclose(z_scores(-image, foreground), z_scores(image, foreground), atol=0.1)


@pytest.mark.parametrize(("value", "text"), [(5.0, "constant"), (0.0, "constant")])
def test_a_constant_foreground_is_refused(value: float, text: str) -> None:
    _, foreground = some_image()
    with pytest.raises(InputError, match=text):
        z_scores(torch.full((1, 9, 10, 11), value), foreground)


def test_an_empty_foreground_is_refused() -> None:
    image, foreground = some_image()
    with pytest.raises(InputError, match="too small"):
        z_scores(image, torch.zeros_like(foreground))


def test_positions_are_centred_on_the_foreground() -> None:
    mask = ball((30, 32, 34), (12, 15, 20), 8)
    position = position_channels(mask)
    assert position.shape == (3, 30, 32, 34)
    assert position.dtype == torch.float32
    for channel in position:
        assert float(channel[mask].mean()) == pytest.approx(0, abs=1e-5)
        assert float(channel[mask].std()) == pytest.approx(0.5, abs=1e-3)


def test_positions_rise_along_right_anterior_and_superior() -> None:
    position = position_channels(ball((20, 22, 24), (10, 9, 11), 6))
    for channel, axis in ((0, 2), (1, 1), (2, 0)):
        along = position[channel].diff(dim=axis)
        assert (along > 0).all()
        across = [position[channel].diff(dim=other) for other in range(3) if other != axis]
        assert all((step == 0).all() for step in across)


def test_positions_of_a_mirrored_foreground_are_mirrored() -> None:
    mask = ball((20, 22, 24), (10, 9, 8), 6) | ball((20, 22, 24), (6, 12, 15), 3)
    position, mirrored = position_channels(mask), position_channels(mask.flip(2))
    torch.testing.assert_close(mirrored[0], -position[0].flip(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(mirrored[1:], position[1:].flip(3), atol=1e-5, rtol=0)


def test_positions_move_with_the_foreground() -> None:
    near, far = ball((40, 40, 40), (12, 15, 14), 8), ball((40, 40, 40), (20, 19, 17), 8)
    torch.testing.assert_close(
        position_channels(far)[:, 8:, 4:, 3:], position_channels(near)[:, :-8, :-4, :-3], atol=1e-5, rtol=0
    )


def test_a_few_stray_voxels_hardly_move_the_positions() -> None:
    mask = ball((48, 48, 48), (20, 20, 20), 14)
    stray = mask.clone()
    stray[47, 47, 43:48] = True
    assert (position_channels(stray) - position_channels(mask))[:, mask].abs().max() < 0.02


def test_a_foreground_one_voxel_thick_has_finite_positions() -> None:
    mask = torch.zeros(5, 6, 7, dtype=torch.bool)
    mask[2, 1:5, 3] = True
    assert position_channels(mask).isfinite().all()


def prepared(array: Array, spec: InputSpec | None = None, affine: Array | None = None) -> Any:
    return prepare(Volume(array, np.diag([1.0, 1, 1, 1]) if affine is None else affine), spec or InputSpec(), 4, True)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float64", ">i2", ">u2", ">f4", "int64", "float16"])
def test_scans_of_every_number_type_give_the_same_input(dtype: str) -> None:
    array = scan((14, 16, 15)).array
    if dtype == "float16":
        array = array // 2  # whole numbers to 2048 are exact
    expected, found = prepared(array.astype(np.float32)), prepared(array.astype(dtype))
    assert torch.equal(found.image, expected.image)
    assert torch.equal(found.foreground, expected.foreground)
    assert found.image.dtype == torch.float32
    assert found.region == expected.region


def test_truth_values_give_the_same_input_as_zeros_and_ones() -> None:
    array = scan((14, 16, 15)).array > 500
    spec = InputSpec(foreground="all")
    assert torch.equal(prepared(array, spec).image, prepared(array.astype(np.float32), spec).image)


@pytest.mark.parametrize("step", [(slice(None), slice(None, None, -1)), (slice(None), slice(None, None, 2))])
def test_arrays_that_are_views_give_the_same_input_as_their_copies(step: tuple[slice, slice]) -> None:
    view = scan((28, 16, 15)).array[step]
    assert not view.flags.c_contiguous or view.strides[1] < 0
    assert torch.equal(prepared(view).image, prepared(view.copy()).image)


def test_two_channels_are_normalised_apart_and_share_their_foreground() -> None:
    first = scan((14, 16, 15)).array
    second = np.where(first > 0, 7 + scan((14, 16, 15), seed=1).array % 50, 0).astype(np.int16)
    out = prepared(np.concatenate([first, second]), InputSpec(channels=("T1", "T2")))
    assert out.image.shape[0] == 2 + 3
    for channel in out.image[:2]:
        assert float(channel[out.foreground].mean()) == pytest.approx(0, abs=1e-4)
        assert float(channel[out.foreground].std()) == pytest.approx(1, abs=1e-4)
    assert torch.equal(out.image[0], prepared(first).image[0])


COARSE = InputSpec(spacing=(1.3, 1.7, 1.1))
"""A grid that no scan at 1 mm lies on, so that all of it is interpolated."""


@pytest.mark.parametrize(("scale", "shift"), [(1, 1000), (1, -2000), (-1, 0), (0.01, -5.505)])
def test_brightness_does_not_matter_where_a_scan_is_interpolated(scale: float, shift: float) -> None:
    array = scan((24, 26, 25)).array.astype(np.float64)
    plain, other = prepared(array, COARSE), prepared(np.where(array != 0, scale * array + shift, 0), COARSE)
    assert torch.equal(other.foreground, plain.foreground)
    sign = np.sign(scale)
    torch.testing.assert_close(
        sign * other.image[0][plain.foreground], plain.image[0][plain.foreground], atol=2e-3, rtol=0
    )


def test_what_lies_outside_mixes_into_nothing() -> None:
    array = scan((24, 26, 25)).array.astype(np.float64)
    flat = np.where(array != 0, 1000.0 + np.arange(25), 0)  # a ramp along R
    out = prepared(flat, InputSpec(spacing=(1.0, 1.7, 1.1)))
    values = out.image[0].masked_fill(~out.foreground, torch.nan)
    spread = [float(np.ptp(line[~line.isnan()].numpy())) for line in values.flatten(0, 1).T if not line.isnan().all()]
    assert len(spread) > 20
    assert max(spread) < 1e-3


@pytest.mark.parametrize("background", [-1024, -1, 1e-5, 40000])
def test_a_scan_with_another_background_is_seen_as_that_with_0(background: float) -> None:
    array = scan((24, 26, 25)).array.astype(np.float64)
    plain, other = prepared(array, COARSE), prepared(np.where(array != 0, array, background), COARSE)
    assert torch.equal(other.image, plain.image)
    assert other.region == plain.region


def test_a_straight_scan_at_the_models_spacing_is_copied_without_a_bit_of_loss() -> None:
    array = scan((24, 26, 25)).array
    out = prepared(array)
    inside = array[0][array[0] != 0].astype(np.float64)
    low, high = np.percentile(inside, (0.5, 99.5))
    clipped = torch.from_numpy(inside.clip(low, high))
    expected = ((clipped - clipped.mean()) / clipped.std()).float()
    assert torch.equal(out.image[0][out.foreground], expected)


@pytest.mark.parametrize(
    ("scale", "shift", "dtype"),
    [
        (1e300, 0, "float64"),
        (1e-300, 0, "float64"),
        (1e35, 0, "float32"),
        (1e-35, 0, "float32"),
        (1e-6, 1e6, "float64"),
        (1, 2**31 - 2**11, "int64"),
        (1, 1e6, "float32"),
        (10, 1e6, "int32"),
        (10, 2**15, "uint16"),
        (0.1, 0, "int8"),
    ],
)
@pytest.mark.parametrize("spec", [COARSE, InputSpec(foreground="all"), InputSpec()], ids=["coarse", "all", "aligned"])
def test_huge_tiny_and_distant_values_are_seen_as_they_are(
    scale: float, shift: float, dtype: str, spec: InputSpec
) -> None:
    array = scan((24, 26, 25)).array.astype(np.float64)
    other = (array * scale + shift).astype(dtype)
    assert len(np.unique(other)) > 50
    plain, out = prepared(array, spec), prepared(other, spec)
    same = plain.foreground & out.foreground
    assert same.sum() > 0.98 * plain.foreground.sum()
    tolerance = 0.1 if dtype == "int8" else 2e-3
    assert out.image.isfinite().all()
    assert float((out.image[0] - plain.image[0])[same].abs().mean()) < tolerance


def test_positions_are_left_out_where_the_network_uses_none() -> None:
    volume = scan((14, 16, 15))
    assert prepare(volume, InputSpec(), 4, False).image.shape[0] == 1
    assert prepare(volume, InputSpec(), 4, True).image.shape[0] == 4


def test_the_region_is_the_box_of_what_is_not_zero() -> None:
    array = np.zeros((1, 20, 21, 22), dtype=np.int16)
    array[0, 3:9, 5:15, 7:20] = np.random.default_rng(0).integers(1, 900, (6, 10, 13))
    out = prepared(array)
    assert out.region == ((3, 5, 7), (9, 15, 20))
    assert int(out.foreground.sum()) == 6 * 10 * 13
    assert all(n % 4 == 0 for n in out.foreground.shape)


def test_zero_counts_where_the_model_says_that_everything_does() -> None:
    array = np.zeros((1, 8, 8, 8), dtype=np.int16)
    array[0, 2:6, 2:6, 2:6] = 100
    out = prepared(array, InputSpec(foreground="all"))
    assert out.region == ((0, 0, 0), (8, 8, 8))
    assert (out.image[0] != BACKGROUND).all()


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((1, 8, 8, 8)), "empty"),
        (np.full((1, 8, 8, 8), 7), "constant"),
        (np.ones((2, 8, 8, 8)), r"1 channel\(s\) \(T1\).*has 2"),
        (np.ones((3, 8, 8, 8), dtype=np.uint8), "has 3"),
    ],
)
def test_scans_without_content_or_with_other_channels_are_refused(array: Array, text: str) -> None:
    with pytest.raises(InputError, match=text):
        prepared(array)


def test_a_scan_longer_than_any_patient_is_refused_before_memory_is_spent() -> None:
    with pytest.raises(InputError, match="spacing is wrong"):
        prepared(scan((14, 16, 15)).array, affine=np.diag([1000.0, 1, 1, 1]))


@pytest.mark.parametrize(
    "entry",
    [
        {"foreground": "brain"},
        {"spacing": (1.0, 1.0)},
        {"spacing": (1.0, 1.0, 0.0)},
        {"spacing": (1.0, 1.0, float("nan"))},
        {"spacing": (1.0, 1.0, 100.0)},
        {"channels": ()},
        {"margin_mm": -1.0},
        {"margin_mm": float("nan")},
    ],
)
def test_an_input_that_no_network_can_have_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(PackageFormatError):
        InputSpec(**entry)


def test_an_input_description_survives_json() -> None:
    spec = InputSpec(("T1", "T2"), (0.5, 1.0, 2.0), "all", 7.5)
    assert InputSpec.from_json(spec.to_json()) == spec


# Intensity schemes


def ct(seed: int = 0) -> Array:
    """A scan in Hounsfield units: air, fat, soft tissue and bone, with noise; (1, k, j, i) int16."""
    rng = np.random.default_rng(seed)
    values = rng.choice([-1000, -100, 40, 1200], (12, 16, 12)) + rng.normal(0, 5, (12, 16, 12))
    return np.asarray(values.astype(np.int16)[None])


def window_of(low: float, high: float) -> InputSpec:
    return InputSpec(("CT",), foreground="all", margin_mm=0, intensity=Intensity("window", low, high))


def test_a_fixed_window_maps_its_ends_to_minus_1_and_1_and_clips_the_rest() -> None:
    array = ct()
    image = prepared(array, window_of(-160, 240)).image[0]
    assert torch.equal(image, torch.from_numpy((array[0].astype(np.float64).clip(-160, 240) + 160) / 200 - 1).float())
    assert (image.min(), image.max()) == (-1, 1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_a_fixed_window_sees_the_same_values_whatever_else_is_in_the_scan(dtype: str) -> None:
    array = ct().astype(dtype)
    brighter = np.where(array > 1000, array + 3000, array)
    spec = window_of(-160, 240)
    assert torch.equal(prepared(array, spec).image, prepared(ct(), spec).image)
    assert torch.equal(prepared(brighter, spec).image, prepared(array, spec).image)
    assert not torch.equal(prepared(array + 10, spec).image, prepared(array, spec).image)


def test_values_that_single_precision_would_rescale_stay_in_the_window_they_are_in() -> None:
    array = ct().astype(np.float64)
    array[0, 0, 0, 0] = 1e33
    image = prepared(array, window_of(-160, 240)).image
    assert bool(torch.isfinite(image).all())
    assert torch.equal(image[0, 2:-2, 2:-2, 2:-2], prepared(ct(), window_of(-160, 240)).image[0, 2:-2, 2:-2, 2:-2])


@pytest.mark.parametrize(("low", "high"), [(3000, 4000), (-5000, -4000)])
def test_a_scan_outside_of_the_window_is_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match=rf"nothing between the values {low} and {high}.*Hounsfield"):
        prepared(ct(), window_of(low, high))


def test_percentiles_of_the_foreground_become_minus_1_and_1() -> None:
    image, foreground = some_image()
    out = normalise(image, foreground, Intensity("percentiles", 10, 90))
    low, high = np.percentile(image[0][foreground].double().numpy(), (10, 90))
    inside = image[0][foreground]
    torch.testing.assert_close(out[0][foreground], ((inside - low) / (high - low) * 2 - 1).float().clamp(-1, 1))
    assert bool((out[0][~foreground] == BACKGROUND).all())
    assert torch.allclose(out, normalise(image * 3 + 7, foreground, Intensity("percentiles", 10, 90)), atol=1e-5)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"scheme": "histogram"}, 'unknown intensity scheme "histogram"'),
        ({"scheme": "z-score", "low": 1}, "neither low nor high"),
        ({"scheme": "window"}, "low that is less"),
        ({"scheme": "window", "low": 5, "high": 5}, "low that is less"),
        ({"scheme": "window", "low": 0, "high": float("inf")}, "low that is less"),
        ({"scheme": "percentiles", "low": -1, "high": 99}, "from 0 to 100"),
        ({"scheme": "percentiles", "low": 1, "high": 101}, "from 0 to 100"),
        ({"scheme": "window", "low": 0, "high": 1, "gamma": 2}, 'unknown entry "gamma"'),
    ],
)
def test_an_intensity_scheme_that_cannot_be_used_is_refused(entry: dict[str, Any], text: str) -> None:
    with pytest.raises(PackageFormatError, match=text):
        Intensity.from_json(entry)


@pytest.mark.parametrize(
    "spec",
    [
        InputSpec(intensity=Intensity("window", -1000, 400)),
        InputSpec(intensity=Intensity("percentiles", 1, 99)),
        InputSpec(inside=Inside("head", "Brain", 5)),
    ],
    ids=["window", "percentiles", "inside"],
)
def test_schemes_and_what_the_input_lies_inside_survive_json(spec: InputSpec) -> None:
    assert InputSpec.from_json(spec.to_json()) == spec
    assert not spec.is_plain


def test_a_plain_input_is_described_as_it_always_was() -> None:
    assert set(InputSpec().to_json()) == {"channels", "spacing", "foreground", "margin_mm"}
    assert InputSpec().is_plain


def test_what_another_model_found_takes_the_place_of_the_foreground() -> None:
    volume = scan((14, 16, 15))
    found = np.zeros(volume.shape, dtype=bool)
    found[4:9, 5:11, 3:10] = True
    spec = InputSpec(inside=Inside("head", "Brain", 5))
    plain, inside = prepare(volume, spec, 4, False), prepare(volume, spec, 4, False, found)
    assert int(inside.foreground.sum()) == int(found.sum()) < int(plain.foreground.sum())
    assert inside.region == ((4, 5, 3), (9, 11, 10))
    values = inside.image[0][inside.foreground]
    assert float(values.mean()) == pytest.approx(0, abs=1e-5)
