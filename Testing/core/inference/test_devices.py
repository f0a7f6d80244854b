"""Which devices are found, and why there is no GPU."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from LabelConditionedSegmentationLib.core.inference.devices import choose_device, found_devices, why_no_gpu


def pretend(monkeypatch: pytest.MonkeyPatch, gpus: int, mps: bool = False, cuda_version: str | None = None) -> None:
    """PyTorch as it is on another machine."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda device: SimpleNamespace(name=f"NVIDIA Number {device.index}", total_memory=8 * 2**30),
    )
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.version, "cuda", cuda_version)
    monkeypatch.setattr(torch.version, "hip", None)


def test_every_device_that_is_found_can_be_chosen_and_the_cpu_is_the_last() -> None:
    found = found_devices()
    assert [str(choose_device(name)) for name, _ in found] == [name for name, _ in found]
    assert found[-1] == ("cpu", f"CPU, {torch.get_num_threads()} threads")


def test_every_gpu_is_named_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, gpus=2)
    assert found_devices()[:2] == [("cuda:0", "NVIDIA Number 0, 8 GB"), ("cuda:1", "NVIDIA Number 1, 8 GB")]
    assert why_no_gpu() == ""


def test_apple_gpu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, gpus=0, mps=True)
    assert found_devices()[0] == ("mps", "Apple GPU")
    assert why_no_gpu() == ""


def test_missing_gpu_support_and_missing_gpu_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, gpus=0)
    assert why_no_gpu() == "This PyTorch was built without GPU support."
    pretend(monkeypatch, gpus=0, cuda_version="12.8")
    assert why_no_gpu() == "PyTorch finds no NVIDIA GPU or driver."
