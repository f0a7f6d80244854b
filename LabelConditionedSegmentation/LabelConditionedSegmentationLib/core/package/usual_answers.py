"""What a model's answers look like where it works: for the judgement of new ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PackageFormatError

MEASURES = ("lost", "sizes", "asymmetry", "contrast")
"""See `core.inference.answer_checks.measures_of`."""


@dataclass(frozen=True)
class UsualAnswers:
    """Over scans like those of the training, in the order of the tree's leaves.

    log_ml: mean and deviation of the logarithm of a label's volume in millilitres; NaN of a label that was not found in
    all of them. intensity: the mean intensity in it, of mean 0 and deviation 1 over the labels of a scan. limits:
    measure -> from where an answer is odd, and from where it has failed.
    """

    log_ml: tuple[tuple[float, float], ...]
    intensity: tuple[float, ...]
    limits: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """As stored in `model.json`."""
        return {
            "log_ml": [None if math.isnan(mean) else [round(mean, 4), round(std, 4)] for mean, std in self.log_ml],
            "intensity": [None if math.isnan(value) else round(value, 4) for value in self.intensity],
            "limits": {name: list(ends) for name, ends in self.limits.items()},
        }

    @staticmethod
    def from_json(entry: Mapping[str, Any], leaves: int) -> UsualAnswers:
        """Inverse of `to_json`, of a tree of so many leaves. Raises PackageFormatError."""
        usual = UsualAnswers(
            tuple((math.nan, math.nan) if pair is None else _pair(pair) for pair in entry["log_ml"]),
            tuple(math.nan if value is None else float(value) for value in entry["intensity"]),
            {str(name): _pair(ends) for name, ends in entry["limits"].items() if name in MEASURES},
        )
        if not len(usual.log_ml) == len(usual.intensity) == leaves:
            raise PackageFormatError("What the model usually finds has to say something of every label.")
        return usual


def _pair(values: Sequence[Any]) -> tuple[float, float]:
    first, second = (float(value) for value in values)
    return first, second
