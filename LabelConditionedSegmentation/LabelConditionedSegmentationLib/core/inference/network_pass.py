"""NetworkPass: a network with its windows, flips and memory ladder on a device; a scan goes in, features come out.

Inference, validation during training and adaptation to a scan run the network through this one class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch

from ..network.model import LabelConditionedNetwork
from ..scan.geometry import Grid, Shape
from ..scan.preprocessing import NetworkInput
from ..scan.volume import Array
from .features import Prompts, WinnerMap
from .memory_ladder import MemoryPlan, down_the_ladder, free_memory
from .windows import FeatureSlab, WindowPlan, feature_slabs, plan_windows

T = TypeVar("T")

WINDOW_OVERLAP = 0.5

STRETCH = 1.6
"""How many times larger than the largest window an image is, at most, that takes a single window nevertheless."""

WINDOW_BYTES = 400
"""Memory that the network takes, at most, for a voxel of a window."""


@dataclass(frozen=True)
class Gathered:
    """What a network pass leaves of a scan: all its features, `stored` (k, j, i, C), or, where they exceed the budget,
    for each protocol the winner map of the target grid, and the probabilities (groups, k, j, i) that were asked for.
    passes: how many windows the trunk ran on.
    """

    stored: torch.Tensor | None
    winners: tuple[Array, ...]
    probabilities: tuple[Array, ...]
    passes: int


class NetworkPass:
    """A network on a device, run over whole scans. It keeps nothing of them.

    plan: the rung of the memory ladder that a scan is on; every scan starts from the top (see `from_the_top`).
    """

    def __init__(
        self,
        network: LabelConditionedNetwork,
        device: torch.device,
        patch: Shape,
        mirrored_classes: Sequence[int] | None = None,
        precision: Callable[[], AbstractContextManager[object]] = nullcontext,
        class_slices: Sequence[slice] = (slice(None),),
    ) -> None:
        """patch: largest window (k, j, i) in voxels. mirrored_classes: for every class that of the mirrored structure;
        each scan is then averaged with its left-right mirror image. precision: the context that the network runs in;
        features are blended and scored in float32. class_slices: the classes of each protocol where there are several
        (see `LabelTree.class_slices`); all of them, context classes too, where there is one. The network stays where
        it is until `place`.
        """
        self.network = network
        self.patch = patch
        self.mirrored_classes = mirrored_classes
        self.precision = precision
        self.class_slices = tuple(class_slices)
        self.plan = MemoryPlan.first(device)

    def place(self) -> None:
        """Put the network where the plan has it, in the memory layout that is fastest there."""
        self.network.to(self.plan.device)
        self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    @property
    def stride(self) -> int:
        """Voxels of the image, along an axis, in one of the features."""
        return self.network.trunk.architecture.output_stride

    @property
    def prompts(self) -> Prompts:
        """Prompts and bias on the device where features are gathered; with flips, those of the mirrored structures
        beside them.
        """
        where = self.plan.accumulate_on
        vectors, bias = self.network.prompts.detach().float(), self.network.bias.detach().float()
        if self.mirrored_classes is not None:
            context = range(self.network.classes, len(bias))  # context has no sides
            other = [*self.mirrored_classes, *context]
            vectors, bias = torch.cat([vectors, vectors[other]], dim=1) / 2, (bias + bias[other]) / 2
        return Prompts(vectors.to(where), bias.to(where), self.network.trunk.architecture.context_classes)

    def windows(self, shape: Shape) -> WindowPlan:
        """The windows over an image of `shape` (k, j, i), every axis a multiple of what the network needs.

        An image that is a little larger than the largest window takes one window of its own size, which is faster than
        several and sees more at once, unless memory is short.
        """
        voxels = math.prod(shape)
        is_a_little_larger = voxels <= STRETCH * math.prod(self.patch)
        fits = is_a_little_larger and WINDOW_BYTES * voxels <= free_memory(self.plan.device) / 2
        return plan_windows(shape, shape if fits else self.patch, WINDOW_OVERLAP, self.stride)

    def slabs(
        self,
        image: torch.Tensor,
        metadata: torch.Tensor,
        axis: int,
        on_window: Callable[[int], None] = lambda _: None,
        windows: WindowPlan | None = None,
    ) -> Iterator[FeatureSlab]:
        """The network over all windows of an image (channel, k, j, i): finished features in order along `axis`.

        metadata: (1, fields), NaN where unknown. `on_window` gets how many windows are done. windows: where they were
        planned before. Whether gradients are kept is the caller's choice.
        """
        k, j, i = image.shape[1:]
        return feature_slabs(
            image,
            lambda patches: self._features(patches, metadata),
            windows or self.windows((k, j, i)),
            axis,
            self.plan.device,
            self.plan.batch,
            self.plan.accumulate_on,
            on_window,
        )

    def gather(
        self,
        prepared: NetworkInput,
        metadata: torch.Tensor,
        target: Grid,
        budget: int,
        dtype: torch.dtype,
        on_progress: Callable[[float, str], None] = lambda _done, _text: None,
        groups: Sequence[Sequence[Sequence[int]]] = (),
    ) -> Gathered:
        """The network once over a prepared scan. Its features are kept in `dtype` where they fill at most `budget`
        bytes, else reduced to the winner maps of `target`, and the probabilities of groups of classes, as they become
        final. groups: for each protocol those of its classes, numbered inside it, whose probabilities are wanted.

        `on_progress` gets the fraction that is done and what goes on, and may raise to end the run.
        """
        feature_grid, prompts = prepared.grid.coarser(self.stride), self.prompts
        axis = WinnerMap.streaming_axis(feature_grid, target)
        shape = (*feature_grid.shape, prompts.vectors.shape[1])
        stored: torch.Tensor | None = None
        reducers: list[WinnerMap] = []
        if math.prod(shape) * dtype.itemsize <= budget:
            stored = torch.empty(shape, dtype=dtype, device=self.plan.accumulate_on)
        else:
            parts = [prompts.part(classes) for classes in self.class_slices]
            reducers = [
                WinnerMap(feature_grid, target, axis, part, self.plan.chunk, groups=wanted)
                for part, wanted in zip(parts, groups or [()] * len(parts), strict=True)
            ]
        windows = self.windows(prepared.grid.shape)
        count = windows.count

        def on_window(done: int) -> None:
            on_progress(done / count, f"network, patch {done} of {count}")

        with torch.inference_mode():
            for slab in self.slabs(prepared.image, metadata, axis, on_window, windows):
                if stored is not None:
                    stored.narrow(axis, slab.start, slab.stop - slab.start).copy_(slab.values)
                for reducer in reducers:
                    reducer.add(FeatureSlab(slab.start, slab.stop, slab.values.to(dtype)))
                on_progress(slab.stop / feature_grid.shape[axis], "network")
        winners = tuple(reducer.winners for reducer in reducers)
        return Gathered(stored, winners, tuple(reducer.probabilities for reducer in reducers), count)

    def mirrored(self, image: torch.Tensor) -> torch.Tensor:
        """([batch,] channel, k, j, i), left and right exchanged."""
        architecture, mirrored = self.network.trunk.architecture, image.flip(-1)
        if architecture.position:
            mirrored[..., architecture.in_channels, :, :, :] *= -1  # right is left now
        return mirrored

    @contextmanager
    def from_the_top(self) -> Iterator[None]:
        """For one scan, which may go down the memory ladder: the next one has no part in what was short here."""
        top = self.plan
        try:
            yield
        finally:
            self.plan = top

    def with_ladder(self, run: Callable[[], T], on_fallback: Callable[[str], None]) -> T:
        """Place the network and run; where memory runs out, again with a smaller plan. Raises DeviceError.

        `on_fallback` gets, after each step down, what it changed.
        """

        def placed() -> T:
            self.place()
            return run()

        def take(plan: MemoryPlan, what: str) -> None:
            self.plan = plan
            on_fallback(what)

        return down_the_ladder(self.plan, take, placed)

    def _features(self, patches: torch.Tensor, metadata: torch.Tensor) -> torch.Tensor:
        """(batch, channel, k, j, i) -> features (batch, C or 2C, k, j, i); with flips the mirrored scan's features are
        channels of their own.
        """
        patches = patches.to(memory_format=torch.channels_last_3d)
        known = metadata.to(patches.device).expand(patches.shape[0], -1)
        with self.precision():
            features = self.network.features(patches, known)
            if self.mirrored_classes is not None:
                mirrored = self.network.features(self.mirrored(patches), known)
                features = torch.cat([features, mirrored.flip(-1)], dim=1)
        return features
