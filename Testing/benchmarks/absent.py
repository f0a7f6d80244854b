"""Labels that are not in the scan: parts of labelled scans are cut away, and what a model still finds of the structures
that went with them is counted.

Goal: false-positive volume under 1 % of the structures' usual volume.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array

from Training.evaluation.markdown import markdown_table

DATA = Path("../shared/data/malc2012")
CASES = ("malc_1002", "malc_1009", "malc_1013")
PACKAGE = Path("runs/malc2012_cpu/package")
"""Trained without these cases."""
CUTS: dict[
    str, tuple[int, float, float]
] = {  # axis (k, j, i), and the part of the brain that stays, from left, back and below
    "lower third cut away (S < 1/3)": (0, 1 / 3, 1.0),
    "upper half only": (0, 0.5, 1.0),
    "front half only": (1, 0.5, 1.0),
    "left half only": (2, 0.0, 0.5),
    "middle slab (S 1/4 to 3/4)": (0, 0.25, 0.75),
}


def run() -> str:
    """Every cut of every case: absent structures, their false-positive volume against the usual one, and Dice of the
    structures that are there whole.
    """
    segmenter = Segmenter.from_package(PACKAGE)
    results: dict[str, list[tuple[int, int, int, float]]] = {name: [] for name in CUTS}
    for case in CASES:
        scan, labels = (
            read_volume(DATA / "imagesTr" / f"{case}_0000.nii.gz"),
            read_volume(DATA / "labelsTr" / f"{case}.nii.gz"),
        )
        truth = labels.array[0].astype(np.int64)
        for name, (axis, low, high) in CUTS.items():
            kept = _kept(scan.array[0], scan.affine, axis, low, high)
            found = segmenter.segment(scan.with_array(np.where(kept, scan.array, 0))).label_map.array[0]
            results[name].append(_compare(found, truth, kept, list(segmenter.package.labels.class_of)))
    rows = []
    for name, found_in in results.items():
        invented, usual = sum(r[1] for r in found_in), sum(r[2] for r in found_in)
        dice = np.mean([r[3] for r in found_in])
        rows.append(
            [name, f"{np.mean([r[0] for r in found_in]):.0f}", f"{invented / max(usual, 1):.2%}", f"{dice:.3f}"]
        )
    return markdown_table(
        [
            "scan",
            "absent labels a scan",
            "false-positive volume, of the usual one",
            "Dice of labels that are there whole",
        ],
        rows,
    )


def _kept(scan: Array, affine: Array, axis: int, low: float, high: float) -> Array:
    """(k, j, i) bool: the part of the brain's extent between two fractions, counted from left, back and below."""
    inside = np.flatnonzero((scan > 0).any(axis=tuple(a for a in range(3) if a != axis)))
    places = (np.arange(scan.shape[axis]) - inside[0]) / (inside[-1] - inside[0])
    if affine[2 - axis, 2 - axis] < 0:
        places = 1 - places
    shape = [1, 1, 1]
    shape[axis] = -1
    return np.broadcast_to(((places >= low) & (places <= high)).reshape(shape), scan.shape)


def _compare(found: Array, truth: Array, kept: Array, ids: list[int]) -> tuple[int, int, int, float]:
    """Absent labels, their found voxels, their usual voxels, and mean Dice of the labels of which nothing
    was cut away.
    """
    length = max(int(truth.max()), int(found.max()), *ids) + 1
    usual, left = np.bincount(truth.ravel(), minlength=length), np.bincount(truth[kept], minlength=length)
    here, both = (
        np.bincount(found.ravel(), minlength=length),
        np.bincount(truth[(truth == found) & kept], minlength=length),
    )
    absent = [n for n in ids if usual[n] and not left[n]]
    whole = [n for n in ids if usual[n] and left[n] == usual[n]]
    return (
        len(absent),
        int(here[absent].sum()),
        int(usual[absent].sum()),
        float(np.mean([2 * both[n] / (usual[n] + here[n]) for n in whole])),
    )
