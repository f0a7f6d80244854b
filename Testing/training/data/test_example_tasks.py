"""What two scans ask each other for: the same regions in both, disjoint, of labels that somebody looked for in both,
cut into parts that lie alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Training.data import example_tasks
from Training.data.augmentation import Augmentation
from Training.data.datasets import read_data_set
from Training.data.example_tasks import MOST_PARTS, SMALLEST_PART_MM3, Regions, draw_regions, masks_of
from Training.data.prepared_cases import Case, prepare_cases
from Training.data.targets import TargetCode, select
from Training.data.training_samples import Samples
from Training.engine.config import Config, DataConfig, ObjectiveConfig, OptimizerConfig
from Training.losses.truth import IGNORE

CLASSES = 6
SPACING = (2.0, 2.0, 2.0)
SIDES = ("3rd Ventricle", "Left Hippocampus", "Right Hippocampus")


def blocks(shape: tuple[int, int, int] = (24, 26, 28), shift: int = 0) -> torch.Tensor:
    """Five boxes side by side along i, classes 1 to 5, in background."""
    target = torch.zeros(shape, dtype=torch.int16)
    for c in range(1, CLASSES):
        target[6:18, 7:19, 3 + shift + 4 * (c - 1) : 3 + shift + 4 * c] = c
    return target


def drawn(
    query: torch.Tensor,
    atlas: torch.Tensor,
    *,
    count: int = 8,
    unions: float = 0.0,
    splits: float = 0.0,
    seed: int = 0,
    missing: tuple[int, ...] = (),
) -> Regions:
    annotated = torch.tensor([c not in missing for c in range(CLASSES)])
    return draw_regions(
        query,
        atlas,
        (annotated, torch.ones_like(annotated)),
        SPACING,
        count,
        unions,
        splits,
        np.random.default_rng(seed),
    )


def classes_of(regions: torch.Tensor, target: torch.Tensor) -> dict[int, set[int]]:
    """Number of a region -> the classes that lie in it."""
    return {int(n): set(target[regions == n].tolist()) for n in np.unique(regions.numpy()) if n > 0}


# Which regions


def test_without_cuts_and_unions_every_class_is_a_region_of_the_same_number_in_both_scans() -> None:
    query, atlas = blocks(), blocks(shift=2)
    regions = drawn(query, atlas)
    asked, shown = classes_of(regions.query, query), classes_of(regions.atlas, atlas)
    assert asked == shown
    assert sorted(asked) == [1, 2, 3, 4, 5]
    assert sorted(next(iter(classes)) for classes in asked.values()) == [1, 2, 3, 4, 5]
    for found, target in ((regions.query, query), (regions.atlas, atlas)):
        assert torch.equal(found > 0, target > 0)
        assert all(bool((found[target == c] == next(iter(found[target == c]))).all()) for c in range(1, CLASSES))


def test_the_order_of_the_classes_is_drawn_and_the_draw_is_reproducible() -> None:
    draws = [drawn(blocks(), blocks(), seed=seed).query for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_union_holds_two_classes_in_both_scans() -> None:
    query, atlas = blocks(), blocks(shift=1)
    regions = drawn(query, atlas, unions=1.0)
    asked = classes_of(regions.query, query)
    assert asked == classes_of(regions.atlas, atlas)
    assert sorted(map(len, asked.values())) == [1, 2, 2]  # of five
    assert sorted(c for classes in asked.values() for c in classes) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("splits", [0.0, 1.0])
def test_no_more_regions_than_asked_for(count: int, splits: float) -> None:
    for seed in range(5):
        regions = drawn(blocks(), blocks(shift=1), count=count, splits=splits, seed=seed)
        numbers = [sorted(n for n in np.unique(found.numpy()).tolist() if n > 0) for found in regions]
        assert numbers[1] == list(range(1, min(count, 5 if splits == 0 else count) + 1))
        assert set(numbers[0]) <= set(numbers[1])


def test_parts_lie_within_one_label_each_and_all_of_it_is_divided_where_there_is_room() -> None:
    query, atlas = blocks(), blocks(shift=1)
    for seed in range(10):
        regions = drawn(query, atlas, count=5 * MOST_PARTS, splits=1.0, seed=seed)
        asked, shown = classes_of(regions.query, query), classes_of(regions.atlas, atlas)
        assert all(len(classes) == 1 for classes in (*asked.values(), *shown.values()))
        assert {n: shown[n] for n in asked} == asked
        assert torch.equal(regions.query > 0, query > 0)
        assert len(shown) > 5


def test_parts_of_a_label_are_not_much_smaller_than_the_smallest_that_is_asked_for() -> None:
    target = blocks()
    voxels = [
        int((drawn(target, target, count=80, splits=1.0, seed=seed).atlas == n).sum())
        for seed in range(10)
        for n in range(1, 6)
    ]
    assert np.median(voxels) * np.prod(SPACING) > SMALLEST_PART_MM3 / 2


def test_a_label_too_small_to_be_cut_stays_whole() -> None:
    target = torch.zeros(20, 20, 20, dtype=torch.int16)
    target[4:8, 4:8, 4:8] = 1  # 64 voxels of 8 mm3
    regions = drawn(target, target, splits=1.0)
    assert classes_of(regions.query, target) == {1: {1}}


# Parts that agree


def ellipsoid(shape: tuple[int, int, int], centre: tuple[float, ...], axes: tuple[float, ...]) -> torch.Tensor:
    places = np.indices(shape).astype(float)
    radius = sum(((p - c) / a) ** 2 for p, c, a in zip(places, centre, axes, strict=True))
    return torch.from_numpy((radius < 1).astype(np.int16))


def test_a_shifted_scan_is_cut_in_the_same_way() -> None:
    query = ellipsoid((24, 28, 30), (11, 12, 13), (7, 9, 10))
    atlas = query.roll((3, -2, 1), (0, 1, 2))
    for seed in range(5):
        regions = drawn(query, atlas, count=16, splits=1.0, seed=seed)
        assert int(regions.atlas.max()) > 1
        assert torch.equal(regions.query.roll((3, -2, 1), (0, 1, 2)), regions.atlas)


def test_a_stretched_scan_is_cut_nearly_in_the_same_way() -> None:
    """The parts go with the label's own mean and spread, along each axis."""
    query = ellipsoid((20, 20, 20), (9.5, 9.5, 9.5), (6.2, 7.2, 8.2))
    atlas = query.repeat_interleave(2, 0).repeat_interleave(2, 2)
    for seed in range(5):
        regions = drawn(query, atlas, count=16, splits=1.0, seed=seed)
        stretched = regions.query.repeat_interleave(2, 0).repeat_interleave(2, 2)
        assert int(regions.atlas.max()) > 1
        assert float((stretched == regions.atlas)[atlas > 0].float().mean()) > 0.8  # of up to 16 parts


def test_numbers_of_different_labels_never_meet_even_where_the_last_part_is_empty_in_the_atlas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cut(inside: Sequence[torch.Tensor], *_: object) -> list[torch.Tensor]:
        return [torch.arange(len(inside[0])) % 3, torch.arange(len(inside[1])) % 2]

    monkeypatch.setattr(example_tasks, "_cut", cut)
    regions = drawn(blocks(), blocks(), count=20, splits=1.0)
    asked, shown = classes_of(regions.query, blocks()), classes_of(regions.atlas, blocks())
    assert all(len(classes) == 1 for classes in asked.values())
    assert {n: asked[n] for n in shown} == shown


# What is not known


def test_labels_that_the_atlas_does_not_have_are_not_asked_for_and_those_the_query_does_not_have_are() -> None:
    query, atlas = blocks(), blocks()
    regions = drawn(torch.where(query == 2, 0, query), torch.where(atlas == 4, 0, atlas), splits=0.5, count=40)
    asked, shown = classes_of(regions.query, query), classes_of(regions.atlas, atlas)
    assert {c for classes in shown.values() for c in classes} == {1, 2, 3, 5}
    assert {c for classes in asked.values() for c in classes} == {1, 3, 5}
    assert bool((regions.query[query == 4] == 0).all())


def test_what_is_unknown_or_known_as_a_parent_only_stays_unknown() -> None:
    query, atlas = blocks(), blocks()
    query[0], query[1] = IGNORE, CLASSES  # a voxel of a parent: one of its classes, and nobody knows which
    atlas[2] = CLASSES + 1
    regions = drawn(query, atlas, splits=1.0)
    assert torch.equal(regions.query == IGNORE, (query < 0) | (query >= CLASSES))
    assert torch.equal(regions.atlas == IGNORE, atlas >= CLASSES)


def test_only_labels_that_were_looked_for_in_both_scans_are_asked_for() -> None:
    regions = drawn(blocks(), blocks(), missing=(1, 5))
    assert {c for classes in classes_of(regions.atlas, blocks()).values() for c in classes} == {2, 3, 4}
    others = (blocks() == 1) | (blocks() == 5)
    assert bool((regions.query[others] == IGNORE).all())  # nobody looked for them there, though the label map has them
    assert bool((regions.atlas[others] == 0).all())
    assert bool((regions.query[blocks() == 0] == 0).all())


def test_nothing_to_ask_for_gives_no_region() -> None:
    for regions in (
        drawn(blocks(), torch.zeros_like(blocks()), splits=1.0),
        drawn(blocks(), blocks(), missing=(1, 2, 3, 4, 5)),
    ):
        assert not (regions.query > 0).any()
        assert not (regions.atlas > 0).any()


# Masks


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_masks_are_the_pooled_indicators_of_the_regions(stride: int) -> None:
    regions = torch.randint(IGNORE, 6, (8, 12, 16), generator=torch.Generator().manual_seed(0)).to(torch.int16)
    masks = masks_of(regions, 7, stride)
    plain = torch.stack([(regions == n).float() for n in range(1, 8)])
    torch.testing.assert_close(masks, torch.nn.functional.avg_pool3d(plain, stride) if stride > 1 else plain)
    torch.testing.assert_close(masks.sum((1, 2, 3)) * stride**3, plain.sum((1, 2, 3)))


# Pairs of scans


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Case], TargetCode]:
    data_set = read_data_set(write_data_set(tmp_path_factory.mktemp("data") / "made_up", cases=4))
    tree = select(data_set.table, SIDES)
    cases = prepare_cases(data_set, tree, InputSpec(), samples.SCHEMA, 4, tmp_path_factory.mktemp("cache"))
    return cases, TargetCode(tree, data_set.table, data_set.ignored_ids)


def pairs_of(
    prepared: tuple[list[Case], TargetCode], augmentation: Augmentation | None = None, points: int = 400, seed: int = 0
) -> Samples:
    config = Config(
        seed=seed,
        data=DataConfig(patch=(32, 36, 36), points=points),
        network=samples.TINY,
        objective=ObjectiveConfig(prompts="both", examples_per_sample=6, splits=0.5),
        optimizer=OptimizerConfig(steps=100),
        augmentation=augmentation or Augmentation(shift=1, warp=1),
    )
    return Samples(*prepared, config)


STILL = Augmentation(rotation=0, scale=0, shift=0, warp=0, flip=False, crop=0, intensity=False)


def test_a_sample_is_two_scans_side_by_side(prepared: tuple[list[Case], TargetCode]) -> None:
    sample = pairs_of(prepared)[0]
    assert sample["image"].shape == (2, 4, 32, 36, 36)
    assert sample["regions"].shape == (2, 32, 36, 36)
    assert sample["points"].shape == (2, 400, 3)
    assert sample["target"].shape == sample["queries"].shape == (2, 400)
    assert sample["annotated"].shape == (2, 4)
    for side in range(2):
        i, j, k = sample["points"][side].unbind(1)
        assert torch.equal(sample["regions"][side][k, j, i].long(), sample["queries"][side])


def test_the_atlas_is_never_the_scan_itself_and_every_other_one_in_its_turn(
    prepared: tuple[list[Case], TargetCode],
) -> None:
    made = pairs_of(prepared, STILL)
    known = {case.name: case.image.float() for case in made.cases}
    pairs = set()
    for n in range(24):
        names = []
        for image in made[n]["image"][:, :1]:
            differences = {name: float((fit(image) - fit(there)).abs().mean()) for name, there in known.items()}
            names.append(min(differences, key=differences.__getitem__))
        assert names[0] == made.case_of(n).name
        assert names[0] != names[1]
        pairs.add(tuple(names))
    assert len(pairs) > 8  # of 12


def fit(image: torch.Tensor) -> torch.Tensor:
    """The middle of an image, which is the same on any patch."""
    start = [(n - 20) // 2 for n in image.shape[1:]]
    return image[:, start[0] : start[0] + 20, start[1] : start[1] + 20, start[2] : start[2] + 20]


def test_both_scans_are_flipped_or_neither_and_each_side_keeps_its_name(
    prepared: tuple[list[Case], TargetCode],
) -> None:
    made, plain = (pairs_of(prepared, replace(STILL, flip=flip), points=0) for flip in (True, False))
    tree = made.code.tree
    left, right = (tree.class_of[tree.find(f"{side} Hippocampus").id] for side in ("Left", "Right"))
    seen = set()
    for n in range(10):
        sample, unflipped = made[n], plain[n]
        is_mirrored = [
            bool((sample["image"][side, :1] - unflipped["image"][side, :1].flip(-1)).abs().mean() < 1e-3)
            for side in range(2)
        ]
        is_same = [
            bool((sample["image"][side, :1] - unflipped["image"][side, :1]).abs().mean() < 1e-3) for side in range(2)
        ]
        seen.add((tuple(is_mirrored), tuple(is_same)))
        for target in sample["target"].view(2, 32, 36, 36):
            assert bool((target[:, :, :14] == left).any())  # at small i, whether or not it was the right one before
            assert not bool((target[:, :, :14] == right).any())
    assert seen == {((True, True), (False, False)), ((False, False), (True, True))}


def test_the_query_may_be_cropped_and_the_atlas_never_is(prepared: tuple[list[Case], TargetCode]) -> None:
    cropped, whole = (pairs_of(prepared, replace(STILL, crop=crop)) for crop in (1.0, 0.0))
    for n in range(6):
        here, there = cropped[n]["image"][:, 0], whole[n]["image"][:, 0]
        assert torch.equal(here[1], there[1])
        assert not torch.equal(here[0], there[0])


def test_the_two_scans_are_varied_each_on_its_own(prepared: tuple[list[Case], TargetCode]) -> None:
    """The same scan twice, under two names, comes out as two different images."""
    cases, code = prepared
    twice = [
        cases[1],
        replace(cases[1], name="again"),
    ]
    image = pairs_of((twice, code), Augmentation(rotation=10, shift=1, warp=1, intensity=False, flip=False, crop=0))[0][
        "image"
    ][:, 0]
    assert float((image[0] - image[1]).abs().mean()) > 0.05


def test_a_pair_is_reproducible_from_seed_and_number_alone(prepared: tuple[list[Case], TargetCode]) -> None:
    first, again, other = pairs_of(prepared), pairs_of(prepared), pairs_of(prepared, seed=1)
    again[3]  # what was made before makes no difference
    for key, value in first[5].items():
        assert torch.equal(value.nan_to_num(), again[5][key].nan_to_num()), key
    assert not torch.equal(first[5]["image"], other[5]["image"])


def test_runs_for_classes_draw_what_they_always_drew(prepared: tuple[list[Case], TargetCode]) -> None:
    """Settings of examples change nothing in a run without them."""
    config = pairs_of(prepared).config
    made = []
    for objective in (ObjectiveConfig(), ObjectiveConfig(examples_per_sample=3, splits=1.0)):
        config.objective = objective
        made.append(Samples(*prepared, config)[4])
    assert made[0]["image"].shape == (4, 32, 36, 36)
    assert all(torch.equal(made[0][key].nan_to_num(), made[1][key].nan_to_num()) for key in made[0])


def test_a_single_case_and_a_scan_beyond_the_patch_are_refused(prepared: tuple[list[Case], TargetCode]) -> None:
    cases, code = prepared
    with pytest.raises(SystemExit, match="two cases for training at least"):
        pairs_of((cases[:1], code))
    config = pairs_of(prepared).config
    config.data.patch = (32, 36, 20)
    with pytest.raises(SystemExit, match=r"case case_0 has \[.*data.patch is \[32, 36, 20\]; enlarge it"):
        Samples(cases, code, config)
