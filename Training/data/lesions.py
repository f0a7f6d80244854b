"""Lesions made in samples: spots of odd intensity that keep their label, so that the white matter stays white matter
where it is ill.
"""

from __future__ import annotations

import numpy as np
import torch

MOST = 25
"""Lesions of a sample, at most."""

RADIUS_MM = (1.0, 5.0)
"""Radius of a lesion across the most extended axis."""

STRENGTH = (0.5, 2.5)
"""How far intensities move, in standard deviations of the scan's foreground."""


def with_lesions(
    image: torch.Tensor, tissue: torch.Tensor, spacing: tuple[float, float, float], generator: np.random.Generator
) -> torch.Tensor:
    """An image (channel, k, j, i), normalised, with up to `MOST` soft spots in a tissue (k, j, i) bool, all brighter or
    all darker in every channel. spacing (i, j, k) mm of the voxels.

    Small ones are more frequent, and each is an ellipsoid of its own.
    """
    places = tissue.reshape(-1).nonzero()[:, 0]
    if not len(places):
        return image
    spots = torch.zeros(image.shape[1:], device=image.device)
    for _ in range(int(generator.integers(1, MOST + 1))):
        flat = int(places[int(generator.integers(len(places)))])
        centre = np.unravel_index(flat, tuple(tissue.shape))
        low, high = RADIUS_MM
        radius = low + (high - low) * generator.random() ** 3
        radii = [radius * generator.uniform(0.5, 1) / step for step in reversed(spacing)]
        _add_spot(spots, centre, radii)
    strength = generator.uniform(*STRENGTH, (image.shape[0], 1, 1, 1)) * generator.choice(
        [-1.0, 1.0], (image.shape[0], 1, 1, 1)
    )
    change = torch.from_numpy(strength).to(image) * (spots.clamp_max(1) * tissue)
    return image + change


def _add_spot(spots: torch.Tensor, centre: tuple[np.intp, ...], radii: list[float]) -> None:
    """A spot that is whole up to its radii (k, j, i), in voxels, and fades out over half of them again."""
    box, distances = [], []
    for axis, (place, radius) in enumerate(zip(centre, radii, strict=True)):
        reach = int(np.ceil(1.5 * radius))
        start, end = max(0, int(place) - reach), min(spots.shape[axis], int(place) + reach + 1)
        box.append(slice(start, end))
        along = (torch.arange(start, end, device=spots.device) - int(place)) / radius
        distances.append(along.square().view([-1 if n == axis else 1 for n in range(3)]))
    distance = distances[0] + distances[1] + distances[2]
    spots[tuple(box)] = torch.maximum(spots[tuple(box)], ((1.5 - distance.sqrt()) / 0.5).clamp(0, 1))
