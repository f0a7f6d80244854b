"""A method in one file, as anybody may write one: a cross entropy of which a share is spread over all classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from Training.engine.config import Config
from Training.engine.setting_types import Share
from Training.losses.truth import IGNORE
from Training.methods.method import Batch, Method, Run
from Training.methods.points import at_points
from Training.methods.registry import register


@dataclass
class ToySettings:
    smoothing: Share = 0.1
    """Share of the target that all classes have in common."""


@register("toy", ToySettings)
class Smoothed(Method):
    def __init__(self, network: LabelConditionedNetwork, smoothing: float) -> None:
        super().__init__(network)
        self.loss = torch.nn.CrossEntropyLoss(ignore_index=IGNORE, label_smoothing=smoothing)

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
        return cls(network, config.own(ToySettings).smoothing)

    def forward(self, batch: Batch) -> torch.Tensor:
        features = self.network.trunk(batch["image"], batch["metadata"])
        found = at_points(features, batch["points"], batch["image"].shape[2:]).movedim(1, 2)
        scores = found @ self.network.prompts.T + self.network.bias
        target = batch["target"].long()
        return self.loss(scores.flatten(0, 1), target.where(target < self.network.classes, IGNORE).flatten())  # type: ignore[no-any-return]

    def training_step(self, batch: Batch, run: Run) -> torch.Tensor:
        loss = super().training_step(batch, run)
        run.measured["perplexity"] = float(loss.detach().exp())
        return loss
