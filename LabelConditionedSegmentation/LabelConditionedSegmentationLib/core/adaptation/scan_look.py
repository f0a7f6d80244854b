"""Looks: what a network's features and answers are like in the windows of one scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ..network.model import LabelConditionedNetwork
from ..package.feature_statistics import LevelStatistics

Window = tuple[slice, slice, slice]
"""(k, j, i) in image voxels."""

POINTS = 8192
"""Voxels of a window, at most, whose answers are looked at."""

LEAST_VARIANCE = 1e-3
"""Of a channel, in parts of the mean variance of its level: below it a channel counts as constant."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of one level in one window: voxels of the foreground, and the sums (channels,) of values and squares in them."""

    weight: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor


@dataclass(frozen=True, eq=False)
class Look:
    """A window as the network sees it.

    moments: of the levels of the trunk. entropy: mean over points of the foreground, in nats. counts: for every class,
    those of all protocols one after the other, how many points it wins.
    """

    moments: dict[str, Moments]
    entropy: torch.Tensor
    counts: torch.Tensor

    def detached(self) -> Look:
        """The same without gradients."""
        moments = {
            name: Moments(of_level.weight, of_level.first.detach(), of_level.second.detach())
            for name, of_level in self.moments.items()
        }
        return Look(moments, self.entropy.detach(), self.counts)


@dataclass(frozen=True)
class Looker:
    """Looks at windows of one scan: `image` (channel, k, j, i) with positions, `foreground` (k, j, i) bool.

    levels: those of the trunk whose features are of interest. protocols: the classes of each. What is known about the
    scan is withheld, so that features of scans that more or less is known about can be compared.
    """

    image: torch.Tensor
    foreground: torch.Tensor
    levels: tuple[str, ...]
    device: torch.device
    protocols: tuple[slice, ...] = (slice(None),)

    def look(self, network: LabelConditionedNetwork, window: Window) -> Look:
        """One pass of the trunk over a window; whether gradients are kept is the caller's choice."""
        kind = network.bias.dtype
        patch = self.image[(slice(None), *window)][None].to(self.device, kind, memory_format=torch.channels_last_3d)
        inside = self.foreground[window][None, None].float().to(self.device)
        film = network.trunk.film
        unknown = torch.full((1, len(film.encoder.choices) if film else 0), torch.nan, dtype=kind, device=self.device)
        features, activations = network.trunk.with_activations(patch, self.levels, unknown)
        moments = {name: _moments(values.float(), inside) for name, values in activations.items()}
        return Look(moments, *self._answers(network, features.float(), inside))

    def _answers(
        self, network: LabelConditionedNetwork, features: torch.Tensor, inside: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean entropy and wins of every class, at evenly spread points of the foreground."""
        where = (_pooled(inside, features) > 0.5).flatten().nonzero()[:, 0]
        if not len(where):
            return features.sum() * 0, torch.zeros(len(network.bias), device=features.device)
        points = where[:: -(-len(where) // POINTS)]
        scores = features[0].flatten(1)[:, points].T @ network.prompts.float().T + network.bias.float()
        entropies, counts = [], []
        for classes in self.protocols:
            logs = scores[:, classes].log_softmax(1)
            entropies.append(-(logs.exp() * logs).sum(1).mean())
            counts.append(torch.bincount(logs.argmax(1), minlength=logs.shape[1]))
        return torch.stack(entropies).mean(), torch.cat(counts)


def windows_with_something(foreground: torch.Tensor, windows: Iterable[Window]) -> list[Window]:
    """The windows that hold foreground (k, j, i), those with the most of it first."""
    counted = [(int(foreground[window].sum()), window) for window in windows]
    most = max(count for count, _ in counted)
    kept = [(count, window) for count, window in counted if count > 0.02 * most]
    return [window for _, window in sorted(kept, key=lambda one: -one[0])]


def pooled_statistics(looks: Iterable[Mapping[str, Moments]]) -> dict[str, LevelStatistics]:
    """Mean and variance of every channel over all foreground that was looked at, for each level."""
    each = list(looks)
    out = {}
    for name in each[0]:
        weight, first, second = (torch.stack(values).sum(0) for values in zip(*_parts(each, name), strict=True))
        mean = first / weight
        out[name] = LevelStatistics(mean, (second / weight - mean**2).clamp_min(0))
    return out


def distance(here: Mapping[str, LevelStatistics], stored: Mapping[str, LevelStatistics]) -> torch.Tensor:
    """How far features are from stored statistics: the L1 distance of means in deviations of the channel, and that of
    variances in variances of it, the mean over channels and then over levels. 0 where they are the same.
    """
    levels = []
    for name, there in stored.items():
        variance = there.variance.to(here[name].mean.device)
        variance = variance.clamp_min(LEAST_VARIANCE * float(variance.mean()) + 1e-12)
        mean_off = (here[name].mean - there.mean.to(variance.device)).abs() / variance.sqrt()
        variance_off = (here[name].variance - there.variance.to(variance.device)).abs() / variance
        levels.append((mean_off + variance_off).mean())
    return torch.stack(levels).mean()


def _parts(each: Sequence[Mapping[str, Moments]], name: str) -> Iterator[tuple[torch.Tensor, ...]]:
    return ((look[name].weight, look[name].first, look[name].second) for look in each)


def _moments(values: torch.Tensor, inside: torch.Tensor) -> Moments:
    """Of a level (1, channels, *space), weighted by how much of each voxel is foreground."""
    weight = _pooled(inside, values)
    weighted = values * weight
    space = (0, 2, 3, 4)
    return Moments(weight.sum(), weighted.sum(space), (weighted * values).sum(space))


def _pooled(inside: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The foreground (1, 1, *space) at the resolution of a level."""
    return nn.functional.adaptive_avg_pool3d(inside, values.shape[2:])  # type: ignore[arg-type]
