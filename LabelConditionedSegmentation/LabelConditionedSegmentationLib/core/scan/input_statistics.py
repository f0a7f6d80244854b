"""What the network sees of a scan, measured against the training scans: findings, not guesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..findings import Finding
from .preprocessing import NetworkInput

DEFAULT_ADVICE = {
    "too_large": "Check that the scan shows nothing but what the model expects, and that its spacing is right.",
    "too_small": "Check that the whole structure is in the scan and that the spacing is right.",
    "contrast": "Check that it is of the kind that the model expects; the result may be wrong.",
}
"""What to do, where the model's package does not say it better."""


def check_input(
    prepared: NetworkInput, ranges: Mapping[str, Sequence[float]], advice: Mapping[str, str]
) -> list[Finding]:
    """Findings from what the network sees, against the ranges that the training scans had (lowest and highest value of
    each statistic); what to do about them is the model's advice.
    """
    advice = DEFAULT_ADVICE | dict(advice)
    outside = {
        name: (value, *ranges[name])
        for name, value in input_statistics(prepared).items()
        if name in ranges and not ranges[name][0] <= value <= ranges[name][1]
    }
    if "foreground_ml" in outside:
        value, low, high = outside["foreground_ml"]
        trained = f"than the model was trained on ({_in_ml(low)} to {_in_ml(high)})"
        if value > high:
            return [
                Finding.warning(f"{_in_ml(value)} of the scan are foreground, more {trained}.", advice["too_large"])
            ]
        text = f"Only {_in_ml(value)} of the scan are foreground, less {trained}."
        return [Finding.warning(text, advice["too_small"])]
    if "rim_contrast" in outside:
        text = (
            "The scan's contrast differs from what the model was trained on (its rim is too bright or too dark against"
            " its middle)."
        )
        return [Finding.warning(text, advice["contrast"])]
    return []


def _in_ml(value: float) -> str:
    return f"{value:.0f} ml" if value >= 10 else f"{value:.2g} ml"


def input_statistics(prepared: NetworkInput) -> dict[str, float]:
    """Volume of the foreground in ml, and how much brighter its outer 4 voxels are than what lies deeper than 12, in
    standard deviations.
    """
    mask = prepared.foreground
    voxel_ml = abs(float(np.linalg.det(prepared.grid.affine[:3, :3]))) / 1000
    middle = _eroded(mask, 12)
    rim = mask & ~_eroded(mask, 4)
    out = {"foreground_ml": float(mask.sum()) * voxel_ml}
    if middle.any() and rim.any():
        image = prepared.image[0]
        out["rim_contrast"] = float(image[rim].mean() - image[middle].mean())
    return out


def _eroded(mask: torch.Tensor, voxels: int) -> torch.Tensor:
    """Erosion by a cube, axis by axis; beyond the border there is background."""
    out = torch.nn.functional.pad((~mask).float()[None, None], [voxels] * 6, value=1.0)
    for axis in range(3):
        kernel = [1, 1, 1]
        kernel[axis] = 2 * voxels + 1
        out = torch.nn.functional.max_pool3d(out, tuple(kernel), stride=1)
    return out[0, 0] < 0.5
