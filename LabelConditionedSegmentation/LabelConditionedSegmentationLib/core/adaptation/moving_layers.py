"""The layers of a network that an adapter moves, each as fast as its ratio of gradient to parameter (G2P) says.

After the method of ISBI 2024, doi 10.1109/ISBI56570.2024.10635451, of which the abstract alone could be read: how a
ratio chooses layers or becomes a learning rate is our reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..network.model import LabelConditionedNetwork
from ..network.trunk import InstanceNorm

FROZEN = ("film", "label_film", "position")
"""Parts of a trunk that never move: what is known about the scan, and where a voxel lies, mean what they meant."""

CHOSEN = 0.5
"""Share of the layers that `choose` lets move."""

FASTEST = 10.0
"""Times the learning rate, at most, that `scale` lets a layer have."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of the trunk that may move, and its parameters."""

    name: str
    parameters: tuple[nn.Parameter, ...]

    def ratio(self) -> float:
        """G2P: the norm of the gradient over that of the parameters; 0 without a gradient."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if not gradients:
            return 0.0
        size = torch.stack([p.detach().norm() for p in self.parameters]).norm()
        return float(torch.stack([gradient.norm() for gradient in gradients]).norm() / size.clamp_min(1e-12))


def free_layers(network: LabelConditionedNetwork, norms_only: bool) -> list[Layer]:
    """The layers of a trunk that may move, in its order; everything else of the network is frozen.

    norms_only: the scale and shift of normalisations alone.
    """
    network.requires_grad_(False)
    layers = []
    for name, module in network.trunk.named_modules():
        is_norm = isinstance(module, InstanceNorm | nn.modules.batchnorm._BatchNorm)
        own = tuple(module.parameters(recurse=False))
        if own and name.partition(".")[0] not in FROZEN and (is_norm or not norms_only):
            layers.append(Layer(name, own))
    for layer in layers:
        for parameter in layer.parameters:
            parameter.requires_grad_(True)
    return layers


def chosen_by_ratio(layers: Sequence[Layer]) -> list[Layer]:
    """The half of the layers with the largest G2P, of those that have a gradient."""
    ratios = {layer.name: layer.ratio() for layer in layers}
    moved = sorted((layer for layer in layers if ratios[layer.name] > 0), key=lambda layer: -ratios[layer.name])
    return moved[: max(1, round(CHOSEN * len(moved)))]


def rates_by_ratio(layers: Sequence[Layer], rate: float) -> list[float]:
    """A learning rate for each layer, in proportion to its G2P, `rate` for one of mean G2P."""
    ratios = [layer.ratio() for layer in layers]
    moved = [ratio for ratio in ratios if ratio > 0]
    mean = sum(moved) / len(moved) if moved else 1.0
    return [rate * min(ratio / mean, FASTEST) for ratio in ratios]
