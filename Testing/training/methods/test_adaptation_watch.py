"""What is watched while domains are aligned: balance, modes in use, and one warning of each collapse."""

from __future__ import annotations

import pytest
import torch

from Training.losses.alignment_losses import Accuracy
from Training.methods.adaptation_watch import FOR_STEPS, AdaptationWatch

MODES = 20


def watched(source: float, target: float, steps: int, modes: torch.Tensor | None = None) -> tuple[float, list[str]]:
    """The balance after steps in which the discriminator is right so often, and what was said."""
    watch, said = AdaptationWatch(["patches"], 0 if modes is None else MODES), list[str]()
    for _ in range(steps):
        told = {"patches": Accuracy(torch.tensor(source), torch.tensor(target))}
        measured = watch(told, modes, lambda values: values, said.append)
    assert measured["patches_accuracy_target"] == pytest.approx(target)
    return watch.balance, said


@pytest.mark.parametrize(
    ("source", "target", "balance"),
    [(0.5, 0.5, 1.0), (1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.75, 0.75, 0.5), (0.5, 1.0, 0.5)],
)
def test_the_balance_is_1_where_neither_side_is_told_and_0_where_all_is(
    source: float, target: float, balance: float
) -> None:
    assert watched(source, target, FOR_STEPS)[0] == pytest.approx(balance, abs=0.05)


def test_a_discriminator_that_is_always_right_is_a_warning_with_advice_once() -> None:
    assert watched(1.0, 1.0, FOR_STEPS - 1)[1] == []
    (said,) = watched(1.0, 1.0, 3 * FOR_STEPS)[1]
    assert "discriminator of patches has told source and target apart always" in said
    assert "lower patch_adaptation.learning_rate, raise patch_adaptation.patch_weight" in said


def test_a_discriminator_that_takes_all_for_one_domain_is_another_warning() -> None:
    (said,) = watched(1.0, 0.0, 3 * FOR_STEPS)[1]
    assert "taken everything for one domain" in said
    assert "raise patch_adaptation.learning_rate" in said


def test_a_discriminator_that_is_right_now_and_then_is_none() -> None:
    assert watched(0.8, 0.7, 3 * FOR_STEPS)[1] == []


def test_a_target_of_which_one_mode_is_told_is_a_warning() -> None:
    even = torch.full((2, MODES), 1 / MODES)
    assert watched(0.6, 0.6, 3 * FOR_STEPS, even)[1] == []
    collapsed = even.clone()
    collapsed[1] = torch.eye(MODES)[3]
    (said,) = watched(0.6, 0.6, 3 * FOR_STEPS, collapsed)[1]
    assert "hardly any of the modes" in said
    assert "patch_adaptation.mode_weight" in said


def test_a_step_that_has_nothing_of_a_domain_changes_nothing() -> None:
    watch = AdaptationWatch(["output"], 0)
    nothing = {"output": Accuracy(torch.tensor(torch.nan), torch.tensor(0.5))}
    for _ in range(10):
        watch(nothing, None, lambda values: values, print)
    assert watch.accuracy[0, 0] == 1
    assert watch.accuracy[0, 1] < 0.95
