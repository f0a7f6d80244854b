"""Adapting a copy of a network to one scan: what it changes, what it leaves, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.adaptation.adapted_network import Outcome, adapted_to
from LabelConditionedSegmentationLib.core.adaptation.adapters import ADAPTERS, Adaptation
from LabelConditionedSegmentationLib.core.adaptation.moving_layers import FROZEN, free_layers
from LabelConditionedSegmentationLib.core.adaptation.scan_look import Looker, distance, pooled_statistics
from LabelConditionedSegmentationLib.core.adaptation.trust import Signs, collapsed, not_needed, not_trusted
from LabelConditionedSegmentationLib.core.errors import Cancelled, InputError
from LabelConditionedSegmentationLib.core.inference.adapted_pass import comparison_windows, looking, scan_moments
from LabelConditionedSegmentationLib.core.inference.network_pass import NetworkPass
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.package.feature_statistics import LevelStatistics
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage, add_feature_statistics
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from torch import nn

from Testing import samples

DEEP = Architecture(widths=(4, 8, 8), blocks=(1, 1, 1), output_stride=2, feature_channels=8)
LEARNING = [name for name, adapter in ADAPTERS.items() if adapter.objective]


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    """A tiny package with the statistics of a few scans."""
    made = samples.package(tmp_path, DEEP)
    with Segmenter.from_package(made.path, "cpu") as segmenter:
        looks = []
        for seed in range(3):
            prepared, _, _ = segmenter.prepared(samples.scan(seed=seed), None)
            levels = tuple(DEEP.level_channels)
            looks += scan_moments(segmenter.network_pass, prepared.image, prepared.foreground, levels)
    return add_feature_statistics(made, pooled_statistics(looks), {"feature_distance": [0.0, 0.01]})


def shifted(seed: int = 7) -> Volume:
    """A scan of another contrast than those that the statistics come from: dark is bright, and noise over it."""
    scan = samples.scan(seed=seed)
    values = scan.array.astype(np.float32)
    noise = np.random.default_rng(seed).normal(0, 120, values.shape)
    return scan.with_array(np.where(values > 0, 1200 - values + noise, 0).clip(0).astype(np.int16))


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def adapt(segmenter: Segmenter, scan: Volume, adaptation: Adaptation) -> Outcome:
    prepared, _, _ = segmenter.prepared(scan, None)
    stored = segmenter.package.feature_statistics()
    looker, windows = looking(segmenter.network_pass, prepared.image, prepared.foreground, tuple(stored))
    return adapted_to(segmenter.network, looker, windows, stored, adaptation)


@pytest.mark.parametrize("adapter", ["align", "g2p-choose", "g2p-scale"])
def test_alignment_brings_features_nearer_to_those_of_the_training_scans(package: ModelPackage, adapter: str) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        outcome = adapt(segmenter, shifted(), Adaptation(adapter, 10, always=True))
    assert outcome.after is not None
    assert outcome.network is not None
    assert outcome.after.distance < 0.9 * outcome.before.distance


def test_entropy_minimisation_makes_answers_more_certain(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        outcome = adapt(segmenter, shifted(), Adaptation("tent", 5, 3e-3, always=True))
    assert outcome.after is not None
    assert outcome.after.entropy < outcome.before.entropy
