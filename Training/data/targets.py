"""Targets of a network from the label ids of a data set: which classes it may learn, what lies in a parent only, and
what is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import LabelError
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree

from ..losses.truth import IGNORE
from .protocol_trees import plain_name

BACKGROUND_CLASS = 0


class IdTable:
    """Gives every voxel of a label map what stands for its id. others: what stands for the ids that are not named."""

    def __init__(self, values: Mapping[int, int], others: int) -> None:
        self._ids = np.array(sorted(values), dtype=np.int64)
        self._values = np.array([values[number] for number in self._ids.tolist()], dtype=np.int16)
        self._others = np.int16(others)

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Ids, of any shape and real dtype -> int16 of the same shape."""
        place = np.searchsorted(self._ids, ids).clip(max=len(self._ids) - 1)
        found: np.ndarray = np.where(self._ids[place] == ids, self._values[place], self._others)
        return found


class TargetCode:
    """Turns label ids of a data set into targets of a network: classes 0..K-1, and K+g for voxels known only to lie in
    the g-th parent.

    tree: the labels of the network. table: the labels of the data set. ignored_ids: ids that are no label of the data
    set. Labels of both are matched by name, whatever the ids; upper and lower case are the same.

    Of a tree of several protocols it is the code of one of them, whose labels are matched by the names that they have
    in its own table; its targets are numbered among the classes of the network, but 0 is its own background.

    classes: K, all backgrounds included. members: (G, K) bool, the classes under each parent of two leaves or more, in
    tree order (a parent of one leaf is that class). mirrored: (K + G,), what a left-right flip makes of every target; a
    parent whose mirrored classes are not those of a parent stays itself.
    """

    classes: int
    members: torch.Tensor
    mirrored: tuple[int, ...]

    def __init__(self, tree: LabelTree, table: LabelTree, ignored_ids: Iterable[int] = (), protocol: str = "") -> None:
        """protocol: whose labels the table has; empty: those of the only one, or of the first."""
        self.tree = tree
        self.table = table
        self.classes = tree.classes
        protocol = protocol if protocol in tree.parts else tree.protocols[0].name
        self._part = tree.parts[protocol]
        self._first_class: int = tree.class_slices[protocol].start
        self._in_tree = {plain_name(label, protocol).casefold(): label for label in self._part.labels}
        self._in_table = {label.name.casefold(): label for label in table.labels}
        self._groups = [label for label in tree.labels if len(tree.leaves_under(label)) > 1]
        self.members = torch.zeros(len(self._groups), self.classes, dtype=torch.bool)
        for g, parent in enumerate(self._groups):
            self.members[g, list(tree.network_classes_under(parent))] = True
        self.mirrored = (*tree.mirrored_classes, *self._mirrored_groups())
        targets = (
            {label.id: self._target_of(label) for label in table.labels}
            | dict.fromkeys(ignored_ids, IGNORE)
            | {0: BACKGROUND_CLASS}
        )
        self._targets = IdTable(targets, IGNORE)

    def encode(self, ids: np.ndarray) -> np.ndarray:
        """Label ids, of any shape and real dtype -> targets, int16 of the same shape; IGNORE for ignored ids and for
        those that the table does not know.
        """
        return self._targets.of(ids)

    def under(self, names: Sequence[str], setting: str) -> torch.Tensor:
        """(K + G,) bool: the targets that lie under labels of these names. SystemExit, naming the setting, for a name
        that the tree does not have.
        """
        below = {leaf.id for name in names for leaf in self.tree.leaves_under(find_label(self.tree, name, setting))}
        classes = torch.tensor(
            [is_in for part in self.tree.parts.values() for is_in in (False, *(x.id in below for x in part.leaves))]
        )
        return torch.cat([classes, (classes | ~self.members).all(1)])

    def annotated(self, names: Sequence[str] | None) -> torch.Tensor:
        """(K,) bool: the classes that somebody looked for where the labels of these names were annotated; None stands
        for all labels of the table.

        A class counts when all labels of the table under the one of its name were looked for, or, where the table has
        none of its name, when a label was that contains it and is not divided in the table. The background always
        counts. SystemExit where the table knows no label of a name.
        """
        found = self.table.labels if names is None else [find_label(self.table, name, "annotated") for name in names]
        looked_for = {leaf.id for label in found for leaf in self.table.leaves_under(label)}
        annotated = torch.zeros(self.classes, dtype=torch.bool)
        annotated[0] = True
        for number, leaf in enumerate(self._part.leaves, start=self._first_class + 1):
            annotated[number] = self._is_covered(leaf, looked_for)
        return annotated

    def _is_covered(self, leaf: Label, looked_for: set[int]) -> bool:
        for label in (leaf, *self.tree.ancestors(leaf)):
            known = self._in_table.get(self._plain(label))
            if known is not None:
                below = {x.id for x in self.table.leaves_under(known)}
                return below <= looked_for and (label is leaf or below == {known.id})
        return False

    def _target_of(self, label: Label) -> int:
        """The target of voxels with the id of a label of the table."""
        own = self._in_tree.get(label.name.casefold())
        if own is not None and self.tree.leaves_under(own) == (own,):
            return self._first_class + self.tree.class_of[own.id]
        for above in self.table.ancestors(label):
            merged = self._in_tree.get(above.name.casefold())
            if merged is not None and merged.id in self.tree.class_of:
                return self._first_class + self.tree.class_of[merged.id]
        if own is not None:
            return self._group_target(own, label)
        contains_some = any(below.name.casefold() in self._in_tree for below in self._descendants(label))
        return IGNORE if contains_some else BACKGROUND_CLASS

    def _group_target(self, parent: Label, label: Label) -> int:
        """K+g, or the class of a parent's only leaf; IGNORE where the table divides the label further than the network
        learns it.
        """
        divided = [leaf for leaf in self.table.leaves_under(label) if leaf != label]
        if not all(self._target_of(leaf) in self.tree.network_classes_under(parent) for leaf in divided):
            return IGNORE
        if parent in self._groups:
            return self.classes + self._groups.index(parent)
        return self.tree.network_classes_under(parent)[0]

    def _plain(self, label: Label) -> str:
        return plain_name(label, self._part.protocols[0].name).casefold()

    def _descendants(self, label: Label) -> list[Label]:
        return [below for below in self.table.labels if label in self.table.ancestors(below)]

    def _mirrored_groups(self) -> list[int]:
        """By their classes: the mirrored parent is the one over the mirrored classes."""
        mirrored = []
        for g, row in enumerate(self.members):
            wanted = torch.zeros_like(row)
            wanted[[self.tree.mirrored_classes[c] for c in row.nonzero()[:, 0].tolist()]] = True
            same = (self.members == wanted).all(dim=1).nonzero()[:, 0].tolist()
            mirrored.append(self.classes + (same[0] if same and g not in same else g))
        return mirrored


def find_label(table: LabelTree, name: str, setting: str) -> Label:
    """The label of this name, synonym or id; SystemExit with the nearest ones where there is none. setting: where the
    name was given.
    """
    try:
        return table.find(name)
    except LabelError as error:
        raise SystemExit(f"{setting}: {error}") from None


def select(table: LabelTree, names: Sequence[str]) -> LabelTree:
    """The tree of a network that is to learn these labels of a table, in the table's order; no names stand for the
    whole table.

    Labels above the named ones stay as parents; what lies under a named one is merged into it. SystemExit for unknown
    names, and for a name under another.
    """
    if not names:
        return table
    wanted = list(dict.fromkeys(find_label(table, name, "data.labels") for name in names))
    pair = table.overlapping(wanted)
    if pair is not None:
        raise SystemExit(f'Of data.labels, "{pair[1].name}" lies under "{pair[0].name}"; name only one of the two.')
    kept = {label.id for named in wanted for label in (named, *table.ancestors(named))}
    return LabelTree(tuple(label for label in table.labels if label.id in kept))


def can_be_flipped(tree: LabelTree) -> bool:
    """Whether a scan may be flipped left-right: not where the tree holds, in any of its protocols, a left structure
    without the right one, which a flip would make to the same.
    """
    return len(flippable(tree)) == len(tree.parts)


def flippable(tree: LabelTree) -> list[slice]:
    """The classes of every protocol whose scans may be flipped left-right."""
    return [
        tree.class_slices[name]
        for name, part in tree.parts.items()
        if all(leaf.laterality not in ("left", "right") or part.mirrored(leaf) != leaf for leaf in part.leaves)
    ]
