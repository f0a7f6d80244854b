"""How well one predicted mask agrees with the true one: overlap, surface distances, volume."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from LabelConditionedSegmentationLib.core.scan.geometry import bounding_box
from LabelConditionedSegmentationLib.core.scan.volume import Array
from monai.metrics import get_mask_edges, get_surface_distance
from scipy.ndimage import distance_transform_edt

TOLERANCE_MM = 1.0
"""Surface that lies nearer than this to the other surface counts as right in the surface Dice."""

PERCENTILE = 95
FAR_VOXELS = 30
"""A false positive that lies farther than this from the structure is a far one (as in Li et al., IEEE TMI 2023)."""

MARGIN = 1
"""Voxels around both masks that are kept when they are cropped."""

DEFINITIONS = {
    "dice": "Dice: twice the common voxels over the sum of both masks. In neither mask: 1; in one only: 0.",
    "surface_dice": (
        "Surface Dice (normalised surface distance): share of the surface voxels of both masks that lie within"
        f" {TOLERANCE_MM:g} mm of the other surface. In neither mask: 1; in one only: 0."
    ),
    "hd95_mm": (
        f"HD95: the larger of the two directed {PERCENTILE}th percentiles of the distances from the surface voxels of"
        " one mask to the nearest surface voxel of the other, in mm. In neither mask: 0; in one only: infinite,"
        " counted as missed or invented and left out of the mean."
    ),
    "volume_error_ml": "Volume error: found minus true volume in ml; above 0 the structure was found too large.",
    "relative_volume_error": (
        "Relative volume error: volume error over the true volume. Missed: -100 %; invented: infinite and left out of"
        " the mean."
    ),
    "sensitivity": (
        "Sensitivity: share of the true voxels that were found; undefined and left out of the mean where there are"
        " none."
    ),
    "precision": (
        "Precision: share of the found voxels that are true; undefined and left out of the mean where there are none."
    ),
    "far_false_positive_ml": (
        f"Far false positives: volume in ml of the found voxels that lie more than {FAR_VOXELS} voxels of the scan from"
        " every true one; where there are no true ones, all that was found."
    ),
}
"""What every metric means, by the name of its field in `Scores`."""


@dataclass(frozen=True)
class Scores:
    """The metrics of one label in one case; `DEFINITIONS` says what each means.

    Infinite and undefined (NaN) values are as stated there.
    """

    dice: float
    surface_dice: float
    hd95_mm: float
    volume_error_ml: float
    relative_volume_error: float
    sensitivity: float
    precision: float
    far_false_positive_ml: float

    @property
    def missed(self) -> bool:
        """There is truth, and nothing was found."""
        return self.relative_volume_error == -1

    @property
    def invented(self) -> bool:
        """Something was found where there is no truth."""
        return math.isinf(self.relative_volume_error)


def compare(truth: Array, prediction: Array, spacing: tuple[float, float, float]) -> Scores:
    """All metrics of two masks on one grid.

    truth, prediction: (k, j, i) bool; voxels that are to be left out are False in both, so that their border, if it
    cuts the structure, is surface of both. spacing: millimetres along (i, j, k), as `Volume.spacing` gives them.
    A surface voxel is one with a face neighbour outside its mask or outside the grid. Distances are MONAI's; surface
    Dice counts surface voxels, as S. Nikolov et al., "Clinically applicable segmentation of head and neck anatomy for
    radiotherapy", JMIR 2021, weigh surface elements.
    """
    true_voxels, predicted_voxels = int(truth.sum()), int(prediction.sum())
    both = int((truth & prediction).sum())
    error = predicted_voxels - true_voxels
    millilitres = float(np.prod(spacing)) / 1000
    dice, surface_dice, hd95 = _without_surface(true_voxels, predicted_voxels)
    if true_voxels and predicted_voxels:
        dice = 2 * both / (true_voxels + predicted_voxels)
        surface_dice, hd95 = _surface_agreement(truth, prediction, spacing)
    return Scores(
        dice=dice,
        surface_dice=surface_dice,
        hd95_mm=hd95,
        volume_error_ml=error * millilitres,
        relative_volume_error=error / true_voxels if true_voxels else (math.inf if error else 0.0),
        sensitivity=both / true_voxels if true_voxels else math.nan,
        precision=both / predicted_voxels if predicted_voxels else math.nan,
        far_false_positive_ml=far_voxels(truth, prediction) * millilitres,
    )


def far_voxels(truth: Array, prediction: Array) -> int:
    """How many found voxels lie farther than FAR_VOXELS voxels from every true one."""
    if not truth.any():
        return int(prediction.sum())
    box = around(truth | prediction)
    if math.hypot(*(side.stop - side.start for side in box)) <= FAR_VOXELS:
        return 0
    return int((distance_transform_edt(~truth[box])[prediction[box]] > FAR_VOXELS).sum())


def _without_surface(true_voxels: int, predicted_voxels: int) -> tuple[float, float, float]:
    """Dice, surface Dice and HD95 where a mask is empty: perfect where both are."""
    return (0.0, 0.0, math.inf) if true_voxels or predicted_voxels else (1.0, 1.0, 0.0)


def _surface_agreement(truth: Array, prediction: Array, spacing: tuple[float, float, float]) -> tuple[float, float]:
    """Surface Dice and HD95 of two masks that both hold something, from one computation of the distances."""
    inside = around(truth | prediction)
    predicted_edges, true_edges = get_mask_edges(prediction[inside], truth[inside], crop=False)
    along_kji = spacing[::-1]
    there = get_surface_distance(predicted_edges, true_edges, spacing=along_kji)
    back = get_surface_distance(true_edges, predicted_edges, spacing=along_kji)
    near = int((there <= TOLERANCE_MM).sum()) + int((back <= TOLERANCE_MM).sum())
    hd95 = max(float(np.percentile(there, PERCENTILE)), float(np.percentile(back, PERCENTILE)))
    return near / (there.size + back.size), hd95


def around(mask: Array) -> tuple[slice, slice, slice]:
    """The box (k, j, i) of the true voxels of a mask, which has some, with a margin that ends at the grid's border."""
    box = bounding_box(mask)
    assert box is not None
    k, j, i = (
        slice(max(0, low - MARGIN), min(n, high + MARGIN)) for low, high, n in zip(*box, mask.shape, strict=True)
    )
    return k, j, i
