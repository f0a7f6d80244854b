"""Labels by example as published, for comparison: an atlas pair enters at the deepest stage, and a pass finds one label
(Ma, Lee and Sabuncu, MIDL 2022, arXiv 2203.10091).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.network.model import LABELS_A_PASS, LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND

from ..data.prepared_cases import Case
from ..engine.config import ObjectiveConfig
from ..losses.masked_sigmoid import masked_sigmoid_loss
from ..losses.truth import Truth
from .method import Batch, Method
from .points import at_points
from .whole import input_of


class PublishedPair(Method):
    """The pairs of scans and the regions of ByExample; each region is a pass with a sigmoid loss of its own (soft Dice
    with squared denominators, and a cross entropy, from which an absent label learns something too).
    """

    answers_for_classes = False

    def __init__(self, network: LabelConditionedNetwork, objective: ObjectiveConfig) -> None:
        super().__init__(network)
        self.objective = objective

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean over the pairs (see Training.data.training_samples.Samples) of the loss of the regions that either scan
        shows the other.
        """
        losses = [self._found_by(batch, pair, side) for pair in range(len(batch["image"])) for side in range(2)]
        return torch.stack(losses).mean()

    def _found_by(self, batch: Batch, pair: int, side: int) -> torch.Tensor:
        """The loss of one scan as the query and the other as its atlas."""
        image, target, regions = (
            batch["image"][pair, side],
            batch["queries"][pair, side],
            batch["regions"][pair, 1 - side],
        )
        atlas = batch["image"][pair, 1 - side, : self.network.trunk.architecture.in_channels]
        shown = [n for n in regions.unique().tolist() if n > 0]  # type: ignore[no-untyped-call]
        numbers = torch.tensor(
            shown or [1], device=regions.device
        )  # where nothing is shown, a pass all the same: other processes wait for its gradients
        masks = regions == numbers[:, None, None, None]
        query = image[None].contiguous(memory_format=torch.channels_last_3d)
        scores = self.network.scores_by_pair(query, batch["metadata"][pair, side][None], atlas, masks).float()
        with torch.autocast(image.device.type, enabled=False):
            found = at_points(scores, batch["points"][pair, side][None], image.shape[1:])[0]
            classes = torch.arange(self.objective.examples_per_sample + 1, device=regions.device)
            labels = numbers[:, None] == classes
            annotated = labels[masks.flatten(1).any(1)].any(0)
            truth = Truth(target, annotated, labels.new_zeros(0, len(classes)))
            return masked_sigmoid_loss(found.T, truth, labels, self.objective.dice_weight)


@torch.no_grad()
def find_by_pair(
    network: LabelConditionedNetwork, query: Case, atlas: Case, masks: Mapping[int, torch.Tensor]
) -> torch.Tensor:
    """The best of the structures that an atlas shows, for every voxel of a query: (k, j, i) of its network grid, 0
    where no score is positive.

    masks: number of a structure, above 0 -> (k, j, i) bool on the atlas. The scans are laid centre on centre, as in
    training. One pass a structure.
    """
    shape = [max(lengths) for lengths in zip(query.target.shape, atlas.target.shape, strict=True)]
    foreground = _centred(query.foreground[None], shape, 0)[0]
    image = input_of(network, _centred(query.image, shape, BACKGROUND), foreground)
    shown = _centred(atlas.image, shape, BACKGROUND).float().to(image.device)
    fine = Grid(np.eye(4), (shape[0], shape[1], shape[2]))
    coarse = fine.coarser(network.trunk.architecture.output_stride)
    numbers = torch.tensor(list(masks))
    best, highest = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    for some in torch.split(numbers, LABELS_A_PASS):
        given = torch.stack([_centred(masks[number][None], shape, 0)[0] for number in some.tolist()]).to(image.device)
        scores = network.scores_by_pair(image, query.metadata[None].to(image.device), shown, given)[0]
        score, which = resample(scores.float().movedim(0, -1), coarse, fine).max(-1)
        wins = score.cpu() > highest
        best, highest = torch.where(wins, some[which.cpu()], best), torch.where(wins, score.cpu(), highest)
    place = tuple(
        slice(start, start + length)
        for start, length in zip(_starts(query.target.shape, shape), query.target.shape, strict=True)
    )
    return best[place]


def _centred(values: torch.Tensor, shape: Sequence[int], around: float) -> torch.Tensor:
    """(channel, k, j, i) in the middle of a larger shape."""
    out = torch.full((len(values), *shape), around, dtype=values.dtype)
    k, j, i = (
        slice(start, start + length)
        for start, length in zip(_starts(values.shape[1:], shape), values.shape[1:], strict=True)
    )
    out[:, k, j, i] = values
    return out


def _starts(inner: Sequence[int], outer: Sequence[int]) -> list[int]:
    return [(large - small) // 2 for small, large in zip(inner, outer, strict=True)]
