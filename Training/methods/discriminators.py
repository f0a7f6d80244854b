"""Networks that tell the answers of a segmenter on two domains apart, and how they are trained.

They and the segmenter are trained by turns, as published, and not through a reversed gradient: so they have an
optimizer and a learning rate of their own, the segmenter's loss is the one that does not saturate, and its small
weights do not slow them down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from lightning.fabric import Fabric

from ..losses.alignment_losses import Accuracy, accuracy_of, discriminator_loss

SLOPE = 0.2
"""Of the leaky rectified units."""

BETAS = (0.9, 0.99)
"""Of the discriminators' Adam."""


def output_discriminator(directions: int, widths: Sequence[int], shape: Sequence[int]) -> torch.nn.Module:
    """Answer (batch, D, *shape) -> logits (batch, 1, *coarser): five convolutions with the published widths.

    A layer halves an axis (kernel 4, stride 2) as long as it has 4 voxels; beyond that it looks at 3 of them and keeps
    their number, since a small patch in 3D does not bear as many halvings as an image of a street does.
    """
    layers: list[torch.nn.Module] = []
    sizes = list(shape)
    for n, (inner, outer) in enumerate(pairwise((directions, *widths, 1))):
        halved = [size >= 4 for size in sizes]
        kernel = tuple(4 if is_halved else 3 for is_halved in halved)
        stride = tuple(2 if is_halved else 1 for is_halved in halved)
        layers.append(torch.nn.Conv3d(inner, outer, kernel, stride, 1))  # type: ignore[arg-type]
        layers += [torch.nn.LeakyReLU(SLOPE)] if n < len(widths) else []
        sizes = [size // 2 if is_halved else size for size, is_halved in zip(sizes, halved, strict=True)]
    return torch.nn.Sequential(*layers)


def patch_discriminator(modes: int, widths: Sequence[int]) -> torch.nn.Module:
    """Probabilities of modes (batch, modes, *patches) -> logits (batch, 1, *patches): every patch by itself."""
    layers: list[torch.nn.Module] = []
    for n, (inner, outer) in enumerate(pairwise((modes, *widths, 1))):
        layers.append(torch.nn.Conv3d(inner, outer, 1))
        layers += [torch.nn.LeakyReLU(SLOPE)] if n < len(widths) else []
    return torch.nn.Sequential(*layers)


class Adversary(torch.nn.Module):
    """A discriminator with its optimizer; the gradient of a run's loss does not move it."""

    def __init__(self, network: torch.nn.Module, learning_rate: float) -> None:
        super().__init__()
        self.network = network
        self.network.requires_grad_(False)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=learning_rate, betas=BETAS)

    def forward(self, answer: torch.Tensor) -> torch.Tensor:
        """Logits, positive for the source, as the discriminator is now.

        They are those of a copy, so that it may be trained before anybody follows their gradient.
        """
        now = {name: p.detach().clone() for name, p in self.network.named_parameters()}
        logits: torch.Tensor = torch.func.functional_call(self.network, now, (answer,))
        return logits

    def learn(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        learning_rate: float,
        mean: Callable[[torch.Tensor], torch.Tensor],
    ) -> Accuracy:
        """A step on answers of both domains, which it does not change. mean: what makes one gradient of those of all
        processes. Returns how well it told them apart before the step.
        """
        weights = {name: p.detach().requires_grad_() for name, p in self.network.named_parameters()}
        with torch.enable_grad(), torch.autocast(source.device.type, enabled=False):
            logits = [torch.func.functional_call(self.network, weights, (side.detach(),)) for side in (source, target)]
            loss = discriminator_loss(*logits)
        gradients = torch.autograd.grad(loss, list(weights.values()))
        flat = mean(torch.cat([gradient.flatten() for gradient in gradients]))
        parts = torch.split(flat, [p.numel() for p in weights.values()])
        for p, part in zip(self.network.parameters(), parts, strict=True):
            p.grad = part.view_as(p)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        return accuracy_of(*(each.detach() for each in logits))


def mean_over(fabric: Fabric) -> Callable[[torch.Tensor], torch.Tensor]:
    """The mean of a tensor over all processes."""
    return lambda values: (
        values if fabric.world_size == 1 else torch.as_tensor(fabric.all_reduce(values, reduce_op="mean"))
    )
