"""Sliding windows over the trunk: overlapping patches blended into ONE feature volume, given out slab by slab.

Because every score is affine in the features and the blending weights sum to 1, blending C feature channels equals
blending K score maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class FeatureSlab:
    """Finished features of the planes from `start` to before `stop` along the streaming axis; `values` (k, j, i,
    channel) float32.
    """

    start: int
    stop: int
    values: torch.Tensor


@dataclass(frozen=True)
class WindowPlan:
    """Where the windows lie on the network's grid, in image voxels. `size` and all starts are multiples of `stride`."""

    image: Shape
    size: Shape
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    stride: int

    @property
    def count(self) -> int:
        """How many times the trunk runs."""
        return len(self.starts[0]) * len(self.starts[1]) * len(self.starts[2])


def plan_windows(image: Shape, patch: Shape, overlap: float, stride: int) -> WindowPlan:
    """Windows of at most `patch` voxels that overlap by the fraction `overlap` and cover `image`; the last one ends
    where the image ends.

    `image` has axes that are multiples of what the network needs; `stride` is the trunk's output stride.
    """
    size: Shape = tuple(min(n, p) for n, p in zip(image, patch, strict=True))  # type: ignore[assignment]
    starts = []
    for length, window in zip(image, size, strict=True):
        step = max(stride, int(window * (1 - overlap)) // stride * stride)
        count = -(-(length - window) // step) + 1
        starts.append(tuple(min(n * step, length - window) for n in range(count)))
    return WindowPlan(image, size, (starts[0], starts[1], starts[2]), stride)


def blending_weight(size: Shape, sigma: float = 0.125) -> torch.Tensor:
    """Gaussian importance (k, j, i, 1) of a window's voxels, largest in its middle, at least 0.001 of that; deviation
    `sigma` window lengths.
    """
    weight = torch.ones(1)
    for length in size:
        x = torch.arange(length, dtype=torch.float32) - (length - 1) / 2
        weight = weight[..., None] * torch.exp(-(x**2) / (2 * (sigma * length) ** 2))
    return weight[0].clamp_min(1e-3)[..., None]


def feature_slabs(
    image: torch.Tensor,
    trunk: Callable[[torch.Tensor], torch.Tensor],
    plan: WindowPlan,
    axis: int,
    device: torch.device,
    batch: int = 1,
    accumulate_on: torch.device | None = None,
    on_window: Callable[[int], None] = lambda _: None,
) -> Iterator[FeatureSlab]:
    """Run the trunk once per window and yield finished slabs in order along `axis` (0, 1, 2 for k, j, i).

    image: (channel, k, j, i). trunk: (batch, channel, *size) -> (batch, C, *size / stride). Only the planes that later
    windows still touch are held; a slab is final as soon as no later window reaches it. Accumulation is in float32.
    `on_window` is told how many windows are done.
    """
    stride = plan.stride
    size: Shape = tuple(n // stride for n in plan.size)  # type: ignore[assignment]
    extent = [n // stride for n in plan.image]
    others = [a for a in range(3) if a != axis]
    weight = blending_weight(size).to(accumulate_on or device)
    done, held_from = 0, 0
    total: torch.Tensor | None = None
    norm: torch.Tensor | None = None
    rows = plan.starts[axis]
    for row, first in enumerate(rows):
        first_out = first // stride
        here = [[0, 0, 0] for _ in range(len(plan.starts[others[0]]) * len(plan.starts[others[1]]))]
        for corner, (a, b) in zip(here, product(plan.starts[others[0]], plan.starts[others[1]]), strict=True):
            corner[axis], corner[others[0]], corner[others[1]] = first, a, b
        for offset in range(0, len(here), batch):
            corners = here[offset : offset + batch]
            patches = torch.stack(
                [image[:, k : k + plan.size[0], j : j + plan.size[1], i : i + plan.size[2]] for k, j, i in corners]
            )
            found = trunk(patches.to(device)).float().to(accumulate_on or device).movedim(1, -1)
            if plan.count == 1:  # nothing to blend
                on_window(1)
                yield FeatureSlab(0, extent[axis], found[0])
                return
            if total is None or norm is None:
                shape = list(extent)
                shape[axis] = size[axis]
                total = torch.zeros(*shape, found.shape[-1], device=found.device)
                norm = torch.zeros(*shape, 1, device=found.device)
            for corner, features in zip(corners, found, strict=True):
                place = [slice(c // stride, c // stride + n) for c, n in zip(corner, size, strict=True)]
                place[axis] = slice(None)
                total[tuple(place)] += features * weight
                norm[tuple(place)] += weight
            done += len(corners)
            on_window(done)
        assert total is not None
        assert norm is not None
        next_out = rows[row + 1] // stride if row + 1 < len(rows) else extent[axis]
        finished = next_out - held_from
        yield FeatureSlab(first_out, next_out, total.narrow(axis, 0, finished) / norm.narrow(axis, 0, finished))
        keep = size[axis] - finished
        if keep > 0:  # move what later windows still add to, to the front
            for buffer in (total, norm):
                buffer.narrow(axis, 0, keep).copy_(buffer.narrow(axis, finished, keep).clone())
        for buffer in (total, norm):
            buffer.narrow(axis, max(keep, 0), size[axis] - max(keep, 0)).zero_()
        held_from = next_out
