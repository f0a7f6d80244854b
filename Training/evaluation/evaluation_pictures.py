"""Pictures of where a segmentation went wrong: three slices through a structure, alone and with the outlines of truth
and prediction.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.ndimage import binary_erosion, map_coordinates

from .metrics import around

MOST = 8
"""Pictures that are kept of an evaluation."""

SIDE, DPI = 240, 100
"""Pixels of a slice, and of an inch of the figure: it decides how large letters are."""

ROOM_MM, LEAST_MM = 15.0, 40.0
"""Millimetres around the structure, and the least half width of a slice."""

TRUTH, PREDICTION, BOTH = (53, 194, 255), (255, 154, 31), (255, 255, 255)
"""Colours of the outlines, and of where they coincide; they differ to the colour-blind too."""

VIEWS = (("axial", 2, "R", "L", "A"), ("coronal", 1, "R", "L", "S"), ("sagittal", 0, "A", "P", "S"))
"""Name, RAS axis that the slice is perpendicular to, and the letters at its left, right and top (radiological
convention).
"""


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
    center, half = _place(scan, truth | prediction)
    figure = Figure(figsize=(3 * SIDE / DPI, 2 * SIDE / DPI), dpi=DPI)
    panels = figure.subplots(2, 3, gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1, "wspace": 0, "hspace": 0})
    for (above, below), (name, axis, *letters) in zip(panels.T, VIEWS, strict=True):
        at = _voxels_of_slice(scan, center, half, axis)
        for panel, text in ((above, name), (below, "")):
            _show(panel, scan, at)
            _letter(panel, text, *letters)
        edges = [_outline(map_coordinates(mask.astype(np.uint8), at, order=0) > 0) for mask in (truth, prediction)]
        below.imshow(_coloured(*edges), interpolation="nearest")
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", dpi=DPI, pil_kwargs={"quality": 85, "subsampling": 0})
    return file.getvalue()


def _place(scan: Volume, mask: Array) -> tuple[Array, float]:
    """The point (RAS) whose three slices along the grid's axes show most of a mask, and the half width in mm that shows
    it whole.
    """
    areas = [mask.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    k, j, i = (int(area.argmax()) for area in areas)
    center: Array = (scan.affine @ np.array([i, j, k, 1.0]))[:3]
    extent = max((s.stop - s.start) * length for s, length in zip(around(mask), scan.spacing[::-1], strict=True))
    return center, max(LEAST_MM, extent / 2 + ROOM_MM)


def _voxels_of_slice(scan: Volume, center: Array, half: float, axis: int) -> Array:
    """Continuous voxel indices (3, SIDE, SIDE) in the order (k, j, i) of a square slice; its rows run down, its columns
    to the right of the picture.
    """
    across, up = (a for a in range(3) if a != axis)
    steps = np.linspace(half, -half, SIDE)  # right, anterior and superior are at the left and top
    ras = np.empty((4, SIDE, SIDE))
    ras[axis], ras[3] = center[axis], 1
    ras[up], ras[across] = center[up] + steps[:, None], center[across] + steps[None]
    index: Array = np.einsum("ab,bcd->acd", np.linalg.inv(scan.affine), ras)[2::-1]
    return index


def _show(panel: Axes, scan: Volume, at: Array) -> None:
    """A slice of the scan, black beyond it; the window goes from the 1st to the 99.5th percentile of what is not its
    lowest value.
    """
    voxels = scan.array[0]
    lowest = voxels.min()
    above = voxels[voxels > lowest]
    low, high = np.percentile(above if above.size else voxels, (1, 99.5))
    values = map_coordinates(voxels.astype(np.float32), at, order=1, cval=float(lowest))
    panel.imshow(values, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), interpolation="nearest")
    panel.axis("off")


def _outline(mask: Array) -> Array:
    edge: Array = mask & ~binary_erosion(mask, iterations=2)
    return edge


def _coloured(true_edge: Array, predicted_edge: Array) -> Array:
    """(SIDE, SIDE, 4) uint8, transparent where there is no outline."""
    out = np.zeros((*true_edge.shape, 4), dtype=np.uint8)
    out[true_edge], out[predicted_edge] = (*TRUTH, 255), (*PREDICTION, 255)
    out[true_edge & predicted_edge] = (*BOTH, 255)
    return out


def _letter(panel: Axes, name: str, left: str, right: str, top: str) -> None:
    """The name of a slice at the lower left, and at three sides where they lie."""
    for text, x, y, across, up in (
        (left, 0.02, 0.5, "left", "center"),
        (right, 0.98, 0.5, "right", "center"),
        (top, 0.5, 0.98, "center", "top"),
        (name, 0.02, 0.03, "left", "bottom"),
    ):
        letters = panel.text(x, y, text, transform=panel.transAxes, ha=across, va=up, color="0.9", fontsize=9)
        letters.set_path_effects([withStroke(linewidth=2, foreground="black")])
