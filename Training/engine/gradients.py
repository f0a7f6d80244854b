"""The gradients of a step, clipped by their norm; those that merely overflowed half precision are left out."""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric import Fabric

LEAST_SCALE = 1e-4
"""Of the loss in 16-mixed, which begins with 65,536 and halves with every overflow.

After some thirty in a row it is not the scale that is wrong."""


def clip_gradients(
    fabric: Fabric, model: torch.nn.Module, optimizer: torch.optim.Optimizer, most: float
) -> torch.Tensor:
    """Clip the gradients to a norm of `most`; returns what that was, not finite where the step must not be made.

    An ordinary overflow of half precision counts as 0: Fabric's scaler lowers its scale and skips `optimizer.step`.
    """
    norm = torch.as_tensor(fabric.clip_gradients(model, optimizer, max_norm=most, error_if_nonfinite=False))
    if bool(norm.isfinite()) or scaler_state(fabric).get("scale", 0.0) < LEAST_SCALE:
        return norm
    return torch.zeros_like(norm)


def scaler_state(fabric: Fabric) -> dict[str, Any]:
    """Plain values from which the scaler goes on, for `load_scaler`; empty where the precision needs none."""
    return fabric.strategy.precision.state_dict()


def load_scaler(fabric: Fabric, state: dict[str, Any]) -> None:
    """Inverse of `scaler_state`; a checkpoint of another precision changes nothing."""
    if state:
        fabric.strategy.precision.load_state_dict(state)
