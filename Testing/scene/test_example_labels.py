"""Files of labels by example: written whole or not at all, and read where they belong to the model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.core.errors import InputError, OutputError
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.scene.example_labels import SUFFIX, belongs_to, load_label, save_label

from Testing import samples


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "flip"])
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return samples.package(tmp_path_factory.mktemp("models"), replace(samples.TINY, examples=True), flip=request.param)


@pytest.fixture
def prompt(package: ModelPackage) -> ExamplePrompt:
    length = samples.TINY.feature_channels * (1 + package.flip)
    return ExamplePrompt(
        "Läsion <1>",
        tuple(n / 7 for n in range(length)),
        -0.3,
        package.name,
        package.weights_sha256,
        "Deep gray matter",
    )


def test_a_file_gives_the_label_back(package: ModelPackage, prompt: ExamplePrompt, tmp_path: Path) -> None:
    path = tmp_path / f"Läsion{SUFFIX}"
    save_label(prompt, path)
    assert load_label(path, package) == prompt
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_label_of_another_model_is_refused(package: ModelPackage, prompt: ExamplePrompt, tmp_path: Path) -> None:
    for other in (replace(prompt, weights_sha256="0" * 64), replace(prompt, vector=prompt.vector[1:])):
        assert not belongs_to(other, package)
        save_label(other, tmp_path / "other.json")
        with pytest.raises(InputError, match="was made with another model"):
            load_label(tmp_path / "other.json", package)


def test_a_damaged_file_is_refused(package: ModelPackage, prompt: ExamplePrompt, tmp_path: Path) -> None:
    path = tmp_path / "label.json"
    path.write_text(json.dumps(prompt.to_json())[:-20])
    with pytest.raises(InputError, match="not readable as JSON"):
        load_label(path, package)


def test_what_cannot_be_written_leaves_the_file_before(prompt: ExamplePrompt, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="could not be written"):
        save_label(prompt, tmp_path / "missing" / "label.json")
    (tmp_path / "label.json").mkdir()
    with pytest.raises(OutputError, match="could not be written"):
        save_label(prompt, tmp_path / "label.json")
    assert [file.name for file in tmp_path.iterdir()] == ["label.json"]
