"""The whole network: trunk and head under one roof, which is what a model package stores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..scan.metadata import Field
from .architecture import ATLAS_PAIR, Architecture
from .example_encoder import ExampleEncoder
from .head import ClassEmbeddings, LabelReadout, PassReadout
from .trunk import Trunk

LABELS_A_PASS = 8
"""Labels whose passes run together, where the trunk sees the label."""


class LabelConditionedNetwork(nn.Module):
    """Label conditioned segmentation (after Ma, Lee and Sabuncu, MIDL 2022, arXiv 2203.10091).

    With `conditioning: head` the trunk runs once per patch for any number of labels and `head` holds one prompt a
    class. Elsewhere (`decoder`, `bottleneck`, `trunk`) the part of the trunk from the first conditioned stage on runs
    once a label; these exist to be compared with. Either way a score is `prompts @ features + bias`, which is all that
    inference needs to know: there the features ARE the scores of the labels, and the prompts are unit vectors. With
    `atlas_pair`, the published form, it
    has no prompts: see `scores_by_pair`.

    classes: the background and the labels. The head has `architecture.context_classes` more after them.
    """

    def __init__(self, architecture: Architecture, classes: int, fields: Sequence[Field] = ()) -> None:
        super().__init__()
        self.trunk = Trunk(architecture, fields)
        self.classes = classes
        self.head = _head_of(architecture, classes)
        pooled = (*reversed(architecture.widths), architecture.feature_channels)
        self.examples = ExampleEncoder(pooled, architecture.feature_channels) if architecture.examples else None

    def features(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        """What inference blends and resamples: (batch, C, *space / output_stride), or with a pass a label (batch,
        classes - 1, *space / output_stride).
        """
        if isinstance(self.head, ClassEmbeddings):
            return self.trunk(image, metadata)  # type: ignore[no-any-return]
        everyone = torch.eye(self.classes, dtype=torch.bool, device=image.device)[1:]
        return torch.cat(
            [self.scores_of(image, metadata, labels) for labels in torch.split(everyone, LABELS_A_PASS)], dim=1
        )

    def scores_of(self, image: torch.Tensor, metadata: torch.Tensor | None, labels: torch.Tensor) -> torch.Tensor:
        """One pass a label: labels (n, classes) bool, several classes for a union -> scores (batch, n, *space
        / output_stride).
        """
        assert isinstance(self.head, LabelReadout)
        features = self.trunk(image, metadata, self.head.codes_of(labels))
        return self.head(features).unflatten(0, (image.shape[0], -1))  # type: ignore[no-any-return]

    def scores_by_pair(
        self, image: torch.Tensor, metadata: torch.Tensor | None, atlas: torch.Tensor, masks: torch.Tensor
    ) -> torch.Tensor:
        """One pass a mask, for `atlas_pair`: image (batch, channels, *space), atlas (image channels, *space) without
        positions and masks (labels, *space) on it -> scores (batch, labels, *space / output_stride).
        """
        pairs = torch.cat([atlas.expand(len(masks), *atlas.shape), masks[:, None].to(atlas.dtype)], dim=1)
        pool = nn.functional.max_pool2d if atlas.ndim == 3 else nn.functional.max_pool3d
        features = self.trunk(image, metadata, pool(pairs, self.trunk.stride_before_deepest))
        return self.head(features).unflatten(0, (image.shape[0], -1))  # type: ignore[no-any-return]

    def levels(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> list[torch.Tensor]:
        """What an example is pooled from: every level of the decoder, coarsest first, and the features last; (batch,
        channels, *space) each.
        """
        levels = self.trunk.levels(image, metadata)
        return [*levels, self.trunk.to_features(levels[-1])]

    @property
    def prompts(self) -> torch.Tensor:
        """(classes + context classes, channels of `features`): what features are multiplied with."""
        if isinstance(self.head, ClassEmbeddings):
            return self.head.prompts
        return torch.eye(self.classes, device=self.head.weight.device)[:, 1:]

    @property
    def bias(self) -> torch.Tensor:
        """(classes + context classes,): what is added."""
        return (
            self.head.bias
            if isinstance(self.head, ClassEmbeddings)
            else torch.zeros(self.classes, device=self.head.weight.device)
        )

    def forward(self, image: torch.Tensor, metadata: torch.Tensor | None = None) -> torch.Tensor:
        """Plain scores (batch, classes + context classes, *space / output_stride); training and inference use the
        features and a streamed product instead.
        """
        features = self.features(image, metadata)
        if isinstance(self.head, ClassEmbeddings):
            return self.head(features)  # type: ignore[no-any-return]
        return torch.cat([torch.zeros_like(features[:, :1]), features], dim=1)  # the background's score is 0


def _head_of(architecture: Architecture, classes: int) -> ClassEmbeddings | PassReadout:
    """What gives the scores."""
    if architecture.conditioning == ATLAS_PAIR:
        return PassReadout(architecture.feature_channels)
    kind = ClassEmbeddings if architecture.conditioning == "head" else LabelReadout
    return kind(classes + architecture.context_classes, architecture.feature_channels)
