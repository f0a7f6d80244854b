"""Labels by example: two scans of a sample show each other what to find (the third claim of label conditioned
segmentation), beside the classes or alone.

Ma, Lee and Sabuncu, "Label conditioned segmentation", MIDL 2022, arXiv 2203.10091, where an atlas pair enters at the
bottleneck and a pass finds one label. Here the mask pools the atlas's own features into a prompt of the linear head, so
that one pass of the trunk serves as query and as atlas, for any number of labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.network.example_encoder import pool
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..data.example_tasks import masks_of
from ..data.prepared_cases import Case
from ..engine.config import ObjectiveConfig
from ..losses.streamed_softmax import streamed_softmax_loss
from ..losses.truth import Truth
from .method import Batch, Method
from .points import at_points
from .whole import input_of


class ByExample(Method):
    """Every sample is a pair of scans (see Training.data.training_samples.Samples); either one is the atlas of the
    other.

    Where prompts are examples alone, the class head learns nothing: it is silent, and `finish` gives every class the
    mean of what the training cases show of it. A frozen head is left as it is.
    """

    members: torch.Tensor
    everyone: torch.Tensor

    def __init__(self, network: LabelConditionedNetwork, objective: ObjectiveConfig, members: torch.Tensor) -> None:
        super().__init__(network)
        self.objective = objective
        self.register_buffer("members", members, persistent=False)
        self.register_buffer(
            "everyone", torch.ones(objective.examples_per_sample + 1, dtype=torch.bool), persistent=False
        )
        assert isinstance(network.head, ClassEmbeddings)
        self.means_for_classes = objective.prompts == "example" and network.head.prompts.requires_grad
        if self.means_for_classes:
            _silence(network.head)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean over the pairs: the loss of all classes (prompts: both), and that of the regions which either scan shows
        the other.
        """
        shape = batch["image"].shape[3:]
        image = batch["image"].flatten(0, 1).contiguous(memory_format=torch.channels_last_3d)
        levels = self.network.levels(image, batch["metadata"].flatten(0, 1))
        with torch.autocast(image.device.type, enabled=False):  # scores and their sums in float32
            found = at_points(levels[-1].float(), batch["points"].flatten(0, 1), shape)
            losses = []
            for n, values in enumerate(found):
                pair, side = divmod(n, 2)
                if self.objective.prompts == "both":
                    truth = Truth(batch["target"][pair, side], batch["annotated"][pair, side], self.members)
                    losses.append(
                        streamed_softmax_loss(
                            values.T, self.network.prompts, self.network.bias, truth, self.objective.dice_weight
                        )
                    )
                atlas = n + 1 - 2 * side
                losses.append(
                    self._by_example(
                        values.T,
                        batch["queries"][pair, side],
                        [level[atlas] for level in levels],
                        batch["regions"][pair, 1 - side],
                    )
                )
        return torch.stack(losses).sum() / len(found)

    def _by_example(
        self, values: torch.Tensor, target: torch.Tensor, levels: list[torch.Tensor], regions: torch.Tensor
    ) -> torch.Tensor:
        """values (P, C) and target (P,), numbers of regions, of the query; levels (channels, *space) and regions (k, j,
        i) of the atlas.
        """
        assert self.network.examples is not None
        masks = masks_of(regions, self.objective.examples_per_sample, regions.shape[0] // levels[-1].shape[1])
        prompts, bias = self.network.examples(pool(levels, masks))
        is_shown = masks.flatten(1).any(1)
        background = (
            torch.nn.functional.pad(prompts, (0, 0, 1, 0)),
            torch.nn.functional.pad(torch.where(is_shown, bias, -torch.inf), (1, 0)),
        )
        known = torch.where(
            (target > 0) & ~torch.cat([is_shown[:1], is_shown])[target], 0, target
        )  # what the atlas does not show is background
        truth = Truth(known, self.everyone, self.members.new_zeros(0, len(self.everyone)))
        return streamed_softmax_loss(values, *background, truth, self.objective.dice_weight)

    @torch.no_grad()
    def finish(self, cases: Sequence[Case]) -> None:
        """Prompt and bias of every class: the mean over the cases that show it, each whole and unvaried.

        A class that none shows, and the background, have the score 0.
        """
        if not self.means_for_classes:
            return
        head = self.network.head
        assert isinstance(head, ClassEmbeddings)
        prompts, bias, shown = torch.zeros_like(head.prompts), torch.zeros_like(head.bias), torch.zeros_like(head.bias)
        for case in cases:
            classes = [
                n
                for n in np.unique(case.target.numpy()).tolist()
                if 0 < n < self.network.classes and bool(case.annotated[n])
            ]
            if classes:
                vectors, offsets = self._prompts_of(case, classes)
                prompts[classes] += vectors
                bias[classes] += offsets
                shown[classes] += 1
        head.prompts.copy_(prompts / shown.clamp_min(1)[:, None])
        head.bias.copy_(bias / shown.clamp_min(1))

    def _prompts_of(self, case: Case, classes: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Prompts (n, C) and bias (n,) that a whole case gives for some of its classes."""
        assert self.network.examples is not None
        device = self.everyone.device
        levels = self.network.levels(
            input_of(self.network, case.image, case.foreground), case.metadata[None].to(device)
        )
        numbers = torch.zeros(self.network.classes, dtype=torch.long)
        numbers[list(classes)] = torch.arange(1, len(classes) + 1)
        regions = numbers[torch.where(case.target < self.network.classes, case.target, 0).clamp_min(0).long()].to(
            device
        )
        masks = masks_of(regions, len(classes), self.network.trunk.architecture.output_stride)
        vectors, bias = self.network.examples(pool([level[0] for level in levels], masks))
        return vectors, bias


@torch.no_grad()
def _silence(head: ClassEmbeddings) -> None:
    """Classes are not learned: all scores are equal, and the background wins."""
    for parameter in head.parameters():
        parameter.zero_()
        parameter.requires_grad_(False)
