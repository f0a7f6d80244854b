"""Several data sets that divide a scan in different ways, each of them a protocol of its own on one trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..engine.config import Config, ObjectiveConfig
from ..losses.streamed_softmax import streamed_softmax_loss
from ..losses.truth import IGNORE, Truth
from .all_labels import AllLabels
from .registry import register

if TYPE_CHECKING:
    from ..data.training_samples import Samples
    from ..engine.run_data import RunData


@register("protocols")
class Protocols(AllLabels):
    """In every sample a softmax over the labels of its own protocol and the background of that, in chunks as
    `streamed_softmax_loss`: what the others' labels are there is neither asked nor punished.
    """

    keeps_protocols = True

    def __init__(self, network: LabelConditionedNetwork, objective: ObjectiveConfig, members: torch.Tensor) -> None:
        super().__init__(network, objective, members)
        self.slices = [slice(0, network.classes)]

    @classmethod
    def check(cls, config: Config) -> None:
        if config.network.conditioning != "head" or config.objective.labels != "all":
            raise SystemExit(
                "method=protocols scores all labels from one pass: network.conditioning has to be head and"
                " objective.labels all."
            )
        if config.objective.loss != "softmax":
            raise SystemExit("The labels of a protocol compete: method=protocols needs objective.loss=softmax.")

    def begin(self, samples: Samples, data: RunData) -> None:  # noqa: ARG002
        self.slices = list(data.tree.class_slices.values())

    def _loss(self, features: torch.Tensor, truth: Truth) -> torch.Tensor:
        own = next((s for s in self.slices if bool(truth.annotated[s.start + 1 : s.stop].any())), self.slices[0])
        prompts, bias = self.network.prompts[own], self.network.bias[own]
        return streamed_softmax_loss(features, prompts, bias, inside(truth, own), self.objective.dice_weight)


def inside(truth: Truth, classes: slice) -> Truth:
    """What is known of voxels, with the classes of one protocol (its background first) and its groups alone, numbered
    from 0. Targets are 0 for the protocol's background, those of its classes and groups, or IGNORE.
    """
    count = classes.stop - classes.start
    annotated = truth.annotated[classes].clone()
    annotated[0] = True
    its = truth.members[:, classes].any(1)
    members = truth.members[its][:, classes]
    first_group = int(its.long().argmax()) if len(members) else 0
    target = truth.target.long()
    moved = torch.where(
        target >= len(truth.annotated), target - len(truth.annotated) - first_group + count, target - classes.start
    )
    return Truth(torch.where(target > 0, moved, target.clamp_min(IGNORE)), annotated, members, weight=truth.weight)
