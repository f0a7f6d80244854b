"""What every method of training is: a network with its loss as one module, so that a distributed wrapper sees
everything that has gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from lightning.fabric import Fabric
from torch.utils.data import Dataset

from ..engine.optimizers import make_optimizer

if TYPE_CHECKING:
    from ..data.prepared_cases import Case
    from ..data.training_samples import Samples
    from ..engine.config import Config, OptimizerConfig
    from ..engine.run_data import RunData

Batch = dict[str, torch.Tensor]
Optimizers = dict[str, torch.optim.Optimizer]
Picture = Callable[[str, torch.Tensor, Sequence[torch.Tensor]], None]
"""Shows, under a name, an image (k, j, i) and maps of classes (k, j, i) over it: labels, and others after them."""

MAIN = "optimizer"
"""The optimizer that follows the gradient of the loss."""


@dataclass
class Run:
    """What a method knows of the run at a step. model: the method inside the wrapper that averages gradients over all
    processes. measured: what is logged of the step beside the loss, by name.
    """

    fabric: Fabric
    model: Callable[[Batch], torch.Tensor]
    step: int = 0
    learning_rate: float = 0.0
    measured: dict[str, float] = field(default_factory=dict)


class Method(torch.nn.Module):
    """forward(batch) is the mean loss of the samples of a batch (see Training.data.training_samples.Samples).

    The rest is for methods that do more than that.

    settings: what `register` was given. answers_for_classes: whether the network does, by itself; a run without that is
    not validated and ends without a package. roles: of sources that it takes beside those to train on and to validate
    with (see `data.sources`). keeps_protocols: whether every source's labels stay a protocol of their own; otherwise
    those of one name are one label. needs_loss: the value of `objective.loss` that it asks for where the default is
    another one. needs_label_maps: whether samples have the targets of all their voxels, whatever the points of the
    loss. learns_from_target: whether scans of the role target have a part in the training. criterion_name: what
    `criterion` is, for people.
    """

    settings: ClassVar[type[Any] | None] = None
    trains_context_classes: ClassVar[bool] = False
    learns_from_examples: ClassVar[bool] = False
    answers_for_classes: bool = True
    roles: ClassVar[tuple[str, ...]] = ()
    keeps_protocols: ClassVar[bool] = False
    needs_loss: ClassVar[str] = ""
    needs_label_maps: ClassVar[bool] = False
    learns_from_target: bool = False
    criterion_name: str = "Dice"

    def __init__(self, network: LabelConditionedNetwork) -> None:
        super().__init__()
        self.network = network

    @classmethod
    def check(cls, config: Config) -> None:
        """SystemExit, from the settings alone, for those that exclude each other."""

    @classmethod
    def meta_cases(cls, config: Config) -> list[str]:  # noqa: ARG003
        """Cases of the data set that are kept out of training for an outer loss; they are `RunData.meta`."""
        return []

    @classmethod
    def labels_of_samples(cls, config: Config, tree: LabelTree, table: LabelTree) -> LabelTree:  # noqa: ARG003
        """The labels that samples distinguish: those of the network first, and others of the data set's table."""
        return tree

    @classmethod
    def build(cls, network: LabelConditionedNetwork, config: Config, members: torch.Tensor) -> Method:  # noqa: ARG003
        """The module of a run (see `build_method`)."""
        return cls(network)

    def optimizers(self, settings: OptimizerConfig) -> Optimizers:
        """All optimizers by the name under which a checkpoint keeps them. The run makes the steps of `MAIN`, the
        method those of others, whose parameters have requires_grad False.
        """
        return {MAIN: make_optimizer(self.parameters(), settings)}

    def begin(self, samples: Samples, data: RunData) -> None:
        """Called once before the first step, with the samples of the run."""

    def drawn(self, samples: Samples, data: RunData) -> Dataset[Batch]:  # noqa: ARG002
        """What the batches of steps are drawn from: the samples of the run, or those with something beside each."""
        return samples

    def training_step(self, batch: Batch, run: Run) -> torch.Tensor:
        """The loss of a step, of which the run then follows the gradient."""
        return run.model(batch)

    def criterion(self, dice: float) -> float:
        """By which validations are compared, the same in all processes. dice: the mean over labels and cases."""
        return dice

    def on_validation(self, batch: Batch, picture: Picture) -> None:
        """Called after a validation, with the batch of the step, to show pictures."""

    def finish(self, cases: Sequence[Case]) -> None:
        """Called with the cases for training before the network answers for classes, in a validation or in its package:
        fills in what the loss does not train.
        """
