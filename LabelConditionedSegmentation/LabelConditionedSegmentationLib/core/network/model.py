"""The whole network: trunk and head under one roof, which is what a model package stores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..metadata import Field
from .architecture import Architecture
from .head import ClassEmbeddings
from .trunk import Trunk


class LabelConditionedNetwork(nn.Module):
    """Label conditioned segmentation with the label entering at the head (after Ma, Lee and Sabuncu, MIDL 2022, arXiv 2203.10091).

    `trunk` runs once per patch for any number of labels; `head` holds one prompt a class.
    """

    def __init__(self, architecture: Architecture, classes: int, fields: Sequence[Field] = ()) -> None:
        super().__init__()
        self.trunk = Trunk(architecture, fields)
        self.head = ClassEmbeddings(classes, architecture.feature_channels)

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        """Plain scores (batch, classes, *space / output_stride); training and inference use the trunk and a streamed product instead."""
        return self.head(self.trunk(image, metadata))  # type: ignore[no-any-return]
