"""What strokes are called, and what that says of them, for whoever reads them without torch."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import LabelError
from ..labels.label_tree import LabelTree

BACKGROUND = "Background"
"""The name, in letters of any case, of strokes where none of the structures is."""


def protocol_to_mend(labels: LabelTree, names: Sequence[str]) -> str:
    """Which of a model's ways to divide a scan strokes of these names mend: that of the labels that they are of.

    Raises LabelError where a name is no label's, where they are of two protocols, or, of several ones, where nothing
    but the background was painted.
    """
    first: dict[str, str] = {}
    for name in names:
        if name.casefold() != BACKGROUND.casefold():
            painted = labels.find(name)
            first.setdefault(labels.protocol_of(painted).name, painted.name)
    if len(first) > 1:
        (one, label), (other, further), *_ = first.items()
        raise LabelError(
            f'"{label}" belongs to the protocol {one} and "{further}" to {other}, each of which divides the scan on its'
            " own: mend one of them at a time."
        )
    if not first and len(labels.protocols) > 1:
        raise LabelError(
            "Only the background is painted, which does not say in which protocol the answer is wrong: paint a stroke"
            f" of a label as well, of {' or '.join(labels.parts)}."
        )
    return next(iter(first), labels.protocols[0].name)
