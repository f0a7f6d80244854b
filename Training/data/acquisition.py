"""How images that are made from label maps vary."""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.setting_types import Amount, Count, Share

Range = tuple[Amount, Amount]


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
