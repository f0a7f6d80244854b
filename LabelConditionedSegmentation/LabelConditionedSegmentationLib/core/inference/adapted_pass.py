"""A network pass over one scan with a network that was adapted to it, and the windows of the scan in which
features are compared.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from itertools import product

import torch

from ..adaptation.adapted_network import Outcome, adapted_to
from ..adaptation.adapters import Adaptation
from ..adaptation.scan_look import Looker, Moments, Window, windows_with_something
from ..package.feature_statistics import LevelStatistics
from ..scan.geometry import Shape
from .network_pass import NetworkPass
from .windows import plan_windows

LARGEST_WINDOW = 2**20
"""Voxels of a window in which features are compared, at most: what a step of adaptation needs of memory."""

FEATURE_DISTANCE = "feature_distance"
"""The name, among a package's ranges, of how far features of its training scans are from their statistics."""


def comparison_windows(foreground: torch.Tensor, patch: Shape, multiple: int) -> list[Window]:
    """Windows of a scan in which features are compared, here and over the training scans alike: side by side, and no
    larger than LARGEST_WINDOW, whatever fits into memory elsewhere.

    foreground: (k, j, i) bool. patch: the largest window of the network. multiple: what each axis is a multiple of.
    """
    size = list(patch)
    while math.prod(size) > LARGEST_WINDOW and max(size) > multiple:
        axis = size.index(max(size))
        size[axis] = -(-size[axis] // (2 * multiple)) * multiple
    k, j, i = foreground.shape
    plan = plan_windows((k, j, i), (size[0], size[1], size[2]), 0.0, multiple)
    boxes = [[slice(start, start + n) for start in starts] for starts, n in zip(plan.starts, plan.size, strict=True)]
    return windows_with_something(foreground, [(k, j, i) for k, j, i in product(*boxes)])


def adapted_pass(
    network_pass: NetworkPass,
    image: torch.Tensor,
    foreground: torch.Tensor,
    stored: Mapping[str, LevelStatistics],
    adaptation: Adaptation,
    usual: tuple[float, ...] = (),
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[NetworkPass, Outcome]:
    """The pass with a network that was adapted to a scan, or the same pass where the original network stands.

    image: (channel, k, j, i) with positions; foreground (k, j, i) bool. stored, usual, on_progress: see `adapted_to`.
    The pass that is given, and its network, stay as they are.
    """
    looker, windows = looking(network_pass, image, foreground, tuple(stored))
    outcome = adapted_to(network_pass.network, looker, windows, stored, adaptation, usual, on_progress)
    if outcome.network is None:
        return network_pass, outcome
    other = copy.copy(network_pass)
    other.network = outcome.network
    return other, outcome


@torch.no_grad()
def scan_moments(
    network_pass: NetworkPass, image: torch.Tensor, foreground: torch.Tensor, levels: tuple[str, ...]
) -> list[dict[str, Moments]]:
    """What statistics of features are made from: the moments of every window of a scan, as `adapted_pass` takes it."""
    looker, windows = looking(network_pass, image, foreground, levels)
    return [looker.look(network_pass.network, window).moments for window in windows]


def looking(
    network_pass: NetworkPass, image: torch.Tensor, foreground: torch.Tensor, levels: tuple[str, ...]
) -> tuple[Looker, list[Window]]:
    """Who looks at a scan, and at which windows of it."""
    architecture = network_pass.network.trunk.architecture
    windows = comparison_windows(foreground, network_pass.patch, architecture.multiple)
    return Looker(image, foreground, levels, network_pass.plan.device, network_pass.class_slices), windows
