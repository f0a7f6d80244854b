"""Validation while a run goes: Dice on the network's grid, by the windows of inference; Training/evaluate.py gives the
figures that count.

Without the flips that a package may ask for: they double the time and lift all checkpoints alike, while validation only
compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.features import Prompts, WinnerMap
from LabelConditionedSegmentationLib.core.inference.scoring import DEFAULT_CHUNK
from LabelConditionedSegmentationLib.core.inference.segmenter import WINDOW_OVERLAP
from LabelConditionedSegmentationLib.core.inference.windows import FeatureSlab, feature_slabs, plan_windows
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, Shape, resample
from lightning.fabric import Fabric

from ..data.prepared_cases import Case
from ..methods.whole import input_of

Precision = Callable[[], AbstractContextManager[object]]
"""What the trunk runs in; features are blended and scored in float32."""

AXIS = 0
"""Along which windows are done one after the other."""


@torch.no_grad()
def features_of(network: LabelConditionedNetwork, case: Case, patch: Shape) -> torch.Tensor:
    """The features of every voxel of a prepared case, (k, j, i, C) float32, from windows of at most `patch` voxels."""
    fine, coarse = _grids(network, case)
    return resample(torch.cat([slab.values for slab in _slabs(network, case, patch, nullcontext)]), coarse, fine)


@torch.no_grad()
def find_classes(
    network: LabelConditionedNetwork, case: Case, patch: Shape, precision: Precision = nullcontext
) -> torch.Tensor:
    """The best class of every voxel of a prepared case, (k, j, i) on the network's grid, as a Segmenter finds it."""
    fine, coarse = _grids(network, case)
    prompts = Prompts(network.prompts.float(), network.bias.float(), network.trunk.architecture.context_classes)
    winners = WinnerMap(coarse, fine, AXIS, prompts, DEFAULT_CHUNK)
    for slab in _slabs(network, case, patch, precision):
        winners.add(slab)
    return torch.from_numpy(winners.winners).long()


def _grids(network: LabelConditionedNetwork, case: Case) -> tuple[Grid, Grid]:
    """Those of a case's voxels and of its features."""
    k, j, i = case.target.shape
    fine = Grid(np.eye(4), (k, j, i))
    return fine, fine.coarser(network.trunk.architecture.output_stride)


def _slabs(network: LabelConditionedNetwork, case: Case, patch: Shape, precision: Precision) -> Iterator[FeatureSlab]:
    kind = next(network.parameters()).dtype  # double where precision=64-true
    image, (fine, _) = input_of(network, case.image, case.foreground)[0].to(kind), _grids(network, case)
    metadata = case.metadata[None].to(image)

    def trunk(patches: torch.Tensor) -> torch.Tensor:
        with precision():
            return network.features(patches.contiguous(memory_format=torch.channels_last_3d), metadata)

    windows = plan_windows(fine.shape, patch, WINDOW_OVERLAP, network.trunk.architecture.output_stride)
    return feature_slabs(image, trunk, windows, AXIS, image.device)


def dice_of_classes(found: torch.Tensor, target: torch.Tensor, classes: int) -> np.ndarray:
    """Dice of every class but the background, (classes - 1,); NaN where it is absent from the truth.

    Voxels without a single class as target are left out.
    """
    truth = target.long()
    known = (truth >= 0) & (truth < classes)
    found, truth = found[known], truth[known]
    both, there = torch.bincount(truth[truth == found], minlength=classes), torch.bincount(truth, minlength=classes)
    dice = 2 * both / (there + torch.bincount(found, minlength=classes))
    dice[there == 0] = torch.nan
    return np.asarray(dice[1:].numpy())


def validate(
    network: LabelConditionedNetwork, cases: list[Case], patch: Shape, fabric: Fabric
) -> tuple[dict[str, np.ndarray], torch.Tensor | None]:
    """Dice of every leaf in every case on the network's grid, and what was found in the first case.

    patch: voxels (k, j, i) of the windows, those of the package. Every process does its share of the cases.
    """
    table = torch.zeros(len(cases), network.classes - 1)
    first = None
    for n in range(fabric.global_rank, len(cases), fabric.world_size):
        found = find_classes(network, cases[n], patch, fabric.autocast)
        table[n] = torch.from_numpy(dice_of_classes(found, cases[n].target, network.classes))
        first = found if n == 0 else first
    table = torch.as_tensor(fabric.all_reduce(table.to(fabric.device), reduce_op="sum")).cpu()
    return {case.name: row.numpy() for case, row in zip(cases, table, strict=True)}, first
