"""Whether an adapted network is to be trusted more than the original one, judged without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ..package.feature_statistics import LevelStatistics
from .scan_look import Look, distance, pooled_statistics

CLOSER = 0.05
"""Part of the distance, at least, by which adapted features have to come nearer to those of the training scans."""

LESS_CERTAIN = 1.0
"""Times the entropy of the original answers, at most, that adapted ones may have: where features came nearer and
answers less certain, these were worse in all that was measured, be it by a twentieth.
"""

FEWER_CLASSES = 0.8
"""Part of the number of classes that the original network found, at least, that has to be left."""

CERTAIN = 0.1
"""Part of the entropy of the original answers, at least: answers that are all certain have collapsed."""


@dataclass(frozen=True)
class Signs:
    """What answers and features of a whole scan are like: the `distance` of features from the stored statistics, the
    mean `entropy` of answers in nats, and the effective number of `classes` (the exponential of the entropy of their
    shares).
    """

    distance: float
    entropy: float
    classes: float

    @staticmethod
    def of(looks: Sequence[Look], stored: Mapping[str, LevelStatistics]) -> Signs:
        """Of the looks at all windows."""
        counts = torch.stack([look.counts for look in looks]).sum(0).double()
        shares = counts / counts.sum().clamp_min(1)
        spread = -(shares * shares.clamp_min(1e-12).log()).sum()
        seen = [float(look.entropy) for look in looks if int(look.counts.sum())]
        entropy = sum(seen) / len(seen) if seen else 0.0
        off = distance(pooled_statistics([look.moments for look in looks]), stored)
        return Signs(float(off), entropy, float(spread.exp()))


def not_needed(before: Signs, usual: Sequence[float]) -> str:
    """Why the original network is right for a scan; empty where that is not known. usual: lowest and highest distance
    of scans like the training scans, nothing where the package does not say it.
    """
    if usual and before.distance <= usual[1]:
        return "the features of this scan are as near to those of the training scans as these are to each other"
    return ""


def collapsed(before: Signs, after: Signs) -> str:
    """In which way answers have collapsed; empty where they have not."""
    values = torch.tensor([after.distance, after.entropy, after.classes])
    if not bool(torch.isfinite(values).all()):
        return "the adapted network computes values that are not finite"
    if after.classes < FEWER_CLASSES * before.classes:
        return "structures disappeared from the answer"
    if after.entropy < CERTAIN * before.entropy:
        return "the adapted network is certain of everything"
    return ""


def not_trusted(before: Signs, after: Signs) -> str:
    """Why the original network is to be trusted more; empty where the adapted one is."""
    if why := collapsed(before, after):
        return why
    if after.distance > (1 - CLOSER) * before.distance:
        return "the features hardly came nearer to those of the training scans"
    if after.entropy > LESS_CERTAIN * before.entropy:
        return "the answer became less certain"
    return ""
