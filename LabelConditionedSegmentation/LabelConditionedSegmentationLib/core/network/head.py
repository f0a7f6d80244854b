"""The heads: a strictly affine score for every label, score_k(v) = <prompt_k, F(v)> + bias_k, and the readout of
networks that need a pass a label.
"""

from __future__ import annotations

import torch
from torch import nn

from .starting_values import standard_normal


class ClassEmbeddings(nn.Module):
    """One learned prompt and bias a class; class 0 is the background, class n the n-th leaf of the label tree, and
    context classes follow after the last leaf.

    Because the score is affine in F, blending windows and linear resampling commute with it: they are done to F, never
    to K score maps.
    """

    def __init__(self, classes: int, feature_channels: int) -> None:
        super().__init__()
        self.prompts = nn.Parameter(standard_normal(classes, feature_channels, over=feature_channels**0.5))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The plain product, for comparison and small cases: features (batch, C, *space) -> scores (batch, classes,
        *space).
        """
        scores = torch.einsum("bc...,kc->bk...", features, self.prompts)
        return scores + self.bias.view(1, -1, *([1] * (features.ndim - 2)))


class PassReadout(nn.Module):
    """For networks whose trunk sees the label: the affine readout of the one score that a pass gives.

    The background's score is 0, so that a label wins where its own score is positive and the highest.
    """

    def __init__(self, feature_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(standard_normal(feature_channels, over=feature_channels**0.5))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """features (labels, C, *space) of the passes -> scores (labels, *space)."""
        return torch.einsum("lc...,c->l...", features, self.weight.to(features.dtype)) + self.bias.to(features.dtype)


class LabelReadout(PassReadout):
    """The readout, and one learned code a class that conditions the trunk on the label. The background has none."""

    def __init__(self, classes: int, feature_channels: int) -> None:
        codes = standard_normal(
            classes - 1, feature_channels
        )  # before the readout, so that a seed gives the network that it always gave
        super().__init__(feature_channels)
        self.codes = nn.Parameter(codes)

    def codes_of(self, labels: torch.Tensor) -> torch.Tensor:
        """labels (n, classes) bool, several classes for a union -> the mean of their codes (n, C)."""
        share = labels[:, 1:].to(self.codes.dtype)
        return share @ self.codes / share.sum(1, keepdim=True).clamp_min(1)
