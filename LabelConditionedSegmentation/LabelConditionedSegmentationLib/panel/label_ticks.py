"""Which structures are wanted: the ticks of the label tree, and the parents that become one segment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ..core.labels.label_tree import Label, LabelTree
from .stored_text import read_object

State = Literal["on", "part", "off"]


class LabelTicks:
    """The ticks of a label tree.

    Only leaves carry a tick, so that a parent can never contradict what lies under it. That a parent is given as one
    merged segment is remembered apart from the ticks and comes into force while every leaf under it is ticked. All
    methods take label ids of `tree`; others raise KeyError.
    """

    def __init__(self, tree: LabelTree) -> None:
        self.tree = tree
        self.sides_together = True
        """While on, what is done to a label is done to its mirror image too."""
        self._ticked: set[int] = set()
        self._merged: set[int] = set()
        self._leaves = {label.id: {leaf.id for leaf in tree.leaves_under(label)} for label in tree.labels}

    def tick(self, label_id: int, on: bool) -> None:
        """Tick, or untick, a leaf or all leaves under a parent."""
        self._set(self._with_mirrored(self._leaves[label_id]), on)

    def tick_protocol(self, name: str, on: bool) -> None:
        """Tick, or untick, every leaf of a protocol."""
        self._set(self._leaves_of(name), on)

    def _set(self, leaves: set[int], on: bool) -> None:
        self._ticked = self._ticked | leaves if on else self._ticked - leaves

    def tick_all(self) -> None:
        """Tick every leaf."""
        self._ticked = {leaf.id for leaf in self.tree.leaves}

    def clear(self) -> None:
        """Untick every leaf."""
        self._ticked = set()

    def choose(self, names: Iterable[str]) -> None:
        """Ask for these labels and nothing else; parents become one segment each.

        Names that the model does not have are passed over.
        """
        wanted = set(names)
        labels = [label for label in self.tree.labels if label.name in wanted]
        self._ticked = {leaf for label in labels for leaf in self._leaves[label.id]}
        self._merged = {label.id for label in labels if self.can_merge(label.id)}

    def state(self, label_id: int) -> State:
        """Whether all, some or none of the leaves under a label are ticked."""
        return self._state(self._leaves[label_id])

    def state_of_protocol(self, name: str) -> State:
        """The same of all leaves of a protocol."""
        return self._state(self._leaves_of(name))

    def _leaves_of(self, protocol: str) -> set[int]:
        return {leaf.id for leaf in self.tree.parts[protocol].leaves}

    def _state(self, leaves: set[int]) -> State:
        ticked = leaves & self._ticked
        return "off" if not ticked else "on" if ticked == leaves else "part"

    def can_merge(self, label_id: int) -> bool:
        """Whether the label is a parent."""
        return label_id in self.tree.children

    def is_merged(self, label_id: int) -> bool:
        """Whether the parent is to be one segment instead of its children."""
        return label_id in self._merged

    def set_merged(self, parent_id: int, on: bool) -> None:
        """Give a parent as one segment, or as its children; leaves stay as they are."""
        parents = {label_id for label_id in self._with_mirrored({parent_id}) if self.can_merge(label_id)}
        self._merged = self._merged | parents if on else self._merged - parents

    def wanted(self) -> list[Label]:
        """What is wanted, in tree order and never overlapping: the topmost merged parents whose leaves are all
        ticked, and the other ticked leaves.
        """
        whole = {label_id for label_id in self._merged if self.state(label_id) == "on"}
        chosen = whole | self._ticked
        return [
            label
            for label in self.tree.walk()
            if label.id in chosen and not any(above.id in whole for above in self.tree.ancestors(label))
        ]

    @property
    def count(self) -> int:
        """How many leaves are ticked."""
        return len(self._ticked)

    def summary(self) -> str:
        """The number chosen, for the user: "12 of 134 structures chosen"; the number of segments too where merged
        parents make it another.
        """
        segments, total = len(self.wanted()), len(self.tree.leaves)
        text = f"{self.count} of 1 structure chosen" if total == 1 else f"{self.count} of {total} structures chosen"
        if segments == self.count:
            return text
        return f"{text}, as 1 segment" if segments == 1 else f"{text}, as {segments} segments"

    def visible(self, text: str) -> set[int]:
        """Ids of the labels to show for a search: what `LabelTree.search` finds, and the parents above; everything for
        an empty text.
        """
        return {shown.id for label in self.tree.search(text) for shown in (label, *self.tree.ancestors(label))}

    def to_text(self) -> str:
        """As stored in a scene (JSON)."""
        return json.dumps(
            {"ticked": sorted(self._ticked), "merged": sorted(self._merged), "sides_together": self.sides_together}
        )

    def on(self, tree: LabelTree, renewed: Mapping[int, int]) -> LabelTicks:
        """The same ticks on another tree, as far as it has the labels. renewed: old id -> new id of labels that came in
        the place of others.
        """
        return LabelTicks._kept(
            tree, {renewed.get(label_id, label_id) for label_id in self._ticked}, self._merged, self.sides_together
        )

    @classmethod
    def from_text(cls, tree: LabelTree, text: str) -> LabelTicks:
        """Inverse of `to_text`; what the tree does not have (any more), and text that cannot be read, is
        passed over.
        """
        stored = read_object(text)
        return cls._kept(
            tree, _ids(stored.get("ticked")), _ids(stored.get("merged")), stored.get("sides_together") is not False
        )

    @classmethod
    def _kept(cls, tree: LabelTree, ticked: set[int], merged: set[int], sides_together: bool) -> LabelTicks:
        """These ticks, as far as a tree has the labels."""
        ticks = cls(tree)
        ticks._ticked = ticked & tree.class_of.keys()
        ticks._merged = {label_id for label_id in merged if ticks.can_merge(label_id)}
        ticks.sides_together = sides_together
        return ticks

    def _with_mirrored(self, label_ids: set[int]) -> set[int]:
        return (
            label_ids | {self.tree.mirrored(self.tree[label_id]).id for label_id in label_ids}
            if self.sides_together
            else label_ids
        )


def _ids(stored: Any) -> set[int]:
    return {entry for entry in stored if type(entry) is int} if isinstance(stored, list) else set()
