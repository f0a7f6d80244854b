"""What can be seen of a scan before the network runs, and what is odd about it: findings, not guesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from .findings import Finding
from .preprocessing import InputSpec, NetworkInput
from .volume import Array, Volume

COARSE_FACTOR = 2.5
"""Scans whose voxels are longer than this many network voxels get a warning."""


def check_volume(volume: Volume, spec: InputSpec) -> list[Finding]:
    """Findings that need only the voxels and the geometry of a scan. Errors among them mean that it cannot be segmented."""
    array = volume.array
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_) or np.iscomplexobj(array):
        return [Finding.error(f"The scan's voxels are of the kind {array.dtype}; real numbers are needed.")]
    if np.issubdtype(array.dtype, np.floating):
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        if bad:
            return [Finding.error(f"The scan holds {bad} voxels that are NaN or infinite.", "Replace them, for example by 0, and try again.")]
    low, high = float(array.min()), float(array.max())
    if low == high == 0:
        return [Finding.error("The scan is empty: every voxel is 0.", "Check that the right file was chosen.")]
    if low == high:
        return [Finding.error("The scan is constant: all its voxels have the same value, so there is nothing to segment.")]
    if _looks_like_label_map(array):
        return [Finding.error("This looks like a label map or mask, not a scan: whole regions share one value.", "Give the scan itself.")]
    findings = []
    spacing = volume.spacing
    if max(spacing) > COARSE_FACTOR * max(spec.spacing):
        findings.append(
            Finding.warning(
                f"The scan's voxels are up to {max(spacing):g} mm long and the model was trained on {max(spec.spacing):g} mm; small structures will be inaccurate.",
                "Use a scan of finer spacing if there is one.",
            )
        )
    if min(n * s for n, s in zip(volume.shape[::-1], spacing, strict=True)) < 8 * max(spec.spacing):
        findings.append(Finding.warning("The scan is only a few millimetres thick; the model has hardly any context.", "Use a scan of the whole structure."))
    return findings


def check_input(prepared: NetworkInput, statistics: Mapping[str, Sequence[float]]) -> list[Finding]:
    """Findings from what the network sees, against the ranges that the training scans had."""
    measured = input_statistics(prepared)
    findings = []
    outside = {
        name: (value, *statistics[name]) for name, value in measured.items() if name in statistics and not statistics[name][0] <= value <= statistics[name][1]
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


def _looks_like_label_map(array: Array) -> bool:
    """Whether voxels are whole numbers and neighbours in the foreground mostly share one value, as in no scan."""
    sample = array[0, :, :: max(1, array.shape[2] // 64)]
    if np.issubdtype(sample.dtype, np.floating) and not bool((sample == np.rint(sample)).all()):
        return False
    low, high = int(sample.min()), int(sample.max())
    background = low
    if high - low < 2**24:  # the most frequent value, where values can be counted
        background += int(np.bincount((sample.astype(np.int64) - low).ravel()).argmax())
    left, right = sample[..., :-1], sample[..., 1:]
    inside = (left != background) & (right != background)
    return int(inside.sum()) > 100 and bool((left == right)[inside].mean() > 0.6)
