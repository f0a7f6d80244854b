"""`lcs segment --probabilities`: an output like any other, with the names of its maps beside it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from LabelConditionedSegmentationLib import Segmenter, read_volume
from LabelConditionedSegmentationLib.cli.main import main

from Testing import samples
from Testing.cli.command import contents, one_sentence, write_scan

LABELS = "Right Amygdala,Deep gray matter"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "in/scan.nii.gz", samples.scan((20, 24, 22)))


def segment(package: Path, scan: Path, output: str, maps: str, *words: str) -> int:
    """In the folder above that of the scan."""
    top = scan.parent.parent
    places = ["-o", f"{top}/{output}", "--probabilities", f"{top}/{maps}"]
    return main(["segment", str(scan), *places, "--model", str(package), "--device", "cpu", *words])


def test_several_labels_are_one_4d_file_with_their_names(tiny_package: Path, scan: Path, tmp_path: Path) -> None:
    assert segment(tiny_package, scan, "r.seg.nrrd", "p.nii.gz", "--labels", LABELS) == 0
    image = nib.load(tmp_path / "p.nii.gz")
    maps = Segmenter.from_package(tiny_package, "cpu").features(read_volume(scan)).probabilities(LABELS.split(","))
    assert image.shape == (22, 24, 20, 2)
    assert np.array_equal(np.asarray(image.dataobj), maps.volume.array.T)
    assert np.array_equal(image.affine, nib.load(scan).affine)
    assert [entry["name"] for entry in json.loads((tmp_path / "p.json").read_text())["labels"]] == LABELS.split(",")
    assert {path.name for path in contents(tmp_path)} == {"in", "scan.nii.gz", "r.seg.nrrd", "p.nii.gz", "p.json"}


@pytest.mark.parametrize("name", ["p.nii", "p.nrrd", "p.mha"])
def test_one_label_is_a_3d_image(tiny_package: Path, scan: Path, tmp_path: Path, name: str) -> None:
    assert segment(tiny_package, scan, "r.seg.nrrd", name, "--labels", "Right Amygdala") == 0
    volume = read_volume(tmp_path / name)
    assert volume.array.dtype == np.float32
    assert 0.1 < volume.array.max() <= 1


def test_labels_by_example_have_maps_beside_those_of_the_model(scan: Path, tmp_path: Path) -> None:
    package = samples.package(tmp_path, samples.SEEING, patch=(32, 32, 32), made=samples.seeing_network()).path
    volume = read_volume(scan)
    mask = write_scan(tmp_path / "in/mask.nii.gz", volume.with_array((volume.array > 500).astype(np.uint8)))
    shown = ["--example", str(scan), str(mask), "--name", "Bright"]
    assert segment(package, scan, "r.seg.nrrd", "p.nii.gz", *shown, "--labels", "Right Amygdala") == 0
    assert [e["name"] for e in json.loads((tmp_path / "p.json").read_text())["labels"]] == ["Right Amygdala", "Bright"]
    bright = np.asarray(nib.load(tmp_path / "p.nii.gz").dataobj)[..., 1].T
    assert bright[mask_of(mask)].mean() > bright[~mask_of(mask)].mean() + 0.2
    assert segment(package, scan, "s.seg.nrrd", "q.nii.gz", *shown) == 0
    assert np.array_equal(np.asarray(nib.load(tmp_path / "q.nii.gz").dataobj).T, bright)


def mask_of(path: Path) -> np.ndarray:
    return read_volume(path).to_numpy() > 0


@pytest.mark.parametrize(
    ("output", "maps", "said"),
    [
        ("r.seg.nrrd", "p.seg.nrrd", "is no image that can be written; use a name that ends in .nii.gz"),
        ("r.seg.nrrd", "p.png", "is no image that can be written"),
        ("r.nii.gz", "r.nii.gz", "Two results would both be written to"),
        ("r.nii.gz", "r.mha", "Two results would both be written to"),
        ("r.seg.nrrd", "in/scan.nii.gz", "would replace"),
        ("r.seg.nrrd", "old.nii.gz", "exists; use --overwrite"),
        ("r.seg.nrrd", "in/scan.nii.gz/p.nii", "cannot be written"),
    ],
)
def test_what_could_not_be_written_is_refused_before_any_work(
    tiny_package: Path,
    scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    output: str,
    maps: str,
    said: str,
) -> None:
    (tmp_path / "old.nii.gz").write_text("old")
    before = contents(tmp_path)
    overwrite = ["--overwrite"] if said == "would replace" else []
    assert segment(tiny_package, scan, output, maps, *overwrite) == 2
    told = capsys.readouterr().err
    assert said in one_sentence(told)
    assert "loaded" not in told
    assert contents(tmp_path) == before


def test_a_batch_goes_on_where_maps_are_missing_and_takes_none_for_scans(
    tiny_package: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scan(scan.with_name("other.nii.gz"), samples.scan((20, 24, 22), seed=1))
    words = ["segment", str(scan.parent), "-r", "-o", str(tmp_path / "in/{name}.seg.nrrd"), "--labels", "Left Putamen"]
    words += ["--model", str(tiny_package), "--probabilities", str(tmp_path / "in/{name}_p.nii.gz"), "--skip-existing"]
    assert main(words) == 0
    names = {path.name for path in contents(scan.parent)}
    assert {"scan_p.nii.gz", "scan_p.json", "other_p.nii.gz", "other_p.json"} <= names
    before = contents(scan.parent)
    capsys.readouterr()
    (tmp_path / "in/other_p.nii.gz").unlink()
    assert main(words) == 0
    assert "1 of 2 scans are left out" in capsys.readouterr().err
    after = contents(scan.parent)
    assert set(after) == set(before)
    assert {path.name for path in after if after[path] != before[path]} <= {"other.seg.nrrd"}
