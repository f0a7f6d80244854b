"""The streamed softmax loss: exact, whatever is annotated, in memory that does not grow with the number of labels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from Testing import samples
from Testing.core.inference.test_segmenter import flat_tree
from Testing.memory_probe import LiveTensorBytes
from Training.engine.config import Config, ObjectiveConfig
from Training.losses import streamed_softmax
from Training.losses.streamed_softmax import plain_softmax_loss, streamed_softmax_loss
from Training.losses.truth import IGNORE, Truth
from Training.methods import build_method

Loss = Callable[..., torch.Tensor]
CLASSES = 20
GROUPS = torch.zeros(2, CLASSES, dtype=torch.bool)
GROUPS[0, [3, 4, 5]] = True
GROUPS[1, [3, 4, 5, 6, 7, 8, 9, 10, 11]] = True
NO_GROUPS = torch.zeros(0, CLASSES, dtype=torch.bool)


def leaves(
    voxels: int, channels: int, classes: int, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return tuple(
        torch.randn(*shape, dtype=dtype, requires_grad=True)
        for shape in ((voxels, channels), (classes, channels), (classes,))
    )  # type: ignore[return-value]


def all_annotated(target: torch.Tensor, classes: int) -> Truth:
    return Truth(target, torch.ones(classes, dtype=torch.bool), torch.zeros(0, classes, dtype=torch.bool))


@pytest.mark.parametrize("annotation", ["all", "some", "only the background"])
@pytest.mark.parametrize("groups", [NO_GROUPS, GROUPS], ids=["no groups", "groups"])
@pytest.mark.parametrize("tile", [64 * CLASSES, 2**19])
@pytest.mark.parametrize("dice_weight", [0.0, 1.5])
def test_value_and_gradients_are_those_of_the_plain_loss(
    annotation: str, groups: torch.Tensor, tile: int, dice_weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(streamed_softmax.TILE_VALUES, "cpu", tile)  # six tiles of the 333 voxels, or one
    inputs = leaves(333, 8, CLASSES)
    annotated = torch.ones(CLASSES, dtype=torch.bool)
    if annotation != "all":
        annotated = (torch.arange(CLASSES) % 3 != 1) if annotation == "some" else torch.zeros(CLASSES, dtype=torch.bool)
    target = torch.randint(-1, 15, (333,))  # some ignored, classes 15 to 19 absent
    if len(groups):
        target[::5] = CLASSES + torch.randint(0, len(groups), (67,))
    truth = Truth(target, annotated, groups)
    ours, plain = streamed_softmax_loss(*inputs, truth, dice_weight), plain_softmax_loss(*inputs, truth, dice_weight)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(plain, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-13)


def test_value_is_what_the_definition_says() -> None:
    """Against the formula written out, voxel by voxel, so that both implementations cannot share a mistake."""
    features, prompts, bias = (t.detach() for t in leaves(40, 4, 6))
    annotated = torch.tensor([True, True, False, True, True, True])
    members = torch.tensor([[False, False, False, True, True, False]])
    target = torch.tensor([0, 1, 3, 4, 5, 6, IGNORE, 0, 6, 1] * 4)
    p = (features @ prompts.T + bias).softmax(1)
    allowed = {0: [0, 2], 6: [3, 4]}
    kept = [v for v in range(40) if target[v] != IGNORE]
    entropy = -sum(float(p[v, allowed.get(int(target[v]), [int(target[v])])].sum().log()) for v in kept) / len(kept)
    dice = []
    for k in (1, 3, 4, 5):
        there = [v for v in kept if target[v] == k]
        counted = [v for v in kept if k not in allowed.get(int(target[v]), [])]
        dice.append((2 * float(p[there, k].sum()) + 1) / (float(p[counted, k].sum()) + len(there) + 1))
    expected = entropy + 0.7 * (1 - sum(dice) / len(dice))
    assert float(
        streamed_softmax_loss(features, prompts, bias, Truth(target, annotated, members), 0.7)
    ) == pytest.approx(expected, rel=1e-12)


def test_gradients_agree_with_finite_differences() -> None:
    inputs = leaves(14, 3, 5)
    target = torch.tensor([0, 1, 2, 3, IGNORE, 0, 1, 2, 3, 4, 0, 2, 5, 5])
    members = torch.tensor([[False, False, False, True, True]])
    truth = Truth(target, torch.tensor([True, True, False, True, True]), members)
    assert torch.autograd.gradcheck(lambda f, p, b: streamed_softmax_loss(f, p, b, truth, 2), inputs)


def test_ignored_voxels_have_no_gradient_and_change_nothing() -> None:
    features, prompts, bias = leaves(50, 4, 6)
    target = torch.arange(50) % 6
    target[10:20] = IGNORE
    loss = streamed_softmax_loss(features, prompts, bias, all_annotated(target, 6))
    (gradient,) = torch.autograd.grad(loss, features)
    assert not gradient[10:20].any()
    assert bool(gradient[20:].any(1).all())
    kept = torch.cat([features[:10], features[20:]])
    without = streamed_softmax_loss(kept, prompts, bias, all_annotated(torch.cat([target[:10], target[20:]]), 6))
    torch.testing.assert_close(loss, without)


def score_gradients(scores: torch.Tensor, truth: Truth, dice_weight: float) -> torch.Tensor:
    """The gradient of the loss by every score, (V, K): features are scores where the prompts are unit vectors."""
    scores = scores.clone().requires_grad_()
    classes = scores.shape[1]
    loss = streamed_softmax_loss(
        scores, torch.eye(classes, dtype=scores.dtype), torch.zeros(classes, dtype=scores.dtype), truth, dice_weight
    )
    (gradient,) = torch.autograd.grad(loss, scores)
    return gradient


def test_an_undecided_voxel_lifts_its_group_and_leaves_the_children_as_they_are_to_each_other() -> None:
    """Among the children the gradient is the softmax's own share of the group: their relative probabilities are pushed
    nowhere.
    """
    torch.manual_seed(0)
    scores = torch.randn(6, 5, dtype=torch.float64)
    members = torch.tensor([[False, False, True, True, True]])
    truth = Truth(torch.tensor([5, 5, 0, 1, 5, 0]), torch.ones(5, dtype=torch.bool), members)
    gradient = score_gradients(scores, truth, 0.0)[[0, 1, 4]]
    inside = scores.softmax(1)[[0, 1, 4], 2:]
    share = inside / inside.sum(1, keepdim=True)
    assert bool((gradient[:, 2:] < 0).all())
    assert bool((gradient[:, :2] > 0).all())
    torch.testing.assert_close(gradient[:, 2:], share * gradient[:, 2:].sum(1, keepdim=True), rtol=1e-10, atol=1e-14)


def test_an_undecided_voxel_takes_no_part_in_the_dice_of_the_children() -> None:
    torch.manual_seed(0)
    members = torch.tensor([[False, False, True, True]])
    annotated = torch.ones(4, dtype=torch.bool)
    target = torch.tensor([0, 1, 2, 3, 4, 4])
    scores = torch.randn(6, 4, dtype=torch.float64)
    wild = scores.clone()
    wild[4:, 2:] = torch.tensor([[8.0, -3.0], [-5.0, 9.0]])  # how the network divides them
    wild[4:, 2:] += (scores[4:, 2:].logsumexp(1) - wild[4:, 2:].logsumexp(1))[
        :, None
    ]  # the group as probable as before
    values = [
        float(
            streamed_softmax_loss(
                s, torch.eye(4).double(), torch.zeros(4).double(), Truth(target, annotated, members), 3.0
            )
        )
        for s in (scores, wild)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_what_was_not_annotated_is_never_pushed_towards_the_background() -> None:
    """A voxel of an unannotated class that the network is sure of costs nothing where nobody looked for it, and much
    where somebody did.
    """
    prompts, bias = 20 * torch.eye(4), torch.zeros(4)
    features = torch.eye(4)[[2] * 30]  # the network says class 2 everywhere
    target = torch.zeros(30, dtype=torch.long)
    no_groups = torch.zeros(0, 4, dtype=torch.bool)
    assert (
        streamed_softmax_loss(
            features, prompts, bias, Truth(target, torch.tensor([True, True, False, True]), no_groups)
        )
        < 1e-6
    )
    assert streamed_softmax_loss(features, prompts, bias, all_annotated(target, 4)) > 10


def test_a_background_voxel_pushes_down_what_was_annotated_and_nothing_else() -> None:
    torch.manual_seed(0)
    scores = torch.randn(12, 5, dtype=torch.float64)
    target = torch.zeros(12, dtype=torch.long)
    target[0] = 1
    truth = Truth(target, torch.tensor([True, True, False, True, False]), torch.zeros(0, 5, dtype=torch.bool))
    gradient = score_gradients(scores, truth, 1.0)[1:]
    assert bool((gradient[:, [2, 4]] < 0).all())
    assert bool((gradient[:, [1, 3]] > 0).all())


@pytest.mark.parametrize("loss", [streamed_softmax_loss, plain_softmax_loss])
def test_a_label_that_nobody_looked_for_is_unknown_even_where_the_label_map_has_it(loss: Loss) -> None:
    features, prompts, bias = leaves(60, 4, 6)
    members = torch.tensor([[False, False, False, True, True, False], [False, True, True, False, False, False]])
    annotated = torch.tensor([True, True, True, False, False, True])
    target = torch.arange(60) % 8
    nothing_of_them = target.clone()
    nothing_of_them[(target == 3) | (target == 4) | (target == 6)] = 0
    assert not torch.equal(target, nothing_of_them)
    assert torch.equal(
        loss(features, prompts, bias, Truth(target, annotated, members)),
        loss(features, prompts, bias, Truth(nothing_of_them, annotated, members)),
    )


def test_half_precision_features_are_scored_in_single_precision() -> None:
    features, prompts, bias = leaves(200, 8, 12, torch.float32)
    truth = all_annotated(torch.randint(0, 12, (200,)), 12)
    rounded = features.detach().bfloat16()
    expected = plain_softmax_loss(rounded.double(), prompts.double(), bias.double(), truth)
    found = streamed_softmax_loss(rounded, prompts, bias, truth)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", [streamed_softmax_loss, plain_softmax_loss])
def test_a_patch_without_any_known_voxel_has_a_finite_loss(loss: Loss) -> None:
    inputs = leaves(20, 4, 6)
    value = loss(*inputs, all_annotated(torch.full((20,), IGNORE), 6))
    assert float(value.detach()) == 0
    assert all(not gradient.any() for gradient in torch.autograd.grad(value, inputs))


def peak_of_step(method: str, labels: int, points: int = 20_000) -> int:
    torch.manual_seed(0)
    config = Config(method=method, network=samples.TINY, objective=ObjectiveConfig())
    step = build_method(samples.network(tree=flat_tree(labels)), config, torch.zeros(0, labels + 1, dtype=torch.bool))
    batch = {
        "image": torch.randn(1, samples.TINY.input_channels, 48, 48, 48),
        "points": torch.randint(0, 48, (1, points, 3)),
        "target": torch.randint(0, labels + 1, (1, points)),
        "annotated": torch.ones(1, labels + 1, dtype=torch.bool),
        "metadata": torch.tensor([[0.0, 0.5]]),
    }
    with LiveTensorBytes() as memory:
        step(batch).backward()
    return int(memory.peak)


def test_memory_of_a_training_step_is_flat_in_the_number_of_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(streamed_softmax.TILE_VALUES, "cpu", 2**15)  # small, as this step is
    assert peak_of_step("lcs", 500) <= 1.05 * peak_of_step("lcs", 4)


def test_the_test_of_flat_memory_fails_for_the_baseline() -> None:
    assert peak_of_step("baseline", 500) > 2 * peak_of_step("baseline", 4)
