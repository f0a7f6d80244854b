"""All labels in every sample: the streamed softmax of LCS, and the multi-channel baselines that hold every score in
memory.
"""

from __future__ import annotations

import torch
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..engine.config import ObjectiveConfig
from ..losses.masked_sigmoid import masked_sigmoid_loss
from ..losses.streamed_softmax import plain_softmax_loss, streamed_softmax_loss
from ..losses.truth import Truth
from .method import Method
from .points import at_points


class AllLabels(Method):
    """Every label in every sample."""

    def __init__(
        self, network: LabelConditionedNetwork, objective: ObjectiveConfig, members: torch.Tensor, streamed: bool
    ) -> None:
        super().__init__(network)
        self.objective = objective
        self.streamed = streamed
        self.register_buffer("members", members, persistent=False)
        if objective.loss == "sigmoid" and isinstance(network.head, ClassEmbeddings):
            forget_background(network.head)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean loss of the samples of a batch (see Training.data.samples.Samples), taken at the drawn points of the
        up-sampled features.
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

    def _loss(self, features: torch.Tensor, truth: Truth) -> torch.Tensor:
        prompts, bias, weight = self.network.prompts, self.network.bias, self.objective.dice_weight
        if self.streamed:
            return streamed_softmax_loss(features, prompts, bias, truth, weight)
        if self.objective.loss == "softmax":
            return plain_softmax_loss(features, prompts, bias, truth, weight)
        everyone = torch.eye(len(bias), dtype=torch.bool, device=bias.device)[1:]
        return masked_sigmoid_loss(features @ prompts[1:].T + bias[1:], truth, everyone, weight)


def forget_background(head: ClassEmbeddings) -> None:
    """Sigmoid channels have none for the background: its score is 0 always, so that a label wins where its own score is
    positive and the highest.
    """
    with torch.no_grad():
        head.prompts[0] = 0
        head.bias[0] = 0
