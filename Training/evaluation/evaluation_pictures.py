"""Pictures of where a segmentation went wrong: three slices through a structure, alone and with the outlines of truth
and prediction.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.slice_pictures import (
    VIEWS,
    View,
    class_slice,
    gray_slice,
    gray_window,
    letters_of,
    slice_grid,
    where_most_lies,
)
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.ndimage import binary_erosion

from .metrics import around

MOST = 8
"""Pictures that are kept of an evaluation."""

SIDE, DPI = 240, 100
"""Pixels of a slice, and of an inch of the figure: it decides how large letters are."""

MARGIN = 0.02
"""Beside letters, as a share of a slice."""

ROOM_MM, LEAST_MM = 15.0, 40.0
"""Millimetres around the structure, and the least half width of a slice."""

TRUTH, PREDICTION, BOTH = (53, 194, 255), (255, 154, 31), (255, 255, 255)
"""Colours of the outlines, and of where they coincide; they differ to the colour-blind too."""


@dataclass(frozen=True)
class Picture:
    """One label in one case; label is an id of the model's tree, jpeg the bytes of the file."""

    case: str
    label: int
    dice: float
    jpeg: bytes


def worst_of(pictures: Iterable[Picture]) -> tuple[Picture, ...]:
    """The pictures of the lowest Dice, worst first, at most one of a label."""
    worst: dict[int, Picture] = {}
    for picture in sorted(pictures, key=lambda p: p.dice):
        worst.setdefault(picture.label, picture)
    return tuple(list(worst.values())[:MOST])


def draw(scan: Volume, truth: Array, prediction: Array) -> bytes:
    """A JPEG of two rows of three slices: the scan's first channel, and the same with outlines. truth, prediction: (k,
    j, i) bool on the scan's grid, not both empty.
    """
    grid, window = Grid.of(scan), gray_window(scan.array[0])
    point, half = where_most_lies(truth | prediction, grid), _half_width(scan, truth | prediction)
    figure = Figure(figsize=(3 * SIDE / DPI, 2 * SIDE / DPI), dpi=DPI)
    panels = figure.subplots(2, 3, gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0, "hspace": 0})
    for (above, below), view in zip(panels.T, VIEWS, strict=True):
        plane = slice_grid(view, point, point - half, point + half, 2 * half / (SIDE - 1))
        gray = gray_slice(scan, plane, window)
        for panel, name in ((above, view.name), (below, "")):
            panel.imshow(gray, interpolation="nearest")
            panel.axis("off")
            _letter(panel, view, name)
        edges = [_outline(class_slice(mask, grid, plane) > 0) for mask in (truth, prediction)]
        below.imshow(_coloured(*edges), interpolation="nearest")
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", dpi=DPI, pil_kwargs={"quality": 85, "subsampling": 0})
    return file.getvalue()


def _half_width(scan: Volume, mask: Array) -> float:
    """The half width in mm of slices that show a mask whole."""
    extent: float = max((s.stop - s.start) * length for s, length in zip(around(mask), scan.spacing[::-1], strict=True))
    return max(LEAST_MM, extent / 2 + ROOM_MM)


def _outline(mask: Array) -> Array:
    edge: Array = mask & ~binary_erosion(mask, iterations=2)
    return edge


def _coloured(true_edge: Array, predicted_edge: Array) -> Array:
    """(SIDE, SIDE, 4) uint8, transparent where there is no outline."""
    out = np.zeros((*true_edge.shape, 4), dtype=np.uint8)
    out[true_edge], out[predicted_edge] = (*TRUTH, 255), (*PREDICTION, 255)
    out[true_edge & predicted_edge] = (*BOTH, 255)
    return out


def _letter(panel: Axes, view: View, name: str) -> None:
    """The name of a slice, and the letters of its sides."""
    for letters in letters_of(view, name):
        x, y = (MARGIN + share * (1 - 2 * MARGIN) for share in (letters.across, 1 - letters.down))
        across = {0.0: "left", 0.5: "center", 1.0: "right"}[letters.across]
        up = {0.0: "top", 0.5: "center", 1.0: "bottom"}[letters.down]
        text = panel.text(x, y, letters.text, transform=panel.transAxes, ha=across, va=up, color="0.9", fontsize=9)
        text.set_path_effects([withStroke(linewidth=2, foreground="black")])
