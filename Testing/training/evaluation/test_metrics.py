"""Metrics of two masks: against shapes whose answer is known, a brute-force computation, and MONAI on the uncropped
masks.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.scan.volume import Array
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from Training.evaluation.metrics import FAR_VOXELS, TOLERANCE_MM, compare

ISOTROPIC = (1.0, 1.0, 1.0)


def ball(radius: float, spacing: tuple[float, float, float] = ISOTROPIC, size: int = 48) -> Array:
    """A ball in the middle of the grid, radius in mm."""
    k, j, i = np.indices((size, size, size)) - (size - 1) / 2
    mask: Array = (i * spacing[0]) ** 2 + (j * spacing[1]) ** 2 + (k * spacing[2]) ** 2 <= radius**2
    return mask


def cube(start: tuple[int, int, int], edge: int = 10, shape: tuple[int, int, int] = (40, 40, 40)) -> Array:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(s, s + edge) for s in start)] = True
    return mask


def random_masks(seed: int) -> tuple[Array, Array]:
    """Two overlapping blobs on a small grid that touch its border now and then."""
    generator = np.random.default_rng(seed)
    shape = tuple(int(n) for n in generator.integers(4, 10, 3))
    noise = generator.random(shape)
    return noise > 0.6, (noise + 0.5 * generator.random(shape)) > 0.9


def surface(mask: Array, spacing: tuple[float, float, float]) -> Array:
    """Positions (n, 3) in mm of the voxels with a face neighbour outside: voxel by voxel, without any library."""
    out = []
    for k, j, i in np.argwhere(mask):
        neighbours = [(k - 1, j, i), (k + 1, j, i), (k, j - 1, i), (k, j + 1, i), (k, j, i - 1), (k, j, i + 1)]
        if any(not (all(0 <= p < n for p, n in zip(at, mask.shape, strict=True)) and mask[at]) for at in neighbours):
            out.append((i * spacing[0], j * spacing[1], k * spacing[2]))
    return np.array(out, dtype=np.float64)


def test_concentric_balls_are_as_far_apart_as_their_radii() -> None:
    scores = compare(ball(12), ball(17), ISOTROPIC)
    assert scores.hd95_mm == pytest.approx(5, abs=1)
    assert scores.dice == pytest.approx(2 * 12**3 / (12**3 + 17**3), rel=0.02)
    assert scores.surface_dice == 0
    assert scores.volume_error_ml == pytest.approx(4 / 3 * math.pi * (17**3 - 12**3) / 1000, rel=0.02)
    assert scores.relative_volume_error == pytest.approx((17 / 12) ** 3 - 1, rel=0.03)
    assert scores.sensitivity == 1
    assert scores.precision == pytest.approx((12 / 17) ** 3, rel=0.02)


def test_distances_of_balls_are_millimetres_on_a_grid_of_unequal_spacing() -> None:
    spacing = (0.5, 1.0, 1.5)
    scores = compare(ball(7, spacing), ball(11, spacing), spacing)
    assert scores.hd95_mm == pytest.approx(4, abs=1.5)
    assert scores.volume_error_ml == pytest.approx(4 / 3 * math.pi * (11**3 - 7**3) / 1000, rel=0.03)


@pytest.mark.parametrize("shift", [1, 3, 7])
def test_a_shifted_cube_has_the_exact_dice_and_distance(shift: int) -> None:
    scores = compare(cube((5, 5, 5)), cube((5, 5, 5 + shift)), ISOTROPIC)
    assert scores.dice == pytest.approx((10 - shift) / 10)
    assert scores.hd95_mm == pytest.approx(shift)
    assert scores.volume_error_ml == 0
    assert [scores.sensitivity, scores.precision] == pytest.approx([(10 - shift) / 10] * 2)


@pytest.mark.parametrize(("axis", "length"), [(0, 3.0), (1, 2.0), (2, 0.5)])
def test_a_shift_counts_with_the_spacing_of_its_axis(axis: int, length: float) -> None:
    """Axes of the masks are (k, j, i), those of the spacing (i, j, k): one voxel along k is 3 mm here."""
    start = [5, 5, 5]
    start[axis] += 1
    scores = compare(cube((5, 5, 5)), cube((start[0], start[1], start[2])), (0.5, 2.0, 3.0))
    assert scores.hd95_mm == pytest.approx(length)
    assert (scores.surface_dice == 1) == (length <= TOLERANCE_MM)


def test_one_voxel_apart_is_within_the_tolerance_of_one_millimetre_and_outside_of_it_on_a_coarser_grid() -> None:
    truth, found = cube((5, 5, 5)), cube((5, 5, 6))
    assert compare(truth, found, ISOTROPIC).surface_dice == 1
    assert compare(truth, found, (1.01, 1.01, 1.01)).surface_dice < 1


def test_single_voxels_have_the_distance_between_them() -> None:
    scores = compare(cube((5, 5, 5), 1), cube((9, 8, 5), 1), ISOTROPIC)
    assert scores.hd95_mm == pytest.approx(5)
    assert (scores.dice, scores.surface_dice) == (0, 0)
    assert not scores.missed
    assert not scores.invented


def test_the_larger_of_both_directions_is_the_distance() -> None:
    """All of the small mask lies on the large one; the large one's far end counts, whichever of them is the truth."""
    small, large = cube((5, 5, 5), 4), cube((5, 5, 5), 4) | cube((25, 25, 25), 6)
    there, back = compare(small, large, ISOTROPIC), compare(large, small, ISOTROPIC)
    assert there.hd95_mm == back.hd95_mm > 20


def test_in_neither_mask_is_perfect() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    scores = compare(empty, empty, ISOTROPIC)
    assert (scores.dice, scores.surface_dice, scores.hd95_mm, scores.volume_error_ml, scores.relative_volume_error) == (
        1,
        1,
        0,
        0,
        0,
    )
    assert math.isnan(scores.sensitivity)
    assert math.isnan(scores.precision)
    assert not scores.missed
    assert not scores.invented


def test_what_was_missed_or_invented_is_infinitely_far_away() -> None:
    empty, full = np.zeros((40, 40, 40), dtype=bool), cube((5, 5, 5))
    missed, invented = compare(full, empty, ISOTROPIC), compare(empty, full, ISOTROPIC)
    assert (missed.missed, missed.invented, invented.missed, invented.invented) == (True, False, False, True)
    assert (
        (missed.dice, missed.surface_dice, missed.hd95_mm)
        == (invented.dice, invented.surface_dice, invented.hd95_mm)
        == (0, 0, math.inf)
    )
    assert (missed.volume_error_ml, missed.relative_volume_error) == (-1.0, -1.0)
    assert (invented.volume_error_ml, invented.relative_volume_error) == (1.0, math.inf)
    assert (missed.sensitivity, invented.precision) == (0, 0)


@pytest.mark.parametrize("seed", range(12))
def test_random_masks_have_the_metrics_of_a_brute_force_computation(seed: int) -> None:
    truth, found = random_masks(seed)
    spacing = (0.8, 1.0, 2.1)
    scores = compare(truth, found, spacing)
    from_truth, from_found = surface(truth, spacing), surface(found, spacing)
    distance = np.linalg.norm(from_truth[:, None] - from_found[None], axis=2)
    back, there = distance.min(axis=1), distance.min(axis=0)
    near = (back <= TOLERANCE_MM).sum() + (there <= TOLERANCE_MM).sum()
    assert scores.dice == pytest.approx(2 * (truth & found).sum() / (truth.sum() + found.sum()))
    assert scores.surface_dice == pytest.approx(near / (len(back) + len(there)))
    assert scores.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


@pytest.mark.filterwarnings(
    "ignore:monai.metrics.utils get_mask_edges"
)  # MONAI's own use of an option that it deprecated
@pytest.mark.parametrize("seed", range(6))
def test_cropping_changes_nothing_and_monai_agrees_on_the_whole_grid(seed: int) -> None:
    """MONAI's own functions on the masks in a large grid, whose borders they do not touch."""
    truth, found = (np.pad(mask, 7) for mask in random_masks(seed))
    scores = compare(truth, found, (0.8, 1.0, 2.1))
    masks = [torch.from_numpy(mask)[None, None] for mask in (found, truth)]
    settings = {"include_background": True, "spacing": [2.1, 1.0, 0.8]}
    assert scores.hd95_mm == pytest.approx(
        float(compute_hausdorff_distance(*masks, percentile=95, **settings)), rel=1e-6
    )
    assert scores.surface_dice == pytest.approx(
        float(compute_surface_dice(*masks, class_thresholds=[TOLERANCE_MM], **settings)), rel=1e-6
    )
    moved = compare(np.pad(truth, 5), np.pad(found, 5), (0.8, 1.0, 2.1))
    assert (moved.dice, moved.surface_dice, moved.hd95_mm) == (scores.dice, scores.surface_dice, scores.hd95_mm)


# Far false positives


def line(length: int, *places: slice) -> Array:
    mask = np.zeros((3, 4, length), dtype=bool)
    for place in places:
        mask[1, 2, place] = True
    return mask


def test_only_what_was_found_farther_than_the_limit_counts_as_far() -> None:
    """Distances are voxels, volumes millilitres."""
    truth = line(100, slice(10, 12))
    edge = 11 + FAR_VOXELS
    spacing = (2.0, 1.0, 0.5)
    assert compare(truth, line(100, slice(10, 14), slice(edge, edge + 1)), spacing).far_false_positive_ml == 0
    assert compare(
        truth, line(100, slice(10, 14), slice(edge, edge + 3)), spacing
    ).far_false_positive_ml == pytest.approx(2 * 1e-3)
    assert compare(truth, line(100), spacing).far_false_positive_ml == 0


def test_all_that_was_invented_is_far() -> None:
    assert compare(line(100), line(100, slice(5, 9)), ISOTROPIC).far_false_positive_ml == pytest.approx(4e-3)
    assert compare(line(100), line(100), ISOTROPIC).far_false_positive_ml == 0


@pytest.mark.parametrize("seed", range(3))
def test_far_false_positives_agree_with_brute_force(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth, found = (generator.random((45, 40, 50)) < share for share in (0.0002, 0.01))
    if not truth.any():
        truth[0, 0, 0] = True
    true_places = np.argwhere(truth)
    far = sum(1 for place in np.argwhere(found) if ((true_places - place) ** 2).sum(1).min() > FAR_VOXELS**2)
    assert compare(truth, found, ISOTROPIC).far_false_positive_ml == pytest.approx(far * 1e-3)
