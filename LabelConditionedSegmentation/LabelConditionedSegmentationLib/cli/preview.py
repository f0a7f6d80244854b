"""A picture of a result: axial, coronal and sagittal slices with coloured labels over the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ..core.inference.result import Result
from ..core.scan.geometry import Grid, resample
from ..core.scan.volume import Array, Volume
from ..core.scan.whole_files import Writer

HEIGHT = 420
OPACITY = 0.45
VIEWS = (("axial", 2, "R", "L", "A"), ("coronal", 1, "R", "L", "S"), ("sagittal", 0, "A", "P", "S"))
"""Name, RAS axis that the slice is perpendicular to, and the letters at its left, right and top (radiological
convention).
"""


def write_preview(scan: Volume, result: Result) -> Writer:
    """A writer of the picture."""

    def write(path: Path) -> None:
        render_preview(scan, result).save(path, format="PNG")

    return write


def render_preview(scan: Volume, result: Result) -> Image.Image:
    """Three slices where most was found (through the middle where nothing was), each without and with labels."""
    grid = Grid.of(scan)
    spacing = max(min(scan.spacing), 0.5)
    low, high = _extent(grid)
    center = _center(result, grid)
    grey_low, grey_high = (
        np.percentile(scan.array[0][scan.array[0] != scan.array[0].min()], (1, 99.5))
        if np.ptp(scan.array[0])
        else (0.0, 1.0)
    )
    colors = np.zeros((max(entry.value for entry in result.labels) + 1, 3), dtype=np.float32)
    for entry in result.labels:
        colors[entry.value] = entry.label.color
    columns = []
    for name, axis, left, right, top in VIEWS:
        plane = _plane(low, high, center, axis, spacing)
        grey = _sample(scan.array[0].astype(np.float32), grid, plane, False)
        grey = np.clip((grey - grey_low) / max(float(grey_high - grey_low), 1e-6), 0, 1)
        plain = np.repeat(grey[..., None], 3, axis=2)
        shown = plain.copy()
        for layer in result.layers:
            values = _sample(layer.array[0].astype(np.int32), grid, plane, True)
            inside = values > 0
            shown[inside] = (1 - OPACITY) * plain[inside] + OPACITY * colors[values[inside]]
            edges = inside & _is_edge(values)
            shown[edges] = 0.25 * plain[edges] + 0.75 * colors[values[edges]]
        columns.append(
            [
                _labelled(picture, name if row == 0 else "", left, right, top)
                for row, picture in enumerate((plain, shown))
            ]
        )
    width = sum(column[0].width for column in columns)
    page = Image.new("RGB", (width, 2 * HEIGHT + 26), "black")
    x = 0
    for column in columns:
        for row, picture in enumerate(column):
            page.paste(picture, (x, row * HEIGHT))
        x += column[0].width
    caption = f"{result.report.model}: {len(result.labels)} labels. For research; not for diagnosis."
    ImageDraw.Draw(page).text((8, 2 * HEIGHT + 6), caption, fill=(190, 190, 190), font=ImageFont.load_default(13))
    return page


def _extent(grid: Grid) -> tuple[Array, Array]:
    k, j, i = grid.shape
    corners = np.array([[a, b, c, 1.0] for a in (0, i - 1) for b in (0, j - 1) for c in (0, k - 1)]) @ grid.affine.T
    return corners[:, :3].min(0), corners[:, :3].max(0)


def _center(result: Result, grid: Grid) -> Array:
    """The point (RAS) whose slices show most: along every axis the slice with the largest labelled area, else the
    middle.
    """
    found = result.layers[0].array[0] > 0
    areas = [found.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    index = [int(area.argmax()) if area.any() else (n - 1) / 2 for area, n in zip(areas, grid.shape, strict=True)]
    center: Array = (grid.affine @ np.array([index[2], index[1], index[0], 1.0]))[:3]
    return center


def _plane(low: Array, high: Array, center: Array, axis: int, spacing: float) -> Grid:
    """A one-voxel-thick grid: its i axis runs to the right of the picture, its j axis downwards."""
    across, up = [a for a in range(3) if a != axis]
    origin = np.array(high, dtype=np.float64)  # right, anterior and superior are at the left and top
    origin[axis] = center[axis]
    affine = np.eye(4)
    affine[:3, :3] = 0
    affine[across, 0], affine[up, 1], affine[axis, 2] = -spacing, -spacing, spacing
    affine[:3, 3] = origin
    size = np.ceil((np.asarray(high) - np.asarray(low)) / spacing).astype(int) + 1
    return Grid(affine, (1, int(size[up]), int(size[across])))


def _sample(array: Array, grid: Grid, plane: Grid, nearest: bool) -> Array:
    out: Array = resample(torch.from_numpy(np.ascontiguousarray(array))[..., None], grid, plane, nearest=nearest)[
        0, ..., 0
    ].numpy()
    return out


def _is_edge(values: Array) -> Array:
    edge = np.zeros(values.shape, dtype=bool)
    edge[:, :-1] |= values[:, :-1] != values[:, 1:]
    edge[:-1] |= values[:-1] != values[1:]
    return edge


def _labelled(picture: Array, name: str, left: str, right: str, top: str) -> Image.Image:
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    image = image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT), Image.Resampling.BICUBIC)
    draw, font, pale = ImageDraw.Draw(image), ImageFont.load_default(14), (230, 230, 230)
    draw.text((6, HEIGHT // 2 - 8), left, fill=pale, font=font)
    draw.text((image.width - 16, HEIGHT // 2 - 8), right, fill=pale, font=font)
    draw.text((image.width // 2 - 5, 4), top, fill=pale, font=font)
    draw.text((8, HEIGHT - 22), name, fill=pale, font=font)
    return image
