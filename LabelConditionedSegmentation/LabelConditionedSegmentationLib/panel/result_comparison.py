"""Two results for one scan side by side: the volumes of the structures that both models know, and how they overlap.
Without Qt.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.inference.label_overlap import LabelOverlap
from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label
from .volume_rows import millilitres

Part = tuple[Winners, Label]
"""A label with the competition that it takes part in."""


def overlap(one: Part, other: Part) -> float | None:
    """Dice coefficient of two labels on the same grid; None where neither has a voxel."""
    return _dice([(one, other)])[0]


def pairs_of(one: Sequence[Part], other: Sequence[Part]) -> list[tuple[Part, Part]]:
    """Labels of one result with those of another that are called the same, or have that name as a synonym."""
    pairs = []
    for part in one:
        name = part[1].name.casefold()
        same = [found for found in other if found[1].name.casefold() == name]
        same += [found for found in other if name in map(str.casefold, found[1].synonyms)]
        pairs += [(part, found) for found in same[:1]]
    return pairs


def comparison_columns(
    models: tuple[str, str], pairs: Sequence[tuple[Part, Part]], voxel_millilitres: float
) -> dict[str, list[str | float | None]]:
    """Columns of a table: structure, millilitres by each model, Dice coefficient."""
    titles = [f"{model} (ml)" for model in (models if models[0] != models[1] else (models[0], f"{models[1]} again"))]
    columns: dict[str, list[str | float | None]] = {"Structure": [one[1].name for one, _ in pairs]}
    for n, title in enumerate(titles):
        parts = [(pair[n][0], [pair[n][1]]) for pair in pairs]
        columns[title] = [volume for _, volume in millilitres(parts, voxel_millilitres)]
    columns["Dice"] = list(_dice(pairs))
    return columns


def _dice(pairs: Sequence[tuple[Part, Part]]) -> list[float | None]:
    """Of each pair; two competitions are counted once."""
    known: dict[tuple[int, int], LabelOverlap] = {}
    found = []
    for (one, label), (other, same) in pairs:
        key = id(one), id(other)
        if key not in known:
            known[key] = LabelOverlap.of(one.classes, one.start, other.classes, other.start)
        found.append(known[key].dice(one.labels.classes_under(label), other.labels.classes_under(same)))
    return found
