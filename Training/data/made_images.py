"""Images made from label maps: every sample has another contrast, resolution and field of view, so that a network that
learns from them finds its labels in scans of any contrast.

Billot et al., "SynthSeg: segmentation of brain MRI scans of any contrast and resolution without retraining", Medical
Image Analysis 2023, arXiv 2107.09559; without a skull as in Hoopes et al., "SynthStrip", NeuroImage 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.scan.foreground import foreground_mask
from LabelConditionedSegmentationLib.core.scan.geometry import smoothed
from LabelConditionedSegmentationLib.core.scan.input_spec import Intensity
from LabelConditionedSegmentationLib.core.scan.preprocessing import normalise

from .acquisition import Acquisition
from .augmentation import draw_outside
from .tissue_curves import TissueCurve

FLOOR = 0.02
"""Of the range of an image, below which nothing lies that was scanned: only what lies outside is exactly 0."""


@dataclass(frozen=True)
class MadeImage:
    """What a scanner might have made of a label map: image (k, j, i) float32, normalised as `core.preprocessing` does
    it; foreground (k, j, i) bool: the voxels that count; field_of_view (k, j, i) bool: what was scanned at all.
    contrast: which of the described ones it has, empty where none is described.
    """

    image: torch.Tensor
    foreground: torch.Tensor
    field_of_view: torch.Tensor
    contrast: str = ""


class ImageMaker:
    """Makes images from maps of generation classes, which are those that have an intensity of their own."""

    def __init__(
        self,
        classes: int,
        brain: Sequence[int],
        spacing: tuple[float, float, float],
        settings: Acquisition | None = None,
        tissues: TissueCurve | None = None,
    ) -> None:
        """classes: 0, the air, to classes - 1. brain: those that are left where the skull is taken away. spacing
        (i, j, k) mm of the voxels. tissues: which classes are fluid, gray and white matter, and how bright the classes
        are in a stored scan; needed where contrasts are described.
        """
        self.settings = settings or Acquisition()
        self._classes = classes
        self._is_brain = torch.zeros(classes, dtype=torch.bool)
        self._is_brain[list(brain)] = True
        self._spacing = tuple(reversed(spacing))
        self._tissues = tissues

    def __call__(self, labels: torch.Tensor, generator: np.random.Generator) -> MadeImage:
        """labels (k, j, i): generation classes, of any integer type, on the CPU. The same generator makes the same
        image.
        """
        s = self.settings
        noise = torch.Generator().manual_seed(int(generator.integers(2**62)))
        labels, around = self._surrounded(labels.long(), generator)
        contrast, means, deviations = self._intensities(around, generator)
        image = self._tissue(labels, means, deviations, generator, noise)
        image = _blurred(image, [generator.uniform(*s.blur_mm) / step for step in self._spacing])
        image = image * self._bias(image.shape, generator)
        image = _gamma(image, float(np.exp(generator.normal(0, s.gamma))))
        kept = self._kept(labels, around, generator)
        image = self._sliced(image, generator)
        deviation = generator.uniform(0, s.noise)
        if deviation:
            image = _with_rician_noise(image, deviation, noise)
        view = _field_of_view(kept, s.cropped, generator)
        if not bool((kept & view).any()):  # a patch beside the brain, or a view beside what is kept
            kept = view = torch.ones_like(kept)
        made = _as_scanned((FLOOR + image).masked_fill(~(kept & view), 0.0), view)
        return replace(made, contrast=contrast)

    def _surrounded(self, labels: torch.Tensor, generator: np.random.Generator) -> tuple[torch.Tensor, int]:
        """The map with fluid around its labels, and the class of that fluid, one more than there were; 0 without."""
        s = self.settings
        if not s.around or generator.random() >= s.around:
            return labels, 0
        near = self._grown(labels > 0, generator.uniform(*s.around_mm))
        return labels.masked_fill((labels == 0) & near, self._classes), self._classes

    def _intensities(self, around: int, generator: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray]:
        """The name of the contrast, and mean and standard deviation of every class, from 0 to about 255; the air is
        dark more often than not.
        """
        s = self.settings
        count = self._classes + bool(around)
        means = generator.uniform(*s.mean, count)
        deviations = generator.uniform(*s.deviation, count)
        for number in np.flatnonzero(generator.random(count) < s.shared):
            other = int(generator.integers(count))
            means[number], deviations[number] = means[other], deviations[other]
        name = ""
        if self._tissues is not None:
            name = self._tissues.brighten(means, s, around, generator)
        if generator.random() < s.faint:
            self._make_faint(means, deviations, generator)
        if generator.random() < 0.8:
            means[0], deviations[0] = generator.uniform(0, 15), generator.uniform(0, 5)
        return name, means, deviations

    def _tissue(
        self,
        labels: torch.Tensor,
        means: np.ndarray,
        deviations: np.ndarray,
        generator: np.random.Generator,
        noise: torch.Generator,
    ) -> torch.Tensor:
        """Every voxel from the Gaussian of its class."""
        table = torch.tensor(np.stack([means, deviations]), dtype=torch.float32)
        mean, deviation = table[0][labels], table[1][labels]
        if divided := self._divided(len(means), generator):
            mean += torch.tensor(divided, dtype=torch.float32)[labels] * _blobs(labels.shape, generator)
        return (mean + deviation * torch.randn(labels.shape, generator=noise)).clamp_min_(0)

    def _make_faint(self, means: np.ndarray, deviations: np.ndarray, generator: np.random.Generator) -> None:
        """The classes of the brain drawn together around one mean."""
        brain = np.zeros(len(means), dtype=bool)
        brain[: self._classes] = self._is_brain.numpy()
        if not brain.any():
            return
        contrast = generator.uniform(0.02, 0.3)
        centre = generator.uniform(*self.settings.mean)
        means[brain] = centre + contrast * (means[brain] - means[brain].sum() / max(1, brain.sum()))  # or none
        deviations[brain] *= contrast

    def _divided(self, count: int, generator: np.random.Generator) -> list[float]:
        """How far the regions within each class lie apart; none where no class is divided."""
        s = self.settings
        chosen = generator.random(count) < s.divided
        chosen[0] = False
        return list(np.where(chosen, generator.uniform(-s.division, s.division, count), 0)) if chosen.any() else []

    def _bias(self, shape: Sequence[int], generator: np.random.Generator) -> torch.Tensor:
        """A smooth field around 1 that the image is multiplied with, as the coils of a scanner have."""
        knots = (self.settings.bias_knots,) * 3
        field = generator.normal(0, generator.uniform(0, self.settings.bias), (1, 1, *knots))
        return _spread(torch.from_numpy(field).float(), shape).exp_()

    def _kept(self, labels: torch.Tensor, around: int, generator: np.random.Generator) -> torch.Tensor:
        """(k, j, i) bool: what is not exactly 0: everything, all but the air, or the brain with a rim around it."""
        s = self.settings
        if generator.random() < s.stripped:
            return self._brain_with_rim(labels.masked_fill(labels == around, 0), generator.uniform(*s.rim_mm))
        if generator.random() < s.black_air:
            return labels > 0
        return torch.ones_like(labels, dtype=torch.bool)

    def _brain_with_rim(self, labels: torch.Tensor, rim_mm: float) -> torch.Tensor:
        """The brain, smoothly grown or shrunk: other programs cut it more or less closely."""
        return self._grown(self._is_brain[labels], rim_mm)

    def _grown(self, region: torch.Tensor, rim_mm: float) -> torch.Tensor:
        """A region (k, j, i), smoothly grown or, below 0, shrunk: across a plane, a blurred edge passes the level of a
        normal distribution at that distance.
        """
        reach = max(2.0, abs(rim_mm))
        blurred = _blurred(region.float(), [reach / step for step in self._spacing])
        return blurred > NormalDist().cdf(-rim_mm / reach)

    def _sliced(self, image: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """As thick slices show it."""
        s = self.settings
        if generator.random() < s.sharp:
            return image
        thickness = generator.uniform(*s.thickness_mm)
        if generator.random() < s.isotropic:
            wanted = [min(thickness, 4.0)] * 3
        else:
            wanted = list(self._spacing)
            wanted[int(generator.integers(3))] = thickness
        return thick_slices(image, wanted, self._spacing)


def thick_slices(image: torch.Tensor, wanted: Sequence[float], spacing: Sequence[float]) -> torch.Tensor:
    """An image (k, j, i) as slices show it that are `wanted` (k, j, i) mm thick: averaged over their thickness, sampled
    at their distance, and interpolated. spacing (k, j, i) mm.
    """
    factors = [max(1.0, want / step) for want, step in zip(wanted, spacing, strict=True)]
    if max(factors) < 1.1:
        return image
    coarse = _blurred(image, [0.4 * (factor - 1) for factor in factors])
    shape = [max(2, round(n / factor)) for n, factor in zip(image.shape, factors, strict=True)]
    small = torch.nn.functional.interpolate(coarse[None, None], size=shape, mode="trilinear", align_corners=False)
    return _spread(small, image.shape)


def _blurred(image: torch.Tensor, sigma: Sequence[float]) -> torch.Tensor:
    """image (k, j, i) smoothed by a Gaussian of sigma (k, j, i) voxels."""
    return smoothed(image[None], sigma)[0]


def _spread(small: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """(1, 1, k, j, i) of any size -> `shape`, interpolated."""
    return torch.nn.functional.interpolate(small, size=tuple(shape), mode="trilinear", align_corners=False)[0, 0]


def _blobs(shape: Sequence[int], generator: np.random.Generator) -> torch.Tensor:
    """A field of soft regions, about -1 to 1, as fine as the convolutions of muscles or as coarse as a lobe."""
    knots = int(generator.integers(4, 24))
    field = torch.from_numpy(generator.normal(0, 1, (1, 1, knots, knots, knots))).float()
    return (2 * _spread(field, shape)).tanh_()


def _gamma(image: torch.Tensor, exponent: float) -> torch.Tensor:
    """The image from 0 to 1, raised to a power."""
    low, high = image.min(), image.max()
    return ((image - low) / (high - low).clamp_min(1e-6)) ** exponent


def _with_rician_noise(image: torch.Tensor, deviation: float, noise: torch.Generator) -> torch.Tensor:
    """The magnitude of a complex signal with Gaussian noise in both parts, as MRI has it: dark air becomes gray."""
    real = image + deviation * torch.randn(image.shape, generator=noise)
    imaginary = deviation * torch.randn(image.shape, generator=noise)
    return torch.hypot(real, imaginary)


def _field_of_view(kept: torch.Tensor, share: float, generator: np.random.Generator) -> torch.Tensor:
    """(k, j, i) bool: all, or for a share of the samples what lies on one side of one or two planes across the head."""
    if generator.random() >= share:
        return torch.ones_like(kept)
    return ~draw_outside(kept, 0.4, generator)


def _as_scanned(image: torch.Tensor, view: torch.Tensor) -> MadeImage:
    """The image with the foreground that the rule for scans finds in it, and normalised there."""
    foreground = torch.from_numpy(foreground_mask(image.numpy()[None], "nonzero")) & view
    if not bool(foreground.any()):
        raise InputError("Nothing is left of the label map that an image was to be made from.")
    return MadeImage(normalise(image[None], foreground, Intensity())[0], foreground, view)
