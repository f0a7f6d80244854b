"""Focus: of a scan that is larger than the window of a model, the window around one of its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import SimpleITK as sitk
import torch

from ..scan.geometry import Grid, Shape, bounding_box
from ..scan.preprocessing import NetworkInput, box_around
from ..scan.volume import Array
from .network_pass import NetworkPass

Point = tuple[float, float, float]

SMOOTHING = 2.0
"""Voxels, by which noise in the air is smoothed before what is bright is told from it."""

STEP = 0.25
"""From one window to the next, as a part of the window."""


def focused(
    prepared: NetworkInput,
    network_pass: NetworkPass,
    metadata: torch.Tensor,
    classes: Sequence[int],
    source: Grid,
    on_look: Callable[[], None] = lambda: None,
) -> tuple[NetworkInput, int]:
    """A prepared scan and how many looks it took to find the window: the network looks at every window over what is no
    air, takes the one with most of these classes and least of them in the air, and then the window around their middle.

    source: the grid of the scan. on_look: called before each look; may raise to end the run.
    """
    patch = network_pass.patch
    if all(n <= most for n, most in zip(prepared.grid.shape, patch, strict=True)):
        return prepared, 0
    bright = _bright_piece(prepared)
    looks = []
    for centre in _centres(bright, patch):
        on_look()
        part = box_around(prepared, centre, patch, source)
        looks.append(_look(part, prepared, network_pass, metadata, classes, bright))
    best, middle = max(looks, key=lambda look: look[0])
    return (box_around(prepared, middle, patch, source) if best > 0 else prepared), len(looks)


def _bright_piece(prepared: NetworkInput) -> Array:
    """(k, j, i) bool: the largest piece that is brighter than what lies around it (Otsu's threshold); all of it where
    there is none.
    """
    image = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(prepared.image[0].numpy()), SMOOTHING)
    pieces = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.OtsuThreshold(image, 0, 1)))
    piece = np.asarray(sitk.GetArrayFromImage(pieces) == 1)
    return piece if piece.any() else np.ones_like(piece)


def _centres(piece: Array, patch: Shape) -> list[Point]:
    """Of windows (k, j, i) over a piece: in its middle along the axes where it fits into one."""
    box = bounding_box(piece)
    assert box is not None, "a piece has voxels"
    axes = []
    for low, high, window in zip(*box, patch, strict=True):
        first, last = low + window / 2, high - window / 2
        count = int(np.ceil((last - first) / (STEP * window))) + 1 if last > first else 1
        axes.append(np.linspace(first, last, count).tolist() if count > 1 else [(low + high) / 2])
    return [(k, j, i) for k, j, i in product(*axes)]


def _look(
    part: NetworkInput,
    whole: NetworkInput,
    network_pass: NetworkPass,
    metadata: torch.Tensor,
    classes: Sequence[int],
    bright: Array,
) -> tuple[float, Point]:
    """How much of the classes is in the bright piece, less what is not, in voxels; and where their middle is, in the
    voxels (k, j, i) of the whole.
    """
    seen = network_pass.gather(part, metadata, part.grid, 0, torch.float16, groups=[[classes]])
    probability = seen.probabilities[0][0]
    i, j, k = np.rint((np.linalg.inv(whole.grid.affine) @ part.grid.affine[:, 3])[:3]).astype(int).tolist()
    size = part.grid.shape
    inside = bright[k : k + size[0], j : j + size[1], i : i + size[2]]
    mass = probability * inside
    total = float(mass.sum())
    if not total:
        return 0.0, (0.0, 0.0, 0.0)
    middle = [
        float((mass.sum(axis=tuple(o for o in range(3) if o != axis)) * (np.arange(n) + 0.5)).sum() / total)
        for axis, n in enumerate(size)
    ]
    return total - float((probability * ~inside).sum()), (k + middle[0], j + middle[1], i + middle[2])
