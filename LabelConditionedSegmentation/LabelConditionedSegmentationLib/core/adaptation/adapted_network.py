"""A copy of a network, adapted to one scan: a few steps of Adam on its windows, judged before it is believed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ..errors import InputError
from ..network.model import LabelConditionedNetwork
from ..package.feature_statistics import LevelStatistics
from .adapters import ADAPTERS, Adaptation
from .moving_layers import Layer, chosen_by_ratio, free_layers, rates_by_ratio
from .objectives import OBJECTIVES
from .scan_look import Look, Looker, Window, pooled_statistics
from .trust import Signs, collapsed, not_needed, not_trusted

STEP_COST = 3
"""Looks without gradients that take as long as one step."""


@dataclass(frozen=True)
class Outcome:
    """network: the adapted copy; None where the original one stands, for the reason `because`. steps: that were taken,
    in `layers` layers. after: None where nothing was tried.
    """

    adapter: str
    before: Signs
    after: Signs | None = None
    network: LabelConditionedNetwork | None = field(default=None, compare=False, repr=False)
    steps: int = 0
    layers: int = 0
    because: str = ""

    @property
    def closer(self) -> float:
        """By which part of their distance features came nearer to those of the training scans."""
        return 1 - self.after.distance / max(self.before.distance, 1e-12) if self.after else 0.0

    def __str__(self) -> str:
        if self.network is None:
            return f"Not adapted to this scan, the model answered as it is: {self.because}."
        nearer = f"{abs(self.closer):.0%} {'closer' if self.closer >= 0 else 'further away'}"
        return f"Adapted to this scan ({self.adapter}): {self.steps} steps, aligned features {nearer}."

    def to_json(self) -> dict[str, Any]:
        """For the report of a run."""
        seen = {"before": self.before, "after": self.after}
        return {
            "adapter": self.adapter,
            "adapted": self.network is not None,
            "sentence": str(self),
            **({"because": self.because} if self.because else {}),
            "steps": self.steps,
            "layers": self.layers,
            "distance": {when: round(signs.distance, 4) for when, signs in seen.items() if signs},
            "entropy": {when: round(signs.entropy, 4) for when, signs in seen.items() if signs},
            "effective_classes": {when: round(signs.classes, 2) for when, signs in seen.items() if signs},
        }


def adapted_to(
    network: LabelConditionedNetwork,
    looker: Looker,
    windows: Sequence[Window],
    stored: Mapping[str, LevelStatistics],
    adaptation: Adaptation,
    usual: Sequence[float] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Adapt a copy of a network to the scan that `looker` looks at.

    network: stays as it is, whatever happens. windows: of the scan, the one to begin with first. stored: statistics of
    the features over the training scans. usual: lowest and highest distance that scans like those have from them.
    on_progress: gets the fraction that is done, and may raise to end the work. Raises InputError where the network has
    nothing that the adapter could change.
    """
    total, done = 2 * len(windows) + STEP_COST * adaptation.steps, 0

    def worked(cost: int) -> None:
        nonlocal done
        done += cost
        on_progress(min(done / total, 1.0))

    on_progress(0.0)
    looks = _looks(network, looker, windows, worked)
    before = Signs.of(looks, stored)
    why = "" if adaptation.always else not_needed(before, usual)
    if adaptation.adapter == "none" or why:
        return Outcome(adaptation.adapter, before, because=why or "that was asked for")
    changed = copy.deepcopy(network).eval()
    if adaptation.adapter == "norm":
        steps, layers = 1, _renormalise(changed, looker, windows)
    else:
        steps, layers = _learn(changed, looker, windows, looks, stored, adaptation, lambda: worked(STEP_COST))
    changed.requires_grad_(False)
    after = Signs.of(_looks(changed, looker, windows, worked), stored)
    outcome = Outcome(adaptation.adapter, before, after, changed, steps, layers)
    because = collapsed(before, after) if adaptation.always else not_trusted(before, after)
    return replace(outcome, network=None, because=because) if because else outcome


@torch.no_grad()
def _looks(
    network: LabelConditionedNetwork, looker: Looker, windows: Sequence[Window], worked: Callable[[int], None]
) -> list[Look]:
    looks = []
    for window in windows:
        looks.append(looker.look(network, window))
        worked(1)
    return looks


def _learn(
    network: LabelConditionedNetwork,
    looker: Looker,
    windows: Sequence[Window],
    looks: Sequence[Look],
    stored: Mapping[str, LevelStatistics],
    adaptation: Adaptation,
    worked: Callable[[], None],
) -> tuple[int, int]:
    """Steps of Adam, a window each; returns how many were taken, fewer where answers collapse, and how many layers
    moved.

    looks: of the network as it is, at every window.
    """
    adapter, whole = ADAPTERS[adaptation.adapter], pooled_statistics([look.moments for look in looks])
    objective = OBJECTIVES[adapter.objective]
    layers = free_layers(network, norms_only=adapter.objective == "entropy")
    optimizer = torch.optim.Adam([{"params": list(layer.parameters)} for layer in layers], lr=adaptation.rate)
    for step in range(adaptation.steps):
        here = step % len(windows)
        look = looker.look(network, windows[here])
        loss = objective(look, looks[here], whole, stored)
        if collapsed(Signs.of([looks[here]], stored), Signs.of([look.detached()], stored)):
            return step, len(layers)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        if step == 0 and adapter.guide == "choose":
            layers = _keep(chosen_by_ratio(layers), layers)
        if adapter.guide == "scale":
            for group, rate in zip(optimizer.param_groups, rates_by_ratio(layers, adaptation.rate), strict=True):
                group["lr"] = rate
        optimizer.step()
        worked()
    return adaptation.steps, len([layer for layer in layers if layer.ratio() > 0])


def _keep(chosen: list[Layer], layers: Sequence[Layer]) -> list[Layer]:
    """The chosen layers; the others are frozen again."""
    names = {layer.name for layer in chosen}
    for layer in layers:
        if layer.name not in names:
            for parameter in layer.parameters:
                parameter.grad = None
                parameter.requires_grad_(False)
    return [layer for layer in layers if layer.name in names]


@torch.no_grad()
def _renormalise(network: LabelConditionedNetwork, looker: Looker, windows: Sequence[Window]) -> int:
    """Statistics that normalisation layers store are taken from the scan; returns how many layers do."""
    norms = [
        module
        for module in network.trunk.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    if not norms:
        raise InputError(
            "The adapter norm changes nothing in this model: its normalisation takes its statistics from every scan as"
            " it is. Choose another adapter, such as g2p-scale."
        )
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all windows
        norm.train()
    for window in windows:
        looker.look(network, window)
    network.eval()
    return len(norms)
