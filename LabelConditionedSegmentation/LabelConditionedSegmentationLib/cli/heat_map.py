"""A picture of relations: labels of one protocol as rows, those of another as columns, the stronger the darker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..core.inference.class_relations import ClassRelations
from ..core.labels.label_tree import Label
from ..core.scan.volume import Array

CELL, FONT, MARGIN = 14, 11, 10
"""Pixels: of a cell, of the letters, and around everything."""

LEAST_WIDTH = 360
"""Pixels of the picture, for the words beside the scale."""

LIGHT, DARK = np.array([247, 251, 255]), np.array([8, 48, 107])
"""The colours of 0 and 1; white is where there is no relation."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

INK, FRAME = (40, 40, 40), (200, 200, 200)


def heat_map(found: ClassRelations, least: float) -> Image.Image:
    """All pairs of protocols below each other; of a model of one protocol its labels are rows and columns.

    What belongs together lies on the diagonal; labels without a relation of at least `least` are left out.
    """
    parts = list(found.tree.parts.values())
    pairs = list(combinations(parts, 2)) or [(parts[0], parts[0])]
    maps = [
        _map(one.protocols[0].name, other.protocols[0].name, *ordered(found, one.leaves, other.leaves, least))
        for one, other in pairs
    ]
    page = Image.new(
        "RGB", (max(LEAST_WIDTH, *(m.width for m in maps)), sum(m.height for m in maps) + 3 * CELL), "white"
    )
    top = 0
    for picture in maps:
        page.paste(picture, (0, top))
        top += picture.height
    _scale(page, top, _meaning(found))
    return page


def ordered(
    found: ClassRelations, rows: Sequence[Label], columns: Sequence[Label], least: float
) -> tuple[list[Label], list[Label], Array]:
    """The labels that have relations, and the strengths of these (rows, columns), NaN where there is none."""
    told = {(leaf.id, r.other.id): r.strength for leaf in rows for r in found.of(leaf, -math.inf)}
    values = np.array([[told.get((row.id, column.id), np.nan) for column in columns] for row in rows])
    known = np.nan_to_num(values, nan=-np.inf)
    kept = [n for n in range(len(rows)) if known[n].max() >= least]
    kept.sort(key=lambda n: (int(known[n].argmax()), -known[n].max()))
    among = [n for n in range(len(columns)) if known[:, n].max() >= least]
    return [rows[n] for n in kept], [columns[n] for n in among], values[np.ix_(kept, among)]


def _map(one: str, other: str, rows: Sequence[Label], columns: Sequence[Label], values: Array) -> Image.Image:
    font = ImageFont.load_default(FONT)
    left = MARGIN + max([0, *(_length(font, label.name) for label in rows)]) + 6
    above = MARGIN + 2 * CELL + max([0, *(_length(font, label.name) for label in columns)]) + 6
    title = f"rows: {one or 'all labels'}; columns: {other or 'all labels'}"
    title += "" if values.size else " (no relation is strong enough)"
    width = max(left + CELL * len(columns), MARGIN + _length(font, title)) + MARGIN
    picture = Image.new("RGB", (width, above + CELL * len(rows) + MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, MARGIN), title, fill=INK, font=font)
    for n, label in enumerate(rows):
        draw.text((left - 6, above + CELL * n + CELL // 2), label.name, fill=INK, font=font, anchor="rm")
    for n, label in enumerate(columns):
        _upright(picture, label.name, (left + CELL * n, above - 6), font)
    for (row, column), value in np.ndenumerate(values):
        x, y = left + CELL * column, above + CELL * row
        fill = None if np.isnan(value) else color_of(float(value))
        draw.rectangle((x, y, x + CELL, y + CELL), fill=fill, outline=FRAME)
    return picture


def _upright(picture: Image.Image, name: str, foot: tuple[int, int], font: Font) -> None:
    """A name that runs upwards from a place (x, y)."""
    length = _length(font, name)
    strip = Image.new("RGB", (length + 2, CELL), "white")
    ImageDraw.Draw(strip).text((0, CELL // 2), name, fill=INK, font=font, anchor="lm")
    picture.paste(strip.transpose(Image.Transpose.ROTATE_90), (foot[0], foot[1] - length - 2))


def _scale(page: Image.Image, top: int, meaning: str) -> None:
    """Which colour is which number, and what that is."""
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(FONT)
    for n in range(11):
        x = MARGIN + CELL * n
        draw.rectangle((x, top + CELL, x + CELL, top + 2 * CELL), fill=color_of(n / 10), outline=FRAME)
    draw.text((MARGIN + 11 * CELL + 8, top + CELL + CELL // 2), f"0 to 1: {meaning}", fill=INK, font=font, anchor="lm")


def color_of(value: float) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a strength; below 0 as of 0."""
    red, green, blue = (int(n) for n in np.rint(LIGHT + (DARK - LIGHT) * min(1.0, max(0.0, value))))
    return red, green, blue


def _meaning(found: ClassRelations) -> str:
    if not found.scans:
        return "cosine of prompts"
    return "mean probability" if found.has_protocols else "mean cosine"


def _length(font: Font, text: str) -> int:
    return math.ceil(font.getlength(text))
