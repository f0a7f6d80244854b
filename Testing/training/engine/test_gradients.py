"""Gradients that are not finite: an overflow of half precision costs a step, all else ends the run with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.precision.amp import MixedPrecision
from safetensors.torch import load_file

from Testing.training.engine.test_train import config_of, losses
from Testing.training.made_up_data import write_data_set
from Training.engine import loop as training
from Training.engine.checkpoint import read_facts
from Training.engine.config import Config
from Training.engine.gradients import LEAST_SCALE
from Training.engine.loop import train
from Training.methods.all_labels import AllLabels


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


def in_half_precision(monkeypatch: pytest.MonkeyPatch, first_scale: float = 2.0**16) -> None:
    """Runs in 16-mixed on a CPU, where Fabric would take bf16-mixed: with float16 and its scaler, as on a GPU."""

    def make_fabric(_config: Config) -> Fabric:
        scaler = torch.amp.GradScaler("cpu", init_scale=first_scale, growth_interval=3)
        fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
        fabric.launch()
        return fabric

    monkeypatch.setattr(training, "make_fabric", make_fabric)


class _Spoiled(torch.autograd.Function):
    """A loss as it is, with a gradient that is not finite."""

    @staticmethod
    def forward(ctx: Any, loss: torch.Tensor, value: float) -> torch.Tensor:
        ctx.value = value
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0] * ctx.value, None


def spoil(monkeypatch: pytest.MonkeyPatch, steps: set[int], value: float) -> None:
    """The gradients of these steps become `value`, their losses stay finite."""
    forward = AllLabels.forward

    def spoiled(self: AllLabels, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        loss = forward(self, batch)
        is_spoiled = int(batch["number"][0]) in steps
        return _Spoiled.apply(loss, value) if is_spoiled else loss  # type: ignore[no-untyped-call]

    monkeypatch.setattr(AllLabels, "forward", spoiled)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Of the last checkpoint, without averages and moments."""
    kept = load_file(folder / "run" / "last.safetensors")
    return {name: value for name, value in kept.items() if name.startswith("network.")}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_gradient_that_is_not_finite_is_told_as_such_a_loss_is(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, precision: str
) -> None:
    spoil(monkeypatch, {3}, value)
    with pytest.raises(SystemExit) as ended:
        train(config_of(tmp_path, data_set, "save_every=2", "optimizer.steps=6", f"precision={precision}"))
    last = tmp_path / "run" / "last.safetensors"
    assert "The gradient became nan at step 3 on case_" in str(ended.value).replace("inf", "nan")
    assert f"; the last checkpoint, {last}, is intact. Look at that scan, lower optimizer.learning_rate" in str(
        ended.value
    )
    assert len(losses(tmp_path)) == 3
    assert read_facts(last)["step"] == 2
    assert all(bool(tensor.isfinite().all()) for tensor in load_file(last).values())


@pytest.mark.slow
def test_half_precision_that_overflows_at_first_finds_its_scale_and_learns(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_half_precision(monkeypatch, first_scale=2.0**32)
    train(config_of(tmp_path, data_set, "optimizer.steps=24", "optimizer.decay=4", "optimizer.warmup=1"))
    assert len(losses(tmp_path)) == 24
    assert sum(losses(tmp_path)[-4:]) < 0.8 * sum(losses(tmp_path)[:4])
    assert 1 < read_facts(tmp_path / "run" / "last.safetensors")["scaler"]["scale"] < 2.0**32


@pytest.mark.slow
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_step_that_overflows_leaves_the_weights_alone_and_halves_the_scale(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    in_half_precision(monkeypatch, first_scale=4.0)
    spoil(monkeypatch, {2}, value)
    kept = {}
    for steps in (2, 3, 4):
        train(config_of(tmp_path, data_set, f"optimizer.steps={steps}", "optimizer.decay=1"))
        kept[steps] = weights(tmp_path), read_facts(tmp_path / "run" / "last.safetensors")["scaler"]["scale"]
    assert all(torch.equal(kept[2][0][name], value) for name, value in kept[3][0].items())
    assert not all(torch.equal(kept[3][0][name], value) for name, value in kept[4][0].items())
    assert [scale for _, scale in kept.values()] == [4.0, 2.0, 2.0]


@pytest.mark.slow
def test_overflow_without_end_ends_the_run_with_a_sentence(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_half_precision(monkeypatch, first_scale=3 * LEAST_SCALE)
    spoil(monkeypatch, {1, 2, 3, 4, 5}, torch.inf)
    with pytest.raises(SystemExit, match=r"The gradient became \w+ at step 3 on .* with precision=16-mixed, take bf16"):
        train(config_of(tmp_path, data_set, "optimizer.steps=6"))
    assert len(losses(tmp_path)) == 3  # at scales of 3, 3 and 1.5 times the least one


@pytest.mark.slow
def test_a_run_in_half_precision_goes_on_with_its_scale(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_half_precision(monkeypatch, first_scale=2.0**20)
    for folder, stops in (("whole", [8]), ("halved", [5, 8])):
        for steps in stops:
            train(config_of(tmp_path / folder, data_set, f"optimizer.steps={steps}", "optimizer.decay=0"))
    facts = [read_facts(tmp_path / folder / "run" / "last.safetensors") for folder in ("whole", "halved")]
    assert facts[0]["scaler"] == facts[1]["scaler"] != {}
    assert losses(tmp_path / "whole") == losses(tmp_path / "halved")


def test_a_run_without_a_scaler_can_go_on_from_the_weights_of_one_that_had_one(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as half:
        in_half_precision(half)
        train(config_of(tmp_path / "half", data_set, "optimizer.steps=2"))
    start = tmp_path / "half" / "run" / "last.safetensors"
    train(config_of(tmp_path / "single", data_set, "optimizer.steps=1", f"init_from={start}"))
    assert read_facts(tmp_path / "single" / "run" / "last.safetensors")["scaler"] == {}
