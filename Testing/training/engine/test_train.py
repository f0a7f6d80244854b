"""A training run from its configuration to a package: it learns, goes on where it was, and says what is wrong with its
settings.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from Testing.training.made_up_data import write_data_set
from Training.data.training_samples import Samples
from Training.engine import loop as training
from Training.engine.checkpoint import read_facts
from Training.engine.command_line import main
from Training.engine.config import Config, OptimizerConfig, as_content, read_config
from Training.engine.loop import train
from Training.engine.optimizers import learning_rate_at
from Training.evaluation.scan_evaluation import evaluate

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


def write_config(folder: Path, data_set: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.yaml"
    path.write_text(f"""
output: {folder / "run"}
accelerator: cpu
precision: 32-true
validate_every: 1000
save_every: 5
data: {{root: {data_set}, cache: {data_set.parent / "cache"}, validation: [case_2], patch: [32, 36, 36], points: 2000, workers: 0}}
network: {{widths: [8, 16], blocks: [1, 1], feature_channels: 8}}
metadata:
  - {{name: sex, kind: choice, choices: [F, M]}}
  - {{name: age, kind: number, unit: years, possible: [0, 120], trained: [19, 34]}}
optimizer: {{learning_rate: 1e-2, steps: 60, warmup: 5, decay: 20, averaging: 0.9}}
augmentation: {{rotation: 5, scale: 0.05, shift: 1, warp: 1, warp_spacing: 16}}
package: {{name: made_up, patch: [48, 48, 48], licence: CC0}}
""")  # noqa: E501
    return path


def config_of(folder: Path, data_set: Path, *overrides: str) -> Config:
    return read_config(write_config(folder, data_set), list(overrides))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "run" / "log.csv").open() as file:
        return list(csv.DictReader(file))


def losses(folder: Path) -> list[float]:
    assert [int(row["step"]) for row in rows(folder)] == list(range(len(rows(folder))))
    return [float(row["loss"]) for row in rows(folder)]


def weights(path: Path, part: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(f"{part}."): tensor for name, tensor in load_file(path).items() if name.startswith(f"{part}.")
    }


def is_package_of(package: Path, average: dict[str, torch.Tensor]) -> bool:
    shipped = load_file(package / "weights.safetensors")
    return all(torch.equal(tensor, average[name].half()) for name, tensor in shipped.items())


def start(path: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "Training" / "train.py"), str(path), *words]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_steps(process: subprocess.Popen[str], folder: Path, steps: int) -> None:
    log = folder / "run" / "log.csv"
    deadline = time.monotonic() + 120
    while (
        time.monotonic() < deadline
        and process.poll() is None
        and not (log.exists() and len(log.read_text().splitlines()) > steps)
    ):
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()


# It learns


@pytest.mark.slow
def test_a_run_learns_and_ends_with_a_package_that_segments_unseen_cases(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set))
    curve = losses(tmp_path)
    assert len(curve) == 60
    assert np.mean(curve[-5:]) < 0.5 * np.mean(curve[:5])
    package = ModelPackage.load(tmp_path / "run" / "package")
    assert package.about["provenance"]["training_cases"] == ["case_0", "case_1"]
    assert [field.name for field in package.metadata.fields] == ["sex", "age"]
    scores = evaluate(Segmenter.from_package(package.path, "cpu"), data_set, ["case_2"]).scores("case_2")
    assert min(scores[ident].dice for ident in (4, 47, 48)) > 0.8
    assert is_package_of(package.path, weights(tmp_path / "run" / "last.safetensors", "average"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("method=baseline", "objective.loss=sigmoid"),
        ("objective.labels=sampled", "objective.loss=sigmoid", "network.conditioning=decoder"),
        ("objective.labels=sampled", "objective.loss=sigmoid", "network.conditioning=bottleneck"),
        ("objective.labels=sampled", "objective.loss=sigmoid", "network.conditioning=trunk"),
    ],
    ids=lambda words: " ".join(word.split("=")[1] for word in words),
)
def test_every_method_ends_with_a_package_that_finds_the_right_labels(
    data_set: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    several = (
        "data.labels=[3rd Ventricle, Left Hippocampus, Right Hippocampus]",
        "objective.labels_per_sample=3",
        "optimizer.steps=90",
        "optimizer.decay=30",
    )
    train(config_of(tmp_path, data_set, *several, "optimizer.learning_rate=2e-2", *words))
    segmenter = Segmenter.from_package(tmp_path / "run" / "package", "cpu")
    volume, truth = (
        read_volume(data_set / name).array[0] for name in ("imagesTr/case_2_0000.nii.gz", "labelsTr/case_2.nii.gz")
    )
    assert volume.shape == truth.shape
    result = segmenter.segment(
        read_volume(data_set / "imagesTr" / "case_2_0000.nii.gz"), labels=["Left Hippocampus", "Right Hippocampus"]
    )
    found = result.label_map.array[0]
    assert set(np.unique(found)) == {0, 47, 48}
    for ident in (47, 48):
        assert 2 * ((found == ident) & (truth == ident)).sum() / ((found == ident).sum() + (truth == ident).sum()) > 0.5


def test_a_run_shows_its_curves_and_a_picture_in_tensorboard(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, "optimizer.steps=4", "validate_every=2"))
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Scalars("loss")] == [0, 1, 2, 3]
    assert [event.value for event in found.Scalars("loss")] == pytest.approx(losses(tmp_path), rel=1e-5)
    assert [event.step for event in found.Scalars("dice/case/case_2")] == [1, 3]
    assert {"learning_rate", "dice/mean", "dice/Cerebral cortex"} <= set(found.Tags()["scalars"])
    assert [event.step for event in found.Images("scan, truth, found")] == [1, 3]


# It goes on where it was


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_exactly_where_it_was(data_set: Path, tmp_path: Path) -> None:
    """kill -9 in the middle, then the same command again: the loss curve and the weights are those of a run that was
    left alone.
    """
    words = ("optimizer.steps=36", "optimizer.decay=4", "save_every=4", "validate_every=6")
    train(config_of(tmp_path / "whole", data_set, *words))
    process = start(write_config(tmp_path / "killed", data_set), *words)
    wait_for_steps(process, tmp_path / "killed", 7)
    process.kill()
    process.communicate()
    last = tmp_path / "killed" / "run" / "last.safetensors"
    assert 4 <= read_facts(last)["step"] < 36
    train(config_of(tmp_path / "killed", data_set, *words))
    for name in ("last", "best"):
        whole, killed = (load_file(tmp_path / run / "run" / f"{name}.safetensors") for run in ("whole", "killed"))
        assert whole.keys() == killed.keys()
        assert all(torch.equal(whole[key], killed[key]) for key in whole)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 36


@pytest.mark.slow
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_the_end_of_a_job_saves_and_ends_cleanly(
    data_set: Path, tmp_path: Path, asked: signal.Signals
) -> None:
    """The signal reaches the processes that make samples too, as that of a terminal or a scheduler does."""
    process = start(write_config(tmp_path, data_set), "optimizer.steps=100000", "save_every=100000", "data.workers=1")
    wait_for_steps(process, tmp_path, 3)
    os.killpg(process.pid, asked)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "run the same command again" in out
    assert "Traceback" not in err
    assert read_facts(tmp_path / "run" / "last.safetensors")["step"] == len(losses(tmp_path))
    assert not (tmp_path / "run" / "package").exists()


def test_who_calls_a_run_has_the_handlers_of_signals_back(data_set: Path, tmp_path: Path) -> None:
    def mine(*_: Any) -> None:
        """Of a program that trains."""

    before = {number: signal.signal(number, mine) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        train(config_of(tmp_path, data_set, "optimizer.steps=1"))
        with pytest.raises(SystemExit):
            train(config_of(tmp_path, data_set, "optimizer.learning_rate=1"))
        assert all(signal.getsignal(number) is mine for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.slow
def test_a_second_run_in_the_folder_of_one_that_lives_is_refused_and_changes_nothing(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_config(tmp_path, data_set)
    process = start(path, "optimizer.steps=100000", "save_every=100000")
    try:
        wait_for_steps(process, tmp_path, 2)
        said = run_main(monkeypatch, path, "optimizer.learning_rate=1", "resume=never")
        assert f"Another run (process {process.pid} on " in said
        assert f'is writing to "{tmp_path / "run"}"' in said
        assert process.poll() is None
        assert read_config(tmp_path / "run" / "config.yaml").optimizer.learning_rate == 1e-2
    finally:
        process.kill()
        process.communicate()
    train(read_config(path, ["optimizer.steps=2"]))
    assert len(losses(tmp_path)) == 2


@pytest.mark.parametrize("umask", [0o002, 0o077], ids=oct)
def test_all_that_a_run_writes_has_the_mode_of_a_new_file(data_set: Path, tmp_path: Path, umask: int) -> None:
    words = ("optimizer.steps=4", "optimizer.decay=1", "validate_every=2", f"data.cache={tmp_path / 'run' / 'cache'}")
    config = config_of(tmp_path, data_set, *words)
    before = os.umask(umask)
    try:
        train(config)
    finally:
        os.umask(before)
    entries = [tmp_path / "run", *(tmp_path / "run").rglob("*")]
    names = {"last.safetensors", "best.safetensors", "stable.safetensors", "config.yaml", "log.csv", "model.json"}
    assert names <= {entry.name for entry in entries}
    for entry in entries:
        expected = (0o777 if entry.is_dir() else 0o666) & ~umask
        assert (entry, oct(stat.S_IMODE(entry.stat().st_mode))) == (entry, oct(expected))


def test_a_finished_run_that_is_started_again_makes_no_further_step(data_set: Path, tmp_path: Path) -> None:
    for _ in range(2):
        train(config_of(tmp_path, data_set, "optimizer.steps=3"))
        assert len(losses(tmp_path)) == 3
    train(config_of(tmp_path, data_set, "optimizer.steps=5"))  # but it can be lengthened
    assert len(losses(tmp_path)) == 5


def test_a_run_can_go_on_from_before_the_decay_of_another_with_other_cases(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path / "first", data_set, "optimizer.steps=8", "optimizer.decay=3"))
    stable = tmp_path / "first" / "run" / "stable.safetensors"
    assert read_facts(stable)["step"] == 5
    train(
        config_of(
            tmp_path / "second",
            data_set,
            "optimizer.steps=3",
            "optimizer.decay=3",
            "data.validation=[]",
            f"init_from={stable}",
        )
    )
    provenance = ModelPackage.load(tmp_path / "second" / "run" / "package").about["provenance"]
    assert provenance["training_cases"] == ["case_0", "case_1", "case_2"]
    assert provenance["history"] == [f"5 steps as in {stable}"]


def test_a_checkpoint_of_other_settings_is_refused_and_the_difference_named(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, "optimizer.steps=2"))
    before = (tmp_path / "run" / "last.safetensors").read_bytes()
    with pytest.raises(SystemExit, match=r"optimizer\.learning_rate: 0\.01 -> 0\.02; seed: 0 -> 3.*resume=never"):
        train(config_of(tmp_path, data_set, "optimizer.steps=4", "optimizer.learning_rate=2e-2", "seed=3"))
    with pytest.raises(SystemExit, match=r"data\.patch"):
        train(config_of(tmp_path, data_set, "data.patch=[32, 36, 32]"))
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    train(config_of(tmp_path, data_set, "optimizer.steps=3", "optimizer.learning_rate=2e-2", "resume=never"))
    assert len(losses(tmp_path)) == 3


@pytest.mark.parametrize(("first", "second"), [("sgd", "adamw"), ("adamw", "sgd")])
def test_a_checkpoint_of_another_optimizer_is_refused_before_data_are_read(
    data_set: Path, tmp_path: Path, first: str, second: str
) -> None:
    train(
        config_of(
            tmp_path / "a", data_set, "optimizer.steps=2", f"optimizer.name={first}", "optimizer.learning_rate=1e-3"
        )
    )
    start = tmp_path / "a" / "run" / "last.safetensors"
    words = (f"init_from={start}", f"optimizer.name={second}", "optimizer.steps=2", "data.root=/nowhere")
    with pytest.raises(SystemExit, match=rf"optimizer\.name={first} goes on from.*optimizer\.name={second} cannot"):
        train(config_of(tmp_path / "b", data_set, *words))


def test_length_place_and_workers_may_change_when_a_run_goes_on(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, "optimizer.steps=2"))
    (tmp_path / "run").rename(tmp_path / "moved")
    train(
        config_of(
            tmp_path,
            data_set,
            "optimizer.steps=4",
            "data.workers=1",
            f"output={tmp_path / 'moved'}",
            "early_stop=9",
            "package.name=other",
        )
    )
    assert read_facts(tmp_path / "moved" / "last.safetensors")["step"] == 4
    assert ModelPackage.load(tmp_path / "moved" / "package").name == "other"


@pytest.mark.parametrize("damage", ["truncated", "emptied", "scrambled"])
def test_a_damaged_checkpoint_is_told(data_set: Path, tmp_path: Path, damage: str) -> None:
    config = config_of(tmp_path, data_set, "optimizer.steps=2")
    train(config)
    last = tmp_path / "run" / "last.safetensors"
    whole = last.read_bytes()
    last.write_bytes(
        {"truncated": whole[: len(whole) // 2], "emptied": b"", "scrambled": b"\xff" * 64 + whole[64:]}[damage]
    )
    with pytest.raises(SystemExit, match=r"last\.safetensors.*damaged"):
        train(config_of(tmp_path, data_set, "optimizer.steps=4"))


# Validation


@pytest.mark.slow
def test_best_is_what_was_best_in_validation_and_last_is_the_last(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, "optimizer.steps=30", "validate_every=5", "early_stop=50"))
    validated = {int(row["step"]) + 1: float(row["dice"]) for row in rows(tmp_path) if row["dice"] != "nan"}
    assert list(validated) == [5, 10, 15, 20, 25, 30]
    best, last = (read_facts(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert best["best"] == max(validated.values()) == validated[best["step"]]
    assert last["step"] == 30
    assert last["best"] == best["best"]


def declining(monkeypatch: pytest.MonkeyPatch, *dice: float) -> None:
    """Validations that give these values, one after the other."""
    values = iter(dice)
    monkeypatch.setattr(
        training,
        "validate",
        lambda network, cases, *_: ({case.name: np.array([next(values)]) for case in cases}, None),
    )


def test_early_stopping_ends_the_run_and_ships_the_best_weights(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("Training.engine.run_log.RunLog._validated", lambda *_: None)
    declining(monkeypatch, 0.1, 0.5, 0.4, 0.5)
    words = ("validate_every=2", "early_stop=2", "optimizer.steps=40")
    train(config_of(tmp_path, data_set, *words))
    assert "stopped early after step 8: 2 validations without a better Dice than 0.5" in capsys.readouterr().out
    assert len(losses(tmp_path)) == 8
    best, last, package = (tmp_path / "run" / name for name in ("best.safetensors", "last.safetensors", "package"))
    assert (read_facts(best)["step"], read_facts(last)["step"]) == (4, 8)
    assert is_package_of(package, weights(best, "average"))
    assert not is_package_of(package, weights(last, "average"))
    assert ModelPackage.load(package).about["provenance"]["steps"] == 4
    train(config_of(tmp_path, data_set, *words))  # the same command again: it is over
    assert len(losses(tmp_path)) == 8
    assert is_package_of(package, weights(best, "average"))


def test_a_better_validation_begins_the_count_anew(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("Training.engine.run_log.RunLog._validated", lambda *_: None)
    declining(monkeypatch, 0.3, 0.2, 0.4, 0.3, 0.5, 0.1)
    train(config_of(tmp_path, data_set, "validate_every=1", "early_stop=2", "optimizer.steps=6"))
    assert len(losses(tmp_path)) == 6
    assert read_facts(tmp_path / "run" / "best.safetensors")["step"] == 5


# When something goes wrong


def test_a_loss_that_is_not_a_number_stops_with_step_and_case_and_keeps_the_checkpoint(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, data_set, "save_every=2")
    whole = Samples.__getitem__
    poisoned_cases: set[str] = set()

    def poisoned(self: Samples, number: int) -> dict[str, torch.Tensor]:
        sample = whole(self, number)
        if number == 5:
            sample["image"][0, 10, 10, 10] = torch.nan
            poisoned_cases.add(self.case_of(number).name)
        return sample

    monkeypatch.setattr(Samples, "__getitem__", poisoned)
    with pytest.raises(SystemExit) as ended:
        train(config)
    (case,) = poisoned_cases
    assert f"at step 5 on {case}; the last checkpoint, {tmp_path / 'run' / 'last.safetensors'}, is intact" in str(
        ended.value
    )
    assert "lower optimizer.learning_rate" in str(ended.value)
    assert len(losses(tmp_path)) == 5
    last = tmp_path / "run" / "last.safetensors"
    assert read_facts(last)["step"] == 4
    assert all(bool(t.isfinite().all()) for t in load_file(last).values())
    monkeypatch.undo()
    train(config_of(tmp_path, data_set, "save_every=2", "optimizer.steps=7"))
    assert len(losses(tmp_path)) == 7


def test_a_rate_that_is_far_too_high_ends_with_a_sentence(data_set: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit,
        match=r"The loss became (nan|inf) at step \d.*no checkpoint was written yet.*lower optimizer\.learning_rate",
    ):
        train(config_of(tmp_path, data_set, "optimizer.learning_rate=1e30"))


def run_main(monkeypatch: pytest.MonkeyPatch, *words: object) -> Any:
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_out_of_memory_says_which_settings_to_lower(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("Training.methods.all_labels.AllLabels.forward", full)
    said = run_main(monkeypatch, write_config(tmp_path, data_set), "optimizer.batch=2")
    assert said.startswith(
        "Memory ran out. Lower, in this order, optimizer.batch (2), data.points (2000), data.patch ([32, 36, 36]) or"
        " network.widths ([8, 16])"
    )


def test_another_error_of_the_program_is_not_taken_for_want_of_memory(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> torch.Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr("Training.methods.all_labels.AllLabels.forward", broken)
    monkeypatch.setattr(sys, "argv", ["train.py", str(write_config(tmp_path, data_set))])
    with pytest.raises(RuntimeError, match="shapes cannot"):
        main()


# Settings


def test_the_configuration_is_stored_with_the_run(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, "optimizer.steps=2", "seed=7"))
    stored = read_facts(tmp_path / "run" / "last.safetensors")["config"]
    assert stored["seed"] == 7
    assert stored["objective"]["dice_weight"] == 1.0  # those that were left at their defaults, too
    assert stored["network"]["widths"] == [8, 16]
    assert json.dumps(stored)
    again = read_config(tmp_path / "run" / "config.yaml", [])
    assert json.loads(json.dumps(as_content(again))) == stored


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimiser.steps=5", "optimizer"),
        ("optimizer.step=5", 'Did you mean "optimizer.steps"'),
        ("optimizer.steps=many", "optimizer.steps"),
        ("network.width=[1]", 'Did you mean "network.widths"'),
        ("network.conditioning=haed", 'conditioning "haed" is not known.*head, decoder, bottleneck, trunk'),
        ("input.foreground=some", 'foreground rule "some"'),
        ("objective.loss=dice", "objective.loss is .dice., but has to be softmax or sigmoid"),
        ("objective.labels=some", "objective.labels is .some., but has to be all or sampled"),
        ("resume=yes", "resume is .*, but has to be auto or never"),
        ("optimizer.batch=0", "optimizer.batch is 0, but has to be at least 1"),
        ("data.patch=[32, 36, 35]", "data.patch is .32, 36, 35.; .* multiple of 4"),
        ("package.patch=[48, 48, 50]", "package.patch is .48, 48, 50.; .* multiple of 4"),
        ("package.patch=[48, 48, 2048]", "package.patch is .* multiple of 4, up to 1024"),
        ("network.in_channels=2", "input.channels names 1 channel.*network.in_channels is 2"),
    ],
)
def test_mistyped_settings_are_refused_with_the_nearest_valid_one(
    data_set: Path, tmp_path: Path, override: str, words: str
) -> None:
    with pytest.raises(SystemExit, match=words.replace("optimizer.steps", r"optimizer\.steps")):
        config_of(tmp_path, data_set, override)


@pytest.mark.parametrize(
    ("text", "words"),
    [("data: {root: [", "cannot be used"), ("- one\n- two\n", "holds a list"), ("a: \xff", "cannot be used")],
)
def test_a_file_that_is_no_configuration_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SystemExit, match=f"run.yaml.*{words}"):
        read_config(path, [])
    with pytest.raises(SystemExit, match="cannot be used"):
        read_config(tmp_path, [])


def test_a_missing_configuration_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no configuration .*nowhere\.yaml"):
        read_config(tmp_path / "nowhere.yaml", [])


def test_every_shipped_experiment_is_a_valid_configuration() -> None:
    paths = [
        path
        for path in sorted((ROOT / "Training" / "experiments").glob("*.yaml"))
        if not path.name.startswith("compare_")
    ]  # of several runs
    assert paths
    for path in paths:
        config = read_config(path, [])
        assert all(n % config.network.multiple == 0 for n in (*config.data.patch, *config.package.patch)), path


def test_the_data_of_every_shipped_experiment_have_a_section_that_says_where_they_are_had() -> None:
    sections = set(re.findall(r"^## (.*)$", (ROOT / "Training" / "DATA.md").read_text(encoding="utf-8"), re.MULTILINE))
    experiments = [
        read_config(path).data
        for path in (ROOT / "Training" / "experiments").glob("*.yaml")
        if not path.name.startswith("compare_")
    ]
    roots = {Path(root) for data in experiments for root in ([source.root for source in data.sources] or [data.root])}
    assert {root for root in roots if root.parts[0] != "runs"} == {Path("data") / name for name in sections}
    told = [path for path in (ROOT / "Training").rglob("*") if path.suffix in (".py", ".yaml", ".md")]
    assert not [path for path in told if "../shared" in path.read_text(encoding="utf-8")]


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    settings = OptimizerConfig(learning_rate=1.0, steps=100, warmup=10, decay=20)
    rates = [learning_rate_at(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:80] == [1.0] * 71
    assert rates[90] == pytest.approx(0.5)
    assert rates[100] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["method=lsc"], 'There is no method "lsc"; .*Did you mean "lcs"'),
        (["method=colab"], "method=colab .*data.points=0"),
        (["method=colab", "data.points=0", "data.patch=[32, 36, 36]"], "data.patch is .*multiple of 16"),
        (["network.context_classes=2"], "Only method=colab trains context classes"),
        (["objective.labels=sampled"], "set objective.loss=sigmoid"),
        (["objective.prompts=example"], "network.examples=true and objective.prompts"),
        (["optimizer.freeze=[examples]", "init_from=a.safetensors"], '"examples", which this network does not have'),
        (["data.validation=[case_1, case_1]"], "case_1 is named twice"),
        (["package.name=a/b"], "cannot be the name of a folder"),
        (["seed=-1"], "seed is -1, but has to be at least 0"),
        (["optimizer.learning_rate=nan"], "optimizer.learning_rate is nan, but has to be at least 0"),
        (["field_dropout=20"], "field_dropout is 20, but has to be from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_are_told_before_data_are_read(
    data_set: Path, tmp_path: Path, words: list[str], says: str
) -> None:
    with pytest.raises(SystemExit, match=says):
        train(config_of(tmp_path, data_set, "data.root=/nowhere", *words))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("data.labels=[Left Hipocampus]", r'data\.labels: .*"Left Hippocampus"'),
        ("data.annotated.case_1=[Left Hipocampus]", r'data\.annotated: .*"Left Hippocampus"'),
        ("data.validation=[case_7]", "no case called case_7"),
    ],
)
def test_names_that_the_data_set_does_not_have_are_told_before_its_images_are_read(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, says: str
) -> None:
    monkeypatch.setattr("Training.data.data_checks.check_data_set", None)  # would fail
    with pytest.raises(SystemExit, match=says):
        train(config_of(tmp_path, data_set, word))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.root=/nowhere", "Training/DATA.md"),
        ("data.validation=[case_7]", "case_7"),
        ("init_from=/nowhere.safetensors", "no checkpoint"),
        ("init_from=/nowhere", "/nowhere"),
        ("accelerator=gpus", "This computer cannot train with accelerator=gpus, devices=1 and precision=32-true"),
        ("precision=half", "Allowed precision values: "),
    ],
)
def test_missing_data_checkpoints_packages_and_devices_are_named(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str, words: str
) -> None:
    said = run_main(monkeypatch, write_config(tmp_path, data_set), override)
    assert words in said
    assert not (tmp_path / "run").exists()
