"""DICOM results of `lcs`: the same labels as in any other format, and one sentence where there can be none."""

from __future__ import annotations

import builtins
import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib import Segmenter, read_volume
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.scan.volume import Array

from Testing import dicom_files, samples
from Testing.cli.command import contents, one_sentence, write_scan
from Testing.core.inference.test_dicom_segmentation import OBLIQUE, REVERSED, voxels_of

hd = pytest.importorskip("highdicom", reason="highdicom is not installed")


def series(folder: Path, lps: Array = OBLIQUE) -> Path:
    voxels = samples.scan((16, 22, 20)).array[0]
    return dicom_files.write_series(
        folder, voxels, lps, FrameOfReferenceUID="1.2.3.4", PatientSex="F", PatientAge="031Y"
    )


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return series(tmp_path / "series")


def lcs(*words: str | Path) -> int:
    return main([*map(str, words)])


@pytest.mark.parametrize("lps", [OBLIQUE, REVERSED], ids=["oblique", "reversed"])
def test_a_dicom_segmentation_has_the_voxels_of_the_label_map(lps: Array, tiny_package: Path, tmp_path: Path) -> None:
    folder = series(tmp_path / "series", lps)
    out = tmp_path / "out"
    words = ("segment", folder, "--model", tiny_package)
    assert lcs(*words, "-o", out / "a.dcm", "--structured-report", out / "r.dcm", "--volumes", out / "v.csv") == 0
    assert lcs(*words, "-o", out / "a.nii.gz") == 0
    dataset = pydicom.dcmread(out / "a.dcm")
    image = nibabel.load(out / "a.nii.gz")
    labels = np.asarray(image.dataobj).T
    names = {segment.SegmentLabel: int(segment.SegmentNumber) for segment in dataset.SegmentSequence}
    tree = samples.label_tree()
    assert list(names) == [leaf.name for leaf in tree.leaves]
    found = read_volume(folder)
    assert np.allclose(found.affine, image.affine, atol=1e-4)
    assert len(np.unique(labels)) > 3
    for leaf in tree.leaves:
        assert np.array_equal(voxels_of(dataset, found, names[leaf.name]) > 0, labels == leaf.id)
    report = hd.sr.srread(out / "r.dcm")
    told = {
        group.tracking_identifier: group.get_measurements()[0].value
        for group in report.content.get_volumetric_roi_measurement_groups()
    }
    with (out / "v.csv").open(encoding="utf-8") as stream:
        rows = {row["label"]: 1000 * float(row["millilitres"]) for row in csv.DictReader(stream)}
    assert told == pytest.approx(rows, abs=0.51)
    assert any(told.values())


def test_structures_that_overlap_and_their_probabilities_are_written(
    scan: Path, tiny_package: Path, tmp_path: Path
) -> None:
    wanted = "Deep gray matter,Left Hippocampus"
    words = ("segment", scan, "--model", tiny_package, "--labels", wanted)
    assert lcs(*words, "-o", tmp_path / "a.dcm", "--probabilities", tmp_path / "p.dcm") == 0
    volume = read_volume(scan)
    with Segmenter.from_package(tiny_package, "cpu") as segmenter:
        features = segmenter.features(volume, {"age": 31, "sex": "F"})
        result, maps = features.segment(wanted.split(",")), features.probabilities(wanted.split(","))
    overlapping, fractional = (pydicom.dcmread(tmp_path / name) for name in ("a.dcm", "p.dcm"))
    for number, name in enumerate(wanted.split(","), start=1):
        assert np.array_equal(voxels_of(overlapping, volume, number) > 0, result.mask(name).to_numpy())
        found = voxels_of(fractional, volume, number) / 255
        assert np.abs(found - maps[name].to_numpy()).max() < 0.5 / 255 + 1e-4


def test_results_beside_the_series_are_no_scans(scan: Path, tiny_package: Path) -> None:
    words = ("segment", scan.parent, "-r", "--model", tiny_package, "-o", scan.parent / "{name}.dcm")
    assert lcs(*words, "--structured-report", scan.parent / "{name}_volumes.dcm") == 0
    before = contents(scan.parent)
    assert {"series.dcm", "series_volumes.dcm"} <= {path.name for path in before}
    assert lcs(*words, "--structured-report", scan.parent / "{name}_volumes.dcm", "--skip-existing") == 0
    assert contents(scan.parent) == before


def test_strokes_become_a_dicom_segmentation(scan: Path, tmp_path: Path) -> None:
    volume = read_volume(scan)
    strokes = np.zeros(volume.shape, dtype=np.uint8)
    strokes[6:9, 10, 8:12], strokes[6:9, 2, 8:12] = 1, 2
    volume.with_array(strokes).save(tmp_path / "strokes.nii.gz")
    words = ("propagate", scan, tmp_path / "strokes.nii.gz", "--background", "2")
    assert lcs(*words, "-o", tmp_path / "a.dcm") == 0
    assert lcs(*words, "-o", tmp_path / "a.nrrd") == 0
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd")))
    assert np.array_equal(voxels_of(dataset, volume, 1), labels == 1)


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert lcs(*words) == 2
    return one_sentence(capsys.readouterr().err)


def test_a_scan_that_is_not_dicom_is_refused(
    tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = write_scan(tmp_path / "scan.nii.gz")
    for option in (("-o", tmp_path / "a.dcm"), ("-o", tmp_path / "a.nrrd", "--probabilities", tmp_path / "p.dcm")):
        said = refused(capsys, "segment", image, "--model", tiny_package, *option)
        assert "is no DICOM series" in said
        assert "write a .seg.nrrd file" in said
    assert set(contents(tmp_path)) == {image}


def test_a_scan_of_a_batch_that_is_not_dicom_fails_alone(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    image = write_scan(tmp_path / "other" / "scan.nii.gz")
    assert lcs("segment", image, scan, "--model", tiny_package, "-o", tmp_path / "out" / "{name}.dcm") == 1
    assert [path.name for path in contents(tmp_path / "out")] == ["series.dcm"]


def test_a_series_that_cannot_be_referred_to_is_refused_before_the_network_runs(
    tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the network ran")

    monkeypatch.setattr(Segmenter, "segment", never)
    folder = dicom_files.write_series(tmp_path / "series")
    said = refused(capsys, "segment", folder, "--model", tiny_package, "-o", tmp_path / "a.dcm")
    assert "FrameOfReferenceUID" in said
    gaps = dicom_files.write_series(
        tmp_path / "gaps", heights=[*range(6), *range(8, 14)], FrameOfReferenceUID="1.2.3.4"
    )
    said = refused(capsys, "segment", gaps, "--fill-gaps", "--model", tiny_package, "-o", tmp_path / "a.dcm")
    assert "were interpolated" in said


def test_too_many_labels_are_refused_with_what_to_do(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = samples.package(tmp_path, tree=samples.label_tree(256), name="many").path
    said = refused(capsys, "segment", scan, "--model", package, "-o", tmp_path / "a.dcm")
    assert "256 labels" in said
    assert "--labels" in said


def test_a_report_without_a_segmentation_is_refused(
    scan: Path, tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("segment", scan, "--model", tiny_package, "-o", tmp_path / "a.nrrd", "--structured-report")
    assert "with -o and a name that ends in .dcm" in refused(capsys, *words, tmp_path / "r.dcm")
    assert "has to be a .dcm file" in refused(capsys, *words, tmp_path / "r.txt")


def test_without_the_library_that_writes_dicom_one_sentence_says_so(
    scan: Path,
    tiny_package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "highdicom":
            raise ImportError(name)
        return found(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refused(capsys, "segment", scan, "--model", tiny_package, "-o", tmp_path / "a.dcm")
    assert "pip install highdicom" in said
