"""Domain adaptation by patches: what is aligned, what learns from what, what is logged, and what cannot be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from lightning.fabric import Fabric
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from Testing import samples
from Testing.samples import TINY
from Testing.training.engine.test_train import config_of as run_config
from Testing.training.engine.test_train import declining, rows
from Testing.training.made_up_data import write_data_set
from Testing.training.methods.test_methods import EDGE, Batch, batch_of, build, gradients
from Training.data.sources import Source
from Training.data.target_samples import TargetSamples
from Training.data.training_samples import Samples
from Training.engine.checkpoint import read_facts
from Training.engine.config import Config, DataConfig, OptimizerConfig
from Training.engine.loop import train
from Training.engine.run_data import load_data
from Training.methods import check_method
from Training.methods.method import Run
from Training.methods.patch_adaptation import PatchAdaptation
from Training.methods.patch_settings import PatchAdaptationSettings

ALIGNED = ("both", "patches", "output", "moments")
SOURCES = [Source("a"), Source("b", role="target")]


def config_of(align: Any = "both", **changes: Any) -> Config:
    settings: dict[str, Any] = {
        "modes": 5,
        "patch": (4, 4, 4),
        "output_widths": (8,),
        "patch_widths": (8,),
        "learning_rate": 1e-2,
    }
    return Config(
        method="patch_adaptation",
        data=DataConfig(points=0, patch=(EDGE,) * 3, sources=SOURCES),
        network=TINY,
        method_settings=PatchAdaptationSettings(align=align, **settings | changes),
    )


def learner(align: Any = "both", **changes: Any) -> PatchAdaptation:
    method = build(config_of(align, **changes))
    assert isinstance(method, PatchAdaptation)
    if method.modes is not None:
        with torch.no_grad():
            method.modes.centres.normal_(generator=torch.Generator().manual_seed(3)).abs_()
    return method


def with_target(batch: Batch) -> Batch:
    """A target that looks otherwise: inverted."""
    other = {key: batch[key].flip(0) for key in ("image", "foreground", "metadata")}
    other["image"] = torch.cat([1 - other["image"][:, :1], other["image"][:, 1:]], dim=1)
    return batch | {f"target_{key}": value for key, value in other.items()}


@pytest.mark.parametrize("align", ALIGNED)
def test_the_target_changes_the_trunk_and_no_discriminator_follows_the_loss(align: str) -> None:
    batch = batch_of()
    method = learner(align)
    _, alone = gradients(method, batch)
    _, found = gradients(method, with_target(batch))
    trained = {name for name, p in method.named_parameters() if p.requires_grad}
    assert set(found) == trained
    assert not any(name.startswith("adversaries") for name in trained)
    assert all(gradient.isfinite().all() for gradient in found.values())
    changed = {name for name in found if not torch.equal(found[name], alone[name])}
    assert any("trunk" in name for name in changed)
    heads = {name for name in trained if name.startswith("mode_head")}
    assert bool(heads) == (align in ("both", "patches"))
    assert heads <= changed


def test_source_only_is_the_loss_of_lcs_whatever_the_target() -> None:
    batch = batch_of()
    plain = build(Config(method="lcs", network=TINY))
    (loss, found), (expected, theirs) = gradients(learner("none"), with_target(batch)), gradients(plain, batch)
    torch.testing.assert_close(loss, expected)
    assert found.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_weights_are_what_they_say_and_begin_when_they_say() -> None:
    batch = with_target(batch_of())
    weightless = {"mode_weight": 0.0, "patch_weight": 0.0, "output_weight": 0.0}
    plain = float(learner("none")(batch).detach())
    assert float(learner(**weightless)(batch).detach()) == pytest.approx(plain, rel=1e-6)
    for name in weightless:
        method = learner(**weightless | {name: 2.0})
        value = float(method(batch).detach())
        assert method.seen is not None
        kind = {"mode_weight": "mode_loss"}.get(name, f"{name.removesuffix('_weight')}_adversarial_loss")
        measured = {key.replace("patch_", "patches_"): cost for key, cost in method.seen.measured.items()}
        cost = measured[kind.replace("patch_", "patches_")]
        assert value == pytest.approx(plain + 2 * float(cost), rel=1e-4)


@pytest.mark.parametrize(
    ("start", "rise", "expected"), [(0, 0, [1, 1, 1, 1]), (2, 0, [0, 0, 1, 1]), (1, 3, [0, 0.25, 0.5, 0.75, 1, 1])]
)
def test_the_target_waits_and_rises(start: int, rise: int, expected: list[float]) -> None:
    method, batch = learner("output", start=start, rise=rise), with_target(batch_of(1))
    fabric, found = Fabric(accelerator="cpu", devices=1), []
    for step in range(len(expected)):
        method.training_step(batch, Run(fabric, method, step, 1e-3))
        found.append(method.strength)
    assert found == expected


def test_discriminators_learn_by_turns_with_the_network_and_tell_domains_apart() -> None:
    method, batch = learner(), with_target(batch_of())
    method.own = replace(method.own, patch_weight=0.0, output_weight=0.0)
    method.highest_rate = 1e-3
    fabric, measured = Fabric(accelerator="cpu", devices=1), {}
    before = {name: p.detach().clone() for name, p in method.named_parameters()}
    for step in range(60):
        run = Run(fabric, method, step, 1e-3)
        method.training_step(batch, run)
        measured = run.measured
    moved = {name for name, p in method.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if name.startswith("adversaries")}  # nobody followed the loss here
    assert measured["output_accuracy_source"] == measured["output_accuracy_target"] == 1
    assert {"patches_accuracy_source", "modes_source", "modes_target", "mode_loss"} <= measured.keys()
    assert method.criterion(0.5) < 0.5 + method.own.balance_weight


def test_the_rate_of_the_discriminators_follows_that_of_the_run() -> None:
    method, batch = learner("output"), with_target(batch_of(1))
    method.highest_rate = 2e-3
    method.training_step(batch, Run(Fabric(accelerator="cpu", devices=1), method, 0, 1e-3))
    (adversary,) = method._adversaries.values()
    assert adversary.optimizer.param_groups[0]["lr"] == pytest.approx(method.own.learning_rate / 2)


def test_a_sample_that_a_teacher_labelled_is_not_shown_as_one_of_the_source() -> None:
    batch = with_target(batch_of()) | {"is_source": torch.tensor([True, False])}
    method = learner()
    method(batch)
    assert method.seen is not None
    assert {len(source) for source, _ in method.seen.answers.values()} == {1}
    assert {len(target) for _, target in method.seen.answers.values()} == {2}
    only = method(batch | {"is_source": torch.tensor([False, False])})
    assert only.isfinite()


@pytest.mark.parametrize("align", ALIGNED)
def test_memory_of_what_is_kept_for_the_backward_pass_is_flat_in_the_number_of_labels(align: str) -> None:
    """Beside the prompts themselves nothing that is kept has an axis of labels."""
    largest = []
    for classes in (6, 134):
        config = config_of(align, basis_size=4)
        network = LabelConditionedNetwork(config.network, classes, samples.SCHEMA.fields)
        method = PatchAdaptation(network, config, torch.zeros(0, classes, dtype=torch.bool))
        batch = with_target(batch_of())
        batch["annotated"] = torch.ones(2, classes, dtype=torch.bool)
        kept: list[int] = []

        def note(values: torch.Tensor, kept: list[int] = kept) -> torch.Tensor:
            kept.append(values.numel())
            return values

        with torch.autograd.graph.saved_tensors_hooks(note, lambda values: values):
            method(batch)
        largest.append(max(kept))
    assert largest[0] == largest[1]


# Runs


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of other people, with labels by mistake."""
    return write_data_set(tmp_path_factory.mktemp("data") / "others", cases=2, first=10)


def run_of(folder: Path, data_set: Path, target: Path, *words: str, **changes: Any) -> Config:
    sources = [
        {"root": str(data_set), "cases": ["case_0", "case_1"]},
        {"root": str(data_set), "role": "validate", "cases": ["case_2"]},
        {"root": str(target), "role": "target", **changes},
    ]
    return run_config(
        folder,
        data_set,
        *("method=patch_adaptation", "data.root=", "data.validation=[]", f"data.sources={json.dumps(sources)}"),
        *("data.patch=[32, 32, 32]", "data.points=500", "optimizer.warmup=1", "optimizer.decay=0", "optimizer.steps=2"),
        *("patch_adaptation.patch=[8, 8, 8]", "patch_adaptation.output_widths=[8, 8]"),
        *words,
    )


def test_a_run_says_that_labels_of_the_target_are_not_read_logs_and_names_both_kinds_of_scans(
    data_set: Path, others: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(run_of(tmp_path, data_set, others, "validate_every=2"))
    said = capsys.readouterr()
    assert f'The labels of "{others}" are not read: its role is target.' in said.err
    assert "2 cases and 2 without labels for training" in said.out
    logged = rows(tmp_path)
    columns = [f"{name}_accuracy_{side}" for name in ("patches", "output") for side in ("source", "target")]
    for row in logged:
        assert all(0 <= float(row[name]) <= 1 for name in (*columns, "modes_source", "modes_target"))
    last = logged[-1]
    assert float(last["dice"]) <= float(last["criterion"]) <= float(last["dice"]) + 0.1
    provenance = ModelPackage.load(tmp_path / "run" / "package").about["provenance"]
    assert provenance["without_labels"] == ["others/case_0", "others/case_1"]
    assert len(provenance["training_cases"]) == 4
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    shown = events.Tags()["images"]
    assert {"source, modes of its labels, modes found", "target, modes found"} <= set(shown)


def test_labels_of_the_target_change_nothing(data_set: Path, others: Path, tmp_path: Path) -> None:
    unlabelled = tmp_path / "unlabelled"
    shutil.copytree(others / "imagesTr", unlabelled / "imagesTr")
    config = run_of(tmp_path / "a", data_set, others), run_of(tmp_path / "b", data_set, unlabelled)
    for each in config:
        data = load_data(each)
        assert all((case.target == -1).all() for case in data.target)
        assert not any(case.annotated[1:].any() for case in data.target)
        drawn = Samples(data.target, data.code, each)[0]["image"]
        if each is config[0]:
            expected = drawn
    assert torch.equal(drawn, expected)


def test_samples_stand_beside_samples_of_the_target_that_are_varied_on_their_own(data_set: Path, others: Path) -> None:
    config = run_of(others.parent / "run", data_set, others, "field_dropout=0")
    data = load_data(config)
    pairs = TargetSamples(
        Samples(data.training, data.code, config, label_maps=True), Samples(data.target, data.code, config)
    )
    one, again = pairs[3], pairs[3]
    assert all(torch.equal(one[key].nan_to_num(), again[key].nan_to_num()) for key in one)
    assert one["image"].shape == one["target_image"].shape
    assert one["labels"].shape == one["image"].shape[1:]
    i, j, k = one["points"].unbind(1)
    assert torch.equal(one["labels"][k, j, i].long(), one["target"].long())
    assert bool(one["is_source"])


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
@pytest.mark.parametrize("align", ["both", "moments"])
def test_other_precisions_learn(data_set: Path, others: Path, tmp_path: Path, precision: str, align: str) -> None:
    train(run_of(tmp_path, data_set, others, f"precision={precision}", f"patch_adaptation.align={align}"))
    assert all(np.isfinite(float(row["loss"])) for row in rows(tmp_path))


def test_early_stopping_goes_by_source_dice_and_balance(
    data_set: Path, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A validation of less Dice is the better one where the discriminators know less."""
    monkeypatch.setattr("Training.engine.run_log.RunLog._validated", lambda *_: None)
    declining(monkeypatch, 0.5, 0.45, 0.44, 0.43)
    balances = iter([0.0, 0.8, 0.1, 0.1])
    watch = "Training.methods.adaptation_watch.AdaptationWatch.balance"
    monkeypatch.setattr(watch, property(lambda _: next(balances)))
    words = ("validate_every=1", "early_stop=2", "optimizer.steps=9", "patch_adaptation.align=output")
    train(run_of(tmp_path, data_set, others, *words))
    said = capsys.readouterr().out
    assert "stopped early after step 4: 2 validations without a better sum of Dice and balance than 0.53" in said
    assert read_facts(tmp_path / "run" / "best.safetensors")["step"] == 2


@pytest.mark.parametrize("align", ["both", "none"])
def test_a_teacher_goes_with_it(data_set: Path, others: Path, tmp_path: Path, align: str, tiny: Path) -> None:
    words = (f"teacher.package={tiny}", "teacher.share=0.5", "teacher.least_probability=0.0")
    train(run_of(tmp_path, data_set, others, *words, f"patch_adaptation.align={align}", "optimizer.batch=2"))
    provenance = ModelPackage.load(tmp_path / "run" / "package").about["provenance"]
    assert provenance["labelled_by_teacher"] == ["others/case_0", "others/case_1"]


@pytest.fixture(scope="module")
def tiny(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of the labels of the data set."""
    folder = tmp_path_factory.mktemp("teacher")
    train(run_config(folder, data_set, "optimizer.steps=1", "optimizer.warmup=1", "optimizer.decay=0"))
    return folder / "run" / "package"


# What cannot be


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": DataConfig(sources=SOURCES[:1])}, "there is nothing to align: name the scans without labels"),
        ({"network": replace(TINY, conditioning="decoder")}, "network.conditioning has to be head"),
        ({"optimizer": OptimizerConfig(freeze=["trunk"])}, "adapts the trunk: take it out of optimizer.freeze"),
        ({"method_settings": PatchAdaptationSettings(patch=(16, 16, 18))}, "every axis has to be a multiple of 4"),
        ({"method_settings": PatchAdaptationSettings(patch=(16, 16, 16))}, "which does not fit into data.patch"),
        ({"method_settings": PatchAdaptationSettings(output_widths=(8, 0))}, "every number has to be at least 1"),
    ],
)
def test_settings_that_exclude_each_other_are_one_sentence(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        check_method(replace(config_of(), **changes))


def test_source_only_needs_no_target() -> None:
    check_method(replace(config_of("none"), data=DataConfig(sources=SOURCES[:1], points=0)))


def test_a_single_scan_is_no_target(data_set: Path, others: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r'The target ".*others" has 1 scan, .* 2 at least: .*lcs segment --adapt'):
        train(run_of(tmp_path, data_set, others, cases=["case_1"]))


def test_a_target_of_another_number_of_channels_is_told(data_set: Path, others: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    (two / "imagesTr").mkdir(parents=True)
    for image in (others / "imagesTr").iterdir():
        for channel in ("0000", "0001"):
            shutil.copy(image, two / "imagesTr" / image.name.replace("0000", channel))
    with pytest.raises(
        SystemExit, match=r"case_0: has 2 image channel\(s\) .* but the network's input.channels names 1"
    ):
        train(run_of(tmp_path, data_set, two))


def test_a_target_that_is_the_source_is_told_also_as_a_copy(data_set: Path, others: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(data_set)
    with pytest.raises(SystemExit, match=r'The case case_0 of ".*link" .* has the same scan with labels'):
        train(run_of(tmp_path, data_set, tmp_path / "link"))
    copy = tmp_path / "copy"
    shutil.copytree(others / "imagesTr", copy / "imagesTr")
    shutil.copy(data_set / "imagesTr" / "case_1_0000.nii.gz", copy / "imagesTr" / "renamed_0000.nii.gz")
    words = "The scan copy/renamed of the target is the labelled scan made_up/case_1, so there is nothing to adapt to"
    with pytest.raises(SystemExit, match=words):
        train(run_of(tmp_path, data_set, copy))


def test_a_label_map_among_the_scans_of_the_target_is_left_out_and_said(
    data_set: Path, others: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(others / "imagesTr", mixed)
    labels = sitk.ReadImage(str(others / "labelsTr" / "case_0.nii.gz"))
    sitk.WriteImage(labels, str(mixed / "painted.nii.gz"))
    data = load_data(run_of(tmp_path, data_set, mixed))
    assert len(data.target) == 2
    assert 'painted.nii.gz" is left out: it looks like a label map.' in capsys.readouterr().err
