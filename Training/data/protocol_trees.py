"""The tree of a network that keeps the ways in which several data sets divide a scan, each as a protocol of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from LabelConditionedSegmentationLib.core.errors import LabelError
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree, Protocol


def tree_of_protocols(parts: Mapping[str, LabelTree]) -> LabelTree:
    """One tree of several, each of them a protocol. parts: name of a protocol -> the tree of its labels.

    Ids that an earlier protocol has are exchanged for free ones, and so are names: the second label called X is "X
    (PROTOCOL)" there, with X as a synonym, and the first one is found by "X (ITS PROTOCOL)" too. What is exchanged of
    ids is said on the terminal. SystemExit where names cannot be told apart even so.
    """
    if len(parts) == 1:
        ((name, part),) = parts.items()
        return LabelTree(part.labels, (Protocol(name, tuple(label.id for label in part.roots)),))
    shared = _shared_names(parts)
    labels: list[Label] = []
    protocols: list[Protocol] = []
    taken: dict[int, Label] = {}
    free = max(label.id for part in parts.values() for label in part.labels)
    for protocol, part in parts.items():
        ids: dict[int, int] = {}
        for label in part.labels:
            free += label.id in taken
            ids[label.id] = free if label.id in taken else label.id
        say_exchanged(protocol, part.leaves, ids, taken)
        names = {label.name.casefold() for label in labels}
        added = [
            replace(
                _named(label, part, protocol, names, shared),
                id=ids[label.id],
                parent=None if label.parent is None else ids[label.parent],
            )
            for label in part.labels
        ]
        protocols.append(Protocol(protocol, tuple(ids[label.id] for label in part.roots)))
        labels += added
        taken |= {label.id: label for label in added}
    try:
        return LabelTree(tuple(labels), tuple(protocols))
    except LabelError as error:
        raise SystemExit(f"The labels of the protocols {', '.join(parts)} do not fit into one tree: {error}") from None


def plain_name(label: Label, protocol: str) -> str:
    """What a label is called in the table of its own protocol."""
    return label.name.removesuffix(f" ({protocol})")


def plain_part(tree: LabelTree, protocol: str) -> LabelTree:
    """The labels of one protocol under the names that they have in its own table."""
    labels = [replace(label, name=plain_name(label, protocol)) for label in tree.parts[protocol].labels]
    return LabelTree(tuple(labels))


def _shared_names(parts: Mapping[str, LabelTree]) -> set[str]:
    seen: set[str] = set()
    shared: set[str] = set()
    for part in parts.values():
        names = {label.name.casefold() for label in part.labels}
        shared |= names & seen
        seen |= names
    return shared


def _named(label: Label, part: LabelTree, protocol: str, taken: set[str], shared: set[str]) -> Label:
    """A label of a part by the name that it has in the tree of all: one of two sides is renamed with the other."""
    full = f"{label.name} ({protocol})"
    if {label.name.casefold(), part.mirrored(label).name.casefold()} & taken:
        return replace(label, name=full, synonyms=tuple(dict.fromkeys((*label.synonyms, label.name))))
    if label.name.casefold() in shared:
        return replace(label, synonyms=tuple(dict.fromkeys((*label.synonyms, full))))
    return label


def say_exchanged(data_set: str, labels: Sequence[Label], ids: Mapping[int, int], taken: Mapping[int, Label]) -> None:
    """Label maps of a package have other ids than those of a data set, where another label has an id already: that has
    to be known. labels: of the data set; ids: what theirs became; taken: the labels that were there before.
    """
    exchanged = [label for label in labels if ids[label.id] != label.id and label.id in taken]
    if not exchanged:
        return
    first, count = exchanged[0], len(exchanged)
    more = f" It is one of {count} ids that are exchanged." if count > 1 else ""
    print(
        f'The id {first.id} is "{taken[first.id].name}" already: "{first.name}" of {data_set} has the id'
        f" {ids[first.id]} in this network.{more}",
        file=sys.stderr,
    )
