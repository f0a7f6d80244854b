"""What is usual of a model's answers: counted over scans, written into the package, and the judge of later answers."""

from __future__ import annotations

import json
import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.inference.answer_checks import Tally, check_answer, measures_of
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.package.usual_answers import UsualAnswers
from LabelConditionedSegmentationLib.core.scan.itk import image_of

from Testing import samples
from Training.studies.usual_answers import LIMITS, main, usual_of

LEAVES = len(samples.label_tree().leaves)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return samples.package(tmp_path).path


def scans(folder: Path, count: int = 3) -> list[Path]:
    paths = [folder / f"scan_{n}.nii.gz" for n in range(count)]
    for n, path in enumerate(paths):
        sitk.WriteImage(image_of(samples.scan((28, 30, 32), seed=n)), str(path))
    return paths


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["usual_answers", *map(str, words), "--device", "cpu"])
    main()


def tally(*count: float) -> Tally:
    counts = np.array([100.0, *count])
    return Tally(counts, counts * np.arange(len(counts)), 0.5)


def test_volumes_are_told_as_the_mean_and_deviation_of_their_logarithm() -> None:
    usual = usual_of([tally(2, 20, 8), tally(2 * math.e**2, 20, 8)])
    assert usual.log_ml[0] == pytest.approx((1, 1))
    assert usual.log_ml[1] == pytest.approx((math.log(10), 0))
    assert list(usual.intensity) == pytest.approx([-math.sqrt(1.5), 0, math.sqrt(1.5)])
    assert usual.limits == LIMITS


def test_of_a_label_that_was_not_found_in_all_scans_nothing_is_usual() -> None:
    usual = usual_of([tally(2, 0, 8), tally(2, 20, 8)])
    assert [math.isnan(mean) for mean, _ in usual.log_ml] == [False, True, False]
    assert [math.isnan(value) for value in usual.intensity] == [False, True, False]


def test_a_model_of_every_contrast_judges_sizes_and_no_intensities() -> None:
    tree, usually = samples.label_tree(), tally(20, 20, 80, 80, 50, 50)
    usual = usual_of([usually, tally(22, 21, 85, 84, 52, 53)], any_contrast=True)
    usual = UsualAnswers.from_json(json.loads(json.dumps(usual.to_json())), LEAVES)
    inverted = replace(usually, total=-usually.total)
    assert check_answer(measures_of(inverted, tree, usual), usual, {}) == []
    swollen = tally(2000, 20, 80, 80, 1, 50)
    assert check_answer(measures_of(swollen, tree, usual), usual, {})[0].level == "error"


def test_the_package_knows_afterwards_what_is_usual_and_nothing_else_changes(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads((package / "model.json").read_text())
    given = scans(tmp_path)
    call(monkeypatch, package, *given)
    after = json.loads((package / "model.json").read_text())
    assert {name: value for name, value in after.items() if name != "answers"} == before
    usual = ModelPackage.load(package).usual
    assert usual is not None
    answers = [Segmenter.from_package(package, "cpu").segment(samples.scan((28, 30, 32), seed=n)) for n in range(3)]
    for leaf, (mean, _) in zip(samples.label_tree().leaves, usual.log_ml, strict=True):
        found = [answer.millilitres()[leaf.id] for answer in answers]
        assert math.isnan(mean) if 0 in found else mean == pytest.approx(np.log(found).mean(), abs=1e-3)
    assert sum(math.isfinite(mean) for mean, _ in usual.log_ml) > 1


def test_scans_of_another_kind_and_a_dry_run_leave_no_trace(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (package / "model.json").read_bytes()
    *given, other = scans(tmp_path)
    call(monkeypatch, package, *given, "--dry-run")
    assert (package / "model.json").read_bytes() == before
    call(monkeypatch, package, *given)
    alone = json.loads((package / "model.json").read_text())["answers"]
    capsys.readouterr()
    call(monkeypatch, package, *given, "--other", other)
    assert json.loads((package / "model.json").read_text())["answers"] == alone
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["scan", *LIMITS]
    assert [line.split()[0] for line in lines[1:]] == [path.name for path in (*given, other)]


def test_a_zipped_package_is_refused(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", package.parent, package.name)
    with pytest.raises(SystemExit, match="unpack"):
        call(monkeypatch, archive, *scans(tmp_path, 1))
