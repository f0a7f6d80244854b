"""Learning from strokes: where walks end teaches the segmenter, the segmenter teaches the boundaries, and the controls
are what they say.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from Testing.samples import TINY
from Testing.training.engine.test_train import config_of as run_config
from Testing.training.engine.test_train import rows
from Testing.training.made_up_data import write_data_set
from Testing.training.methods.test_methods import CLASSES, EDGE, Batch, batch_of, build, gradients
from Training.engine.config import Config, DataConfig
from Training.engine.loop import train
from Training.losses.truth import IGNORE
from Training.methods import check_method
from Training.methods.stroke_settings import StrokeSettings
from Training.methods.strokes import OUTSIDE, LearnedFromStrokes

SUPERVISION = ("joint", "fixed", "strokes", "entropy", "full")


def config_of(supervision: Any = "joint", **changes: Any) -> Config:
    settings = StrokeSettings(supervision=supervision, **{"widths": (4, 8)} | changes)
    return Config(
        method="strokes",
        data=DataConfig(points=0, patch=(32, 32, 32)),
        network=replace(TINY, output_stride=1),
        method_settings=settings,
    )


def learner(supervision: Any = "joint", **changes: Any) -> LearnedFromStrokes:
    method = build(config_of(supervision, **changes))
    assert isinstance(method, LearnedFromStrokes)
    return method


def strokes_of(batch: Batch) -> Batch:
    """A line through each slab is known, all else is not."""
    known = torch.zeros(EDGE, EDGE, EDGE, dtype=torch.bool)
    known[EDGE // 2, EDGE // 2] = True
    return batch | {"target": torch.where(known.flatten(), batch["target"], IGNORE)}


@pytest.mark.parametrize("supervision", SUPERVISION)
def test_every_parameter_gets_a_gradient_from_strokes(supervision: str) -> None:
    """A distributed run waits for all of them."""
    method = learner(supervision)
    loss, found = gradients(method, strokes_of(batch_of()))
    assert loss.isfinite()
    for name, _ in method.named_parameters():
        assert found[name].isfinite().all(), name
        assert found[name].any(), name
    assert any(name.startswith("boundary") for name in found) == (supervision == "joint")


@pytest.mark.parametrize("known", ["nothing", "one label", "everything"])
def test_where_there_is_nothing_to_walk_the_boundaries_stay_and_strokes_count(known: str) -> None:
    batch = batch_of()
    if known == "nothing":
        batch["target"] = torch.full_like(batch["target"], IGNORE)
    elif known == "one label":
        batch["target"] = torch.where(strokes_of(batch)["target"] == 2, 2, IGNORE)
    (loss, found), (alone, _) = (gradients(learner(which), batch) for which in ("joint", "strokes"))
    torch.testing.assert_close(loss, alone)
    assert all(not gradient.any() for name, gradient in found.items() if name.startswith("boundary"))
    assert {name for name, _ in learner().named_parameters()} == set(found)


def test_full_supervision_is_the_loss_of_lcs() -> None:
    batch = batch_of()
    batch["target"][:, ::5] = IGNORE
    plain = build(Config(method="lcs", network=config_of().network))
    (loss, found), (expected, theirs) = gradients(learner("full"), batch), gradients(plain, batch)
    torch.testing.assert_close(loss, expected)
    assert found.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)


def test_what_is_known_outside_of_the_foreground_counts_little_however_much_it_is() -> None:
    batch = strokes_of(batch_of(1))
    batch["foreground"][:, :, :, EDGE // 2 :] = False
    target = batch["target"].view(1, EDGE, EDGE, EDGE)
    target[:, :, :, EDGE // 2 :] = IGNORE
    method = learner("strokes")
    method.dice_weight = 0.0
    inside = method(batch)
    with torch.no_grad():
        features = method.network.trunk(batch["image"], batch["metadata"])
        costs = -method.network.head(features).log_softmax(1)[:, 3]
    for there in ((0, 0), (slice(None), slice(None))):
        outside = (0, *there, slice(EDGE // 2, None))
        known = target.clone()
        known[outside] = 3
        expected = (inside + OUTSIDE * costs[outside].mean()) / (1 + OUTSIDE)
        torch.testing.assert_close(method(batch | {"target": known.flatten(1)}), expected)


def test_no_walk_leaves_the_foreground() -> None:
    batch = strokes_of(batch_of(1))
    batch["foreground"][:, :, 0] = False
    method = learner()
    walks = method._walks(batch, 0, torch.zeros(EDGE, EDGE, EDGE))
    assert not walks.soft[:, :, 0].any()
    torch.testing.assert_close(walks.soft[:, :, 1:].sum(0), torch.ones(EDGE, EDGE - 1, EDGE), atol=1e-2, rtol=0)


def two_tissues(generator: torch.Generator, edge: int = 12) -> tuple[Batch, torch.Tensor]:
    """A scan of two tissues that meet somewhere, each with a stroke anywhere in it; and the truth (k, j, i)."""
    meet = int(torch.randint(4, 9, (), generator=generator))
    dark = int(torch.randint(0, meet - 1, (), generator=generator))
    bright = int(torch.randint(meet + 1, edge, (), generator=generator))
    truth = (torch.arange(edge).expand(edge, edge, edge) >= meet).long()
    target = torch.full_like(truth, IGNORE)
    target[:, edge // 2, dark], target[:, edge // 2, bright] = 0, 1
    image = 2.0 * truth - 1 + 0.3 * torch.randn(truth.shape, generator=generator)
    batch = {
        "image": torch.cat([image[None, None], torch.zeros(1, 3, edge, edge, edge)], 1),
        "foreground": torch.ones(1, edge, edge, edge, dtype=torch.bool),
        "target": target.flatten()[None],
        "annotated": torch.ones(1, CLASSES, dtype=torch.bool),
        "metadata": torch.full((1, 2), torch.nan),
    }
    return batch, truth


def wrong_ends(method: LearnedFromStrokes, scans: list[tuple[Batch, torch.Tensor]]) -> float:
    """The share of voxels from which most walks end in the stroke of the other tissue."""
    shares = []
    for batch, truth in scans:
        with torch.no_grad():
            height = None if method.boundary is None else method.boundary(batch["image"][:, :1])[0]
            walks = method._walks(batch, 0, height)
        assert walks.targets == [0, 1]
        shares.append(float((walks.soft.argmax(0) != truth).double().mean()))
    return sum(shares) / len(shares)


def test_boundaries_are_learned_where_tissues_meet_without_a_label_there() -> None:
    """No scan says where it is, but over many of them the segmenter learns the tissues from their strokes alone."""
    generator = torch.Generator().manual_seed(7)
    unseen = [two_tissues(generator) for _ in range(4)]
    method = learner()
    before = wrong_ends(method, unseen)
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        method(two_tissues(generator)[0]).backward()
        optimizer.step()
    assert before > 0.15
    assert wrong_ends(method, unseen) < before / 3


def test_fixed_walks_stop_where_intensities_change() -> None:
    scans = [two_tissues(torch.Generator().manual_seed(seed)) for seed in range(4)]
    assert wrong_ends(learner("fixed", contrast=3.0), scans) < 0.02
    assert wrong_ends(learner("fixed", contrast=0.0), scans) > 0.05


def test_the_entropy_of_the_answer_is_pushed_down_between_strokes() -> None:
    batch = strokes_of(batch_of())
    plain, weighted = (learner("entropy", entropy_weight=weight)(batch) for weight in (0.0, 2.0))
    torch.testing.assert_close(plain, learner("strokes")(batch))
    assert plain < weighted < plain + 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": DataConfig(points=1000)}, "set data.points=0 in place of 1000"),
        ({"data": DataConfig(points=0, patch=(32, 33, 32))}, "every axis has to be a multiple of 2"),
        ({"network": replace(TINY, conditioning="decoder")}, "network.conditioning has to be head"),
        ({"method_settings": StrokeSettings(widths=())}, "strokes.widths names no stage"),
    ],
)
def test_settings_that_exclude_each_other_are_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        check_method(replace(config_of(), **changes))


def test_a_run_logs_how_sure_the_walks_are_and_ships_the_segmenter_alone(tmp_path: Path) -> None:
    data_set = write_data_set(tmp_path / "data")
    words = ("method=strokes", "data.points=0", "data.patch=[32, 32, 32]", "optimizer.warmup=1", "optimizer.decay=0")
    config = run_config(tmp_path, data_set, *words, "optimizer.steps=2", "validate_every=1", "strokes.widths=[4]")
    train(config)
    assert all(0 < float(row["certainty"]) <= 1 for row in rows(tmp_path))
    shipped = (tmp_path / "run" / "package" / "model.json").read_text()
    assert "boundary" not in shipped
