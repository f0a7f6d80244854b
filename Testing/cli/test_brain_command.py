"""`lcs brain` and --masked-scan: a scan with nothing left outside of its labels; and answers that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.cli import running
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.findings import Finding
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume

from Testing import samples

LABEL = samples.label_tree().roots[0].name


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii.gz"
    samples.scan().save(path)
    return path


def words(package: Path, scan: Path, *further: str) -> list[str]:
    return ["segment", str(scan), "--model", str(package), "--labels", LABEL, *further]


def test_the_masked_scan_is_the_scan_inside_and_0_outside(tiny_package: Path, scan: Path, tmp_path: Path) -> None:
    assert main(words(tiny_package, scan, "-o", f"{tmp_path}/m.nii.gz", "--masked-scan", f"{tmp_path}/b.nii.gz")) == 0
    mask = read_volume(tmp_path / "m.nii.gz").array[0] > 0
    masked, whole = read_volume(tmp_path / "b.nii.gz"), read_volume(scan)
    assert mask.any()
    assert not mask.all()
    assert masked.array.dtype == whole.array.dtype
    assert np.allclose(masked.affine, whole.affine)
    assert np.array_equal(masked.array[0], np.where(mask, whole.array[0], 0))


def test_the_masked_scan_may_be_all_that_is_written(tiny_package: Path, scan: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    places = ("--masked-scan", f"{tmp_path}/b.nii.gz", "--report", str(report))
    assert main(words(tiny_package, scan, *places)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.nii.gz", "r.json", "scan.nii.gz"]
    assert json.loads(report.read_text())["output"] == f"{tmp_path}/b.nii.gz"


def test_without_any_place_for_a_result_the_command_is_refused(
    tiny_package: Path, scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tiny_package, scan)) == 2
    assert "name one with -o" in capsys.readouterr().err


def test_the_scan_itself_is_never_the_masked_scan(
    tiny_package: Path, scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = scan.read_bytes()
    assert main(words(tiny_package, scan, "--masked-scan", str(scan), "--overwrite")) == 2
    assert scan.read_bytes() == before


def test_outside_of_a_scan_with_values_below_0_is_its_lowest_value(tiny_package: Path) -> None:
    volume = samples.scan()
    volume = volume.with_array(volume.array.astype(np.int16) - 1000)
    with Segmenter.from_package(tiny_package, "cpu") as segmenter:
        result = segmenter.segment(volume, [LABEL])
    outside = result.masked(volume).array[0][~result.mask(LABEL).array[0]]
    assert set(outside.tolist()) == {int(volume.array.min())}


def test_lcs_brain_needs_a_model_that_knows_the_brain(
    tiny_package: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["brain", str(scan), "-o", f"{tmp_path}/b.nii.gz", "--model", str(tiny_package)]) == 2
    assert '"Brain"' in capsys.readouterr().err
    assert not (tmp_path / "b.nii.gz").exists()


def test_an_answer_that_cannot_be_true_is_written_by_force_alone(
    tiny_package: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = running._Run._answer

    def judged(*arguments: object) -> object:
        result = answer(*arguments)  # type: ignore[arg-type]
        result.report.findings.append(Finding.error("The result is wrong: left is right.", "Turn it."))
        return result

    monkeypatch.setattr(running._Run, "_answer", judged)
    command = words(tiny_package, scan, "-o", f"{tmp_path}/out.nii.gz")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "The result is wrong: left is right. Turn it. Nothing was written; --force" in said
    assert not (tmp_path / "out.nii.gz").exists()
    assert main([*command, "--force"]) == 0
    assert "error: The result is wrong" in capsys.readouterr().err
    assert (tmp_path / "out.nii.gz").exists()
