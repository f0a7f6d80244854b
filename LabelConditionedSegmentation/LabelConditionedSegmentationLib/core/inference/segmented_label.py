"""A label of a result, and how its voxels are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..labels.label_tree import Label, LabelTree


@dataclass(frozen=True)
class SegmentedLabel:
    """A label of the result: `value` stands for it in the layer of this number. protocol: the name of the one that it
    belongs to, empty where the model has no names for them.
    """

    value: int
    layer: int
    label: Label
    protocol: str = ""


def find_label(trees: Sequence[LabelTree], label: str | int) -> tuple[LabelTree, Label]:
    """A label by name, synonym or id, and the first of the trees that knows it. Raises LabelError where none does."""
    name = str(label)
    tree = next((tree for tree in trees if tree.knows(name)), trees[0])
    return tree, tree.find(name)
