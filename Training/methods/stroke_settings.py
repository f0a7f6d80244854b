"""The settings of method=strokes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..engine.setting_types import Amount, Positive


@dataclass
class StrokeSettings:
    """What is learned of the voxels without a stroke."""

    supervision: Literal["joint", "fixed", "strokes", "entropy", "full"] = "joint"
    """joint: where random walks to the strokes end, the network of their boundaries being learned with the segmenter;
    or a control: fixed, walks that intensities alone hinder; strokes, nothing of other voxels; entropy, that the answer
    is a clear one; full, of data whose every voxel has a label."""
    walk_weight: Amount = 1.0
    """Weight of what the walks say beside the loss on the strokes."""
    certainty: Amount = 1.0
    """How fast a voxel counts less where walks end in several labels: its weight is exp(-certainty * entropy)."""
    contrast: Amount = 10.0
    """Of supervision=fixed: neighbours of intensities x and y conduct exp(-contrast * (x - y)^2)."""
    entropy_weight: Amount = 0.1
    """Of supervision=entropy: weight of the answer's entropy, which is from 0 to 1."""
    widths: tuple[int, ...] = (8, 16, 32)
    """Channels of the stages of the boundary network."""
    highest: Positive = 10.0
    """The highest boundary that it can draw; walks cross it exp(-highest) times as easily as none."""
