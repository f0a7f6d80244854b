"""Where voxel axes run to: affines from three letters, and how far two affines, or one and its nearest upright one, lie
apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..errors import InputError
from .placed_array import Affine, Array

DIRECTIONS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
"""The RAS axis, and the sign along it, that a letter stands for."""


def check_letters(letters: str) -> None:
    """Raise InputError unless there are three letters, one for each axis of the body."""
    words = letters.strip().upper()
    if len(words) != 3 or {DIRECTIONS[w][0] for w in words if w in DIRECTIONS} != {0, 1, 2}:
        raise InputError(
            f'"{letters}" is no orientation; say where the voxel axes run to with three letters, one each of R or L, '
            "A or P, S or I, such as LPS."
        )


def affine_from_letters(letters: str, spacing: Sequence[float], shape: Sequence[int]) -> Affine:
    """The affine of voxels whose axes (i, j, k) run to the sides that three letters name, around the point (0, 0, 0).

    spacing: mm along (i, j, k). shape: voxels along (k, j, i). Raises InputError for letters that name no orientation.
    """
    check_letters(letters)
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (letter, step) in enumerate(zip(letters.strip().upper(), spacing, strict=True)):
        row, sign = DIRECTIONS[letter]
        affine[row, axis] = sign * step
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    return affine


def corners(shape: Sequence[int]) -> Array:
    """Indices (i, j, k, 1) of the eight corner voxels of a grid with the shape (k, j, i): (4, 8)."""
    return np.array([(*corner, 1.0) for corner in product(*((0.0, n - 1.0) for n in shape[::-1]))]).T


def voxels_apart(one: Affine, two: Affine, shape: Sequence[int]) -> float:
    """How far, in voxels of the first, the corners of a grid with the shape (k, j, i) lie apart under two affines."""
    there = corners(shape)
    return float(np.linalg.norm((np.linalg.solve(one, two @ there) - there)[:3], axis=0).max())


def is_mirrored(one: Affine, two: Affine) -> bool:
    """Whether two affines differ by handedness: what is left for the one is right for the other."""
    return bool(np.linalg.det(one[:3, :3]) * np.linalg.det(two[:3, :3]) < 0)


def upright(affine: Affine) -> Affine:
    """The affine with axes at right angles that is nearest to this one: same spacing, same centre of the
    first voxel.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    out = affine.copy()
    out[:3, :3] = left @ right * spacing
    return out


def leaning(affine: Affine) -> float:
    """How far the axes are from right angles: the largest deviation between two of them, in degrees."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    cosines = [abs(float(axes[:, a] @ axes[:, b])) for a, b in ((0, 1), (0, 2), (1, 2))]
    return float(np.degrees(np.arcsin(min(1.0, max(cosines)))))
