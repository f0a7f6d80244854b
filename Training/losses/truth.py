"""What is known of the voxels that a loss is taken over: hard or soft targets, how much each voxel counts, and the
classes that were annotated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

IGNORE = -1
"""Target of a voxel that takes no part in the loss."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of V voxels, for a loss over K classes.

    target (V,): a class in [0, K), IGNORE, or K + g for "one of the classes of group g". annotated (K,) bool: the
    classes that somebody looked for (the background always counts as one). members (G, K) bool: the classes of every
    group, such as the children of a parent label.

    soft (C, V): how much of every voxel is of each class, C at least K, where that is known more finely than `target`
    says it; the target still says what is unknown. weight (V,), not negative: how much a voxel counts; a voxel of
    weight 2 counts as two voxels do. Without weights each counts once.
    """

    target: torch.Tensor
    annotated: torch.Tensor
    members: torch.Tensor
    soft: torch.Tensor | None = None
    weight: torch.Tensor | None = None

    @property
    def visible(self) -> torch.Tensor:
        """(V,): the targets, 0 where a voxel carries no annotated label: a label that nobody looked for is unknown even
        where the label map has it.
        """
        looked_for = torch.cat([self.annotated, (self.members & self.annotated).any(1)])
        return torch.where((self.target > 0) & ~looked_for[self.target.clamp_min(0)], 0, self.target)

    @property
    def sets(self) -> torch.Tensor:
        """(1 + G, K) bool: row 0 is what the target 0 may turn out to be (the background and what was not annotated),
        row 1 + g is group g.
        """
        is_open = ~self.annotated[None]
        is_open[:, 0] = True
        return torch.cat([is_open, self.members])

    @property
    def set_of(self) -> torch.Tensor:
        """(V,): the row of `sets` that a voxel's target stands for, -1 where it stands for a single class or is
        unknown.
        """
        classes = self.annotated.shape[0]
        background = 0 if not bool(self.annotated[1:].all()) else -1
        visible = self.visible
        return torch.where(visible >= classes, visible - classes + 1, torch.where(visible == 0, background, -1))

    def weights(self, dtype: torch.dtype) -> torch.Tensor:
        """(V,) of a dtype: how much every voxel counts, 0 where its target is IGNORE."""
        known = (self.target != IGNORE).to(dtype)
        return known if self.weight is None else known * self.weight.to(dtype)

    def refuse_soft(self, loss: str) -> None:
        """ValueError where a loss that would leave soft targets out is given some."""
        if self.soft is not None:
            raise ValueError(f"{loss} takes hard targets; soft ones are for context_loss and masked_sigmoid_loss.")


def at_least_single(values: torch.Tensor) -> torch.Tensor:
    """In float32, float64 where they are: half precision cannot add up the voxels of a patch."""
    return values if values.dtype == torch.float64 else values.float()
