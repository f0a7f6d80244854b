"""A training run from its configuration to a package: it learns, goes on where it was, and says what is wrong with its settings."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.package import ModelPackage
from LabelConditionedSegmentationLib.core.segmenter import Segmenter
from safetensors.torch import load_file

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Training.checkpoint import read_facts
from Training.config import Config, OptimizerConfig, read_config
from Training.evaluate import dice_of_labels, evaluate
from Training.train import rate_at, train

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


def write_config(folder: Path, data_set: Path, **changes: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(
        f"""
output: {folder / "run"}
accelerator: cpu
precision: 32-true
validate_every: 1000
save_every: 5
data: {{root: {data_set}, validation: [case_2], patch: [32, 36, 36], points: 2000, workers: 0}}
network: {{widths: [8, 16], blocks: [1, 1], feature_channels: 8}}
metadata:
  - {{name: sex, kind: choice, choices: [F, M]}}
  - {{name: age, kind: number, unit: years, possible: [0, 120], trained: [19, 34]}}
optimizer: {{rate: 1e-2, steps: 60, warmup: 5, decay: 20, averaging: 0.9}}
augmentation: {{rotation: 5, scale: 0.05, shift: 1, warp: 1, warp_spacing: 16}}
package: {{name: made_up, patch: [48, 48, 48], licence: CC0}}
"""
    )
    return path


def config_of(folder: Path, data_set: Path, *overrides: str) -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    return read_config(write_config(folder, data_set), list(overrides))


def losses(folder: Path) -> list[float]:
    with (folder / "run" / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_a_run_learns_and_ends_with_a_package_that_segments_unseen_cases(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set))
    curve = losses(tmp_path)
    assert len(curve) == 60
    assert np.mean(curve[-5:]) < 0.5 * np.mean(curve[:5])
    package = ModelPackage.load(tmp_path / "run" / "package")
    assert package.about["provenance"]["training_cases"] == ["case_0", "case_1"]
    assert package.metadata == samples.SCHEMA or [f.name for f in package.metadata.fields] == ["sex", "age"]
    scores = evaluate(Segmenter.from_package(package.path, "cpu"), data_set, ["case_2"])["case_2"]
    assert min(scores[ident] for ident in (4, 47, 48)) > 0.8  # sides told apart, though half of the samples were mirrored


def test_a_run_that_was_killed_goes_on_exactly_where_it_was(data_set: Path, tmp_path: Path) -> None:
    """kill -9 in the middle, then the same command again: the loss curve and the weights are those of a run that was left alone."""
    words = ("optimizer.steps=24", "optimizer.decay=4", "save_every=4")
    train(config_of(tmp_path / "whole", data_set, *words))
    (tmp_path / "killed").mkdir()
    path = write_config(tmp_path / "killed", data_set)
    command = [sys.executable, str(ROOT / "Training" / "train.py"), str(path), *words]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log, last = tmp_path / "killed" / "run" / "log.csv", tmp_path / "killed" / "run" / "last.safetensors"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (last.exists() and len(log.read_text().splitlines()) > 7):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = read_facts(last)["step"]
    assert 4 <= saved < 24
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    whole, killed = (load_file(tmp_path / name / "run" / "last.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def test_ctrl_c_saves_and_ends_cleanly(data_set: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path, data_set)
    command = [sys.executable, str(ROOT / "Training" / "train.py"), str(path), "optimizer.steps=100000", "save_every=100000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "log.csv"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and len(log.read_text().splitlines()) > 3):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "run the same command again" in out
    assert "Traceback" not in err
    assert read_facts(tmp_path / "run" / "last.safetensors")["step"] == len(losses(tmp_path))


def test_the_configuration_is_stored_with_the_run(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, "optimizer.steps=2", "seed=7"))
    facts = read_facts(tmp_path / "run" / "last.safetensors")
    assert facts["config"]["seed"] == 7
    assert json.dumps(facts["config"])


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimiser.steps=5", "optimizer"),
        ("optimizer.step=5", 'Did you mean "optimizer.steps"'),
        ("optimizer.steps=many", "optimizer.steps"),
        ("network.width=[1]", 'Did you mean "network.widths"'),
    ],
)
def test_mistyped_settings_are_refused_with_the_nearest_valid_one(data_set: Path, tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words.replace(".", r"\.")):
        config_of(tmp_path, data_set, override)


def test_every_shipped_experiment_is_a_valid_configuration() -> None:
    paths = sorted((ROOT / "Training" / "experiments").glob("*.yaml"))
    assert paths
    for path in paths:
        config = read_config(path, [])
        assert all(n % config.network.multiple == 0 for n in (*config.data.patch, *config.package.patch)), path


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    settings = OptimizerConfig(rate=1.0, steps=100, warmup=10, decay=20)
    rates = [rate_at(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:80] == [1.0] * 71
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == 0


def test_dice_counts_overlap_and_states_what_empty_means() -> None:
    tree = samples.label_tree(4)
    first, second, third, fourth = (leaf.id for leaf in tree.leaves)
    truth = np.array([first] * 4 + [second] * 4 + [999] * 2 + [0] * 2)
    found = np.array([first] * 2 + [second] * 6 + [third] * 2 + [0] * 2)
    dice = dice_of_labels(found, truth, tree)
    assert dice[first] == pytest.approx(2 * 2 / 6)
    assert dice[second] == pytest.approx(2 * 4 / 10)
    assert dice[third] == 1.0  # only found where the truth is unknown, so it is in neither
    assert dice[fourth] == 1.0
    assert dice_of_labels(np.array([first]), np.array([0]), tree)[first] == 0.0


@pytest.mark.parametrize(
    ("override", "words"),
    [("data.root=/nowhere", "no folder labelsTr"), ("data.validation=[case_7]", "case_7"), ("init_from=/nowhere.safetensors", "no checkpoint")],
)
def test_missing_data_and_checkpoints_are_named(data_set: Path, tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        train(config_of(tmp_path, data_set, override))


def test_a_run_can_go_on_from_before_the_decay_of_another_with_other_cases(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path / "first", data_set, "optimizer.steps=8", "optimizer.decay=3"))
    stable = tmp_path / "first" / "run" / "stable.safetensors"
    assert read_facts(stable)["step"] == 5
    train(config_of(tmp_path / "second", data_set, "optimizer.steps=3", "optimizer.decay=3", "data.validation=[]", f"init_from={stable}"))
    provenance = ModelPackage.load(tmp_path / "second" / "run" / "package").about["provenance"]
    assert provenance["training_cases"] == ["case_0", "case_1", "case_2"]
    assert provenance["history"] == [f"5 steps as in {stable}"]
