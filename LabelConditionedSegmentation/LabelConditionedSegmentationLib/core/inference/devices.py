"""Which device a run uses, and why."""

from __future__ import annotations

import torch

from ..errors import DeviceError


def choose_device(name: str) -> torch.device:
    """`auto` (cuda, else mps, else cpu) or a device by name. DeviceError says what was found instead."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f'"{name}" is no device; use auto, cpu, cuda, cuda:0 or mps.') from None
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise DeviceError(
                f'The device "{name}" was asked for, but PyTorch finds no NVIDIA GPU here; use --device cpu, or install'
                " a CUDA build of PyTorch and its driver."
            )
        if (device.index or 0) >= torch.cuda.device_count():
            raise DeviceError(
                f'The device "{name}" was asked for, but there are only {torch.cuda.device_count()} GPUs; use cuda:0.'
            )
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError('The device "mps" was asked for, but it needs an Apple GPU; use --device cpu.')
    elif device.type not in ("cpu", "cuda", "mps"):
        raise DeviceError(f'The device "{name}" is not supported; use auto, cpu, cuda or mps.')
    return device


def describe_device(device: torch.device) -> str:
    """The device in words, for reports."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GB"
    return {"cpu": f"CPU, {torch.get_num_threads()} threads", "mps": "Apple GPU"}.get(device.type, str(device))


def found_devices() -> list[tuple[str, str]]:
    """Every device that a run can use, the fastest kind first: its name for `choose_device` and what it is in words."""
    names = [f"cuda:{n}" for n in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    names += ["mps"] if torch.backends.mps.is_available() else []
    return [(name, describe_device(torch.device(name))) for name in (*names, "cpu")]


def why_no_gpu() -> str:
    """One sentence where no GPU can be used, and nothing where one can."""
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        return ""
    if torch.version.cuda is None and torch.version.hip is None:
        return "This PyTorch was built without GPU support."
    return "PyTorch finds no NVIDIA GPU or driver."
