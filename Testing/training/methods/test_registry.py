"""Every registered method goes from a configuration to an answer: a new one is tested by being registered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from safetensors.torch import load_file

import Testing.training.methods.toy_method
from Testing.training.engine.test_train import config_of, rows
from Testing.training.made_up_data import write_data_set
from Training.engine.config import configuration_keys, read_config
from Training.engine.loop import train
from Training.engine.settings_help import settings_in_words
from Training.methods.registry import registered


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of other people, for a method that learns from scans without labels."""
    return write_data_set(tmp_path_factory.mktemp("data") / "others", cases=2, first=10)


def sources_of(method: str, data_set: Path, target: Path) -> list[str]:
    """The data set and, for a method that takes one, a target beside it."""
    if "target" not in registered()[method].roles:
        return []
    sources = [
        {"root": str(data_set)},
        {"root": str(data_set), "role": "validate", "cases": ["case_2"]},
        {"root": str(target), "role": "target"},
    ]
    return ["data.root=", "data.validation=[]", f"data.sources={json.dumps(sources)}"]


def words_of(method: str) -> list[str]:
    """Settings that any method can be tried with."""
    classes, loss = int(registered()[method].trains_context_classes), registered()[method].needs_loss
    return [
        *(f"method={method}", f"network.context_classes={classes}", "data.points=0", "data.patch=[32, 32, 32]"),
        *("validate_every=1", "optimizer.warmup=1", "optimizer.decay=0"),
        *([f"objective.loss={loss}"] if loss else []),
    ]


@pytest.mark.parametrize("method", registered())
def test_a_method_is_trained_resumed_validated_and_exported_and_its_package_answers(
    method: str, data_set: Path, target: Path, tmp_path: Path
) -> None:
    words = [*words_of(method), *sources_of(method, data_set, target)]
    for folder, stops in (("whole", [2]), ("resumed", [1, 2])):
        for steps in stops:
            train(config_of(tmp_path / folder, data_set, *words, f"optimizer.steps={steps}"))
    whole, resumed = (load_file(tmp_path / name / "run" / "last.safetensors") for name in ("whole", "resumed"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    logged = rows(tmp_path / "resumed")
    assert [row["loss"] for row in logged] == [row["loss"] for row in rows(tmp_path / "whole")]
    assert all(np.isfinite(float(row["dice"])) for row in logged)

    package = ModelPackage.load(tmp_path / "resumed" / "run" / "package")
    assert package.about["provenance"]["method"] == method
    scan, out = data_set / "imagesTr" / "case_2_0000.nii.gz", tmp_path / "found.nii.gz"
    assert main(["segment", str(scan), "-o", str(out), "--model", str(package.path), "--device", "cpu"]) == 0
    found = read_volume(out)
    assert found.shape == read_volume(scan).shape
    assert set(np.unique(found.array)) <= {0, *(leaf.id for leaf in package.labels.leaves)}


def test_the_settings_of_a_method_stand_under_its_name_and_are_checked(data_set: Path, tmp_path: Path) -> None:
    assert {"toy.smoothing", "colab.every"} <= configuration_keys().keys()
    with pytest.raises(SystemExit, match=r"^toy\.smoothing is 2, but has to be from 0 to 1\.$"):
        config_of(tmp_path, data_set, "method=toy", "toy.smoothing=2")
    with pytest.raises(SystemExit, match=r'"toy\.smooth" is no setting of the configuration\. .*"toy\.smoothing"'):
        config_of(tmp_path, data_set, "method=toy", "toy.smooth=0")
    assert "toy.smoothing: a number, from 0 to 1 [0.1]\n      Share of the target" in settings_in_words()


def test_what_a_method_measures_is_a_column_of_the_log_and_its_settings_are_kept(
    data_set: Path, tmp_path: Path
) -> None:
    train(config_of(tmp_path, data_set, *words_of("toy"), "toy.smoothing=0.2", "optimizer.steps=2"))
    for row in rows(tmp_path):
        assert float(row["perplexity"]) == pytest.approx(np.exp(float(row["loss"])), rel=1e-4)
    kept = read_config(tmp_path / "run" / "config.yaml")
    assert kept.method_settings == Testing.training.methods.toy_method.ToySettings(0.2)
    with pytest.raises(SystemExit, match=r"other settings: toy\.smoothing: 0\.2 -> 0\.3\."):
        train(config_of(tmp_path, data_set, *words_of("toy"), "toy.smoothing=0.3", "optimizer.steps=3"))


def test_sections_of_other_methods_change_nothing_and_are_not_kept(data_set: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, data_set, *words_of("baseline"), "toy.smoothing=0.3", "optimizer.steps=1")
    train(config)
    assert "toy" not in (tmp_path / "run" / "config.yaml").read_text()
    with pytest.raises(SystemExit, match=r"colab\.every is 0, but has to be at least 1"):
        config_of(tmp_path, data_set, *words_of("baseline"), "colab.every=0")
