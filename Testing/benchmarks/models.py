"""The networks that benchmarks run: the shipped architecture, or others, with random heads for any number of labels."""

from __future__ import annotations

from pathlib import Path

import torch
from LabelConditionedSegmentationLib.core.labels import Label, LabelTree
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package import ModelPackage
from LabelConditionedSegmentationLib.core.preprocessing import InputSpec
from LabelConditionedSegmentationLib.core.segmenter import Segmenter

from Testing import samples

SHIPPED = Architecture()
"""The architecture of the shipped model."""


def flat_tree(labels: int) -> LabelTree:
    """That many leaves, nothing above them."""
    return LabelTree(tuple(Label(n, f"Structure {n}") for n in range(1, labels + 1)))


def segmenter(
    labels: int, architecture: Architecture = SHIPPED, spec: InputSpec | None = None, patch: tuple[int, int, int] = (160, 208, 160), device: str = "cpu"
) -> Segmenter:
    """A segmenter with random weights: the same trunk whatever the number of labels."""
    torch.manual_seed(0)
    tree = flat_tree(labels)
    network = LabelConditionedNetwork(architecture, labels + 1, samples.SCHEMA.fields)
    package = ModelPackage(Path("random"), "random", architecture, spec or InputSpec(), tree, samples.SCHEMA, patch, False, "")
    return Segmenter(package, network, torch.device(device))
