"""What walks say of the voxels between strokes: sure ones as labels do, unsure ones less; what is open stays open."""

from __future__ import annotations

import math

import pytest
import torch

from Training.losses.streamed_softmax import plain_softmax_loss
from Training.losses.truth import Truth
from Training.losses.walk_losses import certainty_weight, entropy_loss, walk_loss

CLASSES, VOXELS = 5, 40
MEMBERS = torch.tensor([[False, False, True, True, False]])
EVERYTHING = torch.ones(CLASSES, dtype=torch.bool)


def scores_of(seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return torch.randn(VOXELS, CLASSES, dtype=torch.float64)


def truth_of(target: torch.Tensor, annotated: torch.Tensor = EVERYTHING) -> Truth:
    return Truth(target, annotated, MEMBERS)


def test_sure_walks_are_a_label_at_every_voxel() -> None:
    scores, target = scores_of(), torch.arange(VOXELS) % CLASSES
    soft = torch.nn.functional.one_hot(target, CLASSES).T.double()
    found = walk_loss(scores, soft, range(CLASSES), torch.ones(VOXELS), truth_of(target), 0.7)
    identity, none = torch.eye(CLASSES, dtype=torch.float64), torch.zeros(CLASSES, dtype=torch.float64)
    torch.testing.assert_close(found, plain_softmax_loss(scores, identity, none, truth_of(target), 0.7))


def test_a_background_stroke_may_be_any_label_that_nobody_looked_for() -> None:
    annotated = EVERYTHING.clone()
    annotated[3] = False
    scores = scores_of()
    found = walk_loss(
        *(scores, torch.ones(1, VOXELS), [0], torch.ones(VOXELS), truth_of(torch.zeros(VOXELS), annotated))
    )
    torch.testing.assert_close(found, -scores.softmax(1)[:, [0, 3]].sum(1).log().mean())


def test_a_stroke_of_a_parent_is_met_by_the_labels_under_it_together() -> None:
    scores = scores_of()
    found = walk_loss(*(scores, torch.ones(1, VOXELS), [CLASSES], torch.ones(VOXELS), truth_of(torch.zeros(VOXELS))))
    torch.testing.assert_close(found, -scores.softmax(1)[:, [2, 3]].sum(1).log().mean())


def test_the_surer_a_voxel_the_more_it_counts() -> None:
    soft = torch.tensor([[1.0, 0.5, 0.0, 0.9], [0.0, 0.5, 0.0, 0.1]])
    sure, even, nowhere, rather = certainty_weight(soft, 1.0).tolist()
    assert (sure, even, nowhere) == (1, pytest.approx(0.5), 0)
    assert even < rather < sure
    assert certainty_weight(soft, 0.0).tolist() == [1, 1, 0, 1]
    assert certainty_weight(soft, 2.0)[1] == pytest.approx(0.25)


def test_unsure_voxels_say_less_in_all_and_not_only_beside_others() -> None:
    scores, soft, truth = scores_of(), torch.full((2, VOXELS), 0.5), truth_of(torch.zeros(VOXELS))
    whole, half = (walk_loss(scores, soft, [0, 1], w * torch.ones(VOXELS), truth, 0.0) for w in (1, 0.5))
    torch.testing.assert_close(half, whole / 2)


def test_walks_are_drawn_to_where_the_segmenter_finds_their_label() -> None:
    scores = torch.tensor([[0.0, 3.0, 0.0, 0.0, 0.0]])
    soft = torch.tensor([[0.5], [0.5]], requires_grad=True)
    walk_loss(scores, soft, [0, 1], certainty_weight(soft, 1.0), truth_of(torch.zeros(1))).backward()  # type: ignore[no-untyped-call]
    assert soft.grad is not None
    assert soft.grad[1, 0] < soft.grad[0, 0]


def test_the_entropy_is_from_0_for_a_sure_answer_to_1_for_an_open_one() -> None:
    assert entropy_loss(torch.zeros(3, CLASSES)) == pytest.approx(1)
    assert entropy_loss(torch.tensor([[200.0, 0.0, 0.0]])) == 0
    two = entropy_loss(torch.tensor([[50.0, 50.0, 0.0, 0.0]]))
    assert two == pytest.approx(math.log(2) / math.log(4))
