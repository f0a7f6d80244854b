"""Results lie where their scans lie, for every program that reads both: headers with two forms, leaning axes, scans
without a side.
"""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Affine

from Testing import samples
from Testing.dicom_files import LPS, write_series

STRAIGHT = np.array([[-1.0, 0, 0, 20], [0, 1, 0, -30], [0, 0, 1, -25], [0, 0, 0, 1]])
LEANING = STRAIGHT @ np.array([[1, 0, 0, 0], [0, 1, 0.3, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def write(path: Path, sform: Affine, codes: tuple[int, int], qform: Affine = STRAIGHT) -> Path:
    image = nib.Nifti1Image(samples.scan((20, 24, 22)).array[0].T, None)
    image.header.set_qform(qform, codes[1])
    image.header.set_sform(sform, codes[0])
    nib.save(image, path)
    return path


def segment(scan: Path, output: Path, package: Path, *words: str) -> int:
    return main(["segment", str(scan), "-o", str(output), "--model", str(package), *words])


@pytest.mark.parametrize("codes", [(2, 1), (4, 1), (1, 0), (0, 1)])
def test_a_result_carries_both_forms_of_its_scan(tmp_path: Path, tiny_package: Path, codes: tuple[int, int]) -> None:
    scan = write(tmp_path / "scan.nii.gz", np.diag([-1.0, 1, 1, 1]) @ STRAIGHT, codes)
    report = tmp_path / "report.json"
    assert segment(scan, tmp_path / "out.nii.gz", tiny_package, "--report", str(report)) == 0
    one, two = nib.load(scan).header, nib.load(tmp_path / "out.nii.gz").header
    assert (one["sform_code"], one["qform_code"]) == (two["sform_code"], two["qform_code"]) == codes
    assert np.array_equal(one.get_sform(), two.get_sform())
    assert np.array_equal(one.get_qform(), two.get_qform())
    told = " ".join(finding["text"] for finding in json.loads(report.read_text())["findings"])
    assert ("disagree about left and right" in told) is (0 not in codes)


def test_the_side_is_that_of_the_sform(tmp_path: Path, tiny_package: Path) -> None:
    """The same voxels: a scan that is mirrored by its sform gives what the mirrored header alone gives."""
    mirrored = np.diag([-1.0, 1, 1, 1]) @ STRAIGHT
    both = write(tmp_path / "both.nii.gz", mirrored, (2, 1))
    alone = write(tmp_path / "alone.nii.gz", mirrored, (1, 0))
    other = write(tmp_path / "other.nii.gz", STRAIGHT, (1, 1))
    for scan in (both, alone, other):
        assert segment(scan, tmp_path / f"out_{scan.name}", tiny_package) == 0
    labels = {scan: np.asarray(nib.load(tmp_path / f"out_{scan.name}").dataobj) for scan in (both, alone, other)}
    assert np.array_equal(labels[both], labels[alone])
    assert not np.array_equal(labels[both], labels[other])


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii", "out.nrrd", "out.mha", "out.seg.nrrd"])
def test_every_format_holds_the_place_of_a_leaning_scan(tmp_path: Path, tiny_package: Path, name: str) -> None:
    scan = write(tmp_path / "scan.nii.gz", LEANING, (1, 0))
    assert segment(scan, tmp_path / name, tiny_package) == 0
    assert np.allclose(read_volume(tmp_path / name).affine, LEANING, atol=1e-5)


def test_a_tilted_series_is_segmented_where_it_lies(
    tmp_path: Path, tiny_package: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tilted = LPS @ np.array([[1, 0, 0, 0], [0, 1, 0.6, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    series = write_series(tmp_path / "series", samples.scan((20, 24, 22)).array[0], lps=tilted)
    assert segment(series, tmp_path / "out.nii.gz", tiny_package) == 0
    affine = nib.load(tmp_path / "out.nii.gz").affine
    assert np.allclose(affine, np.diag([-1.0, -1, 1, 1]) @ tilted, atol=1e-3)
    said = capfd.readouterr()
    assert said.out == ""
    assert all(line.startswith(("note: ", "warning: ", "model ", str(series))) for line in said.err.splitlines())


def test_a_scan_without_a_side_is_refused_and_goes_on_when_it_is_told(
    tmp_path: Path, tiny_package: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scan = write(tmp_path / "scan.nii.gz", STRAIGHT, (0, 0))
    assert segment(scan, tmp_path / "out.nii.gz", tiny_package) == 2
    assert "left and right are not known" in capfd.readouterr().err
    assert not (tmp_path / "out.nii.gz").exists()
    assert segment(scan, tmp_path / "out.nii.gz", tiny_package, "--assume-orientation", "LAS") == 0
    told = write(tmp_path / "told.nii.gz", np.diag([-1.0, 1, 1, 1]), (1, 0))
    assert segment(told, tmp_path / "told_out.nii.gz", tiny_package) == 0
    found, wanted = (np.asarray(nib.load(tmp_path / n).dataobj) for n in ("out.nii.gz", "told_out.nii.gz"))
    assert np.array_equal(found, wanted)


def test_an_atlas_and_its_mask_are_read_by_the_same_rule(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    package = samples.package(tmp_path, samples.SEEING, patch=(32, 32, 32), made=samples.seeing_network()).path
    mirrored = np.diag([-1.0, 1, 1, 1]) @ STRAIGHT
    mask = tmp_path / "mask.nii.gz"
    atlas = write(tmp_path / "atlas.nii.gz", mirrored, (2, 1))
    header = nib.load(atlas).header.copy()
    header.set_qform(np.diag([1.0, 1, 1, 1]), 1)  # elsewhere; only its sform is the atlas's
    nib.save(nib.Nifti1Image((samples.scan((20, 24, 22)).array[0].T > 500).astype(np.uint8), None, header), mask)
    words = ["--example", str(atlas), str(mask), "--name", "Bright"]
    assert segment(atlas, tmp_path / "out.nii.gz", package, *words) == 0
    said = capfd.readouterr().err
    for file in (atlas, mask):
        assert f"warning: {file}: The header says twice where the scan lies" in said
    image = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert image.GetDirection() == sitk.ReadImage(str(atlas)).GetDirection()
