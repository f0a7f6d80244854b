"""The volumes of structures as rows: left and right beside each other, with their asymmetry. Without Qt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label

SIDE = re.compile(r"\b(left|right)\b\s*", re.IGNORECASE)


@dataclass(frozen=True)
class VolumeRow:
    """One structure. left, right: millilitres of its sides; whole: of a structure that has none. None is not known."""

    name: str
    left: float | None = None
    right: float | None = None
    whole: float | None = None

    @property
    def total(self) -> float:
        """Millilitres of all that is known of it."""
        return sum(part for part in (self.left, self.right, self.whole) if part is not None)

    @property
    def asymmetry(self) -> float | None:
        """How much larger the left side is than the right one, in percent of their mean; None where one is not
        known, or neither has a voxel.
        """
        if self.left is None or self.right is None or self.left + self.right == 0:
            return None
        return 200 * (self.left - self.right) / (self.left + self.right)

    def cells(self) -> list[str]:
        """As they are shown: name, total, left, right, asymmetry."""
        asymmetry = "" if self.asymmetry is None else f"{round(self.asymmetry, 1) + 0.0:+.1f} %"  # no -0.0
        return [self.name, _shown(self.total), _shown(self.left), _shown(self.right), asymmetry]


def millilitres(
    parts: Sequence[tuple[Winners, Sequence[Label]]], voxel_millilitres: float
) -> list[tuple[Label, float]]:
    """The volume of each label; a parent is the sum of the leaves under it."""
    volumes = []
    for winners, labels in parts:
        counts = winners.counts() * voxel_millilitres
        volumes += [(label, float(counts[list(winners.labels.classes_under(label))].sum())) for label in labels]
    return volumes


def volume_rows(volumes: Sequence[tuple[Label, float]], counterparts: Mapping[int, int]) -> list[VolumeRow]:
    """One row a structure, in the order of the first side that is there. counterparts: id of a label -> id of its
    counterpart on the other side.
    """
    rows: dict[tuple[int, ...], dict[str, float]] = {}
    names: dict[tuple[int, ...], str] = {}
    for label, volume in volumes:
        other = counterparts.get(label.id, label.id)
        key = tuple(sorted({label.id, other}))
        side = label.laterality if label.laterality in ("left", "right") else "whole"
        rows.setdefault(key, {})[side] = volume
        names.setdefault(key, _without_side(label.name) if other != label.id else label.name)
    return [VolumeRow(names[key], **sides) for key, sides in rows.items()]


def _without_side(name: str) -> str:
    """ "Left Hippocampus" -> "Hippocampus"; the name itself where nothing else would be left."""
    rest = SIDE.sub("", name, count=1).strip()
    return f"{rest[:1].upper()}{rest[1:]}" if rest else name


def _shown(volume: float | None) -> str:
    return "" if volume is None else f"{volume:.2f}"
