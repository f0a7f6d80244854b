"""What features of the training scans are like: the statistics that a package carries, which one scan is compared with
and aligned to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.adaptation.scan_look import Moments, distance, pooled_statistics
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.inference.adapted_pass import FEATURE_DISTANCE, scan_moments
from LabelConditionedSegmentationLib.core.inference.network_pass import NetworkPass
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.feature_statistics import LevelStatistics

from ..data.prepared_cases import Case
from ..methods.whole import input_of

SPREAD = 3.0
"""Deviations above the mean distance of the training scans, up to which a scan counts as one like them."""

MOST_SCANS = 100
"""That statistics are taken from at the end of a training, evenly spread over its cases."""


@dataclass(frozen=True)
class FeatureStatistics:
    """levels: level of the trunk -> mean and variance of its channels over all scans. distances: how far each scan is
    from those of the OTHER scans, as a new scan would be.
    """

    levels: dict[str, LevelStatistics]
    distances: tuple[float, ...]

    @property
    def ranges(self) -> dict[str, list[float]]:
        """As a package stores it: from 0 to the distance up to which a scan counts as one like these; nothing of a
        single scan.
        """
        if len(self.distances) < 2:
            return {}
        values = np.array(self.distances)
        return {FEATURE_DISTANCE: [0.0, max(float(values.max()), float(values.mean() + SPREAD * values.std()))]}


def statistics_over(network_pass: NetworkPass, scans: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> FeatureStatistics:
    """Statistics over scans as the network sees them: image (channel, k, j, i) with positions, and foreground (k, j, i)
    bool. Raises InputError where there is none.
    """
    levels = tuple(network_pass.network.trunk.architecture.level_channels)
    each = [_summed(scan_moments(network_pass, image, inside, levels)) for image, inside in scans]
    if not each:
        raise InputError("There is no scan to take statistics of features from; name a data set with scans.")
    distances = []
    for number, scan in enumerate(each):
        others = each[:number] + each[number + 1 :]
        if others:
            distances.append(float(distance(pooled_statistics([scan]), pooled_statistics(others))))
    return FeatureStatistics(pooled_statistics(each), tuple(distances))


@torch.no_grad()
def statistics_of_training(
    network: LabelConditionedNetwork, tree: LabelTree, patch: Sequence[int], cases: Sequence[Case]
) -> FeatureStatistics | None:
    """Statistics over the cases that a network was trained on; None where it cannot be adapted to a scan anyway, since
    its features depend on the label, or where all images were made.
    """
    architecture = network.trunk.architecture
    stored = [case for case in cases if case.map is None]
    if not stored or architecture.conditioning != "head" or architecture.dimensions != 3:
        return None
    k, j, i = patch
    several = len(tree.protocols) > 1
    network_pass = NetworkPass(
        network.eval(),
        next(network.parameters()).device,
        (k, j, i),
        class_slices=tuple(tree.class_slices.values()) if several else (slice(None),),
    )
    taken = stored[:: -(-len(stored) // MOST_SCANS)]
    return statistics_over(
        network_pass, ((input_of(network, case.image, case.foreground)[0].cpu(), case.foreground) for case in taken)
    )


def _summed(windows: list[dict[str, Moments]]) -> dict[str, Moments]:
    """The moments of a scan from those of its windows."""
    return {
        name: Moments(
            sum((one[name].weight for one in windows), torch.zeros(())),
            sum((one[name].first for one in windows), torch.zeros(())),
            sum((one[name].second for one in windows), torch.zeros(())),
        )
        for name in windows[0]
    }
