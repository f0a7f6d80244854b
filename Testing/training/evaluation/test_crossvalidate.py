"""Cross-validation: every case is held out once, evenly by its metadata, and scored by the model that never saw it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from signal import SIGINT

import pytest
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema

from Testing import samples
from Testing.training.made_up_data import write_data_set
from Testing.training.training_here import train_here
from Training.data.datasets import CaseFiles, read_data_set
from Training.evaluation import cross_validation as module
from Training.evaluation.cross_validation import crossvalidate, make_folds

SETTINGS = """
output: {output}
accelerator: cpu
precision: 32-true
validate_every: 1000
save_every: 5
data: {{root: {root}, cache: {output}/cache, patch: [32, 36, 36], points: 500, workers: 0}}
network: {{widths: [4, 8], blocks: [1, 1], feature_channels: 4}}
metadata:
  - {{name: sex, kind: choice, choices: [F, M]}}
  - {{name: age, kind: number, unit: years, possible: [0, 120], trained: [19, 34]}}
optimizer: {{learning_rate: 1e-2, steps: 3, warmup: 1, decay: 1}}
package: {{name: made_up, patch: [48, 48, 48], licence: CC0}}
"""
CASES = {"case_0", "case_1", "case_2", "case_3"}


def people(**count: int) -> list[CaseFiles]:
    """So many cases of each sex; "unknown" ones carry no metadata."""
    return [
        CaseFiles(f"{sex}_{n}", (), Path(), {} if sex == "unknown" else {"sex": sex}, None)
        for sex, number in count.items()
        for n in range(number)
    ]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crossvalidation")
    root = write_data_set(folder / "made_up", 4)
    (folder / "run.yaml").write_text(SETTINGS.format(output=folder / "run", root=root))
    return folder / "run.yaml"


@pytest.fixture(scope="module")
def output(config: Path) -> Path:
    """The folder of a cross-validation of two folds, done fold by fold as on two machines, the second in this
    process.
    """
    crossvalidate(config, [], 2, [1])
    assert not list((config.parent / "run").glob("crossvalidation.*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_training", train_here)
        crossvalidate(config, [], 2)
    return config.parent / "run"


@pytest.mark.parametrize("folds", [2, 3, 5, 13])
def test_every_case_is_held_out_once_and_folds_are_of_one_size(folds: int) -> None:
    cases = people(F=7, M=4, unknown=2)
    made = make_folds(cases, samples.SCHEMA, folds, seed=0)
    assert sorted(name for fold in made for name in fold) == sorted(case.name for case in cases)
    assert max(map(len, made)) - min(map(len, made)) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_choices_come_evenly_in_every_fold(seed: int) -> None:
    for fold in make_folds(people(F=10, M=5, unknown=5), samples.SCHEMA, 5, seed):
        assert Counter(name.partition("_")[0] for name in fold) == {"F": 2, "M": 1, "unknown": 1}


def test_folds_depend_on_the_seed_alone() -> None:
    cases = people(F=10, M=10)
    assert make_folds(cases, samples.SCHEMA, 4, 3) == make_folds(cases[::-1], samples.SCHEMA, 4, 3)
    assert make_folds(cases, samples.SCHEMA, 4, 3) != make_folds(cases, samples.SCHEMA, 4, 4)
    without = make_folds(cases, MetadataSchema(), 4, 3)
    assert sorted(map(len, without)) == [5, 5, 5, 5]


@pytest.mark.parametrize("folds", [-1, 0, 1, 21])
def test_folds_that_cannot_be_made_are_refused(folds: int) -> None:
    with pytest.raises(SystemExit, match="2 to 20"):
        make_folds(people(F=10, M=10), samples.SCHEMA, folds, 0)


@pytest.mark.slow
def test_each_case_is_scored_once_by_the_package_that_never_saw_it(output: Path) -> None:
    summary = json.loads((output / "crossvalidation.json").read_text())
    assert set(summary["cases"]) == CASES
    for case, entry in summary["cases"].items():
        trained = ModelPackage.load(entry["model"]).about["provenance"]["training_cases"]
        assert set(trained) < CASES
        assert case not in trained
        assert entry["trained_on"] is False
    with (output / "crossvalidation.csv").open() as file:
        pairs = Counter((row["case"], row["label"]) for row in csv.DictReader(file))
    assert set(pairs.values()) == {1}
    assert {case for case, _ in pairs} == CASES
    assert "2 folds" in (output / "crossvalidation.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_finished_folds_are_not_trained_again(output: Path, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRAIN", config.with_name("nothing.py"))  # would fail
    (output / "crossvalidation.csv").unlink()
    crossvalidate(config, [], 2)
    assert (output / "crossvalidation.csv").exists()


def test_packages_of_another_split_are_not_scored_on_what_they_were_trained_on(output: Path, config: Path) -> None:
    folds = [make_folds(read_data_set(config.parent / "made_up").cases, samples.SCHEMA, 2, seed) for seed in range(20)]
    other = next(seed for seed in range(20) if folds[seed] != folds[0])
    with pytest.raises(
        SystemExit, match=rf"finished run with other settings: data\.validation: .*seed: 0 -> {other}\."
    ):
        crossvalidate(config, [f"seed={other}"], 2)


@pytest.mark.parametrize(
    ("words", "folds", "says"),
    [
        (["optimizer.steps=4"], 2, r"optimizer\.steps: 3 -> 4"),
        (["network.widths=[4, 16]"], 2, r"network\.widths: \(4, 8\) -> \(4, 16\)"),
        (["package.patch=[32, 32, 32]"], 2, r"package\.patch"),
        ([], 3, r"data\.validation"),
    ],
)
def test_finished_folds_of_other_settings_are_refused_with_the_difference(
    output: Path, config: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], folds: int, says: str
) -> None:
    monkeypatch.setattr(module, "run_training", None)  # would fail
    before = (output / "crossvalidation.json").read_bytes()
    with pytest.raises(
        SystemExit, match=f'fold_0" holds a finished run with other settings: {says}.*choose another output'
    ):
        crossvalidate(config, words, folds, [1])
    assert (output / "crossvalidation.json").read_bytes() == before


def test_finished_folds_are_taken_over_by_another_device_and_number_of_workers(
    output: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "run_training", None)  # would fail
    crossvalidate(config, ["accelerator=auto", "data.workers=2", "save_every=7", f"data.cache={config.parent}"], 2)


def test_a_package_is_not_scored_on_what_it_says_it_was_trained_on(output: Path, config: Path, tmp_path: Path) -> None:
    shutil.copytree(output, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "fold_0" / "package")
    shutil.copytree(output / "fold_1" / "package", tmp_path / "run" / "fold_0" / "package")
    with pytest.raises(SystemExit, match="which fold 0 of this split holds out"):
        crossvalidate(config, [f"output={tmp_path / 'run'}"], 2)


@pytest.mark.parametrize(
    ("overrides", "folds", "chosen", "words"),
    [
        ([], 5, [], "2 to 4"),
        ([], 2, [2], "no fold 2; with --folds 2 they are 0 to 1"),
        (["early_stop=3"], 2, [], "early_stop=0"),
        (["data.root=/nowhere"], 2, [], "/nowhere"),
        (["data.train=[case_0,case_9]"], 2, [], "case_9"),
        (["optimizer.step=3"], 2, [], "optimizer.steps"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_training(
    config: Path, overrides: list[str], folds: int, chosen: list[int], words: str
) -> None:
    with pytest.raises(SystemExit, match=words):
        crossvalidate(config, overrides, folds, chosen)


def test_a_training_that_fails_ends_the_run_with_the_fold(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "train.py"
    failing.write_text("raise SystemExit('out of luck')\n")
    monkeypatch.setattr(module, "TRAIN", failing)
    with pytest.raises(SystemExit, match="training of fold 1 ended with an error"):
        crossvalidate(config, [f"output={tmp_path / 'run'}"], 2, [1])


@pytest.mark.slow
def test_an_interruption_lets_the_training_save_and_end_by_itself(config: Path, tmp_path: Path) -> None:
    """A stand-in for train.py that needs a while to save; the run waits for it, starts no other fold and
    ends with 130.
    """
    (tmp_path / "train.py").write_text(
        "import signal, sys, time\n"
        f"folder = {str(tmp_path)!r}\n"
        "def save(*_):\n    time.sleep(0.5)\n    open(folder + '/saved', 'a').write('x')\n    sys.exit(0)\n"
        "signal.signal(signal.SIGINT, save)\nopen(folder + '/started', 'a').write('x')\ntime.sleep(120)\n"
    )
    program = (
        "import sys, pathlib; from Training.evaluation import cross_validation as c; c.TRAIN ="
        f" pathlib.Path({str(tmp_path / 'train.py')!r}); c.main()"
    )
    words = [sys.executable, "-c", program, str(config), f"output={tmp_path / 'run'}", "--folds", "2"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (tmp_path / "started").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again" in err
    assert "Traceback" not in err
    assert ((tmp_path / "started").read_text(), (tmp_path / "saved").read_text()) == ("x", "x")
