"""From strokes to structures: random walks in a box around the strokes, over intensities or what the network found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import DeviceError, InputError
from ..findings import Finding
from ..inference.features import Features
from ..inference.memory_ladder import free_memory, is_out_of_memory
from ..progress import CancelToken, Progress, ProgressCallback
from ..scan.geometry import Shape
from ..scan.volume import Array, Volume
from .conductance import between_channels
from .network_sources import channels_in, prior_in
from .painted_strokes import Strokes
from .random_walk import Prior, certainty, hitting_probabilities

PRIOR_WEIGHT = 0.05
"""A walk through something uniform ends at the prior after 1 / PRIOR_WEIGHT steps, on average."""

NEAR_FACES = 0.15
"""The probability of a structure beside a face that is background, which it does not have where a border lies between.
"""

FIXED_ARRAYS, ARRAYS_A_CLASS = 24, 8
"""Of the size of the box: what a solution holds in memory at once."""


@dataclass(frozen=True)
class Propagation:
    """What strokes became.

    strokes: which they were. start, stop: the box (k, j, i) of the scan's grid, outside of which everything is
    background. probabilities: (class, k, j, i) float32 of the box, in the order of `strokes.names`. closed: the
    faces of the box inside the scan were background, as all beyond it.
    """

    strokes: Strokes
    start: Shape
    stop: Shape
    probabilities: torch.Tensor
    closed: bool

    @property
    def label_map(self) -> Array:
        """(k, j, i) of the whole scan: n + 1 where class `strokes.names[n]` wins, 0 where the background does."""
        winners = self.probabilities.argmax(0).cpu().numpy() + 1
        if self.strokes.background is not None:
            winners[winners == self.strokes.background + 1] = 0
        return self._placed(winners.astype(self.strokes.seeds.dtype))

    @property
    def certainty(self) -> Array:
        """(k, j, i) float32 of the whole scan: how sure the label of a voxel is, 0 to 1; 1 outside of the box."""
        return self._placed(certainty(self.probabilities).cpu().numpy(), outside=1)

    def probability(self, number: int) -> Array:
        """(k, j, i) float32 of the whole scan, of the class `strokes.names[number]`."""
        outside = 1 if number == self.strokes.background else 0
        return self._placed(self.probabilities[number].cpu().numpy(), outside)

    @property
    def findings(self) -> list[Finding]:
        """What is odd: structures that reach the border of the box, where the scan goes on."""
        least = NEAR_FACES if self.closed else 0.5
        names = [
            name
            for n, name in enumerate(self.strokes.names)
            if n != self.strokes.background and self._most_at_faces(n) > least
        ]
        return [
            Finding.warning(
                f'"{name}" reaches the border of the box around the strokes, beyond which nothing is looked for.',
                "Paint the background around it, or strokes on it further out.",
            )
            for name in names
        ]

    def _most_at_faces(self, number: int) -> float:
        """The highest probability of a class beside the faces of the box that lie inside the scan."""
        most = 0.0
        for axis, (first, last, size) in enumerate(zip(self.start, self.stop, self.strokes.seeds.shape, strict=True)):
            inside = self.probabilities[number]
            ends = ([inside.narrow(axis, 0, 2)] if first > 0 else []) + (
                [inside.narrow(axis, inside.shape[axis] - 2, 2)] if last < size else []
            )
            most = max([most, *(float(end.max()) for end in ends)])
        return most

    def _placed(self, inside: Array, outside: int = 0) -> Array:
        whole = np.full(self.strokes.seeds.shape, outside, dtype=inside.dtype)
        whole[tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))] = inside
        return whole


def propagate(
    strokes: Strokes,
    scan: Volume,
    features: Features | None = None,
    prior: Features | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Propagation:
    """Spread strokes over the box around them.

    Args:
        strokes: On the grid of the scan.
        scan: Whose intensities make walks go easily or not.
        features: What the network found in the scan, whose features do so in place of the intensities.
        prior: What the network found in the scan, which is believed where strokes are far.
        progress: Gets the fraction that is done and what goes on.
        cancel: Ends the work between two steps of the solver when it is cancelled.

    Returns:
        Probabilities of all classes in the box.

    Raises:
        InputError: All strokes are of one class and there is no prior, the grids differ, the box is larger than the
            memory, or features were not kept.
        Cancelled: It was cancelled.
    """
    if len(strokes.names) < 2 and prior is None:
        raise InputError(
            f'All strokes are of one class, "{strokes.names[0]}"; paint another one as well, such as Background.'
        )
    if scan.shape != strokes.seeds.shape:
        raise InputError("The strokes were painted on another scan; give the scan that they were painted on.")
    steps = Progress(progress, cancel)
    steps.update(0.0, 0.1, 0.0, "looking at the scan")
    strokes = strokes if len(strokes.names) > 1 else strokes.with_background()
    start, stop = strokes.box
    device = next((found.kept("spread strokes").device for found in (features, prior) if found), torch.device("cpu"))
    _check_memory(strokes, start, stop, device)
    try:
        return _spread(strokes, scan, features, prior, steps, device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DeviceError(_too_large(strokes, start, stop)) from None


def _spread(
    strokes: Strokes,
    scan: Volume,
    features: Features | None,
    prior: Features | None,
    steps: Progress,
    device: torch.device,
) -> Propagation:
    start, stop = strokes.box
    cut = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    closed = prior is None and strokes.background is not None
    if features is None:
        channels = torch.from_numpy(scan.array[(slice(None), *cut)].astype(np.float32)).to(device)
        if not bool(channels.isfinite().all()):
            raise InputError(
                "The scan holds voxels near the strokes that are NaN or infinite. Replace them, for example by 0, and"
                " try again."
            )
    else:
        channels = channels_in(features, start, stop)
    edges = between_channels(channels, strokes.spacing)
    believed = None if prior is None else Prior(prior_in(prior, strokes.names, start, stop), PRIOR_WEIGHT)
    steps.update(0.0, 0.1, 1.0, "random walks")
    probabilities = hitting_probabilities(
        torch.from_numpy(_seeds_in(strokes, start, stop, closed)).to(device),
        len(strokes.names),
        edges,
        believed,
        on_step=lambda done: steps.update(0.1, 1.0, done, "random walks"),
    )
    return Propagation(strokes, start, stop, probabilities, closed)


def _seeds_in(strokes: Strokes, start: Shape, stop: Shape, closed: bool) -> Array:
    """The seeds of a box. closed: outside of it everything is background, so its faces inside the scan are."""
    seeds: Array = strokes.seeds[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].astype(np.int64)
    if not closed:
        return seeds
    assert strokes.background is not None
    for axis, (first, last, size) in enumerate(zip(start, stop, strokes.seeds.shape, strict=True)):
        faces = ([0] if first > 0 else []) + ([-1] if last < size else [])
        for face in faces:
            layer = np.moveaxis(seeds, axis, 0)[face]
            layer[layer == 0] = strokes.background + 1
    return seeds


def _check_memory(strokes: Strokes, start: Shape, stop: Shape, device: torch.device) -> None:
    """Raise InputError where a box is larger than the memory, as far as the system tells."""
    voxels = int(np.prod([b - a for a, b in zip(start, stop, strict=True)]))
    needed = 4 * voxels * (FIXED_ARRAYS + ARRAYS_A_CLASS * len(strokes.names))
    free = free_memory(device)
    if 0 < free < needed:
        raise InputError(
            f"{_too_large(strokes, start, stop)} About {needed / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are"
            " free."
        )


def _too_large(strokes: Strokes, start: Shape, stop: Shape) -> str:
    size = " x ".join(str(b - a) for a, b in zip(start[::-1], stop[::-1], strict=True))
    return (
        f"The box around the strokes ({size} voxels, {len(strokes.names)} classes) is larger than the memory; paint"
        " nearer to the structures, or fewer of them at a time."
    )
