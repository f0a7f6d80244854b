"""Strokes: which voxels of a scan a person painted, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..examples.painted_examples import mask_on
from ..scan.geometry import Grid, Shape, bounding_box
from ..scan.volume import Array, Volume
from .stroke_names import BACKGROUND

AROUND = 0.1
"""Of the longest side of the strokes: what the box reaches beyond them."""

LEAST_AROUND = 3
"""Voxels, of the same."""


@dataclass(frozen=True)
class Strokes:
    """Sparse seeds on the voxels of a scan.

    grid: of the scan. seeds: (k, j, i), 0 where nothing was painted, n + 1 for the class `names[n]`. names: of what was
    painted, the background among them under the name BACKGROUND.
    """

    grid: Grid
    seeds: Array
    names: tuple[str, ...]

    @staticmethod
    def painted(scan: Volume, painted: Sequence[tuple[str, Volume]]) -> Strokes:
        """Strokes from masks with their names, whose voxels have to be voxels of the scan.

        Raises InputError where nothing was painted, a mask is empty, of another grid or outside of the scan, or two of
        them claim a voxel.
        """
        if not painted:
            raise InputError("No stroke was painted; paint at least one on a structure and one on the background.")
        seeds = np.zeros(scan.shape, dtype=np.uint16)
        for number, (name, mask) in enumerate(painted, start=1):
            inside = mask_on(scan, mask, f'stroke "{name}"')
            twice = inside & (seeds > 0)
            if twice.any():
                other = painted[int(seeds[twice][0]) - 1][0]
                raise InputError(
                    f'The strokes "{other}" and "{name}" share {int(twice.sum())} voxels; erase one of them there.'
                )
            seeds[inside] = number
        return Strokes(Grid.of(scan), seeds, tuple(name for name, _ in painted))

    @property
    def background(self) -> int | None:
        """Which class is the background; None where it was not painted."""
        return next((n for n, name in enumerate(self.names) if name.casefold() == BACKGROUND.casefold()), None)

    def with_background(self) -> Strokes:
        """The same strokes with the background as a further class, of which nothing was painted."""
        return self if self.background is not None else replace(self, names=(*self.names, BACKGROUND))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxels along (k, j, i)."""
        i, j, k = (float(length) for length in np.linalg.norm(self.grid.affine[:3, :3], axis=0))
        return k, j, i

    @property
    def box(self) -> tuple[Shape, Shape]:
        """First and one-past-last voxel (k, j, i) of the box that the walks stay in: around all strokes, with sides
        that are alike, since a structure that was painted in one slice goes on in others.
        """
        bounds = bounding_box(self.seeds > 0)
        assert bounds is not None, "there are strokes"
        low, high = np.array(bounds)
        spacing, shape = np.array(self.spacing), np.array(self.seeds.shape)
        longest = float(((high - low) * spacing).max())
        reach = np.maximum((longest - (high - low) * spacing) / 2, 0) + AROUND * longest
        voxels = np.maximum(np.ceil(reach / spacing).astype(int), LEAST_AROUND)
        start, stop = np.maximum(low - voxels, 0), np.minimum(high + voxels, shape)
        return tuple(int(n) for n in start), tuple(int(n) for n in stop)  # type: ignore[return-value]
