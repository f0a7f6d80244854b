"""Brains made older: ventricles are widened and the outer rim recedes, which opens the sulci and thins the cortex, by
a smooth deformation that the labels drive.
"""

from __future__ import annotations

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.scan.geometry import smoothed

from .prepared_cases import Case

WITHIN_MM, RIM_MM = 8.0, 2.5
"""How far the widening of ventricles, and the receding of the rim, reach into their surroundings."""


MOST_KEPT = 32
"""Cases whose displacements are kept: some 6 MB each for a brain at 1 mm."""


class Ageing:
    """Displacements by which a case looks older, kept for the last cases that they were computed for."""

    def __init__(self, fluid: torch.Tensor, spacing: tuple[float, float, float]) -> None:
        """fluid (classes + groups,) bool: the targets that count as ventricles. spacing (i, j, k) mm of the voxels."""
        self._fluid = fluid
        self._steps = tuple(reversed(spacing))
        self._kept: dict[str, torch.Tensor] = {}

    def displacement(self, case: Case, wider_mm: float, thinner_mm: float) -> torch.Tensor:
        """(3, k, j, i) on every second voxel of the case, along (i, j, k) in voxels: where the older brain has a voxel,
        the case has what lies this far from it. wider_mm: how much the walls of the ventricles move; thinner_mm: how
        much the rim does.
        """
        if case.name not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[case.name] = self._fields(case)
        wider, thinner = self._kept[case.name].float()
        together: torch.Tensor = wider_mm * wider + thinner_mm * thinner
        return together

    def _fields(self, case: Case) -> torch.Tensor:
        """(2, 3, k, j, i) float16: the displacements of one mm each, which point into the ventricles and out of the
        brain.
        """
        target = case.target.long()
        ventricles = self._fluid[target.clamp_min(0)] & (target > 0)
        brain = case.foreground.bool()
        depth = (2 * self._near(brain, WITHIN_MM) - 1).clamp(0, 1)  # the skull holds the rim where it is
        inwards = self._direction(ventricles, WITHIN_MM) * depth
        outwards = -self._direction(brain, RIM_MM)
        return torch.stack([inwards, outwards]).half()

    def _near(self, region: torch.Tensor, sigma_mm: float) -> torch.Tensor:
        """A region (k, j, i) bool, blurred, on every second voxel."""
        halved = torch.nn.functional.avg_pool3d(region.float()[None, None], 2, ceil_mode=True)[0]
        return smoothed(halved, [sigma_mm / (2 * step) for step in self._steps])[0]

    def _direction(self, region: torch.Tensor, sigma_mm: float) -> torch.Tensor:
        """(3, k, j, i) along (i, j, k), in voxels: towards a region (k, j, i), 1 mm long where it is longest."""
        near = self._near(region, sigma_mm)
        if min(near.shape) < 2:
            return torch.zeros(3, *near.shape)
        along = torch.stack(torch.gradient(near, spacing=[2 * step for step in self._steps]))  # per mm, along k, j, i
        length = along.square().sum(0).sqrt().max().clamp_min(1e-6)
        return torch.stack([along[axis] / length / self._steps[axis] for axis in (2, 1, 0)])


def drawn_ageing(
    share: float, wider_mm: tuple[float, float], thinner_mm: tuple[float, float], generator: np.random.Generator
) -> tuple[float, float] | None:
    """How much a sample is made older, None for one that is left as it is."""
    if not share or generator.random() >= share:
        return None
    return generator.uniform(*wider_mm), generator.uniform(*thinner_mm)
