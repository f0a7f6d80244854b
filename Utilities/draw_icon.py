"""Draws the icon of the extension and of its module: python -m Utilities.draw_icon."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw

SIZE = 128
SCALE = 8  # drawn larger and reduced at the end, which smooths the edges
COPIES = ("LabelConditionedSegmentation.png", "Resources/Icons/LabelConditionedSegmentation.png")

OUTLINE = "#2b3a4a"
FURROW = 2.5
# A brain from its left side, in hundredths of the picture: lobes as points with a colour, each of them owns what is
# nearest to it.
LOBES = {(20, 40): "#4c9be8", (44, 18): "#f2b134", (72, 22): "#f6d55c", (90, 46): "#e4572e", (50, 62): "#58b368"}
STEM = [(52, 62), (66, 62), (70, 93), (60, 95)]
CEREBELLUM = [(60, 56), (96, 85)]
BADGE = (25, 76, 20)
TICK = [(14.5, 76), (22.5, 84), (36, 68)]


def icon() -> Image.Image:
    """The icon, SIZE x SIZE pixels, transparent around the brain."""
    picture = Image.new("RGBA", (SIZE * SCALE, SIZE * SCALE))
    draw = ImageDraw.Draw(picture)
    draw.polygon(_points(STEM), fill="#c9b6a4", outline=OUTLINE, width=_length(2.5))
    draw.ellipse(_points(CEREBELLUM), fill="#9d6fd1", outline=OUTLINE, width=_length(2.5))
    outside, inside = _cerebrum(2.5), _cerebrum(0)
    picture.paste(OUTLINE, mask=outside)
    picture.paste(_lobes(), mask=inside)
    x, y, radius = BADGE
    for more, colour in ((2.5, "white"), (0, "#1e8449")):
        draw.ellipse(
            _points([(x - radius - more, y - radius - more), (x + radius + more, y + radius + more)]), fill=colour
        )
    draw.line(_points(TICK), fill="white", width=_length(6.5), joint="curve")
    return picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _cerebrum(margin: float) -> Image.Image:
    """The mask of the cerebrum, grown by `margin`: bulges along an ellipse, which make its folded edge."""
    mask = Image.new("L", (SIZE * SCALE, SIZE * SCALE))
    draw = ImageDraw.Draw(mask)
    draw.ellipse(_points([(10 - margin, 10 - margin), (90 + margin, 70 + margin)]), fill=255)
    for bulge in range(13):
        angle = 2 * pi * bulge / 13
        x, y, radius = 50 + 36 * cos(angle), 39 + 25 * sin(angle), 10.5 + margin
        draw.ellipse(_points([(x - radius, y - radius), (x + radius, y + radius)]), fill=255)
    return mask


def _lobes() -> Image.Image:
    """The whole picture in the colours of the lobes, with the furrows between them."""
    y, x = np.mgrid[: SIZE * SCALE, : SIZE * SCALE] * (100 / (SIZE * SCALE))
    waves = 1.2 * np.sin(0.35 * x + 0.2 * y)  # so that the furrows wind a little
    distances = np.sort(owners := np.stack([np.hypot(x + waves - a, y + waves - b) for a, b in LOBES]), axis=0)
    colours = np.array([ImageColor.getrgb(colour) for colour in LOBES.values()], np.uint8)[owners.argmin(axis=0)]
    colours[distances[1] - distances[0] < FURROW] = ImageColor.getrgb("white")
    return Image.fromarray(colours)


def _points(hundredths: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x * SIZE * SCALE / 100, y * SIZE * SCALE / 100) for x, y in hundredths]


def _length(hundredths: float) -> int:
    return round(hundredths * SIZE * SCALE / 100)


if __name__ == "__main__":
    for copy in COPIES:
        icon().save(Path(__file__).resolve().parents[1] / copy, optimize=True)
