"""The result of a run: which voxel carries which label, on the input grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import LabelError
from ..labels.label_tree import Label
from ..scan.volume import Array, Volume
from .report import RunReport


@dataclass(frozen=True)
class SegmentedLabel:
    """A label of the result: `value` stands for it in the layer of this number."""

    value: int
    layer: int
    label: Label


@dataclass(frozen=True)
class Result:
    """A segmentation on the input grid.

    layers: label maps (1, k, j, i) of the smallest unsigned integer type, 0 is background; more than one only where
    labels that overlap were asked for (a parent and something under it, a label by example and one of the model's).
    labels: which value is which label. A value is the label's id, whatever else was asked for.
    """

    layers: tuple[Volume, ...]
    labels: tuple[SegmentedLabel, ...]
    report: RunReport

    @property
    def label_map(self) -> Volume:
        """The one label map. Raises LabelError where labels overlap, since a voxel of a label map has one value."""
        if len(self.layers) > 1:
            inner = next(entry.label.name for entry in self.labels if entry.layer > 0)
            raise LabelError(
                f'"{inner}" overlaps another label that was asked for (a structure and a part of it, or one by example'
                " and one of the model), which a label map cannot hold; ask for one of them, or write a .seg.nrrd"
                " file."
            )
        return self.layers[0]

    def beside(self, other: Result) -> Result:
        """Both answers of one run, the layers of `other` after these."""
        moved = (replace(entry, layer=entry.layer + len(self.layers)) for entry in other.labels)
        return Result((*self.layers, *other.layers), (*self.labels, *moved), self.report)

    def mask(self, entry: SegmentedLabel) -> Array:
        """(k, j, i) bool."""
        out: Array = self.layers[entry.layer].array[0] == entry.value
        return out

    def millilitres(self) -> dict[int, float]:
        """Label id -> volume in millilitres."""
        counts = [np.bincount(layer.array.ravel(), minlength=1) for layer in self.layers]
        return {
            entry.label.id: (
                float(counts[entry.layer][entry.value] if entry.value < len(counts[entry.layer]) else 0)
                * self.layers[0].voxel_millilitres
            )
            for entry in self.labels
        }
