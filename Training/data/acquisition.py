"""How images that are made from label maps vary."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..engine.setting_types import Amount, Count, Share

Range = tuple[Amount, Amount]

OTHER = "other"
"""The contrast of made images that are like none of those described."""


@dataclass(frozen=True)
class Contrast:
    """A kind of scan that made images look like: how bright three tissues are in it."""

    name: str = ""
    """As the metadata field has it."""
    share: Share = 0.0
    """Share of the samples that look so."""
    fluid: Range = (0.0, 255.0)
    """Brightness of fluid."""
    gray: Range = (0.0, 255.0)
    """Brightness of gray matter."""
    white: Range = (0.0, 255.0)
    """Brightness of white matter."""


@dataclass(frozen=True)
class Tissues:
    """The labels that show what brightness a tissue has in the scan that a map belongs to; those of one side stand for
    both.
    """

    fluid: str = "Left Lateral Ventricle"
    """One that is fluid."""
    gray: str = "Left Cerebral Cortex"
    """One that is gray matter."""
    white: str = "Left Cerebral White Matter"
    """One that is white matter."""


@dataclass(frozen=True)
class Acquisition:
    """How strongly images that are made from label maps vary. Ranges are drawn from evenly."""

    mean: Range = (0.0, 255.0)
    """Mean of the intensities of a class."""
    deviation: Range = (0.0, 30.0)
    """Their standard deviation."""
    shared: Share = 0.08
    """Share of the classes that take the intensities of another one, like tissues that a contrast cannot tell apart."""
    divided: Share = 0.3
    """Share of the classes that have regions of slightly different means."""
    division: Amount = 25.0
    """How far such regions lie apart, at most."""
    faint: Share = 0.1
    """Share of the samples in which the brain has hardly any contrast, as in CT."""
    stripped: Share = 0.35
    """Share of the samples of which nothing is left but one label and a rim around it."""
    stripped_to: str = "Brain"
    """That label."""
    rim_mm: tuple[float, float] = (-3.0, 6.0)
    """Width of that rim; below 0 the label itself is cut."""
    black_air: Share = 0.35
    """Share of the others in which the air around the head is exactly 0."""
    blur_mm: Range = (0.4, 1.6)
    """Standard deviation of the point spread."""
    bias: Amount = 0.5
    """Standard deviation of the logarithm of the bias field, at most."""
    bias_knots: Count = 4
    """Nodes of that field along every axis."""
    gamma: Amount = 0.25
    """Standard deviation of the logarithm of the exponent that changes contrast."""
    thickness_mm: Range = (0.5, 7.0)
    """Thickness of slices along one axis."""
    isotropic: Share = 0.15
    """Share of the coarse samples that are as coarse along all axes."""
    sharp: Share = 0.3
    """Share of the samples that are not coarse."""
    noise: Amount = 0.08
    """Standard deviation of the noise, at most, as a share of the range of the image."""
    cropped: Share = 0.3
    """Share of the samples whose field of view ends within the head."""
    contrasts: list[Contrast] = field(default_factory=list)
    """Kinds of scans that samples look like; all others have the contrast "other"."""
    contrast_field: str = "contrast"
    """The metadata field, a choice, that says which of them a sample looks like."""
    tissues: Tissues = field(default_factory=Tissues)
    """The labels of the three tissues."""
    levelled: Share = 0.7
    """Share of the samples whose brightness follows that of the stored scan, where a map belongs to one, on a random
    curve: dark may become bright, but what looks alike mostly does so again."""
    offset: Amount = 15.0
    """Standard deviation by which labels depart from that curve."""
    around: Share = 0.0
    """Share of the samples in which the labels are surrounded by fluid, as a brain is that was cut out loosely."""
    around_mm: Range = (0.5, 4.0)
    """Width of that fluid."""
