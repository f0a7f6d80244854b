"""An ensemble: networks of one label tree, such as the folds of a cross-validation, in the place of one network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .model import LabelConditionedNetwork


class Ensemble(LabelConditionedNetwork):
    """Networks whose scores are averaged.

    A score is affine in the features, so the average is one product: features are stacked, channel upon channel, and
    prompts are stacked and divided by the number of networks. All are of one architecture and as many classes; what is
    asked of the trunk, the first one answers.
    """

    def __init__(self, members: Sequence[LabelConditionedNetwork]) -> None:
        nn.Module.__init__(self)  # it has no weights of its own
        self.members = nn.ModuleList(members)
        self._each = tuple(members)
        self.trunk = members[0].trunk
        self.classes = members[0].classes
        self.examples = None

    def features(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        """(batch, members * C, *space / output_stride)."""
        return torch.cat([member.features(image, metadata) for member in self._each], dim=1)

    @property
    def prompts(self) -> torch.Tensor:
        """(classes + context classes, members * C)."""
        return torch.cat([member.prompts for member in self._each], dim=1) / len(self._each)

    @property
    def bias(self) -> torch.Tensor:
        """(classes + context classes,)."""
        return torch.stack([member.bias for member in self._each]).mean(0)

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        """The mean of the members' plain scores (batch, classes + context classes, *space / output_stride)."""
        return torch.stack([member(image, metadata) for member in self._each]).mean(0)
