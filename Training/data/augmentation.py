"""Augmentation of one sample: a smooth random warp with label-aware left-right flips, then intensity
changes by MONAI.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandBiasField,
    RandGaussianNoise,
    RandGaussianSmooth,
    RandHistogramShift,
    RandSimulateLowResolution,
)

from ..engine.setting_types import Amount, Count, Share

Shape = tuple[int, int, int]


@dataclass
class Augmentation:
    """How strongly samples are varied. Everything at 0 changes nothing but the patch's place."""

    rotation: float = 12.0
    """The largest turn about each axis, in degrees."""
    scale: float = 0.12
    """The largest share by which a scan grows or shrinks."""
    shift: float = 4.0
    """The largest shift, in voxels."""
    warp: float = 4.0
    """The largest smooth displacement, in voxels."""
    warp_spacing: Count = 32
    """Voxels between the nodes of the smooth displacement."""
    flip: bool = True
    """Left-right flips, with the labels of both sides exchanged."""
    crop: Share = 0.25
    """Share of the samples that lose up to half of their extent along one or two axes, as in a short field of view."""
    intensity: bool = True
    """Bias field, noise, contrast and resolution are varied too."""
    thick: Share = 0.0
    """Share of the samples of stored images that are seen through thick slices along one axis."""
    thickness_mm: tuple[Amount, Amount] = (2.0, 6.0)
    """Thickness of those slices."""
    curves: Share = 0.0
    """Share of the samples of stored images whose intensities follow a random rising curve, as those of scans do that
    were normalised in another way."""
    lesions: Share = 0.0
    """Share of the samples with spots of odd intensity, which keep their label."""
    lesions_in: list[str] = field(default_factory=lambda: ["Left Cerebral White Matter", "Right Cerebral White Matter"])
    """The labels that these spots lie in."""
    ageing: Share = 0.0
    """Share of the samples that are made older: ventricles widened, the rim of the brain receded."""
    ageing_fluid: list[str] = field(
        default_factory=lambda: ["Left Lateral Ventricle", "Right Lateral Ventricle", "3rd Ventricle"]
    )
    """The labels that are widened there."""
    wider_mm: tuple[Amount, Amount] = (0.5, 4.0)
    """How far the walls of the ventricles move."""
    thinner_mm: tuple[Amount, Amount] = (0.0, 1.0)
    """How far the rim recedes."""


RIM = 0.05
"""Share of foreground from which on a voxel counts as its rim: interpolation leaves traces there, and the labels end
there.
"""


class View(NamedTuple):
    """What a sample sees of a scan: image (channel, k, j, i) float, share (k, j, i) float, target (k, j, i) or (maps,
    k, j, i) int.

    share: how much of each voxel is foreground, from 0 to 1; of a scan that was not moved, all or nothing. contrast:
    the kind of scan that a made image looks like; empty of a stored one.
    """

    image: torch.Tensor
    share: torch.Tensor
    target: torch.Tensor
    contrast: str = ""

    @property
    def foreground(self) -> torch.Tensor:
        """(k, j, i) bool: the voxels that count, by the rule of `core.preprocessing.prepare`."""
        return self.share > 0.5


class SpatialAugmentation:
    """Flip, rotate, scale, shift and warp an image, its foreground and its label map in ONE resampling, onto a patch of
    fixed shape.

    A left-right flip replaces every target by its mirrored one, so that a flipped left hippocampus is a right
    hippocampus. One resampling keeps the image sharp, which a chain of transforms would not. Works on the device of its
    input.
    """

    def __init__(
        self,
        settings: Augmentation,
        patch: Shape,
        mirrored: tuple[int, ...],
        spacing: tuple[float, float, float],
    ) -> None:
        """patch (k, j, i) voxels; spacing (i, j, k) mm of the voxels, in which a rotation keeps its angles."""
        self.settings = settings
        self.patch = patch
        self.mirrored = torch.tensor(mirrored)
        self.voxel_ratios = np.array(spacing)[None, :] / np.array(spacing)[:, None]

    def __call__(
        self,
        view: View,
        generator: np.random.Generator,
        centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
        flipped: bool | None = None,
        displacement: torch.Tensor | None = None,
    ) -> View:
        """A whole scan, its target with negative values for unknown -> the same on the patch. Right-left runs along i.

        The values of all maps of a target but the first mean nothing that a flip exchanges. centre: where the patch's
        centre lies from the image's, in voxels (i, j, k). flipped: whether to flip; None leaves it to chance.
        displacement (3, k, j, i): a deformation of the scan itself before all else, along (i, j, k) in voxels of the
        scan, over its extent on any grid.
        """
        s = self.settings
        angles = np.deg2rad(generator.uniform(-s.rotation, s.rotation, 3))
        turned = _rotation(angles) * self.voxel_ratios
        linear = turned @ np.diag(np.exp(generator.uniform(-s.scale, s.scale, 3)))
        by_chance = s.flip and generator.random() < 0.5
        flipped = by_chance if flipped is None else flipped
        if flipped:
            linear = linear @ np.diag([-1.0, 1.0, 1.0])
        shift = generator.uniform(-s.shift, s.shift, 3) + np.array(centre)
        grid = self._sampling_grid(linear, shift, tuple(view.image.shape[1:]), generator, view.image.device)
        if displacement is not None:
            grid = _deformed(grid, displacement, tuple(view.image.shape[1:]))
        drawn = torch.cat([view.image - BACKGROUND, view.share[None]])
        warped = torch.nn.functional.grid_sample(
            drawn[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )[0]
        maps = view.target[None] if view.target.ndim == 3 else view.target
        labels = torch.nn.functional.grid_sample(
            (maps[None] + 1).float(), grid, mode="nearest", padding_mode="zeros", align_corners=False
        )
        moved = labels[0].round().long() - 1
        moved[:, (grid[0].abs() > 1).any(dim=-1)] = 0  # beyond the scan there is background
        if flipped:
            moved[0] = torch.where(moved[0] > 0, self.mirrored.to(moved.device)[moved[0].clamp_min(0)], moved[0])
        return View(warped[:-1] + BACKGROUND, warped[-1], moved.view(*view.target.shape[:-3], *self.patch))

    def _sampling_grid(
        self,
        linear: np.ndarray,
        shift: np.ndarray,
        source: tuple[int, ...],
        generator: np.random.Generator,
        device: torch.device,
    ) -> torch.Tensor:
        size = np.array(source[::-1], dtype=np.float64)  # i, j, k
        ratio = np.array(self.patch[::-1], dtype=np.float64)
        scaled = (
            linear * ratio[None, :] / size[:, None]
        )  # normalised patch coordinates -> normalised source coordinates
        theta = torch.tensor(
            np.concatenate([scaled, (2 * shift / size)[:, None]], axis=1)[None], dtype=torch.float32, device=device
        )
        grid = torch.nn.functional.affine_grid(theta, [1, 1, *self.patch], align_corners=False)
        if self.settings.warp > 0:
            knots = tuple(max(2, n // self.settings.warp_spacing + 1) for n in self.patch)
            field = (
                generator.uniform(-self.settings.warp, self.settings.warp, (1, 3, *knots))
                * 2
                / size[None, :, None, None, None]
            )
            smooth = torch.nn.functional.interpolate(
                torch.from_numpy(field).float().to(device), size=self.patch, mode="trilinear", align_corners=True
            )
            grid += smooth.movedim(1, -1)
        return grid


def _deformed(grid: torch.Tensor, displacement: torch.Tensor, source: tuple[int, ...]) -> torch.Tensor:
    """A sampling grid (1, k, j, i, 3) followed by a displacement of the scan that it samples; source (k, j, i)."""
    halves = torch.tensor(source[::-1], device=grid.device) / 2
    moved = torch.nn.functional.grid_sample(
        displacement[None].to(grid), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return grid + moved.movedim(1, -1) / halves


def crop_view(view: View, share: float, generator: np.random.Generator) -> View:
    """Take the field of view away beyond a plane or two, so that the network learns that a structure may be absent and
    must not be guessed from its place.

    A share of the samples is cropped, by up to half of the foreground's extent along an axis.
    """
    if generator.random() >= share:
        return view
    foreground = view.foreground
    outside = draw_outside(foreground, 0.5, generator)
    if bool((foreground & ~outside).sum() * 20 < foreground.sum()):  # nearly nothing would be left
        return view
    return View(
        view.image.masked_fill(outside, BACKGROUND),
        view.share.masked_fill(outside, 0),
        view.target.masked_fill(outside & (view.target > 0), 0),
    )


def draw_outside(filled: torch.Tensor, most: float, generator: np.random.Generator) -> torch.Tensor:
    """(k, j, i) bool: what a short field of view misses, beyond a plane or two across what is filled, up to a share
    `most` of its extent along an axis.
    """
    outside = torch.zeros_like(filled)
    for axis in generator.permutation(3)[: int(generator.integers(1, 3))]:
        profile = filled.any(dim=tuple(a for a in range(3) if a != axis)).nonzero()[:, 0]
        if len(profile) == 0:
            continue
        first, last = int(profile[0]), int(profile[-1])
        lost = int(generator.uniform(0.05, most) * (last - first))
        start, length = (
            (0, first + lost) if generator.random() < 0.5 else (last - lost, outside.shape[int(axis)] - last + lost)
        )
        outside.narrow(int(axis), start, length).fill_(True)
    return outside


def _rotation(angles: np.ndarray) -> np.ndarray:
    (a, b, c), out = angles, np.eye(3)
    for first, second, angle in ((1, 2, a), (0, 2, b), (0, 1, c)):
        turn = np.eye(3)
        turn[[first, second, first, second], [first, second, second, first]] = (
            np.cos(angle),
            np.cos(angle),
            -np.sin(angle),
            np.sin(angle),
        )
        out = out @ turn
    return out


def intensity_augmentation(curves: float = 0.0) -> Compose:
    """Bias field, contrast, noise, blur and low resolution on images whose foreground is non-negative (MONAI), and for
    a share of the samples a random rising curve of intensities.
    """
    last = [RandHistogramShift(num_control_points=(4, 8), prob=curves)] if curves else []
    return Compose(
        [
            RandBiasField(degree=2, coeff_range=(-0.15, 0.15), prob=0.3),
            RandAdjustContrast(prob=0.4, gamma=(0.7, 1.5)),
            RandGaussianNoise(prob=0.3, mean=0.0, std=0.15),
            RandGaussianSmooth(sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8), prob=0.15),
            RandSimulateLowResolution(prob=0.1, zoom_range=(0.5, 1.0)),
            *last,
        ]
    )


def vary_intensity(view: View, transform: Compose, generator: np.random.Generator) -> torch.Tensor:
    """The image with its intensities changed inside the foreground only, and normalised again; what is background stays
    background.
    """
    image, foreground = view.image, view.foreground
    transform.set_random_state(seed=int(generator.integers(2**31)))
    varied = torch.as_tensor(transform(image - BACKGROUND)) + BACKGROUND
    out = torch.full_like(image, BACKGROUND)
    for channel in range(image.shape[0]):
        inside = varied[channel][foreground]
        if inside.numel() > 1:
            out[channel][foreground] = (inside - inside.mean()) / inside.std().clamp_min(1e-3)
    return out
