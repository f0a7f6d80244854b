"""Two results for one scan side by side: the volumes of the structures that both models know, and how they overlap.
Without Qt.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label

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


def shared_labels(one: Sequence[Label], other: Winners) -> list[tuple[Label, Label]]:
    """Labels of one model with those of another that are called the same, or have that name as a synonym."""
    return [(label, other.labels.find(label.name)) for label in one if other.labels.knows(label.name)]


def comparison_columns(
    models: tuple[str, str],
    pairs: Sequence[tuple[Label, Label]],
    competitions: tuple[Winners, Winners],
    voxel_millilitres: float,
) -> dict[str, list[str | float | None]]:
    """Columns of a table: structure, millilitres by each model, Dice coefficient."""
    counts = [winners.counts() * voxel_millilitres for winners in competitions]
    titles = [f"{model} (ml)" for model in (models if models[0] != models[1] else (models[0], f"{models[1]} again"))]
    columns: dict[str, list[str | float | None]] = {"Structure": [label.name for label, _ in pairs]}
    for n, title in enumerate(titles):
        tree = competitions[n].labels
        columns[title] = [float(counts[n][list(tree.classes_under(pair[n]))].sum()) for pair in pairs]
    columns["Dice"] = [overlap((competitions[0], a), (competitions[1], b)) for a, b in pairs]
    return columns
