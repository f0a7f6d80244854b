"""Volumes from and to the arrays and images of other libraries, and as files: the same voxels on the same place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib import LCSError, Volume, read_volume
from LabelConditionedSegmentationLib.core.errors import InputError, OutputError

OBLIQUE = np.array([[-1.2, -0.5, 0.1, -10], [0.45, -0.8, 0.2, 4], [-0.1, -0.2, 1.9, -3], [0, 0, 0, 1.0]])
PERMUTED = np.array([[0, 0, 1.0, 5], [-1.5, 0, 0, 60], [0, -2.0, 0, 20], [0, 0, 0, 1]])
SHAPE = (4, 5, 6)


def array(dtype: Any = np.int16, channels: int = 1) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 100, (channels, *SHAPE)).astype(dtype)
    return values if channels > 1 else values[0]


def rotation(affine: np.ndarray) -> np.ndarray:
    """The same axes at right angles, as a qform can say them."""
    left, _, right = np.linalg.svd(affine[:3, :3])
    out = affine.copy()
    out[:3, :3] = left @ right * [1.2, 0.9, 1.9]
    return out


# From arrays


def test_an_array_lies_where_its_affine_says() -> None:
    voxels = array()
    volume = Volume.from_numpy(voxels, OBLIQUE)
    assert volume.shape == SHAPE
    assert np.array_equal(volume.affine, OBLIQUE)
    assert np.shares_memory(volume.array, voxels)
    assert np.array_equal(volume.to_numpy(), voxels)
    several = Volume.from_numpy(array(channels=3), OBLIQUE)
    assert several.array.shape == several.to_numpy().shape == (3, *SHAPE)


def test_spacing_and_orientation_say_where_the_axes_run() -> None:
    volume = Volume.from_numpy(array(), spacing=(1, 2, 3), orientation="LPS")
    assert np.array_equal(volume.affine[:3, :3], np.diag([-1, -2, 3]))
    assert volume.spacing == (1, 2, 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give an affine, or a spacing together with an orientation"),
        ({"spacing": (1, 1, 1)}, "give an affine, or a spacing together with an orientation"),
        ({"orientation": "LPS"}, "give an affine, or a spacing together with an orientation"),
        ({"affine": np.eye(4), "spacing": (1, 1, 1)}, "give an affine, or a spacing together with an orientation"),
        ({"affine": np.eye(4), "orientation": "LPS"}, "give an affine, or a spacing together with an orientation"),
        ({"spacing": (1, 1, 1), "orientation": "LPP"}, '"LPP" is no orientation'),
        ({"spacing": (1, 0, 1), "orientation": "LPS"}, "three lengths in mm above 0"),
        ({"spacing": (1, 1), "orientation": "LPS"}, "three lengths in mm above 0"),
        ({"affine": np.eye(3)}, "a 4x4 matrix of numbers"),
        ({"affine": np.eye(4) * np.nan}, "a 4x4 matrix of numbers"),
        ({"affine": np.eye(4) * 2}, "whose last row is 0 0 0 1"),
        ({"affine": np.diag([1, 0, 1, 1])}, "impossible spacing"),
    ],
)
def test_what_says_no_place_or_two_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Volume.from_numpy(array(), **given)


@pytest.mark.parametrize(
    ("voxels", "words"),
    [
        (np.zeros((4, 5)), r"\(k, j, i\) or \(channel, k, j, i\) is needed; this one has the shape \(4, 5\)"),
        (np.zeros((1, 1, 4, 5, 6)), "has the shape"),
        (np.zeros((0, 5, 6)), "has the shape"),
        (np.zeros(SHAPE, dtype=complex), "this one holds complex128"),
        (np.full(SHAPE, "a"), "this one holds <U1"),
    ],
)
def test_an_array_that_is_no_image_is_refused(voxels: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Volume.from_numpy(voxels, np.eye(4))


# To and from images of other libraries


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("affine", [np.eye(4), OBLIQUE, PERMUTED], ids=["straight", "oblique", "permuted"])
@pytest.mark.parametrize(
    "there_and_back",
    [lambda v: Volume.from_sitk(v.to_sitk()), lambda v: Volume.from_nibabel(v.to_nibabel())],
    ids=["SimpleITK", "nibabel"],
)
def test_a_volume_comes_back_as_it_went(
    there_and_back: Callable[[Volume], Volume], affine: np.ndarray, dtype: Any, channels: int
) -> None:
    volume = Volume.from_numpy(array(dtype, channels), affine)
    back = there_and_back(volume)
    assert back.array.dtype == dtype
    assert np.array_equal(back.array, volume.array)
    assert np.allclose(back.affine, affine, rtol=0, atol=1e-12)


@pytest.mark.parametrize("affine", [OBLIQUE, PERMUTED], ids=["oblique", "permuted"])
def test_a_voxel_lies_at_the_same_point_in_every_library(affine: np.ndarray) -> None:
    """The brightest voxel, at i = 5, j = 3, k = 2: SimpleITK says where it is in LPS, nibabel in RAS."""
    voxels = array()
    voxels[2, 3, 5] = 1000
    volume = Volume.from_numpy(voxels, affine)
    point = (affine @ [5, 3, 2, 1])[:3]
    image = volume.to_sitk()
    assert image[5, 3, 2] == 1000
    assert np.allclose(image.TransformIndexToPhysicalPoint((5, 3, 2)), point * [-1, -1, 1])
    other = volume.to_nibabel()
    assert np.asarray(other.dataobj)[5, 3, 2] == 1000
    assert np.allclose((other.affine @ [5, 3, 2, 1])[:3], point)


def test_masks_and_half_precision_become_types_that_images_have() -> None:
    mask = array() > 50
    for image in (Volume.from_numpy(mask, OBLIQUE).to_sitk(), Volume.from_numpy(mask, OBLIQUE).to_nibabel()):
        back = Volume.from_sitk(image) if isinstance(image, sitk.Image) else Volume.from_nibabel(image)
        assert back.array.dtype == np.uint8
        assert np.array_equal(back.to_numpy(), mask)
    half = Volume.from_numpy(array(np.float16) / np.float16(7), OBLIQUE)
    for back in (Volume.from_sitk(half.to_sitk()), Volume.from_nibabel(half.to_nibabel())):
        assert back.array.dtype == np.float32
        assert np.array_equal(back.array, half.array)


@pytest.mark.parametrize("codes", [(2, 1), (4, 1), (1, 0), (0, 1), (3, 4)])
def test_both_forms_of_a_nifti_header_are_kept(tmp_path: Path, codes: tuple[int, int]) -> None:
    image = nib.Nifti1Image(array().T, None)
    image.header.set_qform(rotation(OBLIQUE), codes[1])
    image.header.set_sform(rotation(PERMUTED), codes[0])
    nib.save(image, tmp_path / "scan.nii")
    loaded = nib.load(tmp_path / "scan.nii")
    volume, read = Volume.from_nibabel(loaded), read_volume(tmp_path / "scan.nii")
    assert volume.nifti_place == read.nifti_place
    assert volume.findings == read.findings
    assert bool(volume.findings) is (0 not in codes)
    assert np.allclose(volume.affine, read.affine, rtol=0, atol=1e-12)
    volume.save(tmp_path / "saved.nii.gz")
    for header in (volume.to_nibabel().header, nib.load(tmp_path / "saved.nii.gz").header):
        assert (header["sform_code"], header["qform_code"]) == codes
        assert np.array_equal(header.get_sform(), loaded.header.get_sform())
        assert np.array_equal(header.get_qform(), loaded.header.get_qform())


def test_lengths_of_a_nifti_header_in_metres_are_read_as_such(tmp_path: Path) -> None:
    image = nib.Nifti1Image(array().T, np.diag([0.001, 0.002, 0.003, 1]))
    image.header["xyzt_units"] = 1
    nib.save(image, tmp_path / "scan.nii")
    volume, read = Volume.from_nibabel(nib.load(tmp_path / "scan.nii")), read_volume(tmp_path / "scan.nii")
    assert volume.spacing == pytest.approx((1, 2, 3))
    assert np.allclose(volume.affine, read.affine)


def test_an_image_whose_affine_is_another_one_than_its_headers_lies_where_the_image_says() -> None:
    image = nib.Nifti1Image(array().T, OBLIQUE)
    image.header.set_sform(PERMUTED, 1)  # nibabel minds it when the image is saved
    volume = Volume.from_nibabel(image)
    assert np.array_equal(volume.affine, OBLIQUE)
    assert volume.nifti_place is None


def test_images_that_do_not_tell_left_from_right_are_refused() -> None:
    image = nib.Nifti1Image(array().T, None)
    for unknown in (image, nib.AnalyzeImage(array().T, np.eye(4))):
        with pytest.raises(InputError, match=r"left and right are not known: use Volume\.from_numpy"):
            Volume.from_nibabel(unknown)


def test_a_scan_without_a_side_that_was_told_one_keeps_it(tmp_path: Path) -> None:
    image = nib.Nifti1Image(array().T, None)
    nib.save(image, tmp_path / "scan.nii")
    volume = read_volume(tmp_path / "scan.nii", assume_orientation="RAS")
    assert np.allclose(volume.to_nibabel().affine, volume.affine)


def test_images_of_other_dimensions_are_refused() -> None:
    with pytest.raises(InputError, match="A 3D image is needed; this one is 2D"):
        Volume.from_sitk(sitk.Image(4, 5, sitk.sitkInt16))
    with pytest.raises(InputError, match=r"a 4D one of several channels, is needed; this one has the shape \(4, 5\)"):
        Volume.from_nibabel(nib.Nifti1Image(np.zeros((4, 5)), np.eye(4)))


# Files


@pytest.mark.parametrize("name", ["v.nii.gz", "v.nii", "v.nrrd", "v.mha", "V.NII.GZ"])
@pytest.mark.parametrize("affine", [OBLIQUE, PERMUTED], ids=["oblique", "permuted"])
def test_a_saved_volume_is_read_as_it_was(tmp_path: Path, name: str, affine: np.ndarray) -> None:
    volume = Volume.from_numpy(array(np.float32) / np.float32(7), affine)
    volume.save(tmp_path / name)
    back = read_volume(tmp_path / name)
    assert back.array.dtype == np.float32
    assert np.array_equal(back.array, volume.array)
    assert np.allclose(back.affine, affine, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_channels_are_the_fourth_axis_of_nifti_and_components_elsewhere(tmp_path: Path) -> None:
    volume = Volume.from_numpy(array(np.float32, channels=3), OBLIQUE)
    for name in ("v.nii.gz", "v.mha", "v.nrrd"):
        volume.save(tmp_path / name)
    image = nib.load(tmp_path / "v.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), np.moveaxis(volume.array.transpose(0, 3, 2, 1), 0, -1))
    assert np.allclose(image.affine, OBLIQUE, atol=1e-6)
    for name in ("v.mha", "v.nrrd"):
        back = Volume.from_sitk(sitk.ReadImage(str(tmp_path / name)))
        assert np.array_equal(back.array, volume.array)
        assert np.allclose(back.affine, OBLIQUE, atol=1e-9)


def test_voxels_that_are_no_numbers_are_saved_as_such(tmp_path: Path) -> None:
    voxels = array(np.float32)
    voxels[0, 0, 0] = np.nan
    for name in ("v.nii.gz", "v.mha"):
        Volume.from_numpy(voxels, OBLIQUE).save(tmp_path / name)
        assert np.array_equal(read_volume(tmp_path / name).to_numpy(), voxels, equal_nan=True)


@pytest.mark.parametrize("name", ["v", "v.png", "v.seg.nrrd", ".nrrd", "v.nii.bz2"])
def test_a_name_that_says_no_format_of_images_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"is no image that can be written; use a name that ends in \.nii\.gz"):
        Volume.from_numpy(array(), OBLIQUE).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_replaced_only_where_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "v.mha"
    Volume.from_numpy(array(), OBLIQUE).save(path)
    before = path.read_bytes()
    other = Volume.from_numpy(array() + 1, OBLIQUE)
    with pytest.raises(OutputError, match=r"exists; choose another name, or replace it with overwrite=True"):
        other.save(path)
    assert path.read_bytes() == before
    other.save(str(path), overwrite=True)
    assert np.array_equal(read_volume(path).array, other.array)


def test_a_volume_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(LCSError, match="No space left on device"):
        Volume.from_numpy(array(), OBLIQUE).save(tmp_path / "v.nii.gz")
    assert not list(tmp_path.iterdir())
