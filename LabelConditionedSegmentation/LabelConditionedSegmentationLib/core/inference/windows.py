"""Sliding windows over the trunk: overlapping patches blended into ONE feature volume, given out slab by slab.

Because every score is affine in the features and the blending weights sum to 1, blending C feature channels equals
blending K score maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


class _OpenPlanes:
    """Weighted sums of the features of windows, over the planes that later windows still touch."""

    def __init__(self, plan: WindowPlan, axis: int, device: torch.device) -> None:
        self.plan, self.axis = plan, axis
        self.size: Shape = tuple(n // plan.stride for n in plan.size)  # type: ignore[assignment]
        self.weight = blending_weight(self.size).to(device)
        self.start = 0
        self.total: torch.Tensor | None = None
        self.norm: torch.Tensor | None = None

    def add(self, corner: Sequence[int], features: torch.Tensor) -> None:
        """Features (k, j, i, C) of the window at `corner`, which begins at the first open plane."""
        if self.total is None or self.norm is None:
            shape = [n // self.plan.stride for n in self.plan.image]
            shape[self.axis] = self.size[self.axis]
            self.total = torch.zeros(*shape, features.shape[-1], device=features.device)
            self.norm = torch.zeros(*shape, 1, device=features.device)
        starts = [n // self.plan.stride for n in corner]
        place = [slice(start, start + n) for start, n in zip(starts, self.size, strict=True)]
        place[self.axis] = slice(None)
        self.total[tuple(place)] += features * self.weight
        self.norm[tuple(place)] += self.weight

    def close(self, stop: int) -> FeatureSlab:
        """The blended features of the planes before `stop`, which no later window touches; the others stay open."""
        assert self.total is not None
        assert self.norm is not None
        length, finished = self.size[self.axis], stop - self.start
        total, norm = (values.narrow(self.axis, 0, finished) for values in (self.total, self.norm))
        slab = FeatureSlab(self.start, stop, total / norm.clone())  # a gradient needs the norm as it is now
        kept = max(length - finished, 0)
        for sums in (self.total, self.norm):
            if kept:
                sums.narrow(self.axis, 0, kept).copy_(sums.narrow(self.axis, finished, kept).clone())
            sums.narrow(self.axis, kept, length - kept).zero_()
        self.start = stop
        return slab


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
    `on_window` gets how many windows are done.
    """
    where, done = accumulate_on or device, 0
    open_planes = _OpenPlanes(plan, axis, where)
    following = [*plan.starts[axis][1:], plan.image[axis]]
    for first, next_first in zip(plan.starts[axis], following, strict=True):
        row = list(product(*((first,) if a == axis else plan.starts[a] for a in range(3))))
        for offset in range(0, len(row), batch):
            corners = row[offset : offset + batch]
            patches = torch.stack([image[(slice(None), *_box(corner, plan.size))] for corner in corners])
            found = trunk(patches.to(device)).float().to(where).movedim(1, -1)
            done += len(corners)
            on_window(done)
            if plan.count == 1:  # nothing to blend
                yield FeatureSlab(0, found.shape[1 + axis], found[0])
                return
            for corner, features in zip(corners, found, strict=True):
                open_planes.add(corner, features)
        yield open_planes.close(next_first // plan.stride)


def _box(corner: Sequence[int], size: Shape) -> tuple[slice, ...]:
    return tuple(slice(start, start + n) for start, n in zip(corner, size, strict=True))
