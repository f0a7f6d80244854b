"""Random walks from strokes in a sample: how easily they go, by a boundary map or by intensities, and for every voxel
of the foreground the probabilities of the strokes that a walk from it hits first.

After Grady, "Random walks for image segmentation", IEEE TPAMI 2006, and, with conductances that are learned, Vernaza
and Chandraker, "Learning random-walk label propagation for weakly-supervised semantic segmentation", CVPR 2017, arXiv
1802.00470; the walks are those of `core.strokes`, within the foreground.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.strokes import random_walk
from LabelConditionedSegmentationLib.core.strokes.conductance import Conductance
from LabelConditionedSegmentationLib.core.strokes.grid_laplacian import Edges
from scipy.ndimage import label

UNSEEN = -1
"""What a voxel without a stroke has in place of the number of its stroke."""

LEAST = 1e-5
"""The smallest conductance between neighbours, beside the largest one of 1: what keeps a system solvable in float32.

It lies below SMALLEST of `core.strokes.conductance`, which keeps every voxel of a scan in reach of what a user painted:
here a boundary that has come to its floor gets no gradient any more, so that it would stop learning at exp(-6.9).
"""


def boundary_conductances(boundary: torch.Tensor, inside: torch.Tensor, spacing: Sequence[float]) -> Edges:
    """exp(-(B(x) + B(y)) / 2), for a boundary map B that is not negative.

    boundary, inside (k, j, i): no walk leaves what is inside. spacing (i, j, k) in mm: neighbours that lie further
    apart conduct less, by the square of their distance, as in finite differences.
    """
    return _edges([(-(a + b) / 2).exp() for a, b in neighbours(boundary)], inside, spacing)


def intensity_conductances(
    image: torch.Tensor, contrast: float, inside: torch.Tensor, spacing: Sequence[float]
) -> Edges:
    """exp(-contrast * |I(x) - I(y)|^2) (Grady 2006), for an image (channel, k, j, i) whose intensities have a standard
    deviation of about 1; the rest as in `boundary_conductances`.
    """
    return _edges([(-contrast * ((a - b) ** 2).sum(0)).exp() for a, b in neighbours(image)], inside, spacing)


def hitting_probabilities(
    edges: Edges, inside: torch.Tensor, seeds: torch.Tensor, count: int, tolerance: float = 1e-3
) -> torch.Tensor:
    """(count, k, j, i): for every voxel inside the probabilities of the strokes that a random walk from it hits first.

    inside (k, j, i) bool; seeds (k, j, i): the number of a voxel's stroke, from 0 to count - 1, or UNSEEN. They add up
    to 1, but to 0 outside and where no stroke can be reached. tolerance: of a probability. The gradient by the
    conductances is that of the exact solution, from one more system with the same matrix (the adjoint).
    """
    reached = _reaches(inside, inside & (seeds != UNSEEN))
    if count == 1:
        return reached[None].to(edges[0].dtype)
    k, j, i = (edge * (a & b) for edge, (a, b) in zip(edges, neighbours(reached), strict=True))
    painted = torch.where(inside & (seeds != UNSEEN), seeds + 1, 0)
    return random_walk.hitting_probabilities(painted, count, Conductance((k, j, i)), tolerance=tolerance) * reached


def neighbours(values: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """values (..., k, j, i) -> along each of k, j and i those at one end and those at the other end of all edges."""
    return [
        (values.narrow(axis, 0, values.shape[axis] - 1), values.narrow(axis, 1, values.shape[axis] - 1))
        for axis in (-3, -2, -1)
    ]


def _reaches(inside: torch.Tensor, strokes: torch.Tensor) -> torch.Tensor:
    """(k, j, i) bool: the voxels inside from which there is a way to a stroke."""
    parts, _ = label(inside.cpu().numpy())
    struck = np.unique(parts[strokes.cpu().numpy()])
    return torch.from_numpy(np.isin(parts, struck)).to(inside.device) & inside


def _edges(conductances: Sequence[torch.Tensor], inside: torch.Tensor, spacing: Sequence[float]) -> Edges:
    """No conductance across the rim of what is inside, elsewhere LEAST at least, scaled by distance."""
    scales = [(min(spacing) / distance) ** 2 for distance in reversed(spacing)]
    along_k, along_j, along_i = (
        scale * values.clamp_min(LEAST) * (a & b)
        for scale, values, (a, b) in zip(scales, conductances, neighbours(inside), strict=True)
    )
    return along_k, along_j, along_i
