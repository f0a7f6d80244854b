"""Label conditioned segmentation (Ma, Lee and Sabuncu, MIDL 2022): a softmax over all labels that is never in memory,
sampled labels with sigmoid losses, or examples.
"""

from __future__ import annotations

import torch
from LabelConditionedSegmentationLib.core.network.architecture import ATLAS_PAIR
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..engine.config import Config
from ..losses.streamed_softmax import streamed_softmax_loss
from ..losses.truth import Truth
from .all_labels import AllLabels
from .atlas_pair import PublishedPair
from .by_example import ByExample
from .method import Method
from .registry import register
from .sampled_labels import SampledLabels


@register("lcs")
class LabelConditioned(AllLabels):
    """The softmax over all labels, in chunks that are recomputed in the backward pass."""

    learns_from_examples = True

    @classmethod
    def check(cls, config: Config) -> None:
        objective, conditioning = config.objective, config.network.conditioning
        if objective.labels == "sampled":
            if objective.loss != "sigmoid":
                raise SystemExit(
                    "Sampled labels do not compete within a sample: set objective.loss=sigmoid with"
                    " objective.labels=sampled."
                )
        elif conditioning == ATLAS_PAIR:
            if objective.loss != "sigmoid":
                raise SystemExit(
                    "network.conditioning=atlas_pair decides each label alone, in a pass of its own: set"
                    " objective.loss=sigmoid."
                )
        elif conditioning != "head":
            raise SystemExit(
                f"network.conditioning={conditioning} needs a pass a label; set objective.labels=sampled and"
                " objective.loss=sigmoid, or network.conditioning=head."
            )
        elif objective.loss != "softmax":
            raise SystemExit(
                "method=lcs over all labels has a softmax loss; sigmoid channels of all labels are method=baseline."
            )

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
        """The streamed softmax, or what the objective has in its place."""
        if config.objective.labels == "sampled":
            return SampledLabels(network, config.objective, members)
        if config.network.conditioning == ATLAS_PAIR:
            return PublishedPair(network, config.objective)
        if config.objective.prompts != "class":
            return ByExample(network, config.objective, members)
        return cls(network, config.objective, members)

    def _loss(self, features: torch.Tensor, truth: Truth) -> torch.Tensor:
        return streamed_softmax_loss(
            features, self.network.prompts, self.network.bias, truth, self.objective.dice_weight
        )
