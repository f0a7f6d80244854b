"""What is asked of the scans of two domains that are to look alike to a network: that discriminators cannot tell them
apart, or that the moments of their features agree.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

LEAST_SPREAD = 1e-3
"""Of a feature, by which its moments are divided."""


class Accuracy(NamedTuple):
    """Share of the places of either domain that a discriminator takes for what they are."""

    source: torch.Tensor
    target: torch.Tensor


def as_of_source(logits: torch.Tensor) -> torch.Tensor:
    """The generator's loss, not saturating (Goodfellow et al., 2014): what a discriminator says of the target is to be
    that it is of the source. logits, of any shape: positive for the source.
    """
    return binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def discriminator_loss(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Half the mean cross entropy over either domain, of logits that are positive for the source. A domain of which a
    step has nothing has no part in it.
    """
    sides = [
        binary_cross_entropy_with_logits(logits, torch.full_like(logits, truth))
        for logits, truth in ((source, 1.0), (target, 0.0))
        if logits.numel()
    ]
    return torch.stack(sides).sum() / 2


def accuracy_of(source: torch.Tensor, target: torch.Tensor) -> Accuracy:
    """NaN for a domain of which there is nothing."""
    return Accuracy((source > 0).double().mean(), (target < 0).double().mean())


def mode_loss(logits: torch.Tensor, modes: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy over the known patches of a sample: logits (P, M), modes (P,), known (P,) bool; zero, with a
    gradient of zeros, where no patch is known.
    """
    if not bool(known.any()):
        return 0 * logits.sum()
    return cross_entropy(logits[known], modes[known])


def moment_distance(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """How far the means and covariances of features (V, C) of two domains differ, in deviations of the source: the mean
    square over all channels plus the mean square over all pairs of channels.

    The second part is that of Sun and Saenko, "Deep CORAL", 2016, arXiv 1607.01719.
    """
    spread = source.detach().std(0).clamp_min(LEAST_SPREAD)
    (mean, covariance), (other_mean, other_covariance) = (_moments(each / spread) for each in (source, target))
    return ((mean - other_mean) ** 2).mean() + ((covariance - other_covariance) ** 2).mean()


def _moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / max(len(features) - 1, 1)
