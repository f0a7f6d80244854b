"""Alignment does what it claims where everything is known: of two features one tells the classes well, but lies
elsewhere on the target; the other tells them as well as needed on both. What is aligned has to take the other one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import cross_entropy

from Training.losses.alignment_losses import as_of_source, mode_loss, moment_distance
from Training.methods.discriminators import Adversary, patch_discriminator
from Training.methods.patch_modes import ModeHead
from Training.methods.patch_settings import PatchAdaptationSettings

POINTS, STEPS, SHIFT = 256, 150, 3.0

Aligned = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Features of the source, its classes and features of the target -> what is added to the loss."""


def draw(generator: torch.Generator, shift: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Two Gaussians: points (POINTS, 2) and their classes."""
    classes = torch.randint(0, 2, (POINTS,), generator=generator)
    centres = torch.stack([2.0 * classes - 1 + shift, 1.2 * classes - 0.6], dim=1)
    return centres + 0.25 * torch.randn(POINTS, 2, generator=generator), classes


def as_patches(values: torch.Tensor) -> torch.Tensor:
    """(POINTS, D) -> (1, D, POINTS, 1, 1): each point a patch."""
    return values.T[None, :, :, None, None]


def taught(adversary: Adversary, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """What the discriminator asks of the target; it learns by turns with the network."""
    cost = as_of_source(adversary(target))
    adversary.learn(source, target, 1e-2, lambda values: values)
    return cost


def nothing(source: torch.Tensor, classes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return source.new_zeros(())


def of_output() -> tuple[Aligned, list[torch.nn.Parameter]]:
    adversary = Adversary(patch_discriminator(2, (16, 16)), 1e-2)
    return lambda one, _, other: taught(adversary, *(as_patches(each.softmax(1)) for each in (one, other))), []


def of_patches() -> tuple[Aligned, list[torch.nn.Parameter]]:
    """Modes are the classes here: a patch is one point."""
    settings = PatchAdaptationSettings(modes=2, patch=(1, 1, 1), subgrid=1, mode_width=8)
    head, adversary = ModeHead(settings, 2, 1), Adversary(patch_discriminator(2, (16, 16)), 1e-2)

    def aligned(one: torch.Tensor, classes: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        told, also = (head(as_patches(each.softmax(1))) for each in (one, other))
        of_modes = mode_loss(told[0].flatten(1).T, classes, torch.ones_like(classes, dtype=torch.bool))
        return of_modes + taught(adversary, told.softmax(1), also.softmax(1))

    return aligned, list(head.parameters())


def of_moments() -> tuple[Aligned, list[torch.nn.Parameter]]:
    return lambda one, _, other: moment_distance(one, other), []


def accuracies(aligned: Aligned, further: list[torch.nn.Parameter]) -> tuple[float, float]:
    """On source and target, after a short training whose target has no labels."""
    generator = torch.Generator().manual_seed(1)
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam([*network.parameters(), *further], lr=3e-2)
    for _ in range(STEPS):
        (points, classes), (others, _) = draw(generator, 0.0), draw(generator, SHIFT)
        one, other = network(points), network(others)
        optimizer.zero_grad()
        loss = cross_entropy(one, classes) + aligned(one, classes, other)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found = []
    for shift in (0.0, SHIFT):
        points, classes = draw(generator, shift)
        found.append(float((network(points).argmax(1) == classes).double().mean()))
    return found[0], found[1]


def test_without_alignment_the_target_is_lost() -> None:
    torch.manual_seed(0)
    source, target = accuracies(nothing, [])
    assert source > 0.98
    assert target < 0.7


@pytest.mark.parametrize(("kind", "least"), [(of_output, 0.9), (of_patches, 0.75), (of_moments, 0.95)])
def test_alignment_finds_the_classes_of_the_target_without_its_labels(
    kind: Callable[[], tuple[Aligned, list[torch.nn.Parameter]]], least: float
) -> None:
    """That of patches is the slowest, since its gradient passes the head of modes as well."""
    torch.manual_seed(0)
    source, target = accuracies(*kind())
    assert source > 0.95
    assert target > least
