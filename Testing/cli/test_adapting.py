"""`lcs segment --adapt`: what the report says, and what is refused before the network runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.package.feature_statistics import LevelStatistics
from LabelConditionedSegmentationLib.core.package.model_package import add_feature_statistics

from Testing import samples
from Testing.cli.command import one_sentence, write_scan


@pytest.fixture
def adaptable(tmp_path: Path) -> Path:
    """A package whose statistics no scan comes near."""
    package = samples.package(tmp_path)
    level = LevelStatistics(torch.full((4,), 5.0), torch.full((4,), 2.0))
    return add_feature_statistics(package, {"encoder.0": level}, {"feature_distance": [0.0, 0.01]}).path


def run(folder: Path, package: Path, *words: str) -> int:
    scan = write_scan(folder / "scan.nii.gz")
    output = str(folder / "out.nii.gz")
    return main(["segment", str(scan), "-o", output, "--model", str(package), "--device", "cpu", *words])


def test_the_report_says_what_became_of_it(tmp_path: Path, adaptable: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report.json"
    words = ("--adapt", "--adapter", "align", "--adapt-steps", "3", "--report", str(report))
    assert run(tmp_path, adaptable, *words) == 0
    entry = json.loads(report.read_text())["adaptation"]
    assert entry["adapter"] == "align"
    assert entry["distance"]["before"] > 0.01
    assert "dapted to this scan" in capsys.readouterr().err


def test_without_the_word_nothing_is_adapted(tmp_path: Path, adaptable: Path) -> None:
    report = tmp_path / "report.json"
    assert run(tmp_path, adaptable, "--report", str(report)) == 0
    assert "adaptation" not in json.loads(report.read_text())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--adapter", "align"), "ask for that with --adapt"),
        (("--adapt-steps", "3"), "ask for that with --adapt"),
        (("--adapt", "--adapt-steps", "11"), "1 to 10 steps"),
    ],
)
def test_words_that_do_not_fit_are_one_sentence(
    tmp_path: Path, adaptable: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    assert run(tmp_path, adaptable, *words) != 0
    assert why in one_sentence(capsys.readouterr().err)
    assert not (tmp_path / "out.nii.gz").exists()


def test_a_model_without_statistics_is_refused_before_it_is_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = samples.package(tmp_path, name="plain")
    assert run(tmp_path, package.path, "--adapt") != 0
    error = capsys.readouterr().err
    assert "no statistics of its features" in one_sentence(error)
    assert "loaded" not in error


def test_the_original_answer_stands_where_the_adapted_one_is_not_trusted(tmp_path: Path) -> None:
    package = samples.package(tmp_path, name="far")
    level = LevelStatistics(torch.full((4,), 1e6), torch.full((4,), 1.0))
    add_feature_statistics(package, {"encoder.0": level}, {})
    assert run(tmp_path, package.path) == 0
    plain = (tmp_path / "out.nii.gz").read_bytes()
    report = tmp_path / "report.json"
    assert run(tmp_path, package.path, "--adapt", "--overwrite", "--report", str(report)) == 0
    assert not json.loads(report.read_text())["adaptation"]["adapted"]
    assert np.array_equal(np.frombuffer(plain, np.uint8), np.fromfile(tmp_path / "out.nii.gz", np.uint8))
