"""A picture of a result: axial, coronal and sagittal slices with coloured labels over the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..core.inference.result import Result
from ..core.scan.geometry import Grid
from ..core.scan.slice_pictures import (
    VIEWS,
    Letters,
    View,
    class_slice,
    coloured,
    edges_of,
    extent_of,
    gray_slice,
    gray_window,
    letters_of,
    slice_grid,
    where_most_lies,
)
from ..core.scan.volume import Array, Volume
from ..core.scan.whole_files import Writer

HEIGHT = 420
OPACITY, OPACITY_OF_EDGES = 0.45, 0.75
LEAST_PIXEL_MM = 0.5
MARGIN, PALE = 6, (230, 230, 230)
"""Pixels beside letters, and their colour."""


def write_preview(scan: Volume, result: Result) -> Writer:
    """A writer of the picture."""

    def write(path: Path) -> None:
        render_preview(scan, result).save(path, format="PNG")

    return write


def render_preview(scan: Volume, result: Result) -> Image.Image:
    """Three slices where most was found (through the middle where nothing was), each without and with labels."""
    low, high = extent_of(Grid.of(scan))
    point = where_most_lies(result.layers[0].array[0] > 0, Grid.of(scan))
    step = max(min(scan.spacing), LEAST_PIXEL_MM)
    window, colours = gray_window(scan.array[0]), _colours(result)
    columns = []
    for view in VIEWS:
        plane = slice_grid(view, point, low, high, step)
        gray = gray_slice(scan, plane, window)
        shown = _with_labels(gray, [class_slice(x.array[0], Grid.of(scan), plane) for x in result.layers], colours)
        columns.append((_lettered(gray, view, view.name), _lettered(shown, view, "")))
    return _page(columns, f"{result.report.model}: {len(result.labels)} labels. For research; not for diagnosis.")


def _colours(result: Result) -> Array:
    """(values, 3) float32: the colour of every value of the label map."""
    colours = np.zeros((max(entry.value for entry in result.labels) + 1, 3), dtype=np.float32)
    for entry in result.labels:
        colours[entry.value] = entry.label.color
    return colours


def _with_labels(gray: Array, layers: list[Array], colours: Array) -> Array:
    """A slice with the labels of every layer over it; where layers overlap, those of the last."""
    shown = gray
    for values in layers:
        opacity = np.where(edges_of(values), OPACITY_OF_EDGES, OPACITY)
        shown = np.where((values > 0)[..., None], coloured(gray, values, colours, opacity), shown)
    return shown


def _page(columns: list[tuple[Image.Image, Image.Image]], caption: str) -> Image.Image:
    """Columns of two pictures side by side over a line of text."""
    page = Image.new("RGB", (sum(column[0].width for column in columns), 2 * HEIGHT + 26), "black")
    x = 0
    for column in columns:
        for row, picture in enumerate(column):
            page.paste(picture, (x, row * HEIGHT))
        x += column[0].width
    ImageDraw.Draw(page).text((8, 2 * HEIGHT + 6), caption, fill=(190, 190, 190), font=ImageFont.load_default(13))
    return page


def _lettered(picture: Array, view: View, name: str) -> Image.Image:
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    image = image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT), Image.Resampling.BICUBIC)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for letters in letters_of(view, name):
        x, y = (
            MARGIN + share * (length - 2 * MARGIN)
            for share, length in ((letters.across, image.width), (letters.down, HEIGHT))
        )
        draw.text((x, y), letters.text, fill=PALE, font=font, anchor=_anchor(letters))
    return image


def _anchor(letters: Letters) -> str:
    """Which point of a text lies at its place, as Pillow calls it."""
    return {0.0: "l", 0.5: "m", 1.0: "r"}[letters.across] + {0.0: "a", 0.5: "m", 1.0: "d"}[letters.down]
