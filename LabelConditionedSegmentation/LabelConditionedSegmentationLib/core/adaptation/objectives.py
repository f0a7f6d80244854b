"""What adapting makes small, each by name: from the window that the network looks at, and how it looked before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from ..package.feature_statistics import LevelStatistics
from .scan_look import Look, distance, pooled_statistics

Statistics = Mapping[str, LevelStatistics]
Objective = Callable[[Look, Look, Statistics, Statistics], torch.Tensor]
"""The look at a window, with gradients; the original network's look at it; the original network's statistics over the
whole scan; the stored ones.
"""


def entropy(now: Look, _original: Look, _whole: Statistics, _stored: Statistics) -> torch.Tensor:
    """How uncertain the answers are in the window."""
    return now.entropy


def alignment(now: Look, original: Look, whole: Statistics, stored: Statistics) -> torch.Tensor:
    """How far the features of the whole scan are from those of the training scans.

    What has changed in the window is taken to have changed everywhere: a window shows one part of the anatomy, whose
    features differ from those of the whole with any network.
    """
    here, before = pooled_statistics([now.moments]), pooled_statistics([original.moments])
    estimated = {
        name: LevelStatistics(
            of_scan.mean + here[name].mean - before[name].mean,
            of_scan.variance * here[name].variance / before[name].variance.clamp_min(1e-12),
        )
        for name, of_scan in whole.items()
    }
    return distance(estimated, stored)


OBJECTIVES: dict[str, Objective] = {"entropy": entropy, "alignment": alignment}
