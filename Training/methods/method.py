"""What every method of training is: a network with its loss as one module, so that a distributed wrapper sees
everything that has gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from lightning.fabric import Fabric

if TYPE_CHECKING:
    from ..data.prepared_cases import Case
    from ..data.samples import Samples

Batch = dict[str, torch.Tensor]


class Method(torch.nn.Module):
    """forward(batch) is the mean loss of the samples of a batch (see Training.data.samples.Samples).

    The rest is for methods that do more than that.

    columns: what `before_step` may measure. outer_optimizer: moves the parameters that the loss has no gradient for,
    which have requires_grad False. answers_for_classes: whether the network does, by itself; a run without that is not
    validated and ends without a package.
    """

    columns: tuple[str, ...] = ()
    outer_optimizer: torch.optim.Optimizer | None = None
    answers_for_classes: bool = True

    def __init__(self, network: LabelConditionedNetwork) -> None:
        super().__init__()
        self.network = network

    def begin(self, samples: Samples, meta: Sequence[Case]) -> None:
        """Called once before the first step, with the samples of the run and the cases that are kept for
        an outer loss.
        """

    def before_step(self, step: int, batch: Batch, rate: float, fabric: Fabric) -> dict[str, float]:  # noqa: ARG002
        """Called before every step; returns what it measured, by the names of `columns`."""
        return {}

    def finish(self, cases: Sequence[Case]) -> None:
        """Called with the cases for training before the network answers for classes, in a validation or in its package:
        fills in what the loss does not train.
        """

    def context_map(self, batch: Batch) -> torch.Tensor | None:  # noqa: ARG002
        """(k, j, i): how the first sample of a batch is divided, for a picture: labels, and context
        classes after them.
        """
        return None
