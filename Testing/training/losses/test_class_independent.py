"""Every class by itself, null where a data set does not know it, and soft targets of related classes in its place."""

from __future__ import annotations

import pytest
import torch

from Training.losses.class_independent import NULL, class_independent_loss, soft_targets
from Training.losses.truth import IGNORE, Truth

NO_GROUPS = torch.zeros(0, 4, dtype=torch.bool)


def truth_of(target: list[int], annotated: list[int], members: torch.Tensor = NO_GROUPS) -> Truth:
    known = torch.zeros(4, dtype=torch.bool)
    known[[0, *annotated]] = True
    return Truth(torch.tensor(target), known, members)


def scores_of(voxels: int) -> torch.Tensor:
    return torch.randn(voxels, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def test_the_loss_is_the_entropy_of_each_known_class_summed_and_averaged_over_labelled_voxels() -> None:
    scores = scores_of(3)
    loss = class_independent_loss(scores, truth_of([1, 0, IGNORE], [1, 3]))
    p = scores.detach().sigmoid()
    by_hand = -(p[0, 0].log() + (1 - p[0, 2]).log() + (1 - p[1, 0]).log() + (1 - p[1, 2]).log()) / 2
    assert loss.item() == pytest.approx(by_hand.item())


def test_a_class_that_the_data_set_does_not_know_learns_nothing_from_it() -> None:
    for dice_weight in (0.0, 1.0):
        scores = scores_of(4)
        class_independent_loss(scores, truth_of([1, 3, 0, 2], [1, 3]), dice_weight).backward()  # type: ignore[no-untyped-call]
        assert scores.grad is not None
        assert torch.equal(scores.grad[:, 1], torch.zeros(4, dtype=torch.float64))
        assert (scores.grad[:, [0, 2]] != 0).all()


def test_related_classes_are_soft_targets_only_where_nothing_is_known() -> None:
    relations = torch.full((4, 4), NULL)
    relations[1] = torch.tensor([NULL, 1.0, 0.25, 0.75])
    scores = scores_of(3)
    truth = truth_of([1, 3, 0], [1, 3])
    class_independent_loss(scores, truth, relations=relations).backward()  # type: ignore[no-untyped-call]
    p, got = scores.detach().sigmoid(), scores.grad
    assert got is not None
    assert got[0, 1].item() == pytest.approx((p[0, 1].item() - 0.25) / 3)  # null in the table: the relation's target
    assert got[0, 2].item() == pytest.approx(p[0, 2].item() / 3)  # known to be absent, whatever is related
    assert got[1, 1].item() == 0  # class 3 was not measured
    assert got[2, 1].item() == 0  # background says nothing of what is null


def test_a_voxel_known_only_to_lie_in_a_parent_has_no_relations() -> None:
    members = torch.tensor([[False, True, True, False]])
    relations = torch.full((4, 4), 0.5)
    scores = scores_of(1)
    class_independent_loss(scores, truth_of([4], [1, 2], members), relations=relations).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert torch.equal(scores.grad, torch.zeros(1, 3, dtype=torch.float64))


@pytest.mark.parametrize(("mapping", "expected"), [("sigmoid", 1 / (1 + torch.e**2)), ("clipped", 0.0)])
def test_similarities_become_targets_with_the_identity_added_and_clipped(mapping: str, expected: float) -> None:
    similarity = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.3, -0.1], [float("nan")] * 3])
    targets = soft_targets(similarity, 20, mapping)
    assert targets[1, 1] == 1
    assert targets[1, 2].item() == pytest.approx(expected, abs=1e-6)
    assert (targets[2] == NULL).all()
    assert (targets[0] == NULL).all()
    assert (targets[:, 0] == NULL).all()


def test_without_labelled_voxels_the_loss_is_0() -> None:
    assert class_independent_loss(scores_of(2), truth_of([IGNORE, IGNORE], [1]), 1.0).item() == 0
