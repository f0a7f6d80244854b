"""What settings were called in earlier versions is still read: in files, in words, in checkpoints and in logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from Testing.training.engine.test_train import config_of, losses, rows
from Testing.training.made_up_data import write_data_set
from Training.engine.config import read_config
from Training.engine.loop import train
from Training.methods.colab_settings import CoLabSettings


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


def read(folder: Path, text: str, *words: str) -> tuple[float, CoLabSettings]:
    path = folder / "run.yaml"
    path.write_text(text)
    config = read_config(path, words)
    return config.optimizer.learning_rate, config.own(CoLabSettings)


def test_files_and_words_with_former_names_mean_what_they_meant(tmp_path: Path) -> None:
    text = "method: colab\ncontext: {rate: 5e-3, margin: 15}\noptimizer: {rate: 2e-3}\n"
    assert read(tmp_path, text) == (2e-3, CoLabSettings(learning_rate=5e-3, margin=15))
    words = ("optimizer.rate=1e-4", "context.rate=1e-5", "context.widths=[4, 8]")
    assert read(tmp_path, text, *words) == (1e-4, CoLabSettings(learning_rate=1e-5, margin=15, widths=(4, 8)))
    assert read(tmp_path, "optimizer: {learning_rate: 1}", "optimizer.rate=2")[0] == 2
    with pytest.raises(SystemExit, match=r'^"optimizer\.rate" is what "optimizer\.learning_rate" was called before'):
        read(tmp_path, "optimizer: {learning_rate: 1, rate: 1}")


@pytest.mark.slow
def test_a_run_of_an_earlier_version_goes_on_as_if_it_were_of_this_one(data_set: Path, tmp_path: Path) -> None:
    settings = [
        *("method=colab", "data.points=0", "data.patch=[32, 32, 32]", "network.context_classes=1"),
        *("optimizer.decay=0", "colab.widths=[4, 8]", "colab.every=1"),
    ]
    for folder, stops in (("whole", [3]), ("old", [2, 3])):
        for steps in stops:
            train(config_of(tmp_path / folder, data_set, *settings, f"optimizer.steps={steps}"))
            if steps == 2:
                make_old(tmp_path / folder / "run")
    assert losses(tmp_path / "old") == losses(tmp_path / "whole")
    assert [row["context_1"] for row in rows(tmp_path / "old")] == [
        row["context_1"] for row in rows(tmp_path / "whole")
    ]


def make_old(run: Path) -> None:
    """A run as the earlier version left it: its checkpoint and its log."""
    path = run / "last.safetensors"
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
    settings = facts["config"]
    settings["context"] = settings.pop("colab")
    for section in ("context", "optimizer"):
        settings[section]["rate"] = settings[section].pop("learning_rate")
    save_file(load_file(path), path, metadata={"facts": json.dumps(facts)})
    log = run / "log.csv"
    log.write_text(log.read_text().replace("learning_rate", "rate"))
