"""Pictures of where a segmentation went wrong: three slices through a structure, alone and with its true and its found
outline.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion, map_coordinates

from .metrics import around

MOST = 8
"""Pictures that are kept of an evaluation."""

SIDE = 240
"""Pixels of a slice."""

ROOM_MM, LEAST_MM = 15.0, 40.0
"""Millimetres around the structure, and the least half width of a slice."""

TRUTH, FOUND, BOTH = (53, 194, 255), (255, 154, 31), (255, 255, 255)
"""Colours of the true outline, the found one, and where they coincide; they differ to the colour-blind too."""

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


def draw(scan: Volume, truth: Array, found: Array) -> bytes:
    """A JPEG of two rows of three slices: the scan's first channel, and the same with outlines. truth, found: (k, j, i)
    bool on the scan's grid, not both empty.
    """
    center, half = _place(scan, truth | found)
    page = Image.new("RGB", (3 * SIDE, 2 * SIDE), "black")
    for column, (name, axis, left, right, top) in enumerate(VIEWS):
        at = _voxels_of_slice(scan, center, half, axis)
        plain = _grey(scan, at)
        outlined = plain.copy()
        true_edge, found_edge = (
            _outline(map_coordinates(mask.astype(np.uint8), at, order=0) > 0) for mask in (truth, found)
        )
        outlined[true_edge], outlined[found_edge], outlined[true_edge & found_edge] = TRUTH, FOUND, BOTH
        page.paste(_lettered(plain, name, left, right, top), (column * SIDE, 0))
        page.paste(_lettered(outlined, "", left, right, top), (column * SIDE, SIDE))
    file = io.BytesIO()
    page.save(file, format="JPEG", quality=85, subsampling=0)
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


def _grey(scan: Volume, at: Array) -> Array:
    """The scan in a slice as (SIDE, SIDE, 3) uint8, black beyond it; the window goes from the 1st to the 99.5th
    percentile of what is not its lowest value.
    """
    voxels = scan.array[0]
    shown = voxels[voxels > voxels.min()]
    low, high = np.percentile(shown if shown.size else voxels, (1, 99.5))
    values = map_coordinates(voxels.astype(np.float32), at, order=1, cval=float(voxels.min()))
    grey = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1)
    out: Array = np.repeat((255 * grey).round().astype(np.uint8)[..., None], 3, axis=2)
    return out


def _outline(mask: Array) -> Array:
    edge: Array = mask & ~binary_erosion(mask, iterations=2)
    return edge


def _lettered(picture: Array, name: str, left: str, right: str, top: str) -> Image.Image:
    image = Image.fromarray(picture)
    draw_on, font, pale = ImageDraw.Draw(image), ImageFont.load_default(13), (230, 230, 230)
    for text, place in (
        (left, (5, SIDE // 2 - 8)),
        (right, (SIDE - 14, SIDE // 2 - 8)),
        (top, (SIDE // 2 - 5, 3)),
        (name, (6, SIDE - 20)),
    ):
        draw_on.text(place, text, fill=pale, font=font, stroke_width=1, stroke_fill=(0, 0, 0))
    return image
