"""Grids and resampling: what is copied is copied exactly, what is straight stays straight, and a part is the same as
the whole.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.scan.geometry import (
    Grid,
    Shape,
    bounding_box,
    needed_box,
    network_grid,
    resample,
    smooth_for,
)
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.preprocessing import prepare
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Array, Volume

MODEST = settings(max_examples=30, deadline=None)
ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]

sizes = st.tuples(*[st.integers(1, 9)] * 3)
spacings = st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 1.3, 2.0, 3.0])] * 3)
points = st.tuples(*[st.floats(-60, 60)] * 3)
angles = st.tuples(*[st.floats(-3.1, 3.1)] * 3)


def rotation(x: float, y: float, z: float) -> Array:
    """Right-handed turns about R, then A, then S."""
    about_r = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_a = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_s = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    turned: Array = about_s @ about_a @ about_r
    return turned


def affine_of(linear: Array, origin: tuple[float, float, float] = (0, 0, 0)) -> Affine:
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = origin
    return affine


def turned(
    order: tuple[int, ...],
    signs: tuple[int, ...],
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float],
) -> Affine:
    """Voxel axis n runs along world axis `order[n]`, in the direction `signs[n]`."""
    linear = np.zeros((3, 3))
    for axis in range(3):
        linear[order[axis], axis] = signs[axis] * spacing[axis]
    return affine_of(linear, origin)


def positions(grid: Grid) -> torch.Tensor:
    """(k, j, i, 3) RAS millimetres of every voxel, float64."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")
    index = np.stack([i, j, k, np.ones_like(i)], axis=-1).astype(np.float64)
    return torch.from_numpy((index @ grid.affine.T)[..., :3])


@st.composite
def grids(draw: st.DrawFn, oblique: bool | None = None) -> Grid:
    """A grid of any place, spacing and orientation; along the axes, oblique, or either."""
    if draw(st.booleans()) if oblique is None else oblique:
        linear = rotation(*draw(angles)) @ np.diag(draw(spacings))
    else:
        linear = turned(*draw(st.sampled_from(ORIENTATIONS)), draw(spacings), (0, 0, 0))[:3, :3]
    return Grid(affine_of(linear, draw(points)), draw(sizes))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Grid, Grid]:
    """Two grids that lie over one another, along the same axes or oblique to each other."""
    source = draw(grids())
    centre = source.affine @ np.append((np.array(source.shape[::-1]) - 1) / 2, 1)
    if draw(st.booleans()):
        linear = (
            source.affine[:3, :3]
            @ turned(*draw(st.sampled_from(ORIENTATIONS)), (1, 1, 1), (0, 0, 0))[:3, :3]
            @ np.diag(draw(spacings))
        )
    else:
        linear = rotation(*draw(angles)) @ np.diag(draw(spacings))
    shape = draw(sizes)
    origin = (
        centre[:3] + np.array(draw(st.tuples(*[st.floats(-2, 2)] * 3))) - linear @ ((np.array(shape[::-1]) - 1) / 2)
    )
    return source, Grid(affine_of(linear, tuple(origin)), shape)


def noise(grid: Grid, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(*grid.shape, channels, generator=torch.Generator().manual_seed(seed))


def inside(source: Grid, target: Grid, slack: float = 1e-6) -> torch.Tensor:
    """(k, j, i): which target voxels lie between voxel centres of the source."""
    index = (positions(target).numpy() - source.affine[:3, 3]) @ np.linalg.inv(source.affine[:3, :3]).T
    last = np.array(source.shape[::-1]) - 1
    return torch.from_numpy(((index >= -slack) & (index <= last + slack)).all(-1))


# Grids


@MODEST
@given(grids(), st.integers(1, 4))
def test_a_coarser_voxel_lies_at_the_mean_of_its_block(grid: Grid, factor: int) -> None:
    coarse = grid.coarser(factor)
    assert all((n - 1) * factor < fine <= n * factor for n, fine in zip(coarse.shape, grid.shape, strict=True))
    whole = Grid(grid.affine, tuple(n * factor for n in coarse.shape))  # type: ignore[arg-type]
    blocks = positions(whole).reshape(coarse.shape[0], factor, coarse.shape[1], factor, coarse.shape[2], factor, 3)
    torch.testing.assert_close(positions(coarse), blocks.mean((1, 3, 5)), atol=1e-9, rtol=1e-9)


@MODEST
@given(grids(), st.data())
def test_a_box_holds_the_voxels_it_was_cut_from(grid: Grid, data: st.DataObject) -> None:
    start, stop = data.draw(boxes(grid.shape))
    part = grid.box(start, stop)
    assert part.shape == tuple(b - a for a, b in zip(start, stop, strict=True))
    torch.testing.assert_close(
        positions(part),
        positions(grid)[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))],
        atol=1e-9,
        rtol=1e-9,
    )


@MODEST
@given(grids(), st.tuples(*[st.floats(-20, 20)] * 3))
def test_the_index_of_a_voxel_position_is_the_voxel(grid: Grid, index: tuple[float, float, float]) -> None:
    position = (
        grid.affine[:3, 0] * index[0]
        + grid.affine[:3, 1] * index[1]
        + grid.affine[:3, 2] * index[2]
        + grid.affine[:3, 3]
    )
    np.testing.assert_allclose(grid.index_of(position), index, atol=1e-8)


@MODEST
@given(grids(), grids(), grids())
def test_going_by_way_of_a_third_grid_leads_to_the_same_place(a: Grid, b: Grid, c: Grid) -> None:
    np.testing.assert_allclose(b.to(c) @ a.to(b), a.to(c), atol=1e-8)
    np.testing.assert_allclose(a.to(a), np.eye(4), atol=1e-9)


def test_a_bounding_box_is_tight_and_none_where_there_is_nothing() -> None:
    mask = np.zeros((5, 6, 7), dtype=bool)
    assert bounding_box(mask) is None
    mask[1, 2, 3] = mask[3, 2, 6] = True
    assert bounding_box(mask) == ((1, 2, 3), (4, 3, 7))


# Resampling


@MODEST
@given(grids())
def test_a_grid_resampled_onto_itself_is_bit_equal(grid: Grid) -> None:
    source = noise(grid)
    assert torch.equal(resample(source, grid, grid), source)


@pytest.mark.parametrize("turn", [0.0, 1e-6], ids=["straight", "hardly turned"])
def test_a_grid_that_is_off_by_rounding_errors_only_copies_without_a_bit_of_loss(turn: float) -> None:
    source = Grid(np.eye(4), (6, 7, 8))
    target = Grid(affine_of(rotation(turn, turn, turn), (2e-5, -3e-5, 1e-5)), (6, 7, 8))
    values = noise(source)
    assert torch.equal(resample(values, source, target), values)


@MODEST
@given(pairs(), st.tuples(*[st.floats(-0.05, 0.05)] * 3), st.floats(-5, 5))
def test_straight_ramps_stay_straight_on_any_grid(
    grids_: tuple[Grid, Grid], slope: tuple[float, float, float], offset: float
) -> None:
    source, target = grids_
    direction = torch.tensor(slope, dtype=torch.float64)
    found = resample(((positions(source) @ direction) + offset).float()[..., None], source, target)[..., 0]
    expected = (positions(target) @ direction) + offset
    within = inside(source, target)
    torch.testing.assert_close(found[within].double(), expected[within], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.4], ids=["straight", "oblique"])
def test_the_ramp_test_compares_something(angle: float) -> None:
    source = Grid(np.eye(4), (9, 9, 9))
    target = Grid(affine_of(rotation(angle, angle, 0) * 0.7, (2.5, 3, 2.2)), (5, 5, 5))
    assert inside(source, target).float().mean() > 0.8
    found = resample(positions(source).float(), source, target)
    torch.testing.assert_close(
        found[inside(source, target)].double(), positions(target)[inside(source, target)], atol=2e-4, rtol=0
    )


@pytest.mark.parametrize("shape", [(6, 7, 8), (1, 5, 4), (3, 1, 1)])
def test_twice_as_fine_is_what_torch_makes_of_it(shape: Shape) -> None:
    fine = Grid(affine_of(np.diag([0.8, 1.1, 1.7]), (3, -2, 9)), tuple(2 * n for n in shape))  # type: ignore[arg-type]
    source = noise(fine.coarser(2), channels=4)
    expected = torch.nn.functional.interpolate(
        source.permute(3, 0, 1, 2)[None], scale_factor=2, mode="trilinear", align_corners=False
    )
    torch.testing.assert_close(
        resample(source, fine.coarser(2), fine), expected[0].permute(1, 2, 3, 0), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_permuted_and_mirrored_grids_copy_without_a_bit_of_loss(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    source = Grid(np.eye(4), (4, 5, 6))
    values = noise(source)
    extent = [source.shape[2 - axis] for axis in order]  # of the target, along its i, j, k
    origin = [0.0, 0.0, 0.0]
    for axis in range(3):
        if signs[axis] < 0:
            origin[order[axis]] = extent[axis] - 1
    target = Grid(turned(order, signs, (1, 1, 1), (origin[0], origin[1], origin[2])), (extent[2], extent[1], extent[0]))
    expected = values.permute(*(2 - order[axis] for axis in (2, 1, 0)), 3).flip(
        [2 - axis for axis in range(3) if signs[axis] < 0]
    )
    assert torch.equal(resample(values, source, target), expected)


@st.composite
def boxes(draw: st.DrawFn, shape: Shape) -> tuple[Shape, Shape]:
    starts = [draw(st.integers(0, n - 1)) for n in shape]
    stops = [draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    return (starts[0], starts[1], starts[2]), (stops[0], stops[1], stops[2])


@settings(max_examples=80, deadline=None)
@given(pairs(), st.booleans(), st.data())
def test_every_box_is_bit_equal_to_the_whole_even_from_the_block_it_needs(
    grids_: tuple[Grid, Grid], nearest: bool, data: st.DataObject
) -> None:
    source, target = grids_
    values = noise(source)
    whole = resample(values, source, target, nearest=nearest)
    start, stop = data.draw(boxes(target.shape))
    low, high = needed_box(source, target, start, stop)
    assert all(0 <= a < b <= n for a, b, n in zip(low, high, source.shape, strict=True))
    block = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    expected = whole[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    assert torch.equal(resample(values, source, target, start, stop, nearest=nearest), expected)
    assert torch.equal(resample(block, source, target, start, stop, low, nearest=nearest), expected)


@pytest.mark.parametrize("angle", [0.0, 0.3], ids=["straight", "oblique"])
def test_slabs_of_a_larger_grid_are_bit_equal_to_the_whole(angle: float) -> None:
    source = Grid(affine_of(np.diag([2.0, 2, 2])), (12, 13, 14))
    target = Grid(affine_of(rotation(angle, angle / 2, 0) @ np.diag([0.9, 1, 1.1])), (23, 24, 25))
    values = noise(source, channels=16)
    whole = resample(values, source, target)
    for step in (1, 5, 8):
        slabs = []
        for k in range(0, 23, step):
            start, stop = (k, 0, 0), (min(k + step, 23), 24, 25)
            low, high = needed_box(source, target, start, stop)
            block = values[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
            slabs.append(resample(block, source, target, start, stop, low))
        assert torch.equal(torch.cat(slabs), whole)


@pytest.mark.parametrize("angle", [0.0, 0.3], ids=["straight", "oblique"])
def test_values_at_a_point_do_not_depend_on_how_many_channels_there_are(angle: float) -> None:
    source = Grid(np.eye(4), (6, 7, 8))
    target = Grid(affine_of(rotation(0, angle, angle) * 0.6, (0.3, 0.2, 0.1)), (9, 9, 9))
    values = noise(source, channels=7)
    assert torch.equal(
        resample(values, source, target)[..., 2:3], resample(values[..., 2:3].contiguous(), source, target)
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16])
def test_nearest_keeps_the_kind_of_number_and_makes_no_new_values(dtype: torch.dtype) -> None:
    source = Grid(np.eye(4), (5, 6, 7))
    values = torch.arange(5 * 6 * 7).reshape(5, 6, 7, 1).to(dtype)
    for shift in (-0.49, 0.0, 0.3, 0.49):
        target = Grid(affine_of(np.eye(3), (shift, shift, -shift)), (5, 6, 7))
        found = resample(values, source, target, nearest=True)
        assert found.dtype == dtype
        assert torch.equal(found, values)


def test_nearest_on_an_oblique_grid_takes_the_voxel_that_a_point_lies_in() -> None:
    source = Grid(np.eye(4), (9, 9, 9))
    target = Grid(affine_of(rotation(0.3, 0.2, 0.5), (3, 2, 3)), (4, 4, 4))
    found = resample(positions(source).float(), source, target, nearest=True)
    within = inside(source, target)
    assert within.float().mean() > 0.7
    assert (found.double() - positions(target))[within].abs().max() <= 0.5 + 1e-3
    assert (found == found.round()).all()


@pytest.mark.parametrize("nearest", [False, True])
def test_outside_a_grid_its_border_goes_on(nearest: bool) -> None:
    source = Grid(affine_of(np.diag([1.5, 1, 2])), (4, 5, 6))
    target = source.box((-3, -2, -1), (8, 7, 9))
    values = noise(source)
    padded = torch.nn.functional.pad(values.permute(3, 0, 1, 2)[None], (1, 3, 2, 2, 3, 4), mode="replicate")[0].permute(
        1, 2, 3, 0
    )
    assert torch.equal(resample(values, source, target, nearest=nearest), padded)


def test_far_outside_an_oblique_grid_finds_the_nearest_corner() -> None:
    source = Grid(np.eye(4), (3, 3, 3))
    values = noise(source)
    target = Grid(affine_of(rotation(0.2, 0.1, 0.3), (50, 50, 50)), (2, 2, 2))
    assert torch.equal(resample(values, source, target), values[2, 2, 2].expand(2, 2, 2, 3))


def test_half_precision_is_interpolated_in_full_precision() -> None:
    source = Grid(np.eye(4), (5, 6, 7))
    target = Grid(affine_of(np.eye(3) * 0.37), (9, 9, 9))
    values = noise(source).half()
    found = resample(values, source, target)
    assert found.dtype == torch.float32
    assert torch.equal(found, resample(values.float(), source, target))


# The network's grid


@MODEST
@given(grids(), spacings, st.floats(0, 9), st.sampled_from([1, 4, 16]))
def test_the_networks_grid_covers_the_region_and_its_margin(
    region: Grid, spacing: tuple[float, float, float], margin: float, multiple: int
) -> None:
    grid = network_grid(region, spacing, margin, multiple)
    np.testing.assert_allclose(grid.affine[:3, :3], np.diag(spacing))
    assert all(n % multiple == 0 for n in grid.shape)
    ras = positions(region).reshape(-1, 3).numpy()
    first, last = grid.affine[:3, 3], grid.affine[:3, 3] + (np.array(grid.shape[::-1]) - 1) * spacing
    slack = 1e-3 * np.array(spacing)
    assert (ras.min(0) - margin >= first - slack).all()
    assert (ras.max(0) + margin <= last + slack).all()
    surplus = (last - first) / spacing - (np.ptp(ras, axis=0) + 2 * margin) / spacing
    assert (surplus < multiple + 3).all()


@MODEST
@given(st.sampled_from(ORIENTATIONS), spacings, points, sizes, st.floats(0, 9), st.sampled_from([1, 4, 16]))
def test_voxels_of_an_aligned_scan_of_the_same_spacing_coincide(
    orientation: tuple[tuple[int, ...], tuple[int, ...]],
    steps: tuple[float, float, float],
    origin: tuple[float, float, float],
    shape: Shape,
    margin: float,
    multiple: int,
) -> None:
    order, signs = orientation
    region = Grid(turned(order, signs, steps, origin), shape)
    along_ras = [0.0, 0.0, 0.0]
    for axis in range(3):
        along_ras[order[axis]] = steps[axis]
    grid = network_grid(region, (along_ras[0], along_ras[1], along_ras[2]), margin, multiple)
    mapping = region.to(grid)
    np.testing.assert_allclose(mapping, np.rint(mapping), atol=1e-6)
    values = noise(region)
    assert torch.equal(resample(resample(values, region, grid), grid, region), values)


@MODEST
@given(grids(), spacings, st.floats(0, 9), st.sampled_from([1, 4, 16]), st.integers(0, 2**32 - 1))
def test_the_networks_grid_covers_every_voxel_of_a_foreground(
    region: Grid, spacing: tuple[float, float, float], margin: float, multiple: int, seed: int
) -> None:
    foreground = np.random.default_rng(seed).random(region.shape) < 0.1
    foreground[0, 0, 0] = True
    grid = network_grid(region, spacing, margin, multiple, foreground)
    ras = positions(region)[torch.from_numpy(foreground)].numpy()
    first, last = grid.affine[:3, 3], grid.affine[:3, 3] + (np.array(grid.shape[::-1]) - 1) * spacing
    slack = 1e-3 * np.array(spacing)
    assert (ras.min(0) - margin >= first - slack).all()
    assert (ras.max(0) + margin <= last + slack).all()


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::7])
def test_the_networks_grid_of_a_straight_scan_is_that_of_its_box(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    region = Grid(turned(order, signs, (0.7, 1.2, 1.9), (-31.3, 17.1, 44.9)), (14, 12, 16))
    ball = np.zeros(region.shape, dtype=bool)
    ball[3:10, :, 5:9] = ball[:, 4:8, 5:9] = ball[3:10, 4:8] = True
    box, around = (network_grid(region, (1.0, 1.1, 0.9), 2.0, 4, mask) for mask in (None, ball))
    assert np.array_equal(box.affine, around.affine)
    assert box.shape == around.shape


def test_the_corners_of_an_oblique_region_take_no_room() -> None:
    region = Grid(affine_of(rotation(0.5, 0.6, 0.7)), (61, 61, 61))
    index = np.stack(np.meshgrid(*[np.arange(-30, 31)] * 3, indexing="ij"))
    ball = (index**2).sum(0) <= 30**2
    assert network_grid(region, (1.0, 1.0, 1.0), 0.0, 1, ball).shape == (61, 61, 61)
    assert min(network_grid(region, (1.0, 1.0, 1.0), 0.0, 1).shape) > 75


# There and back


def in_space(grid: Grid) -> Array:
    """(k, j, i): a head-like thing that is the same in space whatever grid it is sampled on; 0 outside of
    an ellipsoid.
    """
    x, y, z = positions(grid).numpy().transpose(3, 0, 1, 2)
    inside = (x / 22) ** 2 + (y / 28) ** 2 + (z / 24) ** 2 <= 1
    return np.where(inside, 500 + 200 * np.sin(x / 5) + 150 * np.cos(y / 6 + z / 9) + 60 * np.sin(z / 4), 0.0)


@pytest.mark.parametrize("lean", [(0.0, 0.3, 0.0), (0.2, -0.25, 0.15)], ids=["gantry tilt", "all axes"])
def test_a_sheared_scan_is_seen_as_the_straight_one_is(lean: tuple[float, float, float]) -> None:
    shear = np.array([[1, lean[0], lean[2]], [0, 1, lean[1]], [0, 0, 1.0]])
    straight, sheared = (
        Grid(affine_of(linear, tuple(-linear @ np.array([40, 45, 42]))), (85, 91, 81)) for linear in (np.eye(3), shear)
    )
    spec = InputSpec(spacing=(1.5, 1.5, 1.5))
    here, there = (prepare(Volume(in_space(grid)[None], grid.affine), spec, 4, False) for grid in (straight, sheared))
    assert np.ptp([here.grid.shape, there.grid.shape], axis=0).max() <= 4
    moved = resample(torch.stack([there.image[0], 1.0 * there.foreground], dim=-1), there.grid, here.grid)
    both = here.foreground & (moved[..., 1] > 0.99)
    assert float(both.sum() / here.foreground.sum()) > 0.8
    assert float((moved[..., 0] - here.image[0])[both].abs().mean()) < 0.05
    assert Grid.of(Volume(in_space(sheared)[None], sheared.affine)).box(*there.region).shape < sheared.shape


def coordinate_volume(affine: Affine, shape: Shape) -> Volume:
    """A scan whose intensity is a slanted ramp through space, so that every wrong turn shows."""
    ramp = positions(Grid(affine, shape)).numpy() @ np.array([1.0, 2.3, 5.1]) + 1000
    return Volume(ramp[None].astype(np.float64), affine)


def returned(volume: Volume, spec: InputSpec) -> tuple[Array, Array]:
    """A scan's own values, and what came back from the network's grid, scaled alike by their middle half, where nothing
    is clipped or replicated.
    """
    prepared = prepare(volume, spec, 4, with_position=False)
    target = Grid.of(volume).box(*prepared.region)
    assert target.shape == volume.shape
    back = resample(prepared.image.movedim(0, -1), prepared.grid, target)[..., 0].double().numpy()
    middle = tuple(slice(n // 4, n - n // 4) for n in volume.shape)
    before, after = volume.array[0][middle].ravel(), back[middle].ravel()
    return (before - before.mean()) / before.std(), (after - after.mean()) / after.std()


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_scan_of_any_orientation_comes_back_to_its_own_voxels(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    volume = coordinate_volume(turned(order, signs, (0.7, 1.2, 1.9), (-31, 17, 44)), (12, 14, 17))
    before, after = returned(volume, InputSpec(foreground="all"))
    np.testing.assert_allclose(after, before, atol=2e-3)


@pytest.mark.parametrize("angle", [(0.1, 0.0, 0.0), (0.3, -0.4, 0.5), (2.0, 1.0, -3.0)])
def test_an_oblique_scan_comes_back_to_its_own_voxels(angle: tuple[float, float, float]) -> None:
    volume = coordinate_volume(affine_of(rotation(*angle) @ np.diag([0.8, 1.1, 1.4]), (9, -50, 3)), (24, 26, 28))
    before, after = returned(volume, InputSpec(foreground="all"))
    np.testing.assert_allclose(after, before, atol=5e-3)


def test_the_round_trip_notices_a_scan_that_was_mirrored() -> None:
    volume = coordinate_volume(np.eye(4), (12, 14, 17))
    prepared = prepare(volume, InputSpec(foreground="all"), 4, with_position=False)
    back = resample(prepared.image.flip(-1).movedim(0, -1), prepared.grid, Grid.of(volume))[..., 0].numpy()
    assert np.corrcoef(back[3:9, 4:10, 4:13].ravel(), volume.array[0, 3:9, 4:10, 4:13].ravel())[0, 1] < 0.99


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[::5])
def test_positions_on_the_networks_grid_come_back_as_the_positions_of_the_voxels(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    volume = coordinate_volume(turned(order, signs, (0.7, 1.2, 1.9), (-31, 17, 44)), (12, 14, 17))
    prepared = prepare(volume, InputSpec(foreground="all", spacing=(1.1, 0.9, 1.3)), 8, with_position=False)
    back = resample(positions(prepared.grid).float(), prepared.grid, Grid.of(volume))
    torch.testing.assert_close(back.double(), positions(Grid.of(volume)), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "linear",
    [np.diag([-0.8, 1.2, 1.5]), rotation(0.4, 0.2, 0.7) @ np.diag([0.8, 1.2, 1.5])],
    ids=["straight", "oblique"],
)
def test_the_foreground_comes_back_where_it_was(linear: Array) -> None:
    grid = Grid(affine_of(linear, (12, -7, 30)), (24, 28, 36))
    centre = positions(grid).mean((0, 1, 2)) + torch.tensor([2.0, -1, 1])
    mask = ((positions(grid) - centre) ** 2 / torch.tensor([100.0, 64, 49])).sum(-1) <= 1
    ramp = positions(grid) @ torch.tensor([1.0, 2, 3], dtype=torch.float64) + 500
    prepared = prepare(Volume((ramp * mask).numpy()[None], grid.affine), InputSpec(), 4, with_position=False)
    back = resample(prepared.foreground.float()[..., None], prepared.grid, grid.box(*prepared.region))[..., 0] > 0.5
    truth = mask[tuple(slice(a, b) for a, b in zip(*prepared.region, strict=True))]
    assert 2 * int((back & truth).sum()) / int(back.sum() + truth.sum()) > 0.95


# Smoothing


@pytest.mark.parametrize("factors", [(2.0, 3.0, 1.5), (1.0, 1.0, 6.0)])
def test_smoothing_keeps_constants(factors: tuple[float, float, float]) -> None:
    source = torch.full((2, 7, 8, 9), 3.25)
    torch.testing.assert_close(smooth_for(source, factors), source, atol=1e-5, rtol=0)


def test_smoothing_keeps_the_sum_of_what_lies_off_the_border() -> None:
    source = torch.zeros(1, 31, 33, 35)
    source[0, 14:17, 15:18, 17] = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    out = smooth_for(source, (2.0, 3.0, 2.5))
    assert float(out.sum()) == pytest.approx(float(source.sum()), rel=1e-5)
    assert float(out.max()) < float(source.max()) / 2


@pytest.mark.parametrize("factors", [(1.0, 1.0, 1.0), (0.3, 0.9, 1.0)])
def test_no_coarser_means_no_smoothing(factors: tuple[float, float, float]) -> None:
    source = torch.randn(1, 5, 6, 7)
    assert torch.equal(smooth_for(source, factors), source)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_only_the_axes_that_become_coarser_are_smoothed(axis: int) -> None:
    source = torch.zeros(1, 15, 15, 15)
    source[0, 7, 7, 7] = 1
    factors = [1.0, 1.0, 1.0]
    factors[axis] = 3.0
    out = smooth_for(source, (factors[0], factors[1], factors[2]))[0]
    touched = [bool(out.movedim(other, 0)[torch.arange(15) != 7].any()) for other in range(3)]
    assert touched == [other == axis for other in range(3)]
    torch.testing.assert_close(out, out.flip(axis), atol=1e-7, rtol=0)


def test_a_pattern_too_fine_for_the_coarse_grid_is_smoothed_away() -> None:
    stripes = torch.ones(1, 4, 4, 32)
    stripes[..., ::2] = -1
    assert smooth_for(stripes, (1.0, 1.0, 3.0))[..., 8:-8].abs().max() < 0.05
