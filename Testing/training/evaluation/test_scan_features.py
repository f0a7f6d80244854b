"""Statistics of features over the training scans, and how they come into a package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from LabelConditionedSegmentationLib.core.adaptation.adapters import Adaptation
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Training.evaluation.scan_features import FeatureStatistics, statistics_over
from Training.studies.feature_statistics import main, training_cases


def test_a_package_gets_statistics_and_keeps_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, before = write_data_set(tmp_path / "data"), samples.package(tmp_path)
    weights = (before.path / "weights.safetensors").read_bytes()
    words = [str(before.path), str(data), "--device", "cpu", "--cases", "case_0", "case_1", "case_2"]
    monkeypatch.setattr(sys, "argv", ["feature_statistics", *words])
    main()
    after = ModelPackage.load(before.path)
    statistics = after.feature_statistics()
    assert list(statistics) == list(after.architecture.level_channels)
    assert after.statistics["feature_distance"][1] > 0
    assert (after.path / "weights.safetensors").read_bytes() == weights
    assert (after.labels, after.input, after.about) == (before.labels, before.input, before.about)
    with Segmenter.from_package(after.path, "cpu") as segmenter:
        report = segmenter.segment(samples.scan(seed=2), adaptation=Adaptation()).report
    assert report.adaptation["distance"]["before"] < 1


def test_the_scans_are_those_of_the_training_unless_others_are_named(tmp_path: Path) -> None:
    data, package = write_data_set(tmp_path / "data"), samples.package(tmp_path)
    assert [case.name for case in training_cases(package, data, ())] == ["case_1"]
    assert [case.name for case in training_cases(package, data, ["case_0", "case_2"])] == ["case_0", "case_2"]


def test_a_scan_is_as_far_as_it_is_from_the_others() -> None:
    found = FeatureStatistics({}, (0.1, 0.2, 0.12))
    assert found.ranges["feature_distance"][0] == 0
    assert found.ranges["feature_distance"][1] >= 0.2
    assert FeatureStatistics({}, ()).ranges == {}


def test_without_scans_there_are_no_statistics(tmp_path: Path) -> None:
    with (
        Segmenter.from_package(samples.package(tmp_path).path, "cpu") as segmenter,
        pytest.raises(InputError, match="no scan"),
    ):
        statistics_over(segmenter.network_pass, [])


def test_equal_scans_are_no_distance_from_each_other(tmp_path: Path) -> None:
    with Segmenter.from_package(samples.package(tmp_path).path, "cpu") as segmenter:
        prepared, _, _ = segmenter.prepared(samples.scan(), None)
        found = statistics_over(segmenter.network_pass, [(prepared.image, prepared.foreground)] * 2)
    assert found.distances == pytest.approx((0, 0), abs=1e-4)
    assert all(bool(torch.isfinite(level.variance).all()) for level in found.levels.values())
