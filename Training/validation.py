"""Validation while a run goes: Dice on the network's grid, quick and without flips; Training/evaluate.py gives the figures that count."""

from __future__ import annotations

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.scoring import best_classes
from lightning.fabric import Fabric

from Training.methods.whole import input_of
from Training.prepare import Case


@torch.no_grad()
def features_of(network: LabelConditionedNetwork, case: Case) -> torch.Tensor:
    """The features of every voxel of a prepared case, (k, j, i, C) float32, from one pass over the whole of it."""
    image = input_of(network, case.image, case.foreground)
    features = network.features(image, case.metadata[None].to(image.device))[0]
    fine = Grid(np.eye(4), case.target.shape)  # type: ignore[arg-type]
    return resample(features.float().movedim(0, -1), fine.coarser(network.trunk.architecture.output_stride), fine)


@torch.no_grad()
def find_classes(network: LabelConditionedNetwork, case: Case) -> torch.Tensor:
    """The best class of every voxel of a prepared case, (k, j, i) on the network's grid."""
    features = features_of(network, case)
    context = network.trunk.architecture.context_classes
    return (
        best_classes(features.flatten(0, 2), network.prompts, network.bias, context=context)
        .best_class.cpu()
        .long()
        .view(features.shape[:3])
    )


def dice_of_classes(found: torch.Tensor, target: torch.Tensor, classes: int) -> np.ndarray:
    """Dice of every class but the background, (classes - 1,); NaN where it is absent from the truth. Voxels without a single class as target are left out."""
    truth = target.long()
    known = (truth >= 0) & (truth < classes)
    found, truth = found[known], truth[known]
    both, there = torch.bincount(truth[truth == found], minlength=classes), torch.bincount(truth, minlength=classes)
    dice = 2 * both / (there + torch.bincount(found, minlength=classes))
    dice[there == 0] = torch.nan
    return np.asarray(dice[1:].numpy())


def validate(
    network: LabelConditionedNetwork, cases: list[Case], fabric: Fabric
) -> tuple[dict[str, np.ndarray], torch.Tensor | None]:
    """Dice of every leaf in every case on the network's grid, and what was found in the first case; every process does its share of the cases."""
    table = torch.zeros(len(cases), network.classes - 1)
    first = None
    for n in range(fabric.global_rank, len(cases), fabric.world_size):
        with fabric.autocast():
            found = find_classes(network, cases[n])
        table[n] = torch.from_numpy(dice_of_classes(found, cases[n].target, network.classes))
        first = found if n == 0 else first
    table = torch.as_tensor(fabric.all_reduce(table.to(fabric.device), reduce_op="sum")).cpu()
    return {case.name: row.numpy() for case, row in zip(cases, table, strict=True)}, first
