"""What a sample is made of: where the patch lies, how it is varied, at which voxels the loss is taken, and which labels
are asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND, position_channels
from monai.transforms import Compose

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Training.data.augmentation import (
    RIM,
    Augmentation,
    SpatialAugmentation,
    View,
    crop_view,
    intensity_augmentation,
    vary_intensity,
)
from Training.data.datasets import read_data_set
from Training.data.prepared_cases import Case, prepare_cases
from Training.data.targets import TargetCode, can_be_flipped, select
from Training.data.training_samples import Samples, StepBatches, draw_centre, draw_labels, draw_points, places_of_labels
from Training.engine.config import Config, DataConfig, ObjectiveConfig, OptimizerConfig, PackageConfig
from Training.engine.loop import train
from Training.engine.run_data import load_data
from Training.losses.truth import IGNORE

SIDES = ("3rd Ventricle", "Left Hippocampus", "Right Hippocampus")
"""Labels of the made-up data of which every left one has its right one."""

NO_CHANGE = Augmentation(rotation=0, scale=0, shift=0, warp=0, flip=False, intensity=False)
CUBES = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


Prepared = tuple[list[Case], TargetCode]


@pytest.fixture(scope="module")
def prepare(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Prepared]:
    data_set, cache = read_data_set(made_up), tmp_path_factory.mktemp("cache")

    def prepared(*labels: str) -> Prepared:
        tree = select(data_set.table, labels)
        cases = prepare_cases(data_set, tree, InputSpec(), samples.SCHEMA, 4, cache)
        return cases, TargetCode(tree, data_set.table, data_set.ignored_ids)

    return prepared


@pytest.fixture(scope="module")
def whole(prepare: Callable[..., Prepared]) -> Prepared:
    """All labels; those of the insula are on the left side only."""
    return prepare()


@pytest.fixture(scope="module")
def sided(prepare: Callable[..., Prepared]) -> Prepared:
    return prepare(*SIDES)


def config_of(
    patch: tuple[int, int, int] = (32, 36, 36),
    points: int = 500,
    seed: int = 0,
    augmentation: Augmentation | None = None,
) -> Config:
    return Config(
        seed=seed,
        data=DataConfig(patch=patch, points=points),
        network=samples.TINY,
        optimizer=OptimizerConfig(steps=100),
        augmentation=augmentation or Augmentation(),
    )


def still(patch: tuple[int, ...], code: TargetCode, flip: bool = False) -> SpatialAugmentation:
    return SpatialAugmentation(replace(NO_CHANGE, flip=flip), patch, code.mirrored, CUBES)  # type: ignore[arg-type]


def view_of(case: Case) -> View:
    return View(case.image.float(), case.foreground.float(), case.target.long())


def _flips(seed: int) -> bool:
    generator = np.random.default_rng(seed)
    generator.uniform(size=3)
    generator.uniform(size=3)
    return bool(generator.random() < 0.5)


FLIPPING = next(seed for seed in range(20) if _flips(seed))


# Variation


def test_without_any_change_the_patch_is_the_scan(whole: Prepared) -> None:
    cases, code = whole
    view = still(tuple(cases[1].target.shape), code)(view_of(cases[1]), np.random.default_rng(0))
    torch.testing.assert_close(view.image, cases[1].image.float(), atol=1e-3, rtol=0)
    assert torch.equal(view.target, cases[1].target.long())
    assert torch.equal(view.foreground, cases[1].foreground)


def test_a_flip_mirrors_the_image_and_exchanges_left_and_right(sided: Prepared) -> None:
    cases, code = sided
    case, tree = cases[1], code.tree
    view = still(tuple(case.target.shape), code, flip=True)(view_of(case), np.random.default_rng(FLIPPING))
    target = view.target
    torch.testing.assert_close(view.image, case.image.float().flip(-1), atol=1e-3, rtol=0)
    assert torch.equal(view.foreground, case.foreground.flip(-1))
    before = case.target.long().flip(-1)
    left, right, middle = (
        tree.class_of[tree.find(name).id] for name in ("Left Hippocampus", "Right Hippocampus", "3rd Ventricle")
    )
    assert all(bool((before == c).any()) for c in (left, right, middle, IGNORE))
    assert torch.equal(target == right, before == left)
    assert torch.equal(target == left, before == right)
    assert torch.equal(target == middle, before == middle)
    assert torch.equal(target == IGNORE, before == IGNORE)


def test_an_undivided_parent_is_its_group_and_flipped_that_of_the_other_side(whole: Prepared) -> None:
    """Id 65 of case_0 says "left insula" where other cases say which part of it."""
    cases, code = whole
    insula = code.tree.find("Left Insula")
    (group,) = set(cases[0].target.flatten().tolist()) & set(range(code.classes, code.classes + len(code.members)))
    assert code.members[group - code.classes].nonzero()[:, 0].tolist() == list(code.tree.classes_under(insula))
    assert code.mirrored[group] == group  # there is no right insula here, so scans are not flipped at all
    sides = [Label(n, f"{side} Insula", laterality=side.lower()) for n, side in ((1, "Left"), (2, "Right"))]
    parts = [
        Label(10 * side.id + n, f"{side.laterality.title()} {part} insula", side.id, laterality=side.laterality)
        for side in sides
        for n, part in enumerate(("anterior", "posterior"))
    ]
    both = LabelTree((*sides, *parts))
    two_sided = TargetCode(both, both)
    left, right = (int(two_sided.encode(np.array([n]))[0]) for n in (1, 2))
    assert left >= two_sided.classes
    target = torch.full((4, 4, 8), left)
    view = View(torch.zeros(1, 4, 4, 8), torch.ones(4, 4, 8), target)
    flipped = still((4, 4, 8), two_sided, flip=True)(view, np.random.default_rng(FLIPPING)).target
    assert torch.equal(flipped, torch.full_like(target, right))


def test_scans_are_flipped_only_where_every_side_has_its_counterpart(whole: Prepared, sided: Prepared) -> None:
    assert not can_be_flipped(whole[1].tree)
    assert can_be_flipped(sided[1].tree)
    for (cases, code), expected in ((whole, 0), (sided, 1)):
        run = Samples(cases, code, config_of(augmentation=replace(NO_CHANGE, flip=True), patch=(32, 36, 36), points=0))
        mirrored = []
        for n in range(12):
            as_scanned = Samples(cases, code, config_of(augmentation=NO_CHANGE, points=0))[n]["image"]
            mirrored.append(not torch.allclose(run[n]["image"][0], as_scanned[0], atol=1e-2))
        assert (0 < sum(mirrored) < 12) == bool(expected)


def test_labels_move_with_the_image(whole: Prepared) -> None:
    """A marker painted into all of them stays in one place after rotation, scaling, shift and warp."""
    cases, code = whole
    image, target = (
        torch.full_like(cases[1].image, BACKGROUND).float(),
        torch.zeros(cases[1].target.shape, dtype=torch.long),
    )
    image[:, 12:20, 14:22, 9:17] = 5
    target[12:20, 14:22, 9:17] = 1
    settings = Augmentation(flip=False, warp=2, warp_spacing=12)
    augment = SpatialAugmentation(settings, (40, 44, 40), code.mirrored, CUBES)
    for seed in range(5):
        view = augment(View(image, (target == 1).float(), target), np.random.default_rng(seed))
        moved, labels = view.image, view.target
        assert 2 * (view.foreground & (labels == 1)).sum() / (view.foreground.sum() + (labels == 1).sum()) > 0.95
        bright = moved[0] > (5 + BACKGROUND) / 2
        both = (bright & (labels == 1)).sum()
        assert 2 * both / (bright.sum() + (labels == 1).sum()) > 0.9


TURNED = replace(NO_CHANGE, rotation=30.0)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 3.0), (3.0, 1.0, 1.0), (0.8, 2.4, 1.6)])
def test_a_rotation_leaves_a_ball_a_ball_whatever_the_spacing(spacing: tuple[float, float, float]) -> None:
    """In millimetres, of the image and of the labels; turned in voxels it would be sheared."""
    shape = tuple(round(72 / length) for length in spacing[::-1])
    k, j, i = ((np.indices(shape).T - (np.array(shape) - 1) / 2) * spacing[::-1]).T
    radius = torch.from_numpy(np.sqrt(k**2 + j**2 + i**2)).float()
    image, ball = torch.exp(-(radius**2) / (2 * 9**2))[None] + BACKGROUND, (radius < 18).long()
    augment = SpatialAugmentation(TURNED, shape, (0, 1), spacing)  # type: ignore[arg-type]
    for seed in range(4):
        view = augment(View(image, ball.float(), ball), np.random.default_rng(seed))
        torch.testing.assert_close(view.image, image, atol=0.03, rtol=0)
        for found in (view.target, view.foreground.long()):
            assert 2 * (found & ball).sum() / (found.sum() + ball.sum()) > 0.94


def test_a_rotation_turns_by_its_angle_on_voxels_that_are_no_cubes() -> None:
    """A rod along k: its ends move by the same millimetres as on cubes of the same size."""
    ends = []
    for spacing in ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0)):
        shape = (round(60 / spacing[2]), 60, 60)
        rod = torch.zeros(1, *shape) + BACKGROUND
        rod[:, :, 28:32, 28:32] = 1
        view = View(rod, (rod[0] > 0).float(), torch.zeros(shape, dtype=torch.long))
        turned = SpatialAugmentation(TURNED, shape, (0,), spacing)(view, np.random.default_rng(3))
        weight = turned.image[0, round(9 / spacing[2])] - BACKGROUND  # 20.5 to 21 mm below the middle
        ends.append(
            [
                float((weight * axis).sum() / weight.sum()) - 29.5
                for axis in torch.meshgrid(*[torch.arange(60.0)] * 2, indexing="ij")
            ]
        )
    assert max(map(abs, ends[0])) > 3
    assert ends[1] == pytest.approx(ends[0], abs=0.6)


def test_on_cubes_of_any_size_the_patch_is_the_same_to_the_last_bit(whole: Prepared) -> None:
    cases, code = whole
    one, other = (
        SpatialAugmentation(Augmentation(flip=False), (40, 44, 40), code.mirrored, (size,) * 3)(
            view_of(cases[1]), np.random.default_rng(0)
        )
        for size in (1.0, 0.7)
    )
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.target, other.target)


def test_beyond_the_scan_there_is_background(whole: Prepared) -> None:
    cases, code = whole
    view = still((80, 80, 80), code)(view_of(cases[1]), np.random.default_rng(0))
    assert bool((view.image[0, :10] == BACKGROUND).all())
    assert not view.foreground[:10].any()
    assert bool((view.target[:10] == 0).all())


def test_intensity_changes_leave_the_background_and_normalise_again(whole: Prepared) -> None:
    view = view_of(whole[0][0])
    outside = ~view.foreground[None]
    varied = [vary_intensity(view, intensity_augmentation(), np.random.default_rng(seed)) for seed in range(8)]
    for out in varied:
        assert bool((out[outside] == BACKGROUND).all())
        assert abs(float(out[~outside].mean())) < 1e-3
    assert any(not torch.allclose(out, varied[0]) for out in varied[1:])


# The foreground


def dark_scan(tmp_path: Path) -> Prepared:
    """A volume of which everything counts, a twentieth of it as dark as what is put outside of a foreground: air beside
    tissue.
    """
    root = write_data_set(tmp_path / "dark", 1)
    path = root / "imagesTr" / "case_0_0000.nii.gz"
    scan = read_volume(path)
    array = np.random.default_rng(0).normal(100, 1, scan.array.shape).astype(np.float32)
    array[:, :, :, -2:] = 88
    sitk.WriteImage(image_of(scan.with_array(array)), str(path))
    data_set = read_data_set(root)
    spec = InputSpec(foreground="all", margin_mm=0)
    cases = prepare_cases(data_set, data_set.table, spec, samples.SCHEMA, 4, tmp_path / "cache")
    return cases, TargetCode(data_set.table, data_set.table, data_set.ignored_ids)


def test_a_voxel_as_dark_as_the_background_stays_what_it_is_in_a_sample(tmp_path: Path) -> None:
    (case,), code = dark_scan(tmp_path)
    assert bool(case.foreground.all())
    is_dark = case.image[0] < BACKGROUND + 0.1
    assert 0.04 < is_dark.float().mean() < 0.1
    for augmentation in (NO_CHANGE, replace(NO_CHANGE, intensity=True)):
        sample = Samples([case], code, config_of(tuple(case.target.shape), augmentation=augmentation))[0]  # type: ignore[arg-type]
        assert bool(sample["foreground"].all())
        torch.testing.assert_close(sample["image"][1:], position_channels(case.foreground))
        if not augmentation.intensity:
            torch.testing.assert_close(sample["image"][0], case.image[0].float(), atol=1e-3, rtol=0)
    view = view_of(case)
    varied = vary_intensity(view, Compose([]), np.random.default_rng(0))
    torch.testing.assert_close(varied[0], case.image[0].float(), atol=0.02, rtol=0)  # as inference has it


def test_samples_of_a_scan_without_such_voxels_are_those_of_a_foreground_read_from_its_values(sided: Prepared) -> None:
    cases, code = sided
    by_value = [replace(case, foreground=(case.image > BACKGROUND + 0.1).any(0)) for case in cases]
    assert all(torch.equal(case.foreground, other.foreground) for case, other in zip(cases, by_value, strict=True))
    config = config_of(augmentation=Augmentation(rotation=0, scale=0, shift=0, warp=0, crop=1))
    stored, read = Samples(cases, code, config), Samples(by_value, code, config)
    for n in range(6):
        a, b = stored[n], read[n]
        assert all(torch.equal(a[key], b[key]) for key in a if key != "metadata")
        assert torch.equal(a["foreground"], a["image"][0] > BACKGROUND + 0.1)


def test_the_foreground_moves_with_the_image_and_ends_where_the_field_of_view_is_cut(whole: Prepared) -> None:
    cases, code = whole
    augment = SpatialAugmentation(Augmentation(flip=False, warp=2, warp_spacing=12), (40, 44, 40), code.mirrored, CUBES)
    for seed in range(4):
        view = augment(view_of(cases[0]), np.random.default_rng(seed))
        by_value = view.image[0] > BACKGROUND + 0.1  # with the rim that interpolation adds
        assert 0.8 < view.foreground.sum() / by_value.sum() < 0.98
        assert not (view.foreground & ~by_value).any()
        assert abs((view.share > RIM).sum() / by_value.sum() - 1) < 0.02
        cut = crop_view(view, 1.0, np.random.default_rng(seed))
        assert torch.equal(cut.foreground, view.foreground & (cut.image[0] > BACKGROUND))


def test_the_loss_is_taken_on_the_rim_of_the_foreground_too(whole: Prepared) -> None:
    """Where the labels end with the foreground, a network would not learn their outer border from points inside it."""
    cases, code = whole
    samples_of_it = Samples(cases, code, config_of(points=20_000, augmentation=Augmentation(crop=0)))
    on_rim = []
    for n in range(4):
        sample = samples_of_it[n]
        i, j, k = sample["points"].unbind(1)
        foreground = sample["foreground"]
        rim = torch.nn.functional.max_pool3d(foreground[None].float(), 3, 1, 1)[0].bool() & ~foreground
        on_rim.append(float(rim[k, j, i].float().mean()))
    assert min(on_rim) > 0.08  # 0.01 where points outside are drawn anywhere


def test_nothing_outside_of_the_foreground_is_seen(whole: Prepared) -> None:
    cases, code = whole
    for intensity in (True, False):
        samples_of_it = Samples(cases, code, config_of(augmentation=Augmentation(intensity=intensity)))
        for n in range(3):
            sample = samples_of_it[n]
            assert bool((sample["image"][0][~sample["foreground"]] == BACKGROUND).all())
            assert bool(sample["foreground"].any())


# Where the patch lies


def test_a_scan_that_fits_into_the_patch_stays_in_its_middle() -> None:
    def not_called() -> list[np.ndarray]:
        raise AssertionError

    assert draw_centre((20, 30, 40), (20, 32, 64), not_called, np.random.default_rng(0)) == (0.0, 0.0, 0.0)


def test_half_of_the_patches_of_a_larger_scan_are_centred_on_a_label_whatever_its_size() -> None:
    shape, patch = (60, 50, 40), (20, 30, 40)
    small, large = np.array([[31, 22, 7]]), np.indices((30, 30, 30)).reshape(3, -1).T + 12
    generator = np.random.default_rng(0)
    centres = np.array([draw_centre(shape, patch, lambda: [small, large], generator) for _ in range(2000)])[
        :, ::-1
    ]  # k, j, i
    room = (np.array(shape) - np.array(patch)) / 2
    assert bool((np.abs(centres) <= room).all())
    assert not centres[:, 2].any()  # the scan fits along i
    on_small = np.isclose(centres, [31.5 - 30, 22.5 - 25, 0]).all(axis=1)
    assert 0.2 < on_small.mean() < 0.3
    on_voxels = np.isclose(centres[:, 0] % 1, 0.5) | np.isclose(np.abs(centres[:, 0]), room[0])
    assert 0.45 < on_voxels.mean() < 0.55


def test_a_patch_holds_the_voxel_that_it_was_centred_on() -> None:
    """Samples of a scan larger than the patch: a tiny label is in about half of them, and in few if patches lay
    anywhere.
    """
    image = torch.full((1, 64, 64, 64), 1.0).half()
    target = torch.zeros(64, 64, 64, dtype=torch.int16)
    target[50:52, 9:11, 33:35] = 1
    case = Case("one", image, image[0] > BACKGROUND, target, torch.tensor([True, True]), torch.zeros(0), {})
    tree = LabelTree((Label(1, "Point"),))
    config = config_of(patch=(16, 16, 16), points=0, augmentation=NO_CHANGE)
    run = Samples([case], TargetCode(tree, tree), config)
    found = [bool((run[n]["target"] == 1).any()) for n in range(60)]
    assert 18 <= sum(found) <= 45


def test_places_of_labels_are_voxels_of_each_label_and_not_too_many(whole: Prepared) -> None:
    target = whole[0][0].target
    places = places_of_labels(target, most=50)
    present = [t for t in sorted(set(target.flatten().tolist())) if t > 0]
    assert len(places) == len(present)
    for label, voxels in zip(present, places, strict=True):
        assert 0 < len(voxels) < 100
        assert set(target[tuple(torch.from_numpy(voxels).T)].tolist()) == {label}
    assert places_of_labels(torch.zeros(3, 3, 3, dtype=torch.int16)) == []


# Points


def test_points_lie_on_voxels_of_their_target_and_never_on_unknown_ones(whole: Prepared) -> None:
    target, region = whole[0][1].target.long(), whole[0][1].foreground
    assert bool((target == IGNORE).any())
    points, classes = draw_points(target, region, 5000, np.random.default_rng(0))
    assert points.shape == (5000, 3)
    assert not points.is_floating_point()
    i, j, k = points.T
    assert torch.equal(target[k, j, i], classes)
    assert IGNORE not in classes


def test_points_are_drawn_evenly_over_the_region_with_a_few_outside() -> None:
    target = torch.zeros(20, 20, 20, dtype=torch.long)
    target[2:12, 2:12, 2:4] = 1
    target[5, 5, 10:14] = 2
    target[7, :, 15] = IGNORE
    region = torch.zeros(20, 20, 20, dtype=torch.bool)
    region[2:14, 2:14, 2:16] = True
    count = 20_000
    points, classes = draw_points(target, region, count, np.random.default_rng(0))
    i, j, k = points.T
    inside = region[k, j, i]
    assert float(inside.double().mean()) == pytest.approx(0.95, abs=0.001)
    known = int((region & (target != IGNORE)).sum())
    for label in (1, 2):
        expected = 0.95 * int((target == label).sum()) / known
        assert float((classes == label).double().mean()) == pytest.approx(expected, abs=4 * (expected / count) ** 0.5)
    assert len({tuple(point) for point in points[inside].tolist()}) > 0.99 * known


def test_no_count_takes_every_voxel() -> None:
    target = torch.randint(-1, 4, (3, 4, 5))
    points, classes = draw_points(target, torch.zeros(3, 4, 5, dtype=torch.bool), 0, np.random.default_rng(0))
    assert len({tuple(point) for point in points.tolist()}) == 60
    i, j, k = points.T
    assert torch.equal(target[k, j, i], classes)


def test_a_region_that_is_everything_or_nothing_gives_as_many_points() -> None:
    target = torch.zeros(4, 4, 4, dtype=torch.long)
    for region in (torch.ones(4, 4, 4, dtype=torch.bool), torch.zeros(4, 4, 4, dtype=torch.bool)):
        points, classes = draw_points(target, region, 100, np.random.default_rng(0))
        assert len(points) == len(classes) == 100
        assert len({tuple(point) for point in points.tolist()}) > 40


def test_where_nothing_is_known_every_point_is_to_be_ignored() -> None:
    points, classes = draw_points(
        torch.full((4, 4, 4), IGNORE), torch.ones(4, 4, 4, dtype=torch.bool), 50, np.random.default_rng(0)
    )
    assert points.shape == (50, 3)
    assert set(classes.tolist()) == {IGNORE}


# Labels to ask for

LOOKED_FOR = torch.tensor([True, True, False, True, True, True, True, False, True])  # nobody looked for 2 and 7
PARENTS = torch.zeros(2, 9, dtype=torch.bool)
PARENTS[0, [3, 4, 5]] = True
PARENTS[1, [6, 7]] = True  # of which only one was looked for


def drawn(count: int, unions: float, times: int = 1500) -> torch.Tensor:
    generator = np.random.default_rng(0)
    return torch.stack([draw_labels(LOOKED_FOR, PARENTS, count, unions, generator) for _ in range(times)])


def test_labels_are_asked_for_evenly_and_only_those_that_were_looked_for() -> None:
    asked = drawn(3, 0.0)
    assert asked.shape == (1500, 3, 9)
    assert bool((asked.sum(2) == 1).all())
    often = asked.double().mean((0, 1))
    expected = torch.where(LOOKED_FOR, 1 / 6, 0.0).double()
    expected[0] = 0
    torch.testing.assert_close(often, expected, atol=0.025, rtol=0)
    assert bool((asked.sum(1) <= 1).all())  # no label twice in a sample


def test_more_labels_than_there_are_come_more_than_once() -> None:
    asked = drawn(20, 0.0, times=10)
    assert bool((asked.sum(2) == 1).all())
    assert bool((asked.any(1)[:, [0, 2, 7]] == 0).all())


def test_a_share_of_what_is_asked_for_are_unions_of_two_and_parents_that_were_looked_for_whole() -> None:
    asked = drawn(4, 0.4).reshape(-1, 9)
    is_parent = (asked == PARENTS[0]).all(1)
    assert float(is_parent.double().mean()) == pytest.approx(0.2, abs=0.02)
    of_two = asked[~is_parent].sum(1)
    assert set(of_two.tolist()) == {1, 2}
    assert float((of_two == 2).double().mean()) == pytest.approx(
        0.2 * 5 / 6 / 0.8, abs=0.02
    )  # now and then the second label is the first
    assert not asked[:, ~LOOKED_FOR].any()
    assert not asked[:, 0].any()


def test_a_label_that_is_not_in_the_scan_is_asked_for_too(whole: Prepared) -> None:
    cases, code = whole
    config = replace(config_of(), objective=ObjectiveConfig(labels_per_sample=2, unions=0))
    run = Samples(cases, code, config)
    posterior = code.tree.class_of[173]  # in no scan
    assert all(not (case.target == posterior).any() for case in cases)
    assert any(bool(run[n]["queries"][:, posterior].any()) for n in range(20))


# Samples and batches


def test_a_sample_depends_on_seed_and_number_alone(whole: Prepared) -> None:
    first, again, other = (Samples(*whole, config_of(seed=seed)) for seed in (1, 1, 2))
    _ = [first[n] for n in (0, 1, 2)]  # what came before does not matter
    for key, value in first[7].items():
        assert torch.equal(torch.nan_to_num(value.float()), torch.nan_to_num(again[7][key].float())), key
    assert not torch.equal(first[7]["image"], other[7]["image"])
    assert not torch.equal(first[7]["points"], other[7]["points"])


def test_every_case_comes_once_an_epoch(whole: Prepared) -> None:
    run = Samples(*whole, config_of())
    for epoch in range(4):
        assert {run.case_of(3 * epoch + n).name for n in range(3)} == {"case_0", "case_1", "case_2"}
    assert len({tuple(run.case_of(3 * epoch + n).name for n in range(3)) for epoch in range(8)}) > 1


def test_metadata_is_withheld_now_and_then(whole: Prepared) -> None:
    run = Samples(*whole, replace(config_of(), field_dropout=0.5))
    known = torch.stack(
        [run[n]["metadata"] for n in range(40) if run.case_of(n).name != "case_2"]
    )  # of case_2 nothing is known
    share = float(known.isnan().double().mean())
    assert 0.25 < share < 0.75


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_together_make_exactly_the_samples_of_one(processes: int) -> None:
    alone = list(StepBatches(4, steps=range(3, 9)))
    parts = [list(StepBatches(4, rank, processes, range(3, 9))) for rank in range(processes)]
    assert [[n for part in step for n in part] for step in zip(*parts, strict=True)] == alone
    assert [n for step in alone for n in step] == list(range(12, 36))
    assert {len(step) for part in parts for step in part} == {4 // processes}


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"optimizer\.batch is 3.*2 processes.*multiple of 2"):
        StepBatches(3, 0, 2)


# The data of a run


def with_two_channels(folder: Path) -> Path:
    """The made-up data with a second, inverted contrast."""
    made = write_data_set(folder)
    for first in sorted((made / "imagesTr").glob("*_0000.nii.gz")):
        volume = read_volume(first)
        inverted = np.where(volume.array > 0, 1000 - volume.array, 0)
        sitk.WriteImage(image_of(volume.with_array(inverted[0])), str(first).replace("_0000", "_0001"))
    return made


def run_config(folder: Path, data: Path, **changes: object) -> Config:
    base = Config(
        output=str(folder / "run"),
        accelerator="cpu",
        precision="32-true",
        data=DataConfig(root=str(data), cache=str(folder / "cache"), patch=(32, 36, 36), points=300, workers=0),
        network=replace(samples.TINY, in_channels=1),
        optimizer=OptimizerConfig(steps=3),
        package=PackageConfig(patch=(48, 48, 48)),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_scans_of_several_channels_are_trained_on(tmp_path: Path) -> None:
    data = with_two_channels(tmp_path / "data")
    train(
        run_config(tmp_path, data, input=InputSpec(channels=("T1", "T2")), network=replace(samples.TINY, in_channels=2))
    )
    package = ModelPackage.load(tmp_path / "run" / "package")
    assert package.architecture.in_channels == 2
    assert package.input.channels == ("T1", "T2")
    stem = package.build_network().trunk.stem.weight
    assert isinstance(stem, torch.Tensor)
    assert stem.shape[1] == 2


def test_cases_are_divided_into_training_and_validation(made_up: Path, tmp_path: Path) -> None:
    config = run_config(tmp_path, made_up)
    config.data.validation = ["case_1"]
    data = load_data(config)
    assert [case.name for case in data.training] == ["case_0", "case_2"]
    assert [case.name for case in data.validation] == ["case_1"]
    config.data.train = ["case_2"]
    assert [case.name for case in load_data(config).training] == ["case_2"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"validation": ["case_7"]}, "has no case called case_7; its cases are case_0, case_1, case_2"),
        ({"annotated": {"case_8": ["Left Hippocampus"]}}, "has no case called case_8"),
        ({"train": ["case_9"]}, "has no case called case_9"),
        ({"validation": ["case_0", "case_1", "case_2"]}, "is left to train on"),
        ({"labels": ["Left Hippocampos"]}, 'data.labels: .*"Left Hippocampus"'),
        ({"annotated": {"case_1": ["Hippocampos"]}}, "case_1|Hippocamp"),
        (
            {"labels": ["3rd Ventricle"], "annotated": {"case_1": ["Left Hippocampus"]}},
            "nobody looked for any of the labels that are learned in case_1",
        ),
    ],
)
def test_data_settings_that_fit_no_case_or_label_are_told(
    made_up: Path, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    config = run_config(tmp_path, made_up)
    for key, value in changes.items():
        setattr(config.data, key, value)
    with pytest.raises(SystemExit, match=words):
        load_data(config)
