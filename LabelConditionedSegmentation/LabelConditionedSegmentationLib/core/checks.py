"""What can be seen of a scan from its voxels and geometry alone, and what is odd about it: findings, not guesses."""

from __future__ import annotations

import numpy as np

from .findings import Finding
from .input_spec import InputSpec
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
            return [
                Finding.error(
                    f"The scan holds {bad} voxels that are NaN or infinite.",
                    "Replace them, for example by 0, and try again.",
                )
            ]
    low, high = float(array.min()), float(array.max())
    if low == high == 0:
        return [Finding.error("The scan is empty: every voxel is 0.", "Check that the right file was chosen.")]
    if low == high:
        return [
            Finding.error("The scan is constant: all its voxels have the same value, so there is nothing to segment.")
        ]
    if _looks_like_label_map(array):
        return [
            Finding.error(
                "This looks like a label map or mask, not a scan: whole regions share one value.",
                "Give the scan itself.",
            )
        ]
    findings = list(volume.findings)
    spacing = volume.spacing
    if max(spacing) > COARSE_FACTOR * max(spec.spacing):
        findings.append(
            Finding.warning(
                f"The scan's voxels are up to {max(spacing):g} mm long and the model was trained on {max(spec.spacing):g} mm; small structures will be inaccurate.",
                "Use a scan of finer spacing if there is one.",
            )
        )
    if min(n * s for n, s in zip(volume.shape[::-1], spacing, strict=True)) < 8 * max(spec.spacing):
        findings.append(
            Finding.warning(
                "The scan is only a few millimetres thick; the model has hardly any context.",
                "Use a scan of the whole structure.",
            )
        )
    return findings


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
