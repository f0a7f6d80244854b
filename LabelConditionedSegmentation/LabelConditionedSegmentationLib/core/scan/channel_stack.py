"""Several channels of one scan: images that lie on one grid, as one volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..findings import Finding
from .orientation import voxels_apart
from .volume import Volume

SAME_PLACE = 0.05
"""Voxels.

Two grids are taken for one where no corner lies farther apart: far below what moves a label, above what headers in
single precision round.
"""


def grid_difference(first: Volume, second: Volume) -> str:
    """How the grids of two volumes differ, in words; empty where they are the same to within SAME_PLACE."""
    if first.shape != second.shape:
        return f"{'x'.join(map(str, first.shape[::-1]))} voxels here and {'x'.join(map(str, second.shape[::-1]))} there"
    apart = voxels_apart(first.affine, second.affine, first.shape)
    return f"a corner lies {apart:.2g} voxels apart" if apart > SAME_PLACE else ""


def stacked(channels: Sequence[Volume], paths: Sequence[Path]) -> Volume:
    """Images of one channel each, read from these paths, as one volume (channel, k, j, i) at the place of the first.

    Its findings are those of all, each with the name of its file. Raises InputError where an image lies on another grid
    than the first.
    """
    first = channels[0]
    if len(channels) == 1:
        return first
    for path, channel in zip(paths, channels, strict=True):
        if difference := grid_difference(first, channel):
            raise InputError(
                f'"{path}" does not lie on the grid of "{paths[0].name}": {difference}. Resample one to the other.'
            )
    findings = tuple(
        Finding(found.level, f"{path.name}: {found.text}", found.fix)
        for path, channel in zip(paths, channels, strict=True)
        for found in channel.findings
    )
    return replace(first, array=np.concatenate([channel.array for channel in channels]), findings=findings)
