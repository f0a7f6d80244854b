"""What is watched while two domains are aligned: how often discriminators are right, how many modes are in use, and
whether one of them has collapsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from ..losses.alignment_losses import Accuracy

MEMORY = 0.98
"""Decay of the moving averages."""

SURE, FOR_STEPS = 0.99, 200
"""Accuracy from which on a discriminator counts as always right (and below 1 - SURE as always wrong), and for how many
steps before there is a warning."""

IN_USE = 0.1
"""Of the share that a mode would have if all came alike: with more it is in use."""

FEW = 0.2
"""Of the modes in use on the source: with fewer on the target the head tells hardly any of them there."""

ADVICE = {
    "won": (
        "The discriminator of {name} has told source and target apart always for {steps} steps, so that the network"
        " learns little from it: lower patch_adaptation.learning_rate, raise patch_adaptation.{weight}, or check that"
        " the target shows the same part of the body as the source."
    ),
    "blind": (
        "The discriminator of {name} has taken everything for one domain for {steps} steps, so that it aligns nothing:"
        " raise patch_adaptation.learning_rate, or lower patch_adaptation.{weight}."
    ),
    "modes": (
        "On the target hardly any of the modes of patches has been told for {steps} steps: raise"
        " patch_adaptation.mode_weight, lower patch_adaptation.patch_weight, or let the target wait with"
        " patch_adaptation.start."
    ),
}
WEIGHTS = {"patches": "patch_weight", "output": "output_weight"}


class AdaptationWatch(torch.nn.Module):
    """Moving averages, the same in all processes and kept in checkpoints.

    accuracy (discriminators, 2): on source and target. usage (2, modes): the share of each mode among the patches of
    the source, and among those of the target as they are told. collapsed_for: steps for which a discriminator was
    always right or took everything for one domain (discriminators, 2), or hardly any mode was told (the last one).
    """

    accuracy: torch.Tensor
    usage: torch.Tensor
    collapsed_for: torch.Tensor

    def __init__(self, names: Sequence[str], modes: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.register_buffer("accuracy", torch.ones(len(self.names), 2))
        self.register_buffer("usage", torch.full((2, modes), 1 / max(modes, 1)))
        self.register_buffer("collapsed_for", torch.zeros(2 * len(self.names) + 1, dtype=torch.long))

    @property
    def balance(self) -> float:
        """1 where the discriminators are right half of the time on either domain, 0 where always or never; 0 without
        any.
        """
        return float((1 - 2 * (self.accuracy - 0.5).abs()).mean()) if self.names else 0.0

    def forward(
        self,
        told: Mapping[str, Accuracy],
        modes: torch.Tensor | None,
        mean: Callable[[torch.Tensor], torch.Tensor],
        say: Callable[[str], None],
    ) -> dict[str, float]:
        """Take in a step of this process, warn of a collapse once, and return what is logged of all processes. modes
        (2, M): shares of the step.
        """
        measured: dict[str, float] = {}
        if told:
            now = mean(torch.stack([torch.stack(list(told[name])) for name in self.names]).to(self.accuracy))
            self.accuracy.copy_(_averaged(self.accuracy, now))
            for name, (source, target) in zip(self.names, now.tolist(), strict=True):
                measured |= {f"{name}_accuracy_source": source, f"{name}_accuracy_target": target}
        if modes is not None:
            self.usage.copy_(_averaged(self.usage, mean(modes.to(self.usage))))
            measured |= {f"modes_{side}": share for side, share in zip(("source", "target"), self.in_use, strict=True)}
        self._warn(say)
        return measured

    @property
    def in_use(self) -> list[float]:
        """Share of all modes that are in use, on the source and on the target."""
        modes = self.usage.shape[1]
        found: list[float] = (self.usage > IN_USE / modes).double().mean(1).tolist()
        return found

    def _warn(self, say: Callable[[str], None]) -> None:
        right, wrong = self.accuracy >= SURE, self.accuracy <= 1 - SURE
        states = torch.cat([right.all(1), right.any(1) & wrong.any(1), self._has_few_modes()])
        before = self.collapsed_for.clone()
        self.collapsed_for.copy_(torch.where(states, before + 1, 0))
        reached = ((before < FOR_STEPS) & (self.collapsed_for >= FOR_STEPS)).tolist()
        kinds = [*(("won", name) for name in self.names), *(("blind", name) for name in self.names), ("modes", "")]
        for (kind, name), is_reached in zip(kinds, reached, strict=True):
            if is_reached:
                say(ADVICE[kind].format(name=name, weight=WEIGHTS.get(name, ""), steps=FOR_STEPS))

    def _has_few_modes(self) -> torch.Tensor:
        """(1,) bool."""
        few = bool(self.usage.shape[1]) and self.in_use[1] < FEW * self.in_use[0]
        return torch.tensor([few], device=self.accuracy.device)


def _averaged(before: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """A moving average after a step; what a step does not say (NaN) changes nothing."""
    return torch.where(now.isnan(), before, MEMORY * before + (1 - MEMORY) * now)
