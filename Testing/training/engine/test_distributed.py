"""Two processes that train together do what one would: the same samples, the same losses, one log and one package."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from safetensors.torch import load_file

from Testing.training.engine.test_train import config_of, losses, rows, write_config
from Testing.training.made_up_data import write_data_set
from Testing.training.methods.test_colab import COLAB
from Training.engine.checkpoint import read_facts
from Training.engine.config import Config
from Training.engine.loop import train
from Training.engine.processes import leave_together, make_fabric

ROOT = Path(__file__).resolve().parents[3]
WORDS = (
    "precision=64-true",  # sums in another order drift apart within a few steps of AdamW, on some machines even here
    "optimizer.batch=2",
    "optimizer.decay=1",
    "optimizer.warmup=2",
    "save_every=2",
    "validate_every=3",
    "data.points=500",
    "data.validation=[case_1, case_2]",
)


def torchrun(script: list[str]) -> list[str]:
    return ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", *script]


def fabric_run(script: list[str]) -> list[str]:
    """What `fabric run --accelerator=cpu --devices=2 --strategy=ddp` does with its parsed words (parsing them takes a
    library that is not needed otherwise).
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "accelerator": "cpu",
        "strategy": "ddp",
        "devices": "2",
        "num_nodes": 1,
        "node_rank": 0,
        "main_address": "127.0.0.1",
        "main_port": port,
        "precision": None,
    }
    return [
        "-c",
        (
            "from argparse import Namespace; from lightning.fabric.cli import main;"
            f" main(Namespace(script={script[0]!r}, **{told}), {script[1:]!r})"
        ),
    ]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up", cases=4)


@pytest.fixture(scope="module")
def alone(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps in one process, on one thread as in the launched ones: sums in another order drift apart within a few
    steps of AdamW.
    """
    folder, threads = tmp_path_factory.mktemp("alone"), torch.get_num_threads()
    torch.set_num_threads(1)
    train(config_of(folder, data_set, *WORDS, "optimizer.steps=6"))
    torch.set_num_threads(threads)
    return folder


def run_together(
    launcher: Callable[[list[str]], list[str]], config: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *launcher([str(ROOT / "Training" / "train.py"), str(config), *WORDS, *words])]
    return subprocess.run(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def trained_alone_and_together(
    data_set: Path, folder: Path, words: Sequence[str]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What the last checkpoint of one process holds, and that of two, which run in `alone` and `together`."""
    for name in ("alone", "together"):
        write_config(folder / name, data_set)
    train(config_of(folder / "alone", data_set, *WORDS, *words))
    done = run_together(torchrun, folder / "together" / "run.yaml", *words)
    assert done.returncode == 0, done.stderr
    alone, together = (load_file(folder / name / "run" / "last.safetensors") for name in ("alone", "together"))
    assert alone.keys() == together.keys()
    return alone, together


def is_the_same_run(folder: Path, alone: Path) -> None:
    assert losses(folder) == pytest.approx(losses(alone), rel=1e-7, abs=1e-7)
    assert len(losses(alone)) == 6
    for name in ("last", "best"):
        together, single = (load_file(run / "run" / f"{name}.safetensors") for run in (folder, alone))
        assert together.keys() == single.keys()
        for key in single:
            if key.startswith("average."):
                torch.testing.assert_close(together[key], single[key], rtol=1e-3, atol=2e-4)
        facts, expected = (read_facts(run / "run" / f"{name}.safetensors") for run in (folder, alone))
        assert facts["best"] == pytest.approx(expected["best"], abs=1e-3)
    package = ModelPackage.load(folder / "run" / "package")
    assert package.about["provenance"]["steps"] == 6
    assert package.about["provenance"]["training_cases"] == ["case_0", "case_3"]
    package.build_network()
    assert len(list((folder / "run" / "tensorboard").iterdir())) <= 2  # one file a start: only one process writes


def test_processes_part_from_each_other_before_they_end(tmp_path: Path) -> None:
    leave_together()  # of one process that never met another
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    leave_together()
    assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_two_processes_begun_by_torchrun_and_gone_on_with_by_fabric_run_are_one_run(
    data_set: Path, alone: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, data_set)
    done = run_together(torchrun, config, "optimizer.steps=4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("model package:") == 1
    config.write_text(config.read_text().replace("accelerator: cpu\n", ""))  # said by the launcher
    done = run_together(fabric_run, config, "optimizer.steps=6")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("going on from step 4") == 1
    assert done.stdout.count("model package:") == 1
    is_the_same_run(tmp_path, alone)


@pytest.mark.slow
def test_two_processes_learn_the_context_that_one_would(data_set: Path, tmp_path: Path) -> None:
    """The virtual step, the outer gradient and the generator's gradient are means over all processes."""
    words = (*COLAB, "colab.every=1", "optimizer.steps=3", "precision=64-true", "data.validation=[]")
    alone, together = trained_alone_and_together(data_set, tmp_path, words)
    for key in alone:
        if key.startswith(("source", "outer", "network")):
            torch.testing.assert_close(together[key], alone[key], rtol=1e-3, atol=1e-6)
    for column in ("outer_loss", "hypergradient", "context_0", "context_1"):
        one, two = ([float(row[column]) for row in rows(tmp_path / name)] for name in ("alone", "together"))
        assert two == pytest.approx(one, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("align", ["both", "moments"])
def test_two_processes_adapt_to_a_target_as_one_would(data_set: Path, tmp_path: Path, align: str) -> None:
    """Each shows its own half of a step to the discriminators, which are the same in both."""
    others = write_data_set(tmp_path / "others", cases=2, first=10)
    sources = [
        {"root": str(data_set)},
        {"root": str(data_set), "role": "validate", "cases": ["case_1"]},
        {"root": str(others), "role": "target"},
    ]
    words = [
        *("method=patch_adaptation", "data.root=", "data.validation=[]", f"data.sources={json.dumps(sources)}"),
        *("data.patch=[32, 32, 32]", "patch_adaptation.patch=[8, 8, 8]", "patch_adaptation.output_widths=[8]"),
        *(f"patch_adaptation.align={align}", "patch_adaptation.learning_rate=1e-2", "optimizer.steps=3"),
    ]
    alone, together = trained_alone_and_together(data_set, tmp_path, words)
    for key in alone:
        torch.testing.assert_close(together[key], alone[key], rtol=1e-3, atol=1e-6)
    one, two = (rows(tmp_path / name) for name in ("alone", "together"))
    measured = [column for column in one[0] if column not in ("seconds", "memory_mb", "dice", "criterion")]
    for column in measured:
        values, others_values = ([float(row[column]) for row in each] for each in (one, two))
        assert others_values == pytest.approx(values, rel=1e-4)


@pytest.mark.parametrize(("told", "expected"), [(None, "64-true"), ("32-true", "32-true")])
def test_fabric_run_decides_on_devices_and_may_decide_on_the_precision(
    monkeypatch: pytest.MonkeyPatch, told: str | None, expected: str
) -> None:
    for name, value in {
        "CLI_USED": "1",
        "ACCELERATOR": "cpu",
        "DEVICES": "1",
        "NUM_NODES": "1",
        "PRECISION": told,
    }.items():
        if value is not None:
            monkeypatch.setenv(f"LT_{name}", value)
    fabric = make_fabric(Config(accelerator="cuda", devices=7, precision="64-true"))
    assert (fabric.device.type, fabric.world_size) == ("cpu", 1)
    assert fabric._precision.precision == expected
