"""How bright the tissues of a made image are: as in a kind of scan that is described, or on a random curve over the
brightness that they have in a stored scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from itertools import pairwise

import numpy as np

from .acquisition import OTHER, Acquisition, Contrast, Tissues
from .class_maps import ClassMap


class TissueCurve:
    """Fluid, gray and white matter are the knots of a curve from the brightness of a stored scan to that of a made one:
    what lies between two tissues, as at their borders, stays there, and what is like a tissue stays like it.
    """

    def __init__(self, classes: ClassMap, tissues: Tissues) -> None:
        """KeyError, with its name, of a label that no class lies under."""
        self._tissues = [np.array(classes.within(name), dtype=int) for name in astuple(tissues)]
        for name, numbers in zip(astuple(tissues), self._tissues, strict=True):
            if not len(numbers):
                raise KeyError(name)
        self._levels = np.array(classes.levels)
        groups = {names: n for n, names in enumerate(dict.fromkeys(classes.names))}
        self._group = np.array([groups[names] for names in classes.names])
        if len(self._levels):
            self._knots = [float(np.mean(self._levels[numbers])) for numbers in self._tissues]

    def brighten(self, means: np.ndarray, settings: Acquisition, around: int, generator: np.random.Generator) -> str:
        """Set the mean brightness of classes, drawn at random before, in place. around: the class of the fluid around a
        brain, 0 without. The name of the contrast that was drawn, empty where none is described.
        """
        contrast = _drawn(settings.contrasts, generator)
        has_levels = len(self._levels) > 0
        if contrast is None and (not has_levels or generator.random() >= settings.levelled):
            return OTHER if settings.contrasts else ""
        ranges = [settings.mean] * 3 if contrast is None else [contrast.fluid, contrast.gray, contrast.white]
        wanted = [generator.uniform(*each) for each in ranges]
        if has_levels:
            self._follow(means, wanted, generator.normal(0, settings.offset, int(self._group.max()) + 1))
        else:
            for numbers, brightness in zip(self._tissues, wanted, strict=True):
                means[numbers] = brightness
        if around and generator.random() < 0.7:
            means[around] = wanted[0]
        if contrast is not None:
            return contrast.name
        return OTHER if settings.contrasts else ""

    def _follow(self, means: np.ndarray, wanted: Sequence[float], offsets: np.ndarray) -> None:
        """Every class with a level on the curve through the knots, level beyond them, and a little beside it."""
        order = np.argsort(self._knots)
        knots, values = np.array(self._knots)[order], np.array(wanted)[order]
        for n, (left, right) in enumerate(pairwise(knots)):  # two tissues may look alike in a scan
            knots[n + 1] = max(right, left + 1e-3)
        known = np.flatnonzero(~np.isnan(self._levels))
        means[known] = np.interp(self._levels[known], knots, values) + offsets[self._group[known]]
        np.clip(means, 0, 255, out=means)


def _drawn(contrasts: Sequence[Contrast], generator: np.random.Generator) -> Contrast | None:
    """One of them by their shares, None for what is left of 1."""
    if not contrasts:
        return None
    place = generator.random()
    for contrast in contrasts:
        place -= contrast.share
        if place < 0:
            return contrast
    return None
