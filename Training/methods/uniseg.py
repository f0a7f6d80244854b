"""UniSeg (Kim et al., ECCV 2022): one network of several data sets, whose classes are decided each by itself, and the
relations between the classes of different data sets as soft targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from ..engine.config import Config
from ..engine.setting_types import Count, Positive, Whole
from ..losses.class_independent import NULL, class_independent_loss, soft_targets
from ..losses.truth import Truth
from .all_labels import AllLabels, forget_background
from .method import Batch, Method, Run
from .points import at_points
from .registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..data.prepared_cases import Case
    from ..data.training_samples import Samples
    from ..engine.run_data import RunData

FIRST_MEASURED = 2**40
"""Number of the first sample that relations are measured on: no step has one as high."""


@dataclass
class UniSegSettings:
    """How classes of several data sets are decided each by itself."""

    scale: Positive = 20.0
    """A score is this times the cosine of features and prompt."""
    relations_from: Whole = 0
    """The step from which on related classes are soft targets where a data set does not know a class; 0: never."""
    relations_on: Count = 64
    """Samples on which the relations are measured at that step."""
    mapping: Literal["sigmoid", "clipped"] = "sigmoid"
    """The target of a class at the mean cosine s: sigmoid(scale * s), or s itself where it is positive."""


@register("uniseg", UniSegSettings)
class UniSeg(AllLabels):
    """Class-independent binary cross entropy of a cosine classifier, null where a data set does not know a class.

    The norm of the features is common to all classes, so that a package with prompts of one norm and without bias,
    which is what `finish` makes, finds in every voxel the class that the cosine classifier finds. Its probabilities are
    others.

    relations (K, K): the soft targets of the second stage, as `soft_targets` gives them; they are measured once, before
    the step `relations_from`, and kept in checkpoints.
    """

    needs_loss = "sigmoid"
    relations: torch.Tensor

    def __init__(self, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> None:
        super().__init__(network, config.objective, members)
        self.own = config.own(UniSegSettings)
        self.has_relations = False
        self.register_buffer("relations", torch.full((network.classes, network.classes), NULL))
        assert isinstance(network.head, ClassEmbeddings)
        forget_background(network.head)

    @classmethod
    def check(cls, config: Config) -> None:
        if config.network.conditioning != "head" or config.objective.labels != "all":
            raise SystemExit(
                "method=uniseg scores all labels from one pass: network.conditioning has to be head and"
                " objective.labels all."
            )
        if config.objective.loss != cls.needs_loss:
            raise SystemExit(f"Every class is decided by itself: method=uniseg needs objective.loss={cls.needs_loss}.")

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:
        return cls(network, config, members)

    def begin(self, samples: Samples, data: RunData) -> None:  # noqa: ARG002
        self.samples = samples

    def training_step(self, batch: Batch, run: Run) -> torch.Tensor:
        start = self.own.relations_from
        if start and run.step == start:
            with run.fabric.autocast():
                similarity = self.similarity()
            self.relations.copy_(soft_targets(similarity, self.own.scale, self.own.mapping))
        self.has_relations = bool(start) and run.step >= start
        return super().training_step(batch, run)

    @torch.no_grad()
    def similarity(self) -> torch.Tensor:
        """(K, K): the mean cosine of the features of the voxels of class c (row) and the prompt of class k (column), on
        samples that no step learns from; NaN where no voxel of c came.
        """
        classes = self.network.classes
        sums, counts = torch.zeros_like(self.relations), self.relations.new_zeros(classes)
        for number in range(FIRST_MEASURED, FIRST_MEASURED + self.own.relations_on):
            sample = {key: value[None].to(sums.device) for key, value in self.samples[number].items()}
            image = sample["image"].contiguous(memory_format=torch.channels_last_3d)
            features = self.network.trunk(image, sample["metadata"]).float()
            own = Truth(sample["target"][0], sample["annotated"][0], self.members).visible  # type: ignore[arg-type]
            is_single = (own > 0) & (own < classes)
            with torch.autocast(image.device.type, enabled=False):
                found = at_points(features, sample["points"], image.shape[2:])[0].T
                sums.index_add_(0, own[is_single].long(), self._cosines(found[is_single]).to(sums))
            counts += torch.bincount(own[is_single].long(), minlength=classes)
        return torch.where(counts[:, None] > 0, sums / counts[:, None], torch.nan)

    def finish(self, cases: Sequence[Case]) -> None:  # noqa: ARG002
        head = self.network.head
        assert isinstance(head, ClassEmbeddings)
        with torch.no_grad():
            head.prompts.copy_(self.own.scale * torch.nn.functional.normalize(head.prompts, dim=1))
            head.bias.zero_()
        forget_background(head)

    def _cosines(self, features: torch.Tensor) -> torch.Tensor:
        """features (P, C) -> (P, K): their cosine to every prompt."""
        normalize = torch.nn.functional.normalize
        return normalize(features, dim=1) @ normalize(self.network.prompts.float(), dim=1).to(features).T

    def _loss(self, features: torch.Tensor, truth: Truth) -> torch.Tensor:
        scores = self.own.scale * self._cosines(features)[:, 1:]
        relations = self.relations if self.has_relations else None
        return class_independent_loss(scores, truth, self.objective.dice_weight, relations)
