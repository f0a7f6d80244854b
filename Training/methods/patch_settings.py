"""The settings of method=patch_adaptation alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..engine.setting_types import Amount, Count, Positive, Whole


@dataclass
class PatchAdaptationSettings:
    """How scans of the role target, which nobody labelled, are made to look to the network like the labelled ones."""

    align: Literal["both", "patches", "output", "moments", "none"] = "both"
    """What is aligned: patches of the answer by their modes and the answer as a whole (both, as published), one of the
    two, or, as controls, means and covariances of the features (moments) or nothing (none)."""
    modes: Count = 50
    """Into how many clusters the patches of label maps are divided."""
    patch: tuple[int, int, int] = (16, 16, 16)
    """Voxels (k, j, i) of a patch."""
    subgrid: Count = 2
    """Parts of a patch along each axis, with a histogram of labels each."""
    basis: Literal["projection", "groups"] = "projection"
    """What histograms and answers are told in: a fixed random projection of the labels, which with no more labels than
    basis_size is the labels themselves, or the groups at the top of the label tree."""
    basis_size: Count = 16
    """Directions of the random projection."""
    mode_width: Count = 64
    """Channels of the head that tells the mode of a patch from the answer there."""
    mode_weight: Amount = 0.01
    """Weight of its loss beside that of the labels."""
    patch_weight: Amount = 5e-4
    """Weight of what the discriminator of patches says of the target."""
    output_weight: Amount = 1e-3
    """Weight of what the discriminator of the whole answer says of the target."""
    moment_weight: Amount = 0.1
    """Of align=moments: weight of the distance between the moments."""
    start: Whole = 0
    """The step from which on the target is aligned; the discriminators learn from the first step on."""
    rise: Whole = 0
    """Steps after that over which the weights rise from 0."""
    patch_widths: tuple[int, ...] = (256, 512)
    """Channels of the discriminator of patches."""
    output_widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the discriminator of the whole answer."""
    learning_rate: Positive = 1e-4
    """The highest of the discriminators' Adam; it rises and falls as that of the run does."""
    balance_weight: Amount = 0.1
    """The best validation, which counts where a run stops early, is that of the highest sum of the Dice over the scans
    for validation and this times the balance of the discriminators: 1 where they are right half of the time on either
    side, 0 where they always are, or never."""
