"""What two domains are asked for: the discriminators' losses and how often they are right, modes, and moments."""

from __future__ import annotations

import math

import pytest
import torch

from Training.losses.alignment_losses import (
    accuracy_of,
    as_of_source,
    discriminator_loss,
    mode_loss,
    moment_distance,
)


def test_a_discriminator_that_knows_nothing_costs_log_2_and_one_that_is_right_nothing() -> None:
    unsure, sure = torch.zeros(4, 1), torch.full((4, 1), 30.0)
    assert float(discriminator_loss(unsure, unsure)) == pytest.approx(math.log(2))
    assert float(discriminator_loss(sure, -sure)) == pytest.approx(0, abs=1e-6)
    assert float(discriminator_loss(-sure, sure)) > 20
    assert float(discriminator_loss(sure[:0], -sure)) == pytest.approx(0, abs=1e-6)


def test_the_target_is_pushed_to_where_the_discriminator_sees_the_source() -> None:
    logits = torch.tensor([-3.0, 0.0, 3.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(as_of_source(logits), logits)
    assert (gradient < 0).all()  # a step against the gradient raises every logit
    assert gradient[0] < gradient[1] < gradient[2]  # the most where it is seen the best: nothing saturates


def test_accuracy_is_told_for_each_side() -> None:
    found = accuracy_of(torch.tensor([1.0, 2.0, 3.0, -1.0]), torch.tensor([1.0, -1.0]))
    assert (float(found.source), float(found.target)) == (0.75, 0.5)
    assert math.isnan(float(accuracy_of(torch.zeros(0), torch.ones(1)).source))


def test_patches_without_a_known_mode_do_not_count() -> None:
    logits, modes = torch.tensor([[4.0, 0.0], [4.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1, 1])
    known = torch.tensor([True, False, True])
    expected = (math.log(1 + math.exp(-4)) + math.log(2)) / 2
    assert float(mode_loss(logits, modes, known)) == pytest.approx(expected)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(mode_loss(logits, modes, known & False), logits)
    assert not gradient.any()


def test_moments_differ_by_shift_and_by_correlation_in_deviations_of_the_source() -> None:
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(4000, 2, generator=generator, dtype=torch.double)
    assert float(moment_distance(source, source)) == pytest.approx(0, abs=1e-12)
    assert float(moment_distance(source, source + 2)) == pytest.approx(4, rel=0.1)
    assert float(moment_distance(10 * source, 10 * (source + 2))) == pytest.approx(4, rel=0.1)
    mixed = torch.stack([source[:, 0], source[:, 0]], 1)  # of the same means and variances, but correlated
    assert float(moment_distance(source, mixed)) == pytest.approx(0.5, rel=0.1)
