"""The sigmoid loss of labels that are each decided alone: what is known of them counts, and nothing else."""

from __future__ import annotations

import math

import pytest
import torch

from Training.losses.masked_sigmoid import known_labels, masked_sigmoid_loss
from Training.losses.truth import IGNORE, Truth

CLASSES = 6  # the background and five labels
GROUP = CLASSES
MEMBERS = torch.tensor([[False, False, False, True, True, False]])
EVERYTHING = torch.ones(CLASSES, dtype=torch.bool)


def rows(*labels: tuple[int, ...]) -> torch.Tensor:
    """Asked labels (L, K) from the classes of each."""
    asked = torch.zeros(len(labels), CLASSES, dtype=torch.bool)
    for row, classes in zip(asked, labels, strict=True):
        row[list(classes)] = True
    return asked


def known(target: list[int], asked: torch.Tensor, annotated: torch.Tensor = EVERYTHING) -> list[list[str]]:
    """For every voxel and asked label: "yes", "no" or "unknown"."""
    there, is_known = known_labels(Truth(torch.tensor(target), annotated, MEMBERS), asked)
    return [
        [("yes" if t else "no") if k else "unknown" for t, k in zip(one, which, strict=True)]
        for one, which in zip(there.tolist(), is_known.tolist(), strict=True)
    ]


def all_but(*classes: int) -> torch.Tensor:
    annotated = EVERYTHING.clone()
    annotated[list(classes)] = False
    return annotated


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def random_truth(voxels: int) -> tuple[Truth, torch.Tensor]:
    """Voxels of every kind, and labels of which one was not annotated."""
    target = torch.randint(-1, GROUP + 1, (voxels,))
    return Truth(target, all_but(2), MEMBERS), rows((1,), (2,), (3,), (1, 5), (3, 4))


def test_the_value_is_that_of_a_computation_by_hand() -> None:
    scores = torch.tensor([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]], dtype=torch.float64)
    either = torch.tensor([[False, False, True, True, False, False], [False, True, False, True, False, False]])
    truth = Truth(torch.tensor([1, CLASSES, CLASSES + 1]), EVERYTHING, either)  # of the last two one label is known
    entropy = (-math.log(sigmoid(1.0)) - math.log(1 - sigmoid(0.5)) - math.log(1 - sigmoid(-2.0)) - math.log(0.5)) / 4
    first = (2 * sigmoid(1.0) + 1) / (sigmoid(1.0) ** 2 + sigmoid(0.5) ** 2 + 1 + 1)
    second = 1 / (sigmoid(-2.0) ** 2 + 0.25 + 1)
    expected = entropy + 0.8 * (1 - (first + second) / 2)
    assert float(masked_sigmoid_loss(scores, truth, rows((1,), (2,)), 0.8)) == pytest.approx(expected, rel=1e-12)


def test_what_is_unknown_has_no_gradient_and_changes_nothing() -> None:
    torch.manual_seed(0)
    truth, labels = random_truth(60)
    scores = torch.randn(60, len(labels), dtype=torch.float64)
    is_known = known_labels(truth, labels)[1]
    one = scores.clone().requires_grad_()
    loss = masked_sigmoid_loss(one, truth, labels)
    (gradient,) = torch.autograd.grad(loss, one)
    assert not is_known[:, 1].any()
    assert not is_known.all(0).any()
    assert not gradient[~is_known].any()
    assert bool((gradient[is_known] != 0).all())
    other = torch.where(is_known, scores, scores + 5)
    assert float(masked_sigmoid_loss(other, truth, labels)) == pytest.approx(float(loss.detach()), rel=1e-12)


def test_a_label_that_is_absent_is_scored_so_that_the_network_learns_to_find_nothing() -> None:
    nothing = Truth(torch.zeros(50, dtype=torch.long), EVERYTHING, MEMBERS)
    silent, loud = (masked_sigmoid_loss(torch.full((50, 1), score), nothing, rows((1,)), 1.0) for score in (-9.0, 0.0))
    assert float(silent) < 0.01
    assert float(loud) > math.log(2) + 0.9  # of both terms: the Dice of half of the voxels with nothing is near 0


def test_a_patch_of_which_nothing_is_known_has_a_finite_loss_without_gradient() -> None:
    scores = torch.randn(10, 3, requires_grad=True)
    unknown = Truth(torch.full((10,), IGNORE), EVERYTHING, MEMBERS)
    loss = masked_sigmoid_loss(scores, unknown, rows((1,), (2,), (3,)))
    (gradient,) = torch.autograd.grad(loss, scores)
    assert float(loss.detach()) == 0
    assert not gradient.any()


def test_half_precision_scores_give_a_loss_in_single_precision() -> None:
    truth, labels = random_truth(100)
    scores = torch.randn(100, len(labels)).bfloat16()
    loss = masked_sigmoid_loss(scores, truth, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), masked_sigmoid_loss(scores.double(), truth, labels), rtol=1e-5, atol=1e-6)


def test_a_voxel_of_one_label_is_not_one_of_another() -> None:
    assert known([0, 1, 2], rows((1,), (2,))) == [["no", "no"], ["yes", "no"], ["no", "yes"]]


def test_a_union_is_there_where_one_of_its_labels_is() -> None:
    assert known([0, 1, 2, 5], rows((1, 2), (2, 5))) == [["no", "no"], ["yes", "no"], ["yes", "yes"], ["no", "yes"]]


def test_of_a_voxel_to_ignore_nothing_is_known() -> None:
    assert known([IGNORE, 1], rows((1,), (1, 2), (3, 4))) == [["unknown"] * 3, ["yes", "yes", "no"]]


def test_a_label_that_was_not_annotated_is_unknown_everywhere() -> None:
    assert known([0, 1, 5], rows((2,), (1,)), all_but(2)) == [["unknown", "no"], ["unknown", "yes"], ["unknown", "no"]]


def test_a_label_that_nobody_looked_for_is_unknown_even_where_the_label_map_has_it() -> None:
    assert known([2, 0], rows((2,), (1,), (1, 2)), all_but(2)) == known([0, 0], rows((2,), (1,), (1, 2)), all_but(2))
    assert known([2], rows((2,), (1,)), all_but(2)) == [["unknown", "no"]]


def test_a_union_with_a_label_that_was_not_annotated_is_known_only_where_it_is_seen() -> None:
    assert known([0, 1, 5], rows((1, 2)), all_but(2)) == [["unknown"], ["yes"], ["unknown"]]


def test_where_only_the_parent_is_known_its_children_are_not() -> None:
    asked = rows((3, 4), (3,), (4,), (1,), (1, 2), (1, 3), (3, 4, 5))
    assert known([GROUP], asked) == [["yes", "unknown", "unknown", "no", "no", "unknown", "yes"]]


def test_a_parent_of_which_no_child_was_looked_for_tells_nothing_of_them() -> None:
    assert known([GROUP], rows((3, 4), (3,), (1,)), all_but(3, 4)) == [["unknown", "unknown", "no"]]
