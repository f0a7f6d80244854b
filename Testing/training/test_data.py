"""Reading labelled scans, the label tree of a table, and what augmentation does to both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.labels import LabelTree
from LabelConditionedSegmentationLib.core.preprocessing import BACKGROUND, InputSpec, is_foreground

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Training.augmentation import Augmentation, SpatialAugmentation, intensity_augmentation, vary_intensity
from Training.catalogue import brain_tree
from Training.data import Case, Samples, draw_points, find_cases, load_case
from Training.losses.streamed_softmax import IGNORE


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture(scope="module")
def tree(data_set: Path) -> LabelTree:
    return brain_tree(data_set / "labels.csv")


@pytest.fixture(scope="module")
def cases(data_set: Path, tree: LabelTree) -> list[Case]:
    return [load_case(files, InputSpec(), tree, samples.SCHEMA, 4) for files in find_cases(data_set)]


def still(patch: tuple[int, int, int], tree: LabelTree, **changes: object) -> SpatialAugmentation:
    settings = Augmentation(rotation=0, scale=0, shift=0, warp=0, flip=False)
    for key, value in changes.items():
        setattr(settings, key, value)
    return SpatialAugmentation(settings, patch, tree.mirrored_classes)


def test_the_tree_has_scored_leaves_under_groups_and_undivided_parents(tree: LabelTree) -> None:
    assert {leaf.name for leaf in tree.leaves} >= {"3rd Ventricle", "Left Hippocampus", "Left AIns anterior insula"}
    assert "Right vessel" not in {label.name for label in tree.labels}
    whole = tree.find("Left Insula")
    assert [leaf.id for leaf in tree.leaves_under(whole)] == [103, 173]
    assert [label.name for label in tree.ancestors(tree.find("Left anterior insula"))] == ["Left Insula", "Insular cortex", "Cerebral cortex"]


def test_codes_come_from_the_table_with_their_side(tree: LabelTree) -> None:
    left = tree.find("Left Hippocampus")
    assert left.type is not None
    assert left.modifier is not None
    assert (left.type.value, left.modifier.meaning) == ("5366008", "Left")
    assert tree.find("Left anterior insula").type is None  # no cited code: empty, not guessed


def test_ids_become_classes_and_unscored_ids_become_unknown(cases: list[Case], tree: LabelTree) -> None:
    classes = [set(np.unique(case.target.numpy()).astype(int) - 1) for case in cases]
    expected = {0, IGNORE, *(tree.class_of[ident] for ident in (4, 47, 48))}
    assert classes[0] == expected  # the undivided insula of case 0 is unknown, as is the vessel
    assert classes[1] == expected | {tree.class_of[103]}


def test_participants_become_encoded_metadata(cases: list[Case]) -> None:
    assert cases[0].metadata[0] == 0  # F
    assert cases[1].metadata[0] == 1  # M
    assert cases[0].metadata[1] == pytest.approx((2 * 20 - 19 - 34) / 15)
    assert bool(cases[2].metadata.isnan().all())


def test_missing_cases_are_named(data_set: Path) -> None:
    with pytest.raises(SystemExit, match="case_9"):
        find_cases(data_set, ["case_0", "case_9"])


def test_without_any_change_the_patch_is_the_scan(cases: list[Case], tree: LabelTree) -> None:
    case = cases[1]
    shape = tuple(case.target.shape)
    image, target = still(shape, tree)(case.image.float(), case.target.long() - 1, np.random.default_rng(0))  # type: ignore[arg-type]
    torch.testing.assert_close(image, case.image.float(), atol=1e-3, rtol=0)
    assert torch.equal(target, case.target.long() - 1)


def test_a_flip_mirrors_the_image_and_exchanges_left_and_right(cases: list[Case], tree: LabelTree) -> None:
    case = cases[1]
    shape = tuple(case.target.shape)
    augment = still(shape, tree, flip=True)  # type: ignore[arg-type]
    seeds = [seed for seed in range(20) if _flips(seed)]
    assert seeds
    image, target = augment(case.image.float(), case.target.long() - 1, np.random.default_rng(seeds[0]))
    torch.testing.assert_close(image, case.image.float().flip(-1), atol=1e-3, rtol=0)
    before = (case.target.long() - 1).flip(-1)
    left, right = tree.class_of[48], tree.class_of[47]
    assert torch.equal(target == right, before == left)
    assert torch.equal(target == left, before == right)
    middle = tree.class_of[4]
    assert torch.equal(target == middle, before == middle)
    assert torch.equal(target == IGNORE, before == IGNORE)


def _flips(seed: int) -> bool:
    generator = np.random.default_rng(seed)
    generator.uniform(size=3)
    generator.uniform(size=3)
    return bool(generator.random() < 0.5)


def test_labels_move_with_the_image(cases: list[Case], tree: LabelTree) -> None:
    """A marker painted into both stays in one place after rotation, scaling, shift and warp."""
    case = cases[1]
    image, target = torch.full_like(case.image, BACKGROUND).float(), torch.zeros(case.target.shape, dtype=torch.long)
    image[:, 12:20, 14:22, 9:17] = 5
    target[12:20, 14:22, 9:17] = 1
    augment = SpatialAugmentation(Augmentation(flip=False, warp=2, warp_spacing=12), (40, 44, 40), tree.mirrored_classes)
    for seed in range(5):
        moved, labels = augment(image, target, np.random.default_rng(seed))
        bright = moved[0] > (5 + BACKGROUND) / 2
        both = (bright & (labels == 1)).sum()
        assert 2 * both / (bright.sum() + (labels == 1).sum()) > 0.9


def test_beyond_the_scan_there_is_background(cases: list[Case], tree: LabelTree) -> None:
    case = cases[1]
    image, target = still((80, 80, 80), tree)(case.image.float(), case.target.long() - 1, np.random.default_rng(0))
    assert bool((image[0, :10] == BACKGROUND).all())
    assert bool((target[:10] == 0).all())


def test_intensity_changes_leave_the_background_and_normalise_again(cases: list[Case]) -> None:
    image = cases[0].image.float()
    outside = ~is_foreground(image)[None]
    varied = [vary_intensity(image, intensity_augmentation(), np.random.default_rng(seed)) for seed in range(8)]
    for out in varied:
        assert bool((out[outside] == BACKGROUND).all())
        assert abs(float(out[~outside].mean())) < 1e-3
    assert any(not torch.allclose(out, varied[0]) for out in varied[1:])


def test_points_lie_on_voxels_of_their_class_and_never_on_unknown_ones(cases: list[Case]) -> None:
    target = cases[1].target.long() - 1
    points, classes = draw_points(target, 5000, np.random.default_rng(0))
    size = torch.tensor(target.shape).flip(0)
    index = ((points + 1) / 2 * size - 0.5).round().long()
    assert torch.equal(target[index[:, 2], index[:, 1], index[:, 0]], classes)
    assert IGNORE not in classes
    assert 0.05 < float((classes == 0).double().mean()) < 0.15


def test_a_sample_depends_on_seed_and_number_alone(cases: list[Case], tree: LabelTree) -> None:
    def make(seed: int) -> Samples:
        return Samples(cases, tree, (32, 36, 36), 500, seed, 100, Augmentation(), True, 0.5)

    first, again, other = make(1), make(1), make(2)
    _ = [first[n] for n in (0, 1, 2)]  # what came before does not matter
    for key, value in first[7].items():
        assert torch.equal(torch.nan_to_num(value.float()), torch.nan_to_num(again[7][key].float())), key
    assert not torch.equal(first[7]["image"], other[7]["image"])


def test_every_case_comes_once_an_epoch(cases: list[Case], tree: LabelTree) -> None:
    run = Samples(cases, tree, (32, 36, 36), 500, 0, 100, Augmentation(), False, 0)
    for epoch in range(4):
        assert {run.case_of(3 * epoch + n).name for n in range(3)} == {"case_0", "case_1", "case_2"}
    assert len({tuple(run.case_of(3 * epoch + n).name for n in range(3)) for epoch in range(8)}) > 1
