"""Sampled labels with sigmoid losses, as LCS was published: a few labels a sample, each of them decided alone."""

from __future__ import annotations

import torch
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..engine.config import ObjectiveConfig
from ..losses.masked_sigmoid import masked_sigmoid_loss
from ..losses.truth import Truth
from .all_labels import forget_background
from .method import Method
from .points import at_points


class SampledLabels(Method):
    """Ma, Lee and Sabuncu (MIDL 2022), with learned codes in place of the atlas.

    The labels of a sample share the part of the trunk that does not depend on them.
    """

    def __init__(self, network: LabelConditionedNetwork, objective: ObjectiveConfig, members: torch.Tensor) -> None:
        super().__init__(network)
        self.objective = objective
        self.register_buffer("members", members, persistent=False)
        if isinstance(network.head, ClassEmbeddings):
            forget_background(network.head)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean loss of the samples of a batch (see Training.data.training_samples.Samples); `queries` (batch, L, K)
        names the labels of every sample.
        """
        image = batch["image"].contiguous(memory_format=torch.channels_last_3d)
        losses = []
        for n, labels in enumerate(batch["queries"]):
            one = slice(n, n + 1)
            scores = self._scores(image[one], batch["metadata"][one], batch["points"][one], labels)
            truth = Truth(batch["target"][n], batch["annotated"][n], self.members)  # type: ignore[arg-type]
            losses.append(masked_sigmoid_loss(scores.T, truth, labels, self.objective.dice_weight))
        return torch.stack(losses).mean()

    def _scores(
        self, image: torch.Tensor, metadata: torch.Tensor, points: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Scores (L, P) of the labels (L, K) at the points (1, P, 3)."""
        head, shape = self.network.head, image.shape[2:]
        if not isinstance(head, ClassEmbeddings):
            scores = self.network.scores_of(image, metadata, labels).float()
            with torch.autocast(image.device.type, enabled=False):
                return at_points(scores, points, shape)[0]
        features = self.network.trunk(image, metadata).float()
        with torch.autocast(image.device.type, enabled=False):
            found = at_points(features, points, shape)[0]
            # a union's score is the log-sum-exp of its classes': their probabilities add up where labels compete
            return torch.stack(
                [torch.addmm(head.bias[of, None], head.prompts[of], found).logsumexp(0) for of in labels]
            )
