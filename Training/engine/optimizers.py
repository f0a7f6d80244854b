"""The optimizer of a run and the learning rate of its steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .config import OptimizerConfig


def learning_rate_at(step: int, settings: OptimizerConfig) -> float:
    """The learning rate of a step: linear warm-up, constant, linear decay; or a polynomial from the first step on."""
    if settings.schedule == "poly":
        return settings.learning_rate * float((1 - step / settings.steps) ** 0.9)
    rising = (step + 1) / max(settings.warmup, 1)
    falling = (settings.steps - step) / max(settings.decay, 1)
    return settings.learning_rate * max(0.0, min(1.0, rising, falling))


def make_optimizer(parameters: Iterable[torch.nn.Parameter], settings: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer that the settings name, for those parameters that the loss has a gradient for."""
    trained = [p for p in parameters if p.requires_grad]
    if settings.name == "sgd":
        return torch.optim.SGD(
            trained,
            settings.learning_rate,
            settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.momentum > 0,
        )
    return torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
