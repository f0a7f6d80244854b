"""The multi-channel baseline: one output channel a class, all of them in memory."""

from __future__ import annotations

import torch
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..engine.config import Config, ObjectiveConfig
from ..losses.masked_sigmoid import masked_sigmoid_loss
from ..losses.streamed_softmax import plain_softmax_loss
from ..losses.truth import Truth
from .all_labels import AllLabels, forget_background
from .registry import register


@register("baseline")
class MultiChannel(AllLabels):
    """Softmax, or sigmoid channels that are masked where not annotated."""

    def __init__(self, network: LabelConditionedNetwork, objective: ObjectiveConfig, members: torch.Tensor) -> None:
        super().__init__(network, objective, members)
        if objective.loss == "sigmoid" and isinstance(network.head, ClassEmbeddings):
            forget_background(network.head)

    @classmethod
    def check(cls, config: Config) -> None:
        if config.network.conditioning != "head" or config.objective.labels != "all":
            raise SystemExit(
                "method=baseline has one output channel a label: network.conditioning has to be head and"
                " objective.labels all."
            )

    def _loss(self, features: torch.Tensor, truth: Truth) -> torch.Tensor:
        prompts, bias, weight = self.network.prompts, self.network.bias, self.objective.dice_weight
        if self.objective.loss == "softmax":
            return plain_softmax_loss(features, prompts, bias, truth, weight)
        everyone = torch.eye(len(bias), dtype=torch.bool, device=bias.device)[1:]
        return masked_sigmoid_loss(features @ prompts[1:].T + bias[1:], truth, everyone, weight)
