"""What can be seen of a scan from its voxels and geometry alone, and what is odd about it: findings, not guesses."""

from __future__ import annotations

import numpy as np

from ..findings import Finding
from .foreground import find_background
from .input_spec import InputSpec
from .label_map_likeness import looks_like_label_map
from .volume import Volume

COARSE_FACTOR = 2.5
"""Scans whose voxels are longer than this many network voxels get a warning."""


LABEL_MAP = Finding.error(
    "This looks like a label map or mask, not a scan: whole regions share one value.",
    'Give the scan itself; if this is one, say so: --not-a-label-map, or in Slicer the button "It is a scan".',
)
"""The one error that can be overruled, since it is a guess."""


def check_volume(volume: Volume, spec: InputSpec, not_a_label_map: bool = False) -> list[Finding]:
    """Findings that need only the voxels and the geometry of a scan.

    Errors among them mean that it cannot be segmented.

    not_a_label_map: the user says that it is a scan, whatever it looks like.
    """
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
    if not not_a_label_map and any(looks_like_label_map(channel) for channel in array):
        return [LABEL_MAP]
    findings = [*volume.findings, *_background_notes(volume, spec)]
    spacing = volume.spacing
    if max(spacing) > COARSE_FACTOR * max(spec.spacing):
        findings.append(
            Finding.warning(
                f"The scan's voxels are up to {max(spacing):g} mm long and the model was trained on"
                f" {max(spec.spacing):g} mm; small structures will be inaccurate.",
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


def _background_notes(volume: Volume, spec: InputSpec) -> list[Finding]:
    """What was taken for outside, where that is not simply 0."""
    if spec.foreground == "all":
        return []
    notes = []
    for name, channel in zip(spec.channels, volume.array, strict=False):  # another number of them is told elsewhere
        background = find_background(channel)
        if not (background.value or background.tolerance):
            continue
        around = 0.0 if abs(background.value) <= background.tolerance else background.value
        whose = f"the channel {name}" if len(volume.array) > 1 else "the scan"
        notes.append(
            Finding.note(
                f"The background of {whose} is noise around {around:g}; what lies within {background.tolerance:.3g} of"
                " it is taken for outside."
                if background.tolerance
                else f"The background of {whose} is {around:g}, not 0; it is taken for outside."
            )
        )
    return notes
