"""What the network sees of a scan, measured against the training scans: findings, not guesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from .findings import Finding
from .preprocessing import NetworkInput


def check_input(prepared: NetworkInput, statistics: Mapping[str, Sequence[float]]) -> list[Finding]:
    """Findings from what the network sees, against the ranges that the training scans had."""
    measured = input_statistics(prepared)
    findings = []
    outside = {
        name: (value, *statistics[name])
        for name, value in measured.items()
        if name in statistics and not statistics[name][0] <= value <= statistics[name][1]
    }
    if "foreground_ml" in outside:
        value, low, high = outside["foreground_ml"]
        if value > high:
            findings.append(
                Finding.warning(
                    f"{value:.0f} ml of the scan are not 0, more than any brain has ({low:.0f} to {high:.0f} ml): it does not look skull-stripped.",
                    "Remove the skull first (for example with SynthStrip or HD-BET), or the result will be wrong.",
                )
            )
        else:
            findings.append(
                Finding.warning(
                    f"Only {value:.0f} ml of the scan are not 0, less than the model was trained on ({low:.0f} to {high:.0f} ml).",
                    "Check that the whole structure is in the scan and that the spacing is right.",
                )
            )
    if "rim_contrast" in outside and "foreground_ml" not in outside:
        findings.append(
            Finding.warning(
                "The scan's contrast differs from what the model was trained on (its rim is too bright or too dark against its middle).",
                "Check that it is of the kind that the model expects; the result may be wrong.",
            )
        )
    return findings


def input_statistics(prepared: NetworkInput) -> dict[str, float]:
    """Volume of the foreground in ml, and how much brighter its outer 4 voxels are than what lies deeper than 12, in standard deviations."""
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
