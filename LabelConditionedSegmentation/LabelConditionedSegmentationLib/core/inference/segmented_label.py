"""A label of a result, and how its voxels are marked."""

from __future__ import annotations

from dataclasses import dataclass

from ..labels.label_tree import Label


@dataclass(frozen=True)
class SegmentedLabel:
    """A label of the result: `value` stands for it in the layer of this number."""

    value: int
    layer: int
    label: Label
