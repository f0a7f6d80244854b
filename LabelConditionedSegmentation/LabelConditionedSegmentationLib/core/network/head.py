"""The head: a strictly affine score for every label, score_k(v) = <prompt_k, F(v)> + bias_k."""

from __future__ import annotations

import torch
from torch import nn


class ClassEmbeddings(nn.Module):
    """One learned prompt and bias a class; class 0 is the background, class n the n-th leaf of the label tree.

    Because the score is affine in F, blending windows and linear resampling commute with it: they are done to F, never to K score maps.
    """

    def __init__(self, classes: int, feature_channels: int) -> None:
        super().__init__()
        self.prompts = nn.Parameter(torch.randn(classes, feature_channels) / feature_channels**0.5)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The plain product, for comparison and small cases: features (batch, C, *space) -> scores (batch, classes, *space)."""
        scores = torch.einsum("bc...,kc->bk...", features, self.prompts)
        return scores + self.bias.view(1, -1, *([1] * (features.ndim - 2)))
