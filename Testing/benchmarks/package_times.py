"""The networks that benchmarks run: the shipped architecture, or others, with random heads for any number of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec

from Testing import samples
from Training.data.training_samples import draw_labels
from Training.engine.config import Config, ObjectiveConfig
from Training.methods import build_method

SHIPPED = Architecture()
"""The architecture of the shipped model."""


def flat_tree(labels: int) -> LabelTree:
    """That many leaves, nothing above them."""
    return LabelTree(tuple(Label(n, f"Structure {n}") for n in range(1, labels + 1)))


def segmenter(
    labels: int = 0,
    architecture: Architecture = SHIPPED,
    spec: InputSpec | None = None,
    patch: tuple[int, int, int] = (160, 208, 160),
    device: str = "cpu",
    tree: LabelTree | None = None,
) -> Segmenter:
    """A segmenter with random weights: the same trunk whatever the number of labels, or their tree."""
    torch.manual_seed(0)
    tree = tree or flat_tree(labels)
    network = LabelConditionedNetwork(architecture, tree.classes, samples.SCHEMA.fields)
    package = ModelPackage(
        Path("random"), "random", architecture, spec or InputSpec(), tree, samples.SCHEMA, patch, False, ""
    )
    return Segmenter(package, network, torch.device(device))


def training_method(
    labels: int, architecture: Architecture = SHIPPED, method: str = "lcs", objective: ObjectiveConfig | None = None
) -> torch.nn.Module:
    """A network with random weights and the loss that trains it."""
    torch.manual_seed(0)
    network = LabelConditionedNetwork(architecture, labels + 1, samples.SCHEMA.fields)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    config = Config(method=method, network=architecture, objective=objective or ObjectiveConfig())
    return build_method(network, config, torch.zeros(0, labels + 1, dtype=torch.bool))


def training_batch(labels: int, patch: tuple[int, int, int], points: int, asked: int = 8) -> dict[str, torch.Tensor]:
    """One sample as `Training.data.training_samples.Samples` makes them, of noise; points 0: all voxels."""
    torch.manual_seed(0)
    size = torch.tensor(patch[::-1])
    voxels = (
        (torch.rand(points, 3) * size).long()
        if points
        else torch.cartesian_prod(*(torch.arange(n) for n in patch)).flip(1)
    )
    everyone = torch.ones(labels + 1, dtype=torch.bool)
    return {
        "image": torch.randn(1, SHIPPED.input_channels, *patch),
        "points": voxels[None],
        "target": torch.randint(0, labels + 1, (1, len(voxels))),
        "annotated": everyone[None],
        "queries": draw_labels(
            everyone, torch.zeros(0, labels + 1, dtype=torch.bool), asked, 0.25, np.random.default_rng(0)
        )[None],
        "metadata": torch.tensor([[0.0, 0.5]]),
    }


def training_step(method: torch.nn.Module, batch: dict[str, torch.Tensor]) -> None:
    """Forward and backward in bfloat16, as training does it."""
    with torch.autocast("cpu", torch.bfloat16):
        loss = method(batch)
    loss.backward()
    method.zero_grad()
