"""Hypergradients on a small problem whose derivative through the virtual step can be taken by brute force."""

from __future__ import annotations

import pytest
import torch

from Training.methods.hypergradient import Parameters, after_virtual_step, exact, finite_difference

RATE = 0.3


def problem() -> tuple[Parameters, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    theta = {"a": torch.randn(3, 4, dtype=torch.float64), "b": torch.randn(3, 1, dtype=torch.float64)}
    return theta, torch.rand(3, 20, dtype=torch.float64).softmax(0), torch.randn(4, 20, dtype=torch.float64)


def inner_of(x: torch.Tensor):  # type: ignore[no-untyped-def]
    def inner(theta: Parameters, q: torch.Tensor) -> torch.Tensor:
        log_p = (theta["a"] @ x + theta["b"]).tanh().log_softmax(0)
        return -(q * log_p).sum(0).mean() - (q * log_p.exp()).sum() ** 2 / 400

    return inner


def outer_of(x: torch.Tensor):  # type: ignore[no-untyped-def]
    def outer(theta: Parameters) -> torch.Tensor:
        return -(theta["a"] @ x + theta["b"]).tanh().log_softmax(0)[0, ::2].mean()

    return outer


def by_brute_force(theta: Parameters, q: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Autograd through the whole of the virtual step."""
    leaves, q = {name: p.clone().requires_grad_() for name, p in theta.items()}, q.clone().requires_grad_()
    step = torch.autograd.grad(inner_of(x)(leaves, q), list(leaves.values()), create_graph=True)
    moved = {name: p - RATE * g for (name, p), g in zip(leaves.items(), step, strict=True)}
    return torch.autograd.grad(outer_of(x)(moved), q)[0]


def test_the_exact_one_is_the_derivative_through_the_virtual_step() -> None:
    theta, q, x = problem()
    _, v = after_virtual_step(inner_of(x), outer_of(x), theta, q, RATE, lambda gradient: gradient)
    torch.testing.assert_close(
        -RATE * exact(inner_of(x), theta, q, v), by_brute_force(theta, q, x), rtol=1e-10, atol=1e-14
    )


@pytest.mark.parametrize(("eps", "tolerance"), [(1e-1, 1e-2), (1e-2, 1e-4), (1e-3, 1e-6)])
def test_finite_differences_agree_with_it_to_the_square_of_their_step(eps: float, tolerance: float) -> None:
    theta, q, x = problem()
    _, v = after_virtual_step(inner_of(x), outer_of(x), theta, q, RATE, lambda gradient: gradient)
    precise = exact(inner_of(x), theta, q, v)
    assert float((finite_difference(inner_of(x), theta, q, v, eps) - precise).norm() / precise.norm()) < tolerance


def test_where_the_outer_loss_is_flat_nothing_changes() -> None:
    theta, q, x = problem()
    assert not finite_difference(
        inner_of(x), theta, q, {name: torch.zeros_like(p) for name, p in theta.items()}, 0.01
    ).any()
