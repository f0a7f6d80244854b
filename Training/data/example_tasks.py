"""What a pair of scans is asked for when a network learns from examples: labels, unions of labels and parts of labels,
the same ones in both scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..losses.truth import IGNORE

SMALLEST_PART_MM3 = 400.0
"""Labels are divided into parts of about this volume or more."""

MOST_PARTS = 16

LLOYD_STEPS, LLOYD_VOXELS = 3, 2000


class Regions(NamedTuple):
    """(k, j, i) int16 of each scan: 1, 2, ... for the regions that are asked for, 0 elsewhere, IGNORE where it is not
    known.
    """

    query: torch.Tensor
    atlas: torch.Tensor


def draw_regions(
    query: torch.Tensor,
    atlas: torch.Tensor,
    annotated: Sequence[torch.Tensor],
    spacing: Sequence[float],
    count: int,
    unions: float,
    splits: float,
    generator: np.random.Generator,
) -> Regions:
    """Up to `count` disjoint regions of two label maps, which are targets as TargetCode gives them.

    Classes that were annotated in both scans (`annotated`, (K,) bool of either one) are drawn evenly, whatever their
    size; those that nobody looked for in a scan are unknown there, even where the label map has them. A share `unions`
    of them is joined with another one, a share
    `splits` of what results is cut into parts: the cells around a few points (of k-means, so that two of them make a
    cut by a plane) in coordinates that are normalised by mean and spread of the label in either scan. Nothing else
    makes the parts of two scans agree, and nothing else is assumed of how the scans lie.
    """
    classes = len(annotated[0])
    there = torch.bincount(atlas[(atlas > 0) & (atlas < classes)].long(), minlength=classes) > 0
    waiting = generator.permutation(np.flatnonzero((there & annotated[0] & annotated[1]).numpy())).tolist()
    regions = Regions(
        *(_not_asked_for(target, looked_for) for target, looked_for in zip((query, atlas), annotated, strict=True))
    )
    used = 0
    while waiting and used < count:
        taken = [waiting.pop()]
        if waiting and generator.random() < unions:
            taken.append(waiting.pop())
        inside = [torch.isin(target, torch.tensor(taken, dtype=target.dtype)).nonzero() for target in (query, atlas)]
        parts = [torch.zeros(len(places), dtype=torch.long) for places in inside]
        if generator.random() < splits:
            parts = _cut(inside, float(np.prod(spacing)), generator)
        for region, places, part in zip(regions, inside, parts, strict=True):
            numbers = torch.where(
                part + used < count, part + used + 1, 0
            )  # parts for which there is no room any more are background, as what is not asked for
            region[places.unbind(1)] = numbers.to(torch.int16)
        used += 1 + max(int(part.max()) for part in parts if len(part))  # a cell may be empty in one of the scans
    return regions


def _not_asked_for(target: torch.Tensor, looked_for: torch.Tensor) -> torch.Tensor:
    """(k, j, i) int16: 0 where a voxel is known to be background or a label that was looked for, IGNORE elsewhere."""
    is_class = (target >= 0) & (target < len(looked_for))
    return torch.where(is_class & looked_for[torch.where(is_class, target, 0).long()], 0, IGNORE).to(torch.int16)


def _cut(inside: Sequence[torch.Tensor], voxel_mm3: float, generator: np.random.Generator) -> list[torch.Tensor]:
    """Voxels (n, 3) of a label in the query and in the atlas -> the number of the part that each belongs to."""
    smallest = SMALLEST_PART_MM3 / voxel_mm3
    voxels = len(inside[1])
    if voxels < 2 * smallest:
        return [torch.zeros(len(places), dtype=torch.long) for places in inside]
    size = np.exp(generator.uniform(np.log(smallest), np.log(voxels / 2)))
    count = int(np.clip(round(voxels / size), 2, MOST_PARTS))
    stretch = torch.from_numpy(np.exp(generator.normal(0, 0.5, 3))).float()
    query, atlas = (_normalised(places) * stretch for places in inside)
    drawn = atlas[torch.from_numpy(generator.integers(len(atlas), size=LLOYD_VOXELS))]
    centres = drawn[:count].clone()
    for _ in range(LLOYD_STEPS):
        nearest = _nearest(drawn, centres)
        members = torch.nn.functional.one_hot(nearest, count).float()
        held = members.sum(0)
        centres = torch.where(held[:, None] > 0, members.T @ drawn / held.clamp_min(1)[:, None], centres)
    return [_nearest(query, centres), _nearest(atlas, centres)]


def _normalised(places: torch.Tensor) -> torch.Tensor:
    values = places.float()
    return (values - values.mean(0)) / values.std(0, correction=0).clamp_min(1.0) if len(values) else values


def _nearest(values: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """(n, 3), (parts, 3) -> (n,). By products, without an array of n x parts x 3."""
    return (centres.square().sum(1) / 2 - values @ centres.T).argmin(1)


def masks_of(regions: torch.Tensor, count: int, stride: int) -> torch.Tensor:
    """(k, j, i) with region numbers -> (count, k / stride, j / stride, i / stride): the share of every region in the
    voxels of a coarser grid.
    """
    shape = [n // stride for n in regions.shape]
    cells = torch.arange(int(np.prod(shape)), device=regions.device).view(shape)
    for axis in range(3):
        cells = cells.repeat_interleave(stride, dim=axis)
    where = regions.clamp_min(0).long() * int(np.prod(shape)) + cells
    return (
        torch.bincount(where.flatten(), minlength=(count + 1) * int(np.prod(shape))).view(count + 1, *shape)[1:]
        / stride**3
    )
