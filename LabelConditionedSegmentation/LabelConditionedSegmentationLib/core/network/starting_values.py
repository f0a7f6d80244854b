"""What the learned vectors of a network begin with."""

from __future__ import annotations

import torch


def standard_normal(*shape: int, times: float = 1.0, over: float = 1.0) -> torch.Tensor:
    """`times` * N(0, 1) / `over`; on the meta device, where there are no numbers, a tensor of the shape alone: torch
    imports its compiler to draw them there, which takes longer than to load a model.
    """
    if torch.get_default_device().type == "meta":
        return torch.empty(*shape)
    drawn: torch.Tensor = times * torch.randn(*shape) / over
    return drawn
