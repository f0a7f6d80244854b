"""FiLM: what is known about the scan scales and shifts the feature channels (Lemay et al., MIDL 2021, arXiv 2102.09582)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..metadata import Field


class MetadataEncoder(nn.Module):
    """Encoded metadata (batch, fields), NaN where unknown -> one vector (batch, `size`).

    `identity` mode: every field has an embedding of its own and a learned vector for "unknown". `paper` mode: one-hot choices and the plain number, unknown = zeros.
    """

    def __init__(self, fields: Sequence[Field], mode: str, embedding: int = 8) -> None:
        super().__init__()
        self.mode = mode
        self.choices = [len(f.choices) if f.kind == "choice" else 0 for f in fields]
        if mode == "paper":
            self.size = sum(max(n, 1) for n in self.choices)
        else:
            self.size = embedding * len(self.choices)
            self.unknown = nn.Parameter(0.1 * torch.randn(len(self.choices), embedding))
            self.known = nn.ParameterList([nn.Parameter(torch.randn(max(n, 2), embedding)) for n in self.choices])

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        parts = []
        for index, choices in enumerate(self.choices):
            value = encoded[:, index]
            is_known = ~value.isnan()
            value = torch.where(is_known, value, torch.zeros_like(value))
            if choices:
                basis = nn.functional.one_hot(value.long(), choices).to(value.dtype)
            else:  # in `identity` mode a number is a point on the line through two learned vectors
                basis = value[:, None] if self.mode == "paper" else torch.stack([(1 - value) / 2, (1 + value) / 2], dim=1)
            if self.mode == "paper":
                parts.append(basis * is_known[:, None])
            else:
                parts.append(torch.where(is_known[:, None], basis @ self.known[index], self.unknown[index]))
        return torch.cat(parts, dim=1)


class FilmGenerator(nn.Module):
    """Metadata -> scale and shift for every conditioned layer: size -> 64 -> 16 -> 2C, the first two layers shared by all (their section 2.1).

    `identity` mode: gamma = 1 + delta, beta = delta, the last layer zero-initialised, so that an untrained FiLM changes nothing.
    `paper` mode: sigmoid after every layer as published, so gamma and beta lie in (0, 1).
    """

    def __init__(self, fields: Sequence[Field], widths: Sequence[int], mode: str) -> None:
        super().__init__()
        self.mode = mode
        self.encoder = MetadataEncoder(fields, mode)
        activation = nn.Sigmoid if mode == "paper" else nn.SiLU
        self.shared = nn.Sequential(nn.Linear(self.encoder.size, 64), activation(), nn.Linear(64, 16), activation())
        self.layers = nn.ModuleList([nn.Linear(16, 2 * width) for width in widths])
        if mode == "identity":
            for layer in self.layers:
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, encoded: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(batch, fields) -> for every layer gamma and beta, each (batch, C)."""
        code = self.shared(self.encoder(encoded))
        pairs = []
        for layer in self.layers:
            gamma, beta = layer(code).chunk(2, dim=1)
            pairs.append((gamma.sigmoid(), beta.sigmoid()) if self.mode == "paper" else (1 + gamma, beta))
        return pairs


def modulate(features: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """gamma * F + beta, constant over space; features (batch, C, *space), gamma and beta (batch, C)."""
    shape = (*gamma.shape, *([1] * (features.ndim - 2)))
    return torch.addcmul(beta.view(shape).to(features.dtype), features, gamma.view(shape).to(features.dtype))
