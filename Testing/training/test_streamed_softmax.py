"""The streamed softmax loss: exact, whatever is annotated, in memory that does not grow with the number of labels."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from Testing import samples
from Testing.core.test_segmenter import flat_tree
from Testing.memory_probe import LiveTensorBytes
from Training import train
from Training.config import OptimizerConfig
from Training.losses import streamed_softmax
from Training.losses.streamed_softmax import IGNORE, plain_softmax_loss, streamed_softmax_loss


def leaves(voxels: int, channels: int, classes: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return tuple(torch.randn(*shape, dtype=dtype, requires_grad=True) for shape in ((voxels, channels), (classes, channels), (classes,)))  # type: ignore[return-value]


@pytest.mark.parametrize("annotation", ["all", "some", "only the background"])
@pytest.mark.parametrize("chunk", [1, 7, 64])
@pytest.mark.parametrize("dice_weight", [0.0, 1.5])
def test_value_and_gradients_are_those_of_the_plain_loss(annotation: str, chunk: int, dice_weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_softmax, "TILE", 100)  # several tiles
    inputs = leaves(333, 8, 20)
    annotated = torch.ones(20, dtype=torch.bool)
    if annotation != "all":
        annotated = (torch.arange(20) % 3 != 1) if annotation == "some" else torch.zeros(20, dtype=torch.bool)
    target = torch.randint(-1, 15, (333,))  # some ignored, classes 15 to 19 absent
    target[(target > 0) & ~annotated[target.clamp_min(0)]] = 0
    ours = streamed_softmax_loss(*inputs, target, annotated, chunk, dice_weight)
    plain = plain_softmax_loss(*inputs, target, annotated, dice_weight)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    for mine, theirs in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(plain, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-13)


def test_gradients_agree_with_finite_differences() -> None:
    inputs = leaves(12, 3, 5)
    target = torch.tensor([0, 1, 2, 3, IGNORE, 0, 1, 2, 3, 4, 0, 2])
    annotated = torch.tensor([True, True, False, True, True])
    target[target == 2] = 0
    assert torch.autograd.gradcheck(lambda f, p, b: streamed_softmax_loss(f, p, b, target, annotated, 2), inputs)


def test_ignored_voxels_have_no_gradient_and_change_nothing() -> None:
    features, prompts, bias = leaves(50, 4, 6)
    annotated = torch.ones(6, dtype=torch.bool)
    target = torch.arange(50) % 6
    target[10:20] = IGNORE
    loss = streamed_softmax_loss(features, prompts, bias, target, annotated)
    (gradient,) = torch.autograd.grad(loss, features)
    assert not gradient[10:20].any()
    kept = torch.cat([features[:10], features[20:]])
    without = streamed_softmax_loss(kept, prompts, bias, torch.cat([target[:10], target[20:]]), annotated)
    torch.testing.assert_close(loss, without)


def test_what_was_not_annotated_is_never_pushed_towards_the_background() -> None:
    """A voxel of an unannotated class that the network is sure of costs nothing where nobody looked for it, and much where somebody did."""
    prompts, bias = 20 * torch.eye(4), torch.zeros(4)
    features = torch.eye(4)[[2] * 30]  # the network says class 2 everywhere
    target = torch.zeros(30, dtype=torch.long)
    everyone, not_two = torch.ones(4, dtype=torch.bool), torch.tensor([True, True, False, True])
    assert streamed_softmax_loss(features, prompts, bias, target, not_two) < 1e-6
    assert streamed_softmax_loss(features, prompts, bias, target, everyone) > 10


def test_half_precision_features_are_scored_in_single_precision() -> None:
    features, prompts, bias = leaves(200, 8, 12, torch.float32)
    target, annotated = torch.randint(0, 12, (200,)), torch.ones(12, dtype=torch.bool)
    rounded = features.detach().bfloat16()
    expected = plain_softmax_loss(rounded.double(), prompts.double(), bias.double(), target, annotated)
    found = streamed_softmax_loss(rounded, prompts, bias, target, annotated)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_patch_without_any_known_voxel_has_a_finite_loss() -> None:
    inputs = leaves(20, 4, 6)
    loss = streamed_softmax_loss(*inputs, torch.full((20,), IGNORE), torch.ones(6, dtype=torch.bool))
    assert float(loss.detach()) == 0
    assert all(not gradient.any() for gradient in torch.autograd.grad(loss, inputs))


def peak_of_step(labels: int, points: int = 20_000) -> int:
    torch.manual_seed(0)
    step = train.TrainingStep(samples.network(tree=flat_tree(labels)), OptimizerConfig())
    batch = {
        "image": torch.randn(1, samples.TINY.input_channels, 48, 48, 48),
        "points": torch.rand(1, points, 3) * 2 - 1,
        "target": torch.randint(0, labels + 1, (1, points)),
        "annotated": torch.ones(1, labels + 1, dtype=torch.bool),
        "metadata": torch.tensor([[0.0, 0.5]]),
    }
    with LiveTensorBytes() as memory:
        step(batch).backward()
    return int(memory.peak)


def test_memory_of_a_training_step_is_flat_in_the_number_of_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed_softmax, "TILE", 512)  # small, as this step is
    assert peak_of_step(500) <= 1.05 * peak_of_step(4)


def test_the_test_of_flat_memory_fails_for_the_plain_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(features: torch.Tensor, prompts: torch.Tensor, bias: torch.Tensor, target: torch.Tensor, annotated: torch.Tensor, *_: Any) -> torch.Tensor:
        return plain_softmax_loss(features, prompts, bias, target, annotated)

    monkeypatch.setattr(train, "streamed_softmax_loss", plain)
    assert peak_of_step(500) > 2 * peak_of_step(4)
