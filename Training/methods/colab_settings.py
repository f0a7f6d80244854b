"""The settings of method=colab alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..engine.setting_types import Amount, Count, Positive


@dataclass
class CoLabSettings:
    """How the background is divided among `network.context_classes` (t - 1 of the paper; 0: not at all) and the
    background itself. every, hypergradient, eps, widths, stride and learning_rate are of the generator.
    """

    source: Literal["generator", "anatomy", "kmeans"] = "generator"
    """A network that the outer loss trains, or a control: labels of the data set, or clusters of voxels."""
    anatomy: list[str] = field(default_factory=list)
    """The labels of source=anatomy, one a context class."""
    margin: Amount = 30.0
    """Voxels (of the network's grid) from the labels up to which the context counts fully."""
    tau: Positive = 20.0
    """Voxels over which it then fades."""
    deep_supervision: bool = True
    """A loss at the coarser levels of the decoder too."""
    every: Count = 5
    """Steps from one update of the generator to the next."""
    hypergradient: Literal["finite_difference", "exact", "first_order"] = "finite_difference"
    """As published, or by differentiating twice, or with a virtual step of the segmenter's head alone."""
    eps: Positive = 0.01
    """Length of the finite difference, as published."""
    widths: tuple[int, ...] = (8, 16, 32, 64)
    """Channels of the generator's stages."""
    stride: Count = 2
    """The generator's finest resolution; 1: that of the image."""
    learning_rate: Amount = 3e-4
    """Of the generator's Adam."""
    meta_cases: list[str] = field(default_factory=list)
    """Cases of the data set that are kept for the outer loss; none named: it is taken on the batch itself."""
