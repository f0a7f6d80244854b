"""Whether an answer can be true: its volumes, its sides and the intensities under its labels against what the model
usually finds. A network answers whatever it sees; a scan of another kind has to be noticed in what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..findings import Finding
from ..labels.label_tree import LabelTree
from ..package.usual_answers import UsualAnswers
from ..scan.geometry import Shape
from ..scan.volume import Array, Volume

SMALLEST_SPREAD = 0.15
"""Of the logarithm of a volume: people differ by that much, however few were looked at."""

LARGEST_DEVIATION = 5.0
"""What a single label adds at most, so that one large lesion or wide ventricle is no failure."""


@dataclass(frozen=True)
class Tally:
    """What is under every class of an answer: count (K,) of voxels, total (K,) of their intensities; voxel_ml."""

    count: Array
    total: Array
    voxel_ml: float

    @staticmethod
    def of(winners: Array, image: Array, classes: int, voxel_ml: float) -> Tally:
        """winners: (k, j, i), the class of every voxel; image: (k, j, i) of any real dtype, on the same grid."""
        flat = winners.ravel()
        return Tally(
            np.bincount(flat, minlength=classes),
            np.bincount(flat, image.ravel().astype(np.float64), minlength=classes),
            voxel_ml,
        )

    @property
    def log_ml(self) -> Array:
        """(leaves,): NaN where nothing was found."""
        count = self.count[1:].astype(np.float64)
        return np.log(np.where(count > 0, count, np.nan) * self.voxel_ml)

    @property
    def intensity(self) -> Array:
        """(leaves,): means under the labels, of mean 0 and deviation 1; NaN where nothing was found."""
        means = np.where(self.count[1:] > 0, self.total[1:] / np.maximum(self.count[1:], 1), np.nan)
        if not (self.count[1:] > 0).any():
            return means
        return np.asarray((means - np.nanmean(means)) / max(float(np.nanstd(means)), 1e-12))


def tally_of(winners: Array, scan: Volume, region: tuple[Shape, Shape], tree: LabelTree) -> Tally:
    """Of the winner map (k, j, i) of a region of a scan, by its first channel."""
    k, j, i = (slice(start, stop) for start, stop in zip(*region, strict=True))
    return Tally.of(winners, scan.array[0, k, j, i], tree.classes, scan.voxel_millilitres)


def measures_of(tally: Tally, tree: LabelTree, usual: UsualAnswers) -> dict[str, float]:
    """How far an answer is from the usual ones.

    lost: share of the labels that were always found and are not here. sizes: mean deviation of the volumes that are,
    in usual deviations, the size of the whole being left aside. asymmetry: mean absolute logarithm of left through
    right. contrast: 1 minus the correlation of the intensities under the labels with the usual ones.
    """
    expected = np.array(usual.log_ml)
    log_ml, always = tally.log_ml, np.isfinite(expected[:, 0])
    found = always & np.isfinite(log_ml)
    if not always.any():
        return {}
    if found.sum() < 3:
        return {"lost": 1.0 - float(found.sum() / always.sum())}
    offset = log_ml[found] - expected[found, 0]
    spread = np.maximum(expected[found, 1], SMALLEST_SPREAD)
    deviation = np.abs(offset - np.median(offset)) / spread
    index = {leaf.id: n for n, leaf in enumerate(tree.leaves)}
    pairs = [(n, index[tree.mirrored(leaf).id]) for n, leaf in enumerate(tree.leaves) if leaf.laterality == "left"]
    sides = [log_ml[left] - log_ml[right] for left, right in pairs if left != right and found[left] and found[right]]
    known = found & np.isfinite(np.array(usual.intensity))
    with np.errstate(invalid="ignore"):
        pair = tally.intensity[known], np.array(usual.intensity)[known]
        contrast = np.corrcoef(*pair)[0, 1] if known.sum() > 2 else 1.0
    return {
        "lost": 1.0 - float(found.sum() / always.sum()),
        "sizes": float(deviation.clip(max=LARGEST_DEVIATION).mean()),
        "asymmetry": float(np.abs(sides).mean()) if sides else 0.0,
        "contrast": 1.0 - float(contrast) if math.isfinite(contrast) else 2.0,
    }


def oddness_of(measures: Mapping[str, float], usual: UsualAnswers) -> float:
    """One number for all measures: the largest, in parts of the limit from where an answer has failed.

    0 is as usual, 1 and more has failed. Answers without any labels to compare with lie at 0.
    """
    parts = [value / usual.limits[name][1] for name, value in measures.items() if name in usual.limits]
    return max(0.0, *parts) if parts else 0.0


SAID = {
    "lost": "{share:.0%} of the structures that every scan has were not found",
    "sizes": "the structures have sizes that no scan of the training had",
    "asymmetry": "left and right differ more than in any scan of the training",
    "contrast": "the structures are bright and dark in another way than in the scans of the training",
}
"""What a measure says of an answer."""


def check_answer(measures: Mapping[str, float], usual: UsualAnswers, advice: Mapping[str, str]) -> list[Finding]:
    """A finding where an answer is odd (a warning) or has failed (an error); what to do is the model's advice."""
    odd = [name for name, value in measures.items() if name in usual.limits and value > usual.limits[name][0]]
    if not odd:
        return []
    said = " and ".join(SAID[name].format(share=measures[name]) for name in odd)
    fix = advice.get("contrast", "Check that the scan is of the kind that the model expects.")
    if any(measures[name] > usual.limits[name][1] for name in odd):
        return [Finding.error(f"The result is wrong: {said}.", fix)]
    return [Finding.warning(f"The result may be wrong: {said}.", fix)]
