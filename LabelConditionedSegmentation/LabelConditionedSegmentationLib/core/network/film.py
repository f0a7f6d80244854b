"""FiLM: what is known about the scan scales and shifts the feature channels (Lemay et al., MIDL 2021, arXiv
2102.09582).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..scan.metadata import Field
from .starting_values import standard_normal

Modulation = tuple[torch.Tensor, torch.Tensor]
"""Scale and shift of every channel, each (batch, C)."""


class MetadataEncoder(nn.Module):
    """Encoded metadata (batch, fields), NaN where unknown -> one vector (batch, `size`).

    `identity` mode: every field has an embedding of its own and a learned vector for "unknown". `paper` mode: one-hot
    choices and the plain number, unknown = zeros.
    """

    def __init__(self, fields: Sequence[Field], mode: str, embedding: int = 8) -> None:
        super().__init__()
        self.mode = mode
        self.choices = [len(f.choices) if f.kind == "choice" else 0 for f in fields]
        if mode == "paper":
            self.size = sum(max(n, 1) for n in self.choices)
        else:
            self.size = embedding * len(self.choices)
            self.unknown = nn.Parameter(standard_normal(len(self.choices), embedding, times=0.1))
            self.known = nn.ParameterList([nn.Parameter(standard_normal(max(n, 2), embedding)) for n in self.choices])

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        parts = []
        for index, choices in enumerate(self.choices):
            value = encoded[:, index]
            is_known = ~value.isnan()
            value = torch.where(is_known, value, torch.zeros_like(value))
            if choices:
                basis = nn.functional.one_hot(value.long(), choices).to(value.dtype)
            else:  # in `identity` mode a number is a point on the line through two learned vectors
                basis = (
                    value[:, None] if self.mode == "paper" else torch.stack([(1 - value) / 2, (1 + value) / 2], dim=1)
                )
            if self.mode == "paper":
                parts.append(basis * is_known[:, None])
            else:
                parts.append(torch.where(is_known[:, None], basis @ self.known[index], self.unknown[index]))
        return torch.cat(parts, dim=1)


class FilmLayers(nn.Module):
    """A code -> scale and shift for every conditioned layer: size -> 64 -> `hidden` -> 2C, the first two layers shared
    by all (their section 2.1).

    `identity` mode: gamma = 1 + delta, beta = delta, the last layer zero-initialised, so that an untrained FiLM changes
    nothing.
    `paper` mode: sigmoid after every layer as published, so gamma and beta lie in (0, 1).
    """

    def __init__(self, size: int, widths: Sequence[int], mode: str, hidden: int = 16) -> None:
        super().__init__()
        self.mode = mode
        activation = nn.Sigmoid if mode == "paper" else nn.SiLU
        self.shared = nn.Sequential(nn.Linear(size, 64), activation(), nn.Linear(64, hidden), activation())
        self.layers = nn.ModuleList([nn.Linear(hidden, 2 * width) for width in widths])
        if mode == "identity":
            for layer in self.layers:
                for parameter in layer.parameters():
                    nn.init.zeros_(parameter)

    def forward(self, code: torch.Tensor) -> list[Modulation]:
        """(batch, size) -> for every layer gamma and beta, each (batch, C)."""
        code = self.shared(code)
        pairs = []
        for layer in self.layers:
            gamma, beta = layer(code).chunk(2, dim=1)
            pairs.append((gamma.sigmoid(), beta.sigmoid()) if self.mode == "paper" else (1 + gamma, beta))
        return pairs


class FilmGenerator(FilmLayers):
    """Metadata -> scale and shift for every conditioned layer."""

    def __init__(self, fields: Sequence[Field], widths: Sequence[int], mode: str) -> None:
        encoder = MetadataEncoder(fields, mode)
        super().__init__(encoder.size, widths, mode)
        self.encoder = encoder

    def forward(self, encoded: torch.Tensor) -> list[Modulation]:
        """(batch, fields), NaN for unknown -> for every layer gamma and beta, each (batch, C)."""
        return super().forward(self.encoder(encoded))


def after(first: Modulation | None, then: Modulation | None) -> Modulation | None:
    """One modulation followed by another one, as a single one."""
    if first is None or then is None:
        return first if then is None else then
    return then[0] * first[0], then[0] * first[1] + then[1]


def modulate(features: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """gamma * F + beta, constant over space; features (batch, C, *space), gamma and beta (batch, C)."""
    shape = (*gamma.shape, *([1] * (features.ndim - 2)))
    return torch.addcmul(beta.view(shape).to(features.dtype), features, gamma.view(shape).to(features.dtype))
