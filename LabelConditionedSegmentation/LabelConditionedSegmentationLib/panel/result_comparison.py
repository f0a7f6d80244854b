"""Two results for one scan side by side: the volumes of the structures that both models know, and how they overlap.
Without Qt.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label, LabelTree

Part = tuple[Winners, Label]


def overlap(one: Part, other: Part) -> float | None:
    """Dice coefficient of two labels on the same grid; None where neither has a voxel."""
    here, there = one[0].mask(one[1]), other[0].mask(other[1])
    sizes = [int(found[0].sum()) if found is not None else 0 for found in (here, there)]
    if not sum(sizes):
        return None
    if here is None or there is None:
        return 0.0
    (mask, start), (second, begin) = here, there
    first = [max(a, b) for a, b in zip(start, begin, strict=True)]
    last = [min(a + n, b + m) for a, n, b, m in zip(start, mask.shape, begin, second.shape, strict=True)]
    if any(b <= a for a, b in zip(first, last, strict=True)):
        return 0.0
    both = [
        part[tuple(slice(a - at, b - at) for a, b, at in zip(first, last, place, strict=True))]
        for part, place in ((mask, start), (second, begin))
    ]
    return 2 * int((both[0] & both[1]).sum()) / sum(sizes)


def shared_labels(
    one: Sequence[tuple[Winners, Sequence[Label]]], other: Sequence[Winners], known: LabelTree
) -> list[tuple[Part, Part]]:
    """Labels of one model with those of another that are called the same, or have that name as a synonym. one: labels,
    each with its competition. other: the competitions of the other model, whose labels are `known`.
    """
    pairs = []
    for winners, labels in one:
        for label in labels:
            found = known.find(label.name) if known.knows(label.name) else None
            pairs += [((winners, label), (there, found)) for there in other if found and found.id in there.labels]
    return pairs


def comparison_columns(
    models: tuple[str, str], pairs: Sequence[tuple[Part, Part]], voxel_millilitres: float
) -> dict[str, list[str | float | None]]:
    """Columns of a table: structure, millilitres by each model, Dice coefficient."""
    titles = [f"{model} (ml)" for model in (models if models[0] != models[1] else (models[0], f"{models[1]} again"))]
    columns: dict[str, list[str | float | None]] = {"Structure": [one[1].name for one, _ in pairs]}
    for n, title in enumerate(titles):
        columns[title] = [_voxels(*pair[n]) * voxel_millilitres for pair in pairs]
    columns["Dice"] = [overlap(one, other) for one, other in pairs]
    return columns


def _voxels(winners: Winners, label: Label) -> int:
    return int(winners.counts()[list(winners.labels.classes_under(label))].sum())
