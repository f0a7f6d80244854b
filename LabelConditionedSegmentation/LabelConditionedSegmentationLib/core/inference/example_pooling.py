"""Masked average pooling of what a network finds in an atlas, window by window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

import torch

from ..examples.painted_examples import STEPS
from ..network.example_encoder import Pooled, pool
from ..network.model import LabelConditionedNetwork
from .windows import WindowPlan, blending_weight

CHUNK = 16
"""Masks that are pooled at once."""


@torch.inference_mode()
def pooled_over(
    network: LabelConditionedNetwork,
    image: torch.Tensor,
    shares: Sequence[torch.Tensor],
    metadata: torch.Tensor,
    windows: WindowPlan,
    on_window: Callable[[int], None],
) -> Pooled:
    """Masked average pooling over the windows of an atlas, each run once for all masks, and not at all where it holds
    nothing of any; the sums are those of one window where a single one covers the atlas.

    image (channel, k, j, i); shares: see `shares_on`; metadata (1, fields). on_window gets how many windows are done.
    """
    device = metadata.device
    size = [n // windows.stride for n in windows.size]
    weight = blending_weight((size[0], size[1], size[2]))[..., 0]
    total = torch.zeros(shares[0].shape)
    for place in _places(windows):
        total[place] += weight
    whole: Pooled | None = None
    for done, (corner, place) in enumerate(zip(product(*windows.starts), _places(windows), strict=True)):
        on_window(done)
        masks = [one[place] for one in shares]
        if any(bool(mask.any()) for mask in masks):
            k, j, i = (slice(a, a + n) for a, n in zip(corner, windows.size, strict=True))
            patch = image[None, :, k, j, i].to(device, memory_format=torch.channels_last_3d)
            levels = [level[0] for level in network.levels(patch, metadata)]
            here = _pooled(levels, masks, (weight / total[place]).to(device))
            whole = here if whole is None else whole.plus(here)
    on_window(windows.count)
    assert whole is not None
    return whole


def _pooled(levels: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], share: torch.Tensor) -> Pooled:
    """The sums of one window for all masks on it, CHUNK at once."""
    parts = [
        pool(levels, torch.stack(list(masks[first : first + CHUNK])).to(share.device).float() / STEPS, share)
        for first in range(0, len(masks), CHUNK)
    ]
    return Pooled(
        [torch.cat(of_level) for of_level in zip(*(part.found for part in parts), strict=True)],
        [torch.cat(of_level) for of_level in zip(*(part.weight for part in parts), strict=True)],
    )


def _places(windows: WindowPlan) -> Iterator[tuple[slice, slice, slice]]:
    """Where the windows lie on the feature grid."""
    for corner in product(*windows.starts):
        k, j, i = (
            slice(a // windows.stride, (a + n) // windows.stride) for a, n in zip(corner, windows.size, strict=True)
        )
        yield k, j, i
