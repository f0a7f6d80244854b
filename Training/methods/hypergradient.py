"""How an outer loss changes with the context that an inner loss takes, through one virtual step of gradient descent
on the inner loss.

theta: parameters by name. q: the context, which only the inner loss sees. e: the learning rate. With
theta' = theta - e * grad_theta inner(theta, q) and v = grad outer(theta'), v held,
d outer(theta') / dq = -e * d <grad_theta inner(theta, q), v> / dq.
CoLab (Li et al., IEEE TMI 2023) takes the mixed derivative by finite differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

Parameters = dict[str, torch.Tensor]
Inner = Callable[[Parameters, torch.Tensor], torch.Tensor]
Outer = Callable[[Parameters], torch.Tensor]


def after_virtual_step(
    inner: Inner,
    outer: Outer,
    theta: Parameters,
    q: torch.Tensor,
    learning_rate: float,
    mean: Callable[[Parameters], Parameters],
) -> tuple[torch.Tensor, Parameters]:
    """outer(theta') and v, its gradient there. mean: what makes one gradient of those of all processes."""
    _, step = _value_and_gradient(lambda at: inner(at, q), theta)
    step = mean(step)
    value, v = _value_and_gradient(outer, {name: p - learning_rate * step[name] for name, p in theta.items()})
    return value, mean(v)


def finite_difference(inner: Inner, theta: Parameters, q: torch.Tensor, v: Parameters, eps: float) -> torch.Tensor:
    """d <grad_theta inner, v> / dq as [grad_q inner(theta + e v, q) - grad_q inner(theta - e v, q)] / 2e, e = eps /
    ||v||; zero where v is.
    """
    norm = torch.sqrt(sum((g.double() ** 2).sum() for g in v.values()))  # type: ignore[arg-type]
    if not bool(norm > 0):
        return torch.zeros_like(q)
    e = eps / float(norm)
    sides = []
    for sign in (1, -1):
        with torch.enable_grad():
            leaf = q.detach().requires_grad_()
            value = inner({name: p.detach() + sign * e * v[name] for name, p in theta.items()}, leaf)
        sides.append(torch.autograd.grad(value, leaf)[0])
    return (sides[0] - sides[1]) / (2 * e)


def exact(inner: Inner, theta: Parameters, q: torch.Tensor, v: Parameters) -> torch.Tensor:
    """d <grad_theta inner, v> / dq by differentiating twice."""
    at = {name: p.detach() for name, p in theta.items()}

    def along_v(q: torch.Tensor) -> torch.Tensor:
        gradient: Mapping[str, torch.Tensor] = torch.func.grad(inner)(at, q)
        return sum((gradient[name] * v[name]).sum() for name in at)  # type: ignore[return-value]

    derivative: torch.Tensor = torch.func.grad(along_v)(q.detach())
    return derivative


def _value_and_gradient(loss: Outer, theta: Parameters) -> tuple[torch.Tensor, Parameters]:
    with torch.enable_grad():
        leaves = {name: p.detach().requires_grad_() for name, p in theta.items()}
        value = loss(leaves)
    found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return value.detach(), dict(zip(leaves, found, strict=True))
