"""CoLab: a generator that learns how to divide the background, its controls, and runs that end with a package of the
labels alone.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from lightning.fabric import Fabric
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from Testing.samples import TINY
from Testing.training.engine.test_train import config_of, losses, rows
from Testing.training.made_up_data import write_data_set
from Testing.training.methods.test_methods import EDGE, Batch, batch_of, build
from Training.data.datasets import read_data_set
from Training.data.targets import select
from Training.data.training_samples import Samples
from Training.engine.config import Config, DataConfig, OptimizerConfig
from Training.engine.loop import train
from Training.engine.optimizers import learning_rate_at
from Training.engine.run_data import load_data
from Training.engine.run_settings import settled
from Training.losses.truth import IGNORE
from Training.methods.colab import FOR_STEPS, CoLab, _targets_of_labels
from Training.methods.colab_settings import CoLabSettings
from Training.methods.context_source import Clusters, with_context_labels
from Training.methods.method import Run

FABRIC = Fabric(accelerator="cpu", devices=1)
MODES = ("finite_difference", "exact", "first_order")
HIPPOCAMPI = "data.labels=[Left Hippocampus, Right Hippocampus]"
COLAB = (
    "method=colab",
    "data.points=0",
    HIPPOCAMPI,
    "network.context_classes=1",
    "colab.widths=[4, 8]",
    "colab.margin=4",
    "colab.tau=3",
    "colab.every=2",
)


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


def toy(hypergradient: Any = "exact", **changes: Any) -> tuple[CoLab, Batch]:
    """A tiny network of three levels with a generator, in double precision, and a batch in which half of the classes
    are background.
    """
    network = replace(TINY, widths=(4, 6, 8, 8), blocks=(1, 1, 1, 1), output_stride=1, context_classes=2)
    settings = CoLabSettings(hypergradient=hypergradient, widths=(4, 4), **{"margin": 2.0, "tau": 1.0} | changes)
    method = build(Config(method="colab", data=DataConfig(points=0), network=network, method_settings=settings))
    assert isinstance(method, CoLab)
    batch = batch_of()
    fine = {
        "image": twice_as_fine(batch["image"]),
        "target": twice_as_fine(batch["target"].view(-1, 1, EDGE, EDGE, EDGE)).flatten(1),
    }
    batch |= fine | {"target": torch.where(fine["target"] > 2, 0, fine["target"])}
    return method.double(), {
        key: value.double() if value.is_floating_point() else value for key, value in batch.items()
    }


def twice_as_fine(values: torch.Tensor) -> torch.Tensor:
    return values.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)


def hypergradient(mode: str, **changes: Any) -> torch.Tensor:
    method, batch = toy(mode, **changes)
    return method.hypergradient(batch, method._scene(batch), method.source(batch), 0.1, FABRIC)[1]


# The bilevel step


def test_finite_differences_agree_with_the_exact_hypergradient_of_the_network() -> None:
    """In double precision: to one part in a thousand with a small step; with the published 0.01 / ||v||, which crosses
    kinks of this tiny network, to a cosine of 0.99.
    """
    precise, published, fine = (
        hypergradient("exact"),
        hypergradient("finite_difference"),
        hypergradient("finite_difference", eps=1e-8),
    )
    assert precise.norm() > 0
    assert float((fine - precise).norm() / precise.norm()) < 1e-3
    assert float((published * precise).sum() / published.norm() / precise.norm()) > 0.99


def test_the_exact_hypergradient_predicts_how_the_outer_loss_changes() -> None:
    """Against the outer loss after the virtual step with another context, brute force."""
    method, batch = toy()
    scene, context = method._scene(batch), method.source(batch)
    before, gradient = method.hypergradient(batch, scene, context, 0.1, FABRIC)
    along = torch.randn(context.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 1e-5
    ahead, behind = (method.hypergradient(batch, scene, context + sign * along, 0.1, FABRIC)[0] for sign in (1, -1))
    assert (ahead - behind) / 2 == pytest.approx(float((gradient * along).sum()), rel=1e-4)
    assert before == pytest.approx((ahead + behind) / 2, rel=1e-4)


def test_first_order_is_the_exact_hypergradient_of_the_head_alone() -> None:
    """Much of the whole one, and the whole of it where the trunk is held."""
    whole, head = hypergradient("exact"), hypergradient("first_order")
    cosine = float((whole * head).sum() / whole.norm() / head.norm())
    assert 0.1 < cosine < 0.999
    method, batch = toy("exact")
    for name, parameter in method.named_parameters():
        parameter.requires_grad_("head.prompts" in name or "head.bias" in name)
    held = method.hypergradient(batch, method._scene(batch), method.source(batch), 0.1, FABRIC)[1]
    torch.testing.assert_close(head, held)


@pytest.mark.parametrize("mode", MODES)
def test_steps_of_the_generator_lower_the_outer_loss(mode: str) -> None:
    """The segmenter stays where it is: what falls is the outer loss after one virtual step with the generator's
    context.
    """
    method, batch = toy(mode, learning_rate=3e-2)
    before = {name: p.clone() for name, p in method.named_parameters() if p.requires_grad}
    curve = [method.generator_step(batch, 1.0, FABRIC)["outer_loss"] for _ in range(12)]
    assert curve[-1] < curve[0] - 1e-5
    assert sum(later < earlier for earlier, later in pairwise(curve)) >= 9
    assert all(torch.equal(p, before[name]) for name, p in method.named_parameters() if p.requires_grad)


def test_the_generator_moves_as_fast_whatever_the_scale_of_the_hypergradient() -> None:
    """It carries the segmenter's learning rate and an outer loss that soon is small."""
    lengths = []
    for rate in (1.0, 1e-8):
        method, batch = toy(learning_rate=1e-3)
        before = [p.clone() for p in method.source.parameters()]
        method.generator_step(batch, rate, FABRIC)
        lengths.append(sum(float((p - b).abs().sum()) for p, b in zip(method.source.parameters(), before, strict=True)))
    assert lengths[1] == pytest.approx(lengths[0], rel=0.05)


def test_the_generator_moves_every_nth_step_and_never_by_the_loss_of_the_segmenter() -> None:
    method, batch = toy(every=3)
    moved = []
    for step in range(6):
        before = [p.clone() for p in method.source.parameters()]
        run = Run(FABRIC, method, step, 0.1)
        method.training_step(batch, run).backward()  # type: ignore[no-untyped-call]
        moved.append(not all(torch.equal(p, b) for p, b in zip(method.source.parameters(), before, strict=True)))
        assert bool(run.measured) == moved[-1]
        assert all(p.grad is None for p in method.source.parameters())
    assert moved == [True, False, False, True, False, False]


def test_half_precision_gives_nearly_the_hypergradient_of_full_precision() -> None:
    found = []
    for precision in ("32-true", "bf16-mixed"):
        method, batch = toy("finite_difference")
        batch = {key: value.float() if value.is_floating_point() else value for key, value in batch.items()}
        method.float()
        fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
        found.append(method.hypergradient(batch, method._scene(batch), method.source(batch), 0.1, fabric)[1])
    assert float((found[0] * found[1]).sum() / found[0].norm() / found[1].norm()) > 0.98


def test_deep_supervision_reaches_all_levels_of_the_decoder_but_the_coarsest() -> None:
    method, batch = toy()
    assert [head.in_channels for head in method.coarse_heads] == [6]  # of widths 4, 6, 8 in the decoder
    alone, _ = toy(deep_supervision=False)
    assert len(alone.coarse_heads) == 0
    assert not torch.equal(method(batch), alone(batch))
    with torch.no_grad():
        finest = method(batch, lambda scores: scores[0].sum())
        torch.testing.assert_close(finest, alone(batch, lambda scores: scores[0].sum()))


def test_a_collapse_is_told_once_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    method, batch = toy(every=50)
    method.own.learning_rate = 0.0
    with torch.no_grad():
        method.source.trunk.to_features.bias[1] += 50  # type: ignore[union-attr, operator, index]
    for step in range(0, FOR_STEPS + 100, 50):
        told = capsys.readouterr().out
        assert ("colab.tau" in told) == (step == FOR_STEPS)
        measured = method.generator_step(batch, 0.1, FABRIC)
        assert measured["context_1"] > 0.99
    assert "colab.tau" not in capsys.readouterr().out


# The data


def samples_of(data_set: Path, folder: Path, *words: str) -> tuple[Samples, Config]:
    config = config_of(folder, data_set, *COLAB, *words)
    data = load_data(config)
    return Samples(data.training, data.code, config), config


def method_of(samples: Samples, config: Config, classes: int = 3) -> CoLab:
    torch.manual_seed(0)
    network = LabelConditionedNetwork(config.network, classes, load_data(config).schema.fields)
    method = CoLab(network, config, samples.code.members)
    method.begin(samples, load_data(config))
    return method


def one_batch(samples: Samples) -> Batch:
    return {key: value[None] for key, value in samples[0].items()}


ANATOMY = (
    "colab.source=anatomy",
    "colab.anatomy=[Ventricles and CSF, Cerebral cortex]",
    "network.context_classes=2",
)


def test_anatomy_divides_the_background_by_the_labels_of_the_data_set(data_set: Path, tmp_path: Path) -> None:
    samples, config = samples_of(data_set, tmp_path, *ANATOMY)
    leaves = [leaf.name for leaf in samples.code.tree.leaves]
    assert set(leaves[:2]) == {"Left Hippocampus", "Right Hippocampus"}  # those of the network come first
    method, batch = method_of(samples, config), one_batch(samples)
    context, target = method.source(batch)[0].argmax(0).flatten(), batch["target"][0]
    for n, names in enumerate(
        [["3rd Ventricle"], ["Left AIns anterior insula", "Left PIns posterior insula"]], start=1
    ):
        classes = [leaves.index(name) + 1 for name in names]
        assert set(context[torch.isin(target, torch.tensor(classes))].tolist()) <= {n}
        assert (context == n).any()
    assert set(np.unique(method._scene(batch).target)) == {
        IGNORE,
        0,
        1,
        2,
    }  # there is a vessel, which is no label of the data set
    assert torch.equal(method._scene(batch).target.flatten() > 0, (target == 1) | (target == 2))


def test_what_lies_in_a_parent_of_labels_and_others_alike_is_unknown_where_it_is_not_divided() -> None:
    members = torch.tensor(
        [[False, True, True, False, False], [False, False, True, True, False], [False, False, False, True, True]]
    )
    assert _targets_of_labels(members, 3).tolist() == [0, 1, 2, 0, 0, 3, IGNORE, 0, IGNORE]


def test_the_context_of_anatomy_is_what_lies_under_its_names_and_is_no_label_of_the_network(data_set: Path) -> None:
    table = read_data_set(data_set).table
    tree = select(table, ["Left Hippocampus", "Right Hippocampus"])
    wider = with_context_labels(tree, table, ["Deep gray matter", "Cerebral cortex"])
    assert [leaf.name for leaf in wider.leaves][:2] == [leaf.name for leaf in tree.leaves]
    assert "3rd Ventricle" not in {leaf.name for leaf in wider.leaves}


def test_clusters_are_fitted_once_and_the_same_in_every_process(data_set: Path, tmp_path: Path) -> None:
    samples, config = samples_of(data_set, tmp_path, "colab.source=kmeans", "network.context_classes=2")
    first, second = (method_of(samples, config) for _ in range(2))
    batch = one_batch(samples)
    context = first.source(batch)
    assert torch.equal(context, second.source(batch))
    assert torch.equal(context.sum(1), torch.ones_like(context[:, 0]))
    assert isinstance(first.source, Clusters)
    assert len(np.unique(first.source.centres, axis=0)) == 3
    weight = first._scene(batch).weight * (first._scene(batch).target == 0)
    shares = [float((context[:, n] * weight).sum() / weight.sum()) for n in range(3)]
    assert min(shares) > 0.02


def test_the_picture_shows_labels_and_context(data_set: Path, tmp_path: Path) -> None:
    samples, config = samples_of(data_set, tmp_path, *ANATOMY)
    method, batch = method_of(samples, config), one_batch(samples)
    shown = method.context_map(batch)
    assert shown is not None
    assert set(np.unique(shown)) == {0, 1, 2, 3, 4}
    assert torch.equal((shown == 1) | (shown == 2), method._scene(batch).target[0] > 0)


# Runs


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("colab.hypergradient=exact", "network.context_classes=3"),
        ("colab.hypergradient=first_order", "optimizer.batch=2"),
        ("network.context_classes=0",),
        ("colab.source=kmeans",),
        ANATOMY,
    ],
    ids=["generator", "exact", "first order", "none", "kmeans", "anatomy"],
)
def test_every_arm_ends_with_a_package_of_the_labels_alone_that_finds_them(
    data_set: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    train(
        config_of(
            tmp_path,
            data_set,
            *COLAB,
            "optimizer.learning_rate=2e-2",
            "optimizer.steps=30",
            "optimizer.decay=10",
            *words,
        )
    )
    package = ModelPackage.load(tmp_path / "run" / "package")
    assert {leaf.name for leaf in package.labels.leaves} == {"Left Hippocampus", "Right Hippocampus"}
    scan, truth = (read_volume(data_set / name) for name in ("imagesTr/case_2_0000.nii.gz", "labelsTr/case_2.nii.gz"))
    found = Segmenter.from_package(package.path, "cpu").segment(scan).label_map.array[0]
    assert set(np.unique(found)) == {0, 47, 48}
    for ident in (47, 48):
        there = truth.array[0] == ident
        assert 2 * ((found == ident) & there).sum() / ((found == ident).sum() + there.sum()) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer", [(), ("optimizer.name=sgd", "optimizer.schedule=poly", "optimizer.momentum=0.9")], ids=["adamw", "sgd"]
)
def test_a_run_that_was_stopped_goes_on_exactly_where_it_was(
    data_set: Path, tmp_path: Path, optimizer: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Generator, its optimizer, auxiliary heads: every tensor of the last checkpoint is the same."""
    words = (
        *COLAB,
        *optimizer,
        "optimizer.steps=8",
        "optimizer.decay=2",
        "save_every=3",
        "network.widths=[8, 8, 16, 16]",
        "network.blocks=[1, 1, 1, 1]",
    )
    words = (*words, "data.patch=[32, 32, 32]")
    train(config_of(tmp_path / "whole", data_set, *words))
    training_step = CoLab.training_step

    def fail(self: CoLab, batch: Batch, run: Run) -> torch.Tensor:
        if run.step == 5:
            raise KeyboardInterrupt
        return training_step(self, batch, run)

    with monkeypatch.context() as patch:
        patch.setattr(CoLab, "training_step", fail)
        with pytest.raises(KeyboardInterrupt):
            train(config_of(tmp_path / "stopped", data_set, *words))
    assert len(losses(tmp_path / "stopped")) == 5
    train(config_of(tmp_path / "stopped", data_set, *words))
    whole, stopped = (load_file(tmp_path / run / "run" / "last.safetensors") for run in ("whole", "stopped"))
    assert whole.keys() == stopped.keys()
    assert all(torch.equal(whole[key], stopped[key]) for key in whole)
    parts = {name.split(".")[0] for name in whole}
    assert {"network", "average", "optimizer", "outer", "source", "coarse_heads", "collapsed_for"} == parts
    assert any(name.startswith("outer.exp_avg.source.trunk") for name in whole)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")


def test_cases_may_be_kept_for_the_outer_loss(data_set: Path, tmp_path: Path) -> None:
    config = config_of(
        tmp_path, data_set, *COLAB, "colab.meta_cases=[case_0]", "optimizer.steps=3", "optimizer.decay=1"
    )
    data = load_data(config)
    assert [[case.name for case in cases] for cases in (data.training, data.meta, data.validation)] == [
        ["case_1"],
        ["case_0"],
        ["case_2"],
    ]
    train(config)
    assert ModelPackage.load(tmp_path / "run" / "package").about["provenance"]["training_cases"] == ["case_0", "case_1"]
    train(
        config_of(tmp_path / "same", data_set, *COLAB, "data.train=[case_1]", "optimizer.steps=3", "optimizer.decay=1")
    )
    outer = [[float(row["outer_loss"]) for row in rows(folder)][::2] for folder in (tmp_path, tmp_path / "same")]
    assert outer[0][0] != outer[1][0]  # on another case
    assert losses(tmp_path)[0] != losses(tmp_path / "same")[0]


@pytest.mark.parametrize(
    ("named", "told"),
    [("case_2", "named twice"), ("case_9", "no case called case_9"), ("case_0, case_1", "left to train")],
)
def test_cases_of_the_outer_loss_that_do_not_fit_are_told(
    data_set: Path, tmp_path: Path, named: str, told: str
) -> None:
    with pytest.raises(SystemExit, match=told):
        load_data(settled(config_of(tmp_path, data_set, *COLAB, f"colab.meta_cases=[{named}]"))[0])


def test_shares_of_the_context_the_outer_loss_and_a_picture_are_logged(data_set: Path, tmp_path: Path) -> None:
    train(
        config_of(
            tmp_path,
            data_set,
            *COLAB,
            "precision=bf16-mixed",
            "network.context_classes=2",
            "optimizer.steps=4",
            "validate_every=2",
        )
    )
    logged = rows(tmp_path)
    shares = [[float(row[f"context_{n}"]) for n in range(3)] for row in logged]
    assert [sum(row) for row in shares[::2]] == pytest.approx([1, 1], abs=1e-4)
    assert all(np.isnan(row).all() for row in shares[1::2])
    assert float(logged[2]["hypergradient"]) > 0
    curves = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    curves.Reload()
    assert [event.step for event in curves.Scalars("outer_loss")] == [0, 2]
    assert [event.step for event in curves.Images("sample, context")] == [1, 3]


def test_a_package_with_context_classes_is_fine_tuned_with_them(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path / "first", data_set, *COLAB, "optimizer.steps=3", "optimizer.decay=1"))
    first = tmp_path / "first" / "run" / "package"
    words = [word for word in COLAB if not word.startswith("network")]
    config = config_of(
        tmp_path,
        data_set,
        *words,
        "network.widths=[32,64,128,256]",
        "network.blocks=[1,1,1,1]",
        "network.feature_channels=32",
        f"init_from={first}",
    )
    config.metadata, config.optimizer.learning_rate, config.optimizer.steps, config.optimizer.decay = [], 0.0, 1, 0
    train(config)
    kept, tuned = (load_file(path / "weights.safetensors") for path in (first, tmp_path / "run" / "package"))
    torch.testing.assert_close(tuned["head.prompts"], kept["head.prompts"])
    assert ModelPackage.load(tmp_path / "run" / "package").architecture.context_classes == 1


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("colab.source=labels", "colab.source.*generator or anatomy or kmeans"),
        ("colab.hypergradient=second", "colab.hypergradient"),
        ("colab.every=0", "at least 1"),
        ("colab.tau=0", "above 0"),
        ("network.context_classes=-1", "context_classes"),
        ("optimizer.name=adam", "adamw or sgd"),
        ("optimizer.schedule=cosine", "constant or poly"),
    ],
)
def test_settings_that_cannot_be_are_refused(data_set: Path, tmp_path: Path, word: str, told: str) -> None:
    with pytest.raises(SystemExit, match=told):
        config_of(tmp_path, data_set, *COLAB, word)


def test_a_polynomial_rate_falls_from_the_first_step_to_zero() -> None:
    settings = OptimizerConfig(schedule="poly", learning_rate=0.01, steps=10, warmup=5, decay=5)
    assert learning_rate_at(0, settings) == 0.01
    assert learning_rate_at(5, settings) == pytest.approx(0.01 * 0.5**0.9)
    assert learning_rate_at(9, settings) == pytest.approx(0.01 * 0.1**0.9)
