"""Registration of an atlas to a scan: it finds known movements, carries labels by nearest neighbour, and several
atlases vote.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.scan.itk import affine_of, image_of
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from Testing import samples
from Testing.training.studies.conftest import SPACING
from Training.studies import registration
from Training.studies.registration import affine, carried, demons, majority, require, syn

pytestmark = pytest.mark.usefixtures("quick")


def moved(volume: Volume, transform: sitk.Transform, nearest: bool = False) -> Volume:
    """A scan on the same grid whose point x shows what the volume has at transform(x)."""
    image = sitk.Cast(image_of(volume), sitk.sitkFloat32)
    out = sitk.Resample(image, image, transform, sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear, 0.0)
    return volume.with_array(sitk.GetArrayFromImage(out).astype(volume.array.dtype))


def turned(volume: Volume) -> sitk.AffineTransform:
    """10 degrees about the scan's middle, 6 % wider, 9 mm aside."""
    image = image_of(volume)
    transform = sitk.AffineTransform(3)
    transform.SetCenter(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))
    transform.Rotate(0, 1, np.deg2rad(10))
    transform.Scale([1.06, 1.0, 0.97])
    transform.SetTranslation([9.0, -5.0, 4.0])
    return transform


def bent(volume: Volume) -> sitk.Transform:
    """Displacements of up to 7 mm that change over some centimetres, without folds."""
    image = image_of(volume)
    k, j, i = np.indices(volume.shape)
    along = [7 * np.sin(2 * np.pi * a / 32) * np.cos(2 * np.pi * b / 36) for a, b in ((j, k), (k, i), (i, j))]
    field = sitk.GetImageFromArray(np.stack(along, axis=-1), isVector=True)
    field.CopyInformation(image)
    return sitk.DisplacementFieldTransform(sitk.Cast(field, sitk.sitkVectorFloat64))


def blocks(volume: Volume) -> Array:
    """Labels of the tissue by their place: (k, j, i), cubes of 7 voxels, 0 outside."""
    k, j, i = (n // 7 for n in np.indices(volume.shape))
    return np.where(volume.array[0] > 0, 1 + k + 7 * j + 49 * i, 0).astype(np.int16)


def volume_middle(voxels: Array, affine: Array) -> Array:
    """The mean of the positions of voxels, by their values."""
    index = np.array([(n * voxels).sum() for n in np.indices(voxels.shape)])[::-1] / voxels.sum()
    out: Array = (affine @ np.append(index, 1.0))[:3]
    return out


def agreement(first: Array, second: Array) -> float:
    """Share of the labelled voxels that have the same label."""
    return float((first == second)[(first > 0) | (second > 0)].mean())


def errors_mm(found: sitk.Transform, true: sitk.Transform, volume: Volume) -> Array:
    """How far points of the tissue are taken from where they belong."""
    image = image_of(volume)
    points = [
        image.TransformIndexToPhysicalPoint([int(n) for n in index[::-1]])
        for index in np.argwhere(volume.array[0] > 0)[::97]
    ]
    return np.array([np.linalg.norm(np.subtract(found.TransformPoint(p), true.TransformPoint(p))) for p in points])


def test_a_known_turn_stretch_and_shift_are_found_to_within_half_a_voxel(atlas: Volume) -> None:
    true = turned(atlas)
    scan = moved(atlas, true)
    fixed, moving = (sitk.Cast(image_of(v), sitk.sitkFloat32) for v in (scan, atlas))
    assert errors_mm(sitk.AffineTransform(3), true, scan).mean() > 8
    assert errors_mm(affine(fixed, moving), true, scan).mean() < SPACING / 2


def test_bending_that_no_affine_transform_can_undo_is_found(atlas: Volume) -> None:
    true = bent(atlas)
    scan, labels = moved(atlas, true), blocks(atlas)
    truth = moved(atlas.with_array(labels), true, nearest=True).array[0]
    before, after = (agreement(truth, carried(scan, atlas, labels, name)) for name in ("affine", "demons"))
    assert after > before + 0.2
    assert after > 0.7


def test_syn_finds_bending_as_far_as_demons_do() -> None:
    """In a small ball; a scan of an ordinary size takes an hour."""
    pytest.importorskip("ants")
    ball = samples.scan((24, 29, 26), np.diag([4.0, 4.0, 4.0, 1.0]))
    true = bent(ball)
    scan, labels = moved(ball, true), blocks(ball)
    truth = moved(ball.with_array(labels), true, nearest=True).array[0]
    found = {way: agreement(truth, carried(scan, ball, labels, way)) for way in ("affine", "demons", "syn")}
    assert found["syn"] > found["affine"] + 0.1
    assert found["syn"] > found["demons"] - 0.05


class StandIn:
    """Of ANTs: it writes what it would find, a shift and then a field, and remembers what it was given."""

    config = types.SimpleNamespace(set_ants_deterministic=lambda on, seed_value: None)

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def from_sitk(self, image: sitk.Image) -> sitk.Image:
        self.sizes.append(image.GetSize())
        return image

    def registration(
        self, fixed: sitk.Image, moving: sitk.Image, type_of_transform: str, outprefix: str
    ) -> dict[str, list[str]]:
        files = [f"{outprefix}1Warp.nii.gz", f"{outprefix}0GenericAffine.mat"]
        shape = (*fixed.GetSize()[::-1], 3)
        field = sitk.GetImageFromArray(np.broadcast_to(np.array([0, 0, -SPACING], np.float32), shape), isVector=True)
        field.CopyInformation(fixed)
        sitk.WriteImage(field, files[0])
        linear = sitk.AffineTransform(3)
        linear.Scale(2.0)
        sitk.WriteTransform(linear, files[1])
        return {"fwdtransforms": files}


def test_what_ants_finds_takes_points_of_the_scan_by_the_field_first(
    atlas: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    ants = StandIn()
    monkeypatch.setitem(sys.modules, "ants", ants)
    image = sitk.Cast(image_of(atlas), sitk.sitkFloat32)
    point = image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()])
    expected = 2 * np.add(point, [0, 0, -SPACING])
    assert np.allclose(syn(image, image).TransformPoint(point), expected, atol=1e-4)
    assert all(a != b for a, b in zip(ants.sizes[0], image.GetSize(), strict=True))  # cut to the foreground's margin


def test_missing_ants_is_told_with_what_to_install(atlas: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ants", None)
    for ask in (lambda: require(["demons", "syn_quick"]), lambda: carried(atlas, atlas, blocks(atlas), "syn")):
        with pytest.raises(InputError, match=r"SyN needs the package antspyx.*pip install .*leave syn out\.$"):
            ask()
    require(["affine", "demons"])


def test_a_scan_on_another_grid_with_turned_axes_gets_labels_on_its_own_voxels(atlas: Volume) -> None:
    turned_axes = Volume(
        np.ascontiguousarray(atlas.array.transpose(0, 2, 1, 3)[:, :, ::-1, :-4]),
        atlas.affine @ np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, atlas.shape[0] - 1], [0, 0, 0, 1.0]]),
    )
    labels = blocks(atlas)
    found = carried(turned_axes, atlas, labels, "affine")
    assert found.shape == turned_axes.shape
    assert agreement(found, labels.transpose(1, 0, 2)[:, ::-1, :-4]) > 0.95


def test_no_label_arises_that_the_atlas_does_not_have(atlas: Volume) -> None:
    labels = np.where(blocks(atlas) % 2, 7, 200).astype(np.int16)
    assert set(np.unique(carried(moved(atlas, turned(atlas)), atlas, labels, "demons"))) <= {0, 7, 200}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Several threads add up in any order."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    yield
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_the_same_images_give_the_same_transform_again_on_one_thread(atlas: Volume) -> None:
    scan = moved(atlas, bent(atlas))
    fixed, moving = (sitk.Cast(image_of(v), sitk.sitkFloat32) for v in (scan, atlas))
    points = [(20.0, 30.0, 40.0), (-3.0, -50.0, 60.0)]
    first, second = (demons(fixed, moving) for _ in range(2))
    for point in points:
        assert first.TransformPoint(point) == second.TransformPoint(point)


@pytest.mark.slow
def test_brightness_and_contrast_of_the_scanner_do_not_matter(atlas: Volume) -> None:
    scan = moved(atlas, bent(atlas))
    brighter = scan.with_array(np.where(scan.array > 0, 300 + 2.5 * scan.array, 0).astype(np.float32))
    labels = blocks(atlas)
    plain, other = (carried(v, atlas, labels, "demons") for v in (scan, brighter))
    assert agreement(plain, other) > 0.9


def test_an_empty_scan_is_refused_with_a_sentence(atlas: Volume) -> None:
    empty = atlas.with_array(np.zeros_like(atlas.array))
    for pair in ((empty, atlas), (atlas, empty)):
        with pytest.raises(InputError, match="every voxel is 0"):
            carried(*pair, blocks(atlas), "affine")


def test_images_keep_their_place_when_they_are_cut_and_resampled(atlas: Volume) -> None:
    ball = (
        np.linalg.norm(np.indices(atlas.shape) - np.array([20.3, 18.6, 25.1])[:, None, None, None], axis=0) < 6
    ).astype(np.float32)
    image = image_of(atlas.with_array(ball))
    coarse = registration._resampled(registration._around_foreground(image), 4.0)
    assert np.allclose(affine_of(coarse)[:3, :3], 4 * np.eye(3))
    before, after = (volume_middle(sitk.GetArrayFromImage(one), affine_of(one)) for one in (image, coarse))
    assert np.allclose(before, after, atol=0.2)
    assert sitk.GetArrayFromImage(coarse)[0].max() == 0


def test_the_majority_wins_ties_go_to_the_earlier_atlas_and_no_opinion_does_not_count() -> None:
    a, b, c = (
        np.array([row], dtype=np.int16) for row in ([1, 1, -1, -1, 0, 2], [2, 3, -1, 4, 5, 2], [2, 5, -1, 4, 5, 0])
    )
    assert majority([a, b, c]).tolist() == [[2, 1, 0, 4, 5, 2]]
    assert majority([a]).tolist() == [[1, 1, 0, 0, 0, 2]]
    assert majority([b, np.full_like(b, -1)]).tolist() == [[2, 3, 0, 4, 5, 2]]
