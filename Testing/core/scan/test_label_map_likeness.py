"""Label maps that were taken for scans are told, and scans that only look flat are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.label_map_likeness import looks_like_label_map
from LabelConditionedSegmentationLib.core.scan.volume import Array
from LabelConditionedSegmentationLib.resources import sample_scan

SHAPE = (60, 70, 64)


@pytest.fixture(scope="module")
def brain() -> Array:
    """A real T1 scan (k, j, i) at 2 mm."""
    array: Array = read_volume(sample_scan("mni152_t1_brain.nii.gz")).array[0, ::2, ::2, ::2]
    return array


def parcels(labels: int, seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Array:
    """Regions around random points in an ellipsoid, numbered at random; 0 outside."""
    generator = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = k**2 + j**2 + i**2 < 0.8
    places = np.stack([k[inside], j[inside], i[inside]], axis=1)
    centres = places[generator.choice(len(places), labels, replace=False)]
    nearest = torch.cdist(torch.from_numpy(places), torch.from_numpy(centres)).argmin(dim=1).numpy()
    out = np.zeros(shape, dtype=np.int32)
    out[inside] = generator.permutation(labels)[nearest] + 1
    return out


def tissues(brain: Array, classes: int) -> Array:
    """Classes that lie all over a head, numbered at random."""
    out: Array = np.random.default_rng(3).permutation(classes)[in_greys(brain, classes)]
    return out


def in_greys(array: Array, levels: int) -> Array:
    """The scan in so many grey levels, 0 among them."""
    top = np.percentile(array[array > 0], 99.5)
    out: Array = np.clip(np.ceil(array / top * (levels - 1)), 0, levels - 1).astype(np.uint8)
    return out


def smooth(array: Array, factor: int) -> Array:
    """The scan between its voxels."""
    image = torch.from_numpy(array.astype(np.float32))[None, None]
    out: Array = torch.nn.functional.interpolate(image, scale_factor=factor, mode="trilinear")[0, 0].numpy()
    return out


@pytest.mark.parametrize("labels", [1, 2, 3, 5, 9, 40, 134])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_label_maps_of_any_number_of_labels_are_told(labels: int, dtype: type) -> None:
    assert looks_like_label_map(parcels(labels).astype(dtype))


def test_a_mask_of_truth_values_is_told() -> None:
    assert looks_like_label_map(parcels(3) > 1)


def test_one_small_structure_is_told() -> None:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[30:36, 30:38, 20:28] = 1
    assert looks_like_label_map(mask)


def test_numbers_of_labels_may_be_any() -> None:
    numbers = np.random.default_rng(1).choice(20000, 135, replace=False)
    assert looks_like_label_map(numbers[parcels(134)])


def test_a_label_map_that_was_enlarged_is_told() -> None:
    assert looks_like_label_map(parcels(20)[::2, ::2, ::2].repeat(3, axis=2).repeat(2, axis=1))


def test_labels_numbered_along_an_axis_are_told() -> None:
    slices = np.where(parcels(1) > 0, 1 + np.arange(SHAPE[2]) // 5, 0)
    assert looks_like_label_map(slices)


@pytest.mark.parametrize("classes", [3, 4, 10, 20])
def test_tissue_classes_that_lie_all_over_a_head_are_told(brain: Array, classes: int) -> None:
    assert looks_like_label_map(np.rint(tissues(smooth(brain, 2)[::2], classes)))


def test_a_scan_is_none(brain: Array) -> None:
    for scan in (brain, brain.astype(np.float32), brain - 1024.0, brain[:, :, ::-1], brain.transpose(2, 0, 1)):
        assert not looks_like_label_map(scan)


@pytest.mark.parametrize("levels", [10, 12, 16, 24, 32, 64])
def test_a_scan_of_few_grey_levels_is_none(brain: Array, levels: int) -> None:
    assert not looks_like_label_map(in_greys(brain, levels))
    assert not looks_like_label_map(in_greys(smooth(brain, 2), levels))


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("axes", [(0,), (2,), (0, 1, 2)])
def test_a_scan_that_was_enlarged_by_copying_voxels_is_none(brain: Array, factor: int, axes: tuple[int, ...]) -> None:
    for scan in (brain, in_greys(brain, 16)):
        for axis in axes:
            scan = scan.repeat(factor, axis=axis)
        assert not looks_like_label_map(scan)


def test_a_scan_that_was_enlarged_by_nearest_neighbours_on_a_turned_grid_is_none(brain: Array) -> None:
    image = SimpleITK.GetImageFromArray(brain)
    image.SetSpacing((2.6, 2.6, 2.6))
    reference = SimpleITK.Image([int(2.6 * n) for n in brain.shape[::-1]], SimpleITK.sitkUInt8)
    turn = SimpleITK.Euler3DTransform([110.0, 130, 110], 0.0, 0.0, 0.35)
    turned = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, reference, turn, SimpleITK.sitkNearestNeighbor))
    assert (turned[..., 1:] == turned[..., :-1])[turned[..., 1:] > 0].mean() > 0.5
    assert not looks_like_label_map(turned)


def test_a_scan_with_two_constants_around_it_is_none(brain: Array) -> None:
    scan = np.pad(brain.astype(np.int16), 30, constant_values=-2000)
    scan[30:-30, 30:-30, 30:-30][brain == 0] = -1024
    assert not looks_like_label_map(scan)


def test_noise_and_a_thin_volume_are_none() -> None:
    noise = np.random.default_rng(0).integers(0, 200, (4, 30, 30))
    assert not looks_like_label_map(noise)
    assert not looks_like_label_map(noise[:, :, :1])


def test_real_label_maps_and_their_scans_are_told_apart(malc2012: Path) -> None:
    folders = [malc2012, malc2012.parent / "mouse", malc2012.parent / "fetal", malc2012.parent / "hippocampus"]
    for folder in folders:
        for labels in sorted((folder / "labelsTr").glob("*.nii.gz"))[:4]:
            name = labels.name.removesuffix(".nii.gz")
            assert looks_like_label_map(read_volume(labels).array[0]), name
            assert not looks_like_label_map(read_volume(folder / "imagesTr" / f"{name}_0000.nii.gz").array[0]), name
