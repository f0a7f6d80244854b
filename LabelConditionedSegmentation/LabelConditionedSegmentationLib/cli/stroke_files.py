"""Strokes from files: a label map, or the segments of a Slicer segmentation."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.labels.label_tree import LabelTree
from ..core.scan.file_formats import LABEL_MAPS, SEGMENTATION
from ..core.scan.volume import Volume
from ..core.strokes.stroke_names import BACKGROUND
from .masks import Color, SegmentationFile
from .reading import Reading
from .terminal import say

MOST = 100
"""Values of a label map of strokes; a scan that was given in its place has more."""


@dataclass(frozen=True)
class Painted:
    """What was painted as one class. value: what stands for it in a label map. color: where the file tells one."""

    name: str
    value: int
    mask: Volume
    color: Color

    @property
    def is_background(self) -> bool:
        return self.name == BACKGROUND


def read_strokes(path: Path, reading: Reading, background: str | None, tree: LabelTree | None) -> list[Painted]:
    """The strokes of a file, one entry a class; that of the background is called so whatever the file calls it.

    background: its name or value, where it is not called Background. tree: of a model, whose ids name the values of
    label maps that nothing else names. Raises InputError.
    """
    is_segmentation = path.name.lower().endswith(SEGMENTATION)
    painted = _segments(path) if is_segmentation else _values(path, reading.image(path), tree)
    for stroke in painted:
        if not stroke.mask.array.any():
            say(f'note: {path}: nothing is painted as "{stroke.name}", which is left out')
    return _with_background([stroke for stroke in painted if stroke.mask.array.any()], path, background)


def _with_background(painted: Sequence[Painted], path: Path, background: str | None) -> list[Painted]:
    wanted = (background or BACKGROUND).strip().casefold()
    found = [stroke for stroke in painted if wanted in (stroke.name.casefold(), str(stroke.value))]
    if background is not None and not found:
        names = ", ".join(f'"{stroke.name}"' for stroke in painted)
        raise InputError(f'"{path}" has no strokes called "{background}" for the background; it has {names or "none"}.')
    return [replace(stroke, name=BACKGROUND) if stroke in found else stroke for stroke in painted]


def _segments(path: Path) -> list[Painted]:
    file = SegmentationFile(path)
    return [
        Painted(name, n, file.mask(key), file.color(key) or _color(n))
        for n, (key, name) in enumerate(file.names.items(), start=1)
    ]


def _values(path: Path, image: Volume, tree: LabelTree | None) -> list[Painted]:
    values = np.unique(image.array)
    if not np.isfinite(values).all() or (values != np.rint(values)).any() or (values < 0).any() or len(values) > MOST:
        raise InputError(
            f'"{path}" is no label map of strokes: its values have to be whole numbers, 0 where nothing is painted.'
        )
    named = _named(path)
    painted = []
    for value in (int(value) for value in values if value):
        entry = named.get(str(value), {})
        label = tree[value] if tree is not None and value in tree else None
        name = str(entry.get("name") or (label.name if label else f"Label {value}"))
        color = _color_of(entry) or (label.color if label else _color(value))
        painted.append(Painted(name, value, image.with_array(image.array == value), color))
    return painted


def _named(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Value -> name and colour, as the .json beside a label map of `lcs segment` tells them; nothing where it does
    not.
    """
    suffix = next((end for end in LABEL_MAPS if path.name.lower().endswith(end)), path.suffix)
    beside = path.with_name(path.name[: len(path.name) - len(suffix)] + ".json")
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    values = content.get("values") if isinstance(content, dict) else None
    entries = values.items() if isinstance(values, dict) else ()
    return {str(value): entry for value, entry in entries if isinstance(entry, dict)}


def _color_of(entry: Mapping[str, Any]) -> Color | None:
    try:
        red, green, blue = (min(1.0, max(0.0, float(part))) for part in entry.get("color", ()))
    except (TypeError, ValueError):
        return None
    return red, green, blue


def _color(number: int) -> Color:
    """A colour that differs well from those of the numbers beside it."""
    return colorsys.hsv_to_rgb(number * 0.618 % 1, 0.6, 0.9)
