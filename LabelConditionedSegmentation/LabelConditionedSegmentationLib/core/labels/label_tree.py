"""Labels and the label tree: which structures a model knows, how they contain one another, and the protocols by which
they divide a scan.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import LabelError

LATERALITIES = ("", "left", "right", "midline")
_OPPOSITE = {"left": "right", "right": "left"}

LARGEST_ID = 2**32 - 1
"""What the largest integer type of label maps holds."""

MOST_LABELS = 2**15 - 1
"""What the integer type of winner maps holds while they are computed."""


TERMINOLOGY = "Segmentation category and type - 3D Slicer General Anatomy list"
"""The terminology, as Slicer calls it, that the codes of labels are entries of."""


PROTOCOL_TAG = "LabelConditionedSegmentation.Protocol"
"""The tag by which a segment of Slicer names the protocol of its label, where that has a name."""


@dataclass(frozen=True)
class Code:
    """A coded concept, such as SCT 113305005 "Cerebellum"."""

    scheme: str
    value: str
    meaning: str

    def to_json(self) -> list[str]:
        return [self.scheme, self.value, self.meaning]

    @staticmethod
    def from_json(entry: Sequence[str] | None) -> Code | None:
        return None if not entry else Code(*(str(part) for part in entry))


_CODES = ("category", "type", "modifier", "broader", "position")


@dataclass(frozen=True)
class Label:
    """One structure that a model knows.

    id: the value in label maps, 1 to LARGEST_ID. parent: id of the label that contains it. color: red, green, blue in
    [0, 1].
    category, type, modifier: codes of the structure and its side, of SNOMED CT or else of FMA or DICOM, None where no
    cited table gives one. broader, position: where there is no type, the code of a structure that the label is a part
    of, and that of which part it is, such as the anterior one.
    instances: whether each connected piece of it is a thing of its own, as lesions and nuclei are.
    """

    id: int
    name: str
    parent: int | None = None
    synonyms: tuple[str, ...] = ()
    color: tuple[float, float, float] = (0.5, 0.5, 0.5)
    laterality: str = ""
    category: Code | None = None
    type: Code | None = None
    modifier: Code | None = None
    broader: Code | None = None
    position: Code | None = None
    instances: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.id <= LARGEST_ID:
            raise LabelError(
                f'Label "{self.name}" has the id {self.id}; ids are 1 to {LARGEST_ID}, 0 is the background.'
            )
        if not self.name.strip():
            raise LabelError(f"Label {self.id} has no name.")
        if self.laterality not in LATERALITIES:
            raise LabelError(f'Label "{self.name}" has the unknown laterality "{self.laterality}".')
        if len(self.color) != 3 or not all(0 <= c <= 1 for c in self.color):
            raise LabelError(f'Label "{self.name}" has the color {self.color}; red, green and blue are 0 to 1.')

    def to_json(self) -> dict[str, Any]:
        """As stored in `model.json`; empty entries are left out."""
        entry: dict[str, Any] = {"id": self.id, "name": self.name, "color": [round(c, 4) for c in self.color]}
        if self.parent is not None:
            entry["parent"] = self.parent
        if self.synonyms:
            entry["synonyms"] = list(self.synonyms)
        if self.laterality:
            entry["laterality"] = self.laterality
        if self.instances:
            entry["instances"] = True
        for name in _CODES:
            code: Code | None = getattr(self, name)
            if code is not None:
                entry[name] = code.to_json()
        return entry

    @staticmethod
    def from_json(entry: Mapping[str, Any]) -> Label:
        """Inverse of `to_json`."""
        red, green, blue = (float(c) for c in entry.get("color", (0.5, 0.5, 0.5)))
        return Label(
            id=int(entry["id"]),
            name=str(entry["name"]).strip(),
            parent=None if entry.get("parent") is None else int(entry["parent"]),
            synonyms=tuple(str(synonym).strip() for synonym in entry.get("synonyms", ())),
            color=(red, green, blue),
            laterality=str(entry.get("laterality", "")),
            **{name: Code.from_json(entry.get(name)) for name in _CODES},
            instances=bool(entry.get("instances", False)),
        )


@dataclass(frozen=True)
class Protocol:
    """One complete way to divide a scan into labels, such as the one of a data set.

    roots: ids of the labels without a parent that belong to it, with all labels under them. Their leaves compete with
    one another and with a background of the protocol's own. name: empty for the only protocol of a tree.
    """

    name: str
    roots: tuple[int, ...]


@dataclass(frozen=True)
class LabelTree:
    """The labels of a model with their parents.

    Only leaves compete, inside their protocol. Class 0 of a protocol is its background and class n its n-th leaf, in
    the order of `labels`; the classes of the network are those of all protocols, one protocol after the other. A
    parent's mask is the union of the leaves under it and its probability their sum. protocols: empty where all labels
    belong to one.
    """

    labels: tuple[Label, ...]
    protocols: tuple[Protocol, ...] = ()
    _by_id: dict[int, Label] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {label.id: label for label in self.labels})
        self._check_labels()
        self._check_ancestors()
        if not self.protocols:
            object.__setattr__(self, "protocols", (Protocol("", tuple(label.id for label in self.roots)),))
        self._check_protocols()

    def _check_labels(self) -> None:
        if not self.labels:
            raise LabelError("A label tree needs at least one label.")
        if len(self.labels) > MOST_LABELS:
            raise LabelError(f"The tree has {len(self.labels)} labels; at most {MOST_LABELS} fit.")
        if len(self._by_id) != len(self.labels):
            raise LabelError("Two labels of the tree have the same id.")
        names: dict[str, int] = {}
        for label in self.labels:
            if names.setdefault(label.name.casefold(), label.id) != label.id:
                raise LabelError(f'Two labels of the tree are called "{label.name}".')
            if label.parent is not None and label.parent not in self:
                raise LabelError(f'The parent {label.parent} of label "{label.name}" is not in the tree.')

    def _check_ancestors(self) -> None:
        for label in self.labels:
            passed = {label.id}
            above = label.parent
            while above is not None:
                if above in passed:
                    raise LabelError(f'Label "{label.name}" is its own ancestor.')
                passed.add(above)
                above = self[above].parent

    def _check_protocols(self) -> None:
        if len(self.protocols) > 1 and not all(protocol.name.strip() for protocol in self.protocols):
            raise LabelError("Where a tree has several protocols, each of them needs a name.")
        if len({protocol.name.casefold() for protocol in self.protocols}) < len(self.protocols):
            raise LabelError("Two protocols of the tree have the same name.")
        listed = [root for protocol in self.protocols for root in protocol.roots]
        expected = {label.id for label in self.roots}
        if len(set(listed)) < len(listed) or set(listed) != expected or not all(p.roots for p in self.protocols):
            raise LabelError(
                "Every label without a parent has to belong to one protocol, and every protocol needs such a label;"
                f" check the label {min(expected ^ set(listed), default=listed[0])}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, label_id: int) -> Label:
        return self._by_id[label_id]

    def __contains__(self, label_id: object) -> bool:
        return label_id in self._by_id

    @cached_property
    def children(self) -> dict[int | None, tuple[Label, ...]]:
        """Parent id (None for the roots) -> its direct children, in order."""
        out: dict[int | None, list[Label]] = {}
        for label in self.labels:
            out.setdefault(label.parent, []).append(label)
        return {parent: tuple(below) for parent, below in out.items()}

    @property
    def roots(self) -> tuple[Label, ...]:
        """The labels without a parent."""
        return self.children[None]

    @cached_property
    def leaves(self) -> tuple[Label, ...]:
        """The labels without children, which are what competes."""
        return tuple(label for label in self.labels if label.id not in self.children)

    @property
    def classes(self) -> int:
        """How many classes the network has: the leaves, and a background a protocol."""
        return len(self.leaves) + len(self.protocols)

    @cached_property
    def class_of(self) -> dict[int, int]:
        """Leaf id -> class index inside its protocol, as winner maps have it (the background is class 0)."""
        return {leaf.id: n for part in self.parts.values() for n, leaf in enumerate(part.leaves, start=1)}

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing that packages of format 1 do not have."""
        return len(self.protocols) == 1 and not self.protocols[0].name

    @cached_property
    def parts(self) -> dict[str, LabelTree]:
        """Name of every protocol -> the tree of its labels alone."""
        if len(self.protocols) == 1:
            return {self.protocols[0].name: self}
        return {
            protocol.name: LabelTree(
                tuple(label for label in self.labels if self._root(label).id in protocol.roots), (protocol,)
            )
            for protocol in self.protocols
        }

    @cached_property
    def class_slices(self) -> dict[str, slice]:
        """Name of every protocol -> its classes among those of the network, background first."""
        slices, start = {}, 0
        for name, part in self.parts.items():
            slices[name] = slice(start, start + len(part.leaves) + 1)
            start += len(part.leaves) + 1
        return slices

    def part_of(self, protocol: str) -> LabelTree:
        """The labels of the protocol of this name, upper and lower case the same. LabelError names those there are."""
        for name, part in self.parts.items():
            if name and name.casefold() == protocol.strip().casefold():
                return part
        named = [name for name in self.parts if name]
        there = f"it has {_listed(named)}" if named else "all of its labels belong together"
        raise LabelError(f'The model has no protocol "{protocol}"; {there}.')

    def protocol_of(self, label: Label) -> Protocol:
        """The protocol that a label belongs to."""
        root = self._root(label)
        return next(protocol for protocol in self.protocols if root.id in protocol.roots)

    def _root(self, label: Label) -> Label:
        return (label, *self.ancestors(label))[-1]

    def leaves_under(self, label: Label) -> tuple[Label, ...]:
        """The leaves whose union the label is; a leaf gives itself."""
        return tuple(below for below in self._branch([label]) if below.id not in self.children)

    def classes_under(self, label: Label) -> tuple[int, ...]:
        """Class indices of `leaves_under`, inside their protocol."""
        return tuple(self.class_of[leaf.id] for leaf in self.leaves_under(label))

    def network_classes_under(self, label: Label) -> tuple[int, ...]:
        """Class indices of `leaves_under` among those of the network, where protocols stand one after the other."""
        start = self.class_slices[self.protocol_of(label).name].start
        return tuple(start + number for number in self.classes_under(label))

    def check_instances(self, label: Label) -> None:
        """Raise LabelError unless pieces of a label are things of their own."""
        if label.instances:
            return
        countable = [each.name for each in self.labels if each.instances]
        there = f"it says so of {_listed(countable)}" if countable else "it says so of none of its labels"
        raise LabelError(
            f'The model does not say that each connected piece of "{label.name}" is a thing of its own; {there}.'
        )

    def ancestors(self, label: Label) -> tuple[Label, ...]:
        """Parent, grandparent, ... up to the root."""
        above = []
        while label.parent is not None:
            label = self[label.parent]
            above.append(label)
        return tuple(above)

    def depth(self, label: Label) -> int:
        """0 for a root."""
        return len(self.ancestors(label))

    def walk(self) -> Iterable[Label]:
        """Every label, parents before their children, depth first."""
        return self._branch(self.roots)

    def _branch(self, tops: Sequence[Label]) -> Iterable[Label]:
        stack = list(reversed(tops))
        while stack:
            label = stack.pop()
            yield label
            stack.extend(reversed(self.children.get(label.id, ())))

    @cached_property
    def _names(self) -> dict[str, list[Label]]:
        out: dict[str, list[Label]] = {}
        for label in self.labels:
            for name in (label.name, *label.synonyms):
                found = out.setdefault(name.casefold(), [])
                if label not in found:
                    found.append(label)
        return out

    def find(self, name: str) -> Label:
        """The label of this name, synonym or id; upper and lower case are the same.

        LabelError names the nearest ones.
        """
        wanted = name.strip().casefold()
        if wanted.isdecimal() and int(wanted) in self._by_id:
            return self._by_id[int(wanted)]
        found = self._names.get(wanted, [])
        for label in found:  # a name wins over another label's synonym
            if label.name.casefold() == wanted:
                return label
        if len(found) == 1:
            return found[0]
        if found:
            raise LabelError(f'"{name}" may be {_listed(label.name for label in found)}; name one of them.')
        near = difflib.get_close_matches(wanted, self._names, n=3, cutoff=0.5)
        nearest = list(dict.fromkeys(label.name for key in near for label in self._names[key]))[:3]
        hint = f" Nearest: {_listed(nearest)}." if nearest else ""
        raise LabelError(f'The model knows no label "{name}".{hint} `lcs labels` lists them all.')

    def knows(self, name: str) -> bool:
        """Whether a label, or several, have this name, synonym or id."""
        wanted = name.strip().casefold()
        return wanted in self._names or (wanted.isdecimal() and int(wanted) in self._by_id)

    def search(self, text: str) -> list[Label]:
        """Labels whose name, synonyms, codes and protocol hold every word of `text`, in tree order."""
        words = text.casefold().split()
        return [label for label in self.walk() if all(word in self._haystacks[label.id] for word in words)]

    @cached_property
    def _haystacks(self) -> dict[int, str]:
        def text(label: Label) -> str:
            told = (label.type, label.modifier, label.broader, label.position)
            codes = [part for code in told if code for part in (code.value, code.meaning)]
            return " \n".join((label.name, *label.synonyms, *codes, self.protocol_of(label).name)).casefold()

        return {label.id: text(label) for label in self.labels}

    def mirrored(self, label: Label) -> Label:
        """The same structure on the other side; labels without a side, or without a counterpart, give themselves."""
        there = self._counterpart(label)
        return there if there is not None and self._counterpart(there) == label else label

    def _counterpart(self, label: Label) -> Label | None:
        """The label of the other side whose name differs by the side alone, both being leaves or both parents."""
        side = label.laterality
        if side not in _OPPOSITE:
            return None
        other = _OPPOSITE[side]
        wanted = label.name.replace(side, other).replace(side.capitalize(), other.capitalize())
        named = (x for x in self._names.get(wanted.casefold(), ()) if x.laterality == other and x.name == wanted)
        return next((x for x in named if (x.id in self.children) == (label.id in self.children)), None)

    @cached_property
    def mirrored_classes(self) -> tuple[int, ...]:
        """For every class of the network (background first) the class of the mirrored structure: what a left-right flip
        does to a label map.
        """
        return tuple(
            self.class_slices[name].start + other
            for name, part in self.parts.items()
            for other in (0, *(part.class_of[part.mirrored(leaf).id] for leaf in part.leaves))
        )

    def overlapping(self, wanted: Sequence[Label]) -> tuple[Label, Label] | None:
        """A pair of requested labels that share voxels (a parent and something under it), or None."""
        ids = {label.id: label for label in wanted}
        for label in wanted:
            for above in self.ancestors(label):
                if above.id in ids:
                    return above, label
        return None

    def to_json(self) -> list[dict[str, Any]] | dict[str, Any]:
        """As stored in `model.json`: the labels or, where protocols have names, both of them."""
        labels = [label.to_json() for label in self.labels]
        if self.is_plain:
            return labels
        protocols = [{"name": protocol.name, "roots": list(protocol.roots)} for protocol in self.protocols]
        return {"protocols": protocols, "labels": labels}

    @staticmethod
    def from_json(entry: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> LabelTree:
        """Inverse of `to_json`. Raises LabelError."""
        if not isinstance(entry, Mapping):
            return LabelTree(tuple(Label.from_json(label) for label in entry))
        protocols = tuple(
            Protocol(str(protocol["name"]).strip(), tuple(int(root) for root in protocol["roots"]))
            for protocol in entry["protocols"]
        )
        if not protocols:
            raise LabelError("The tree names no protocol.")
        return LabelTree(tuple(Label.from_json(label) for label in entry["labels"]), protocols)


def in_a_sentence(name: str) -> str:
    """A label's name as it stands within a sentence: "Left Putamen" is "left putamen" there, "CSF" stays."""
    return re.sub(r"[^\W\d_]+", lambda word: word[0].lower() if word[0][1:].islower() else word[0], name)


def _listed(names: Iterable[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]
