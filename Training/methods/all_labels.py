"""All labels in every sample: what the streamed softmax of LCS and the multi-channel baselines have in common."""

from __future__ import annotations

from abc import abstractmethod

import torch
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..engine.config import Config, ObjectiveConfig
from ..losses.truth import Truth
from .method import Batch, Method
from .points import at_points


class AllLabels(Method):
    """Every label in every sample."""

    def __init__(self, network: LabelConditionedNetwork, objective: ObjectiveConfig, members: torch.Tensor) -> None:
        super().__init__(network)
        self.objective = objective
        self.register_buffer("members", members, persistent=False)

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
        return cls(network, config.objective, members)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean loss of the samples of a batch (see Training.data.training_samples.Samples), taken at the drawn points
        of the up-sampled features.
        """
        image = batch["image"].contiguous(memory_format=torch.channels_last_3d)
        features = self.network.trunk(image, batch["metadata"]).float()
        with torch.autocast(image.device.type, enabled=False):  # scores and their sums in float32
            found = at_points(features, batch["points"], image.shape[2:])
            losses = [
                self._loss(values.T, Truth(target, annotated, self.members))  # type: ignore[arg-type]
                for values, target, annotated in zip(found, batch["target"], batch["annotated"], strict=True)
            ]
        return torch.stack(losses).mean()

    @abstractmethod
    def _loss(self, features: torch.Tensor, truth: Truth) -> torch.Tensor:
        """The loss of the points of a sample: features (P, C)."""


def forget_background(head: ClassEmbeddings) -> None:
    """Sigmoid channels have none for the background: its score is 0 always, so that a label wins where its own score is
    positive and the highest.
    """
    with torch.no_grad():
        head.prompts[0] = 0
        head.bias[0] = 0
