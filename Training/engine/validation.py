"""Validation while a run goes: Dice on the network's grid, by the windows of inference; Training/evaluate.py gives the
figures that count.

Without the flips that a package may ask for: they double the time and lift all checkpoints alike, while validation only
compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.features import WinnerMap
from LabelConditionedSegmentationLib.core.inference.network_pass import NetworkPass
from LabelConditionedSegmentationLib.core.inference.windows import FeatureSlab
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
    slabs = _slabs(_pass_of(network, patch), case)
    return resample(torch.cat([slab.values for slab in slabs]), coarse, fine)


@torch.no_grad()
def find_classes(
    network: LabelConditionedNetwork,
    case: Case,
    patch: Shape,
    precision: Precision = nullcontext,
    among: slice = slice(None),
) -> torch.Tensor:
    """The best class of every voxel of a prepared case, (k, j, i) on the network's grid, as a Segmenter finds it.

    among: the classes that compete, those of a protocol with its background first; numbers are those of the network, 0
    for the background.
    """
    fine, coarse = _grids(network, case)
    network_pass = _pass_of(network, patch, precision)
    prompts = network_pass.prompts
    if among != slice(None):
        prompts = prompts.part(among)
    winners = WinnerMap(coarse, fine, AXIS, prompts, network_pass.plan.chunk)
    for slab in _slabs(network_pass, case):
        winners.add(slab)
    found = torch.from_numpy(winners.winners).long()
    return torch.where(found > 0, found + (among.start or 0), 0)


def protocol_of(case: Case, class_slices: Mapping[str, slice]) -> slice:
    """The classes of the protocol that a case is labelled by; all of them, and whatever the network has beside them,
    where there is one protocol.
    """
    if len(class_slices) == 1:
        return slice(None)
    looked_for = (bool(case.annotated[part.start + 1 : part.stop].any()) for part in class_slices.values())
    return next(part for part, is_its in zip(class_slices.values(), looked_for, strict=True) if is_its)


def _grids(network: LabelConditionedNetwork, case: Case) -> tuple[Grid, Grid]:
    """Those of a case's voxels and of its features."""
    k, j, i = case.target.shape
    fine = Grid(np.eye(4), (k, j, i))
    return fine, fine.coarser(network.trunk.architecture.output_stride)


def _pass_of(network: LabelConditionedNetwork, patch: Shape, precision: Precision = nullcontext) -> NetworkPass:
    """The pass of inference, over the network where and as training has it."""
    return NetworkPass(network, next(network.parameters()).device, patch, precision=precision)


def _slabs(network_pass: NetworkPass, case: Case) -> Iterator[FeatureSlab]:
    network = network_pass.network
    kind = next(network.parameters()).dtype  # double where precision=64-true
    image = input_of(network, case.image, case.foreground)[0].to(kind)
    return network_pass.slabs(image, case.metadata[None].to(image), AXIS)


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
    network: LabelConditionedNetwork,
    cases: list[Case],
    patch: Shape,
    fabric: Fabric,
    class_slices: Mapping[str, slice] = MappingProxyType({"": slice(None)}),
) -> tuple[dict[str, np.ndarray], torch.Tensor | None]:
    """Dice of every leaf in every case on the network's grid, and what was found in the first case.

    patch: voxels (k, j, i) of the windows, those of the package. class_slices: those of the tree; a case is decided
    inside the protocol that it is labelled by. Every process does its share of the cases.
    """
    table = torch.zeros(len(cases), network.classes - 1)
    first = None
    for n in range(fabric.global_rank, len(cases), fabric.world_size):
        found = find_classes(network, cases[n], patch, fabric.autocast, protocol_of(cases[n], class_slices))
        table[n] = torch.from_numpy(dice_of_classes(found, cases[n].target, network.classes))
        first = found if n == 0 else first
    table = torch.as_tensor(fabric.all_reduce(table.to(fabric.device), reduce_op="sum")).cpu()
    return {case.name: row.numpy() for case, row in zip(cases, table, strict=True)}, first
