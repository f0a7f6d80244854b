"""Several data sets whose tables differ, learned class by class, with the relations between their classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from safetensors.torch import load_file

from Testing.training.data.test_sources import write_halves
from Testing.training.engine.test_train import rows
from Testing.training.made_up_data import write_data_set
from Training.engine.config import Config, read_config
from Training.engine.loop import Trainer, train
from Training.engine.processes import make_fabric
from Training.losses.class_independent import NULL
from Training.methods.registry import check_method
from Training.methods.uniseg import UniSeg


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("data")
    return write_data_set(folder / "made_up"), write_halves(folder / "halves")


def config_of(folder: Path, roots: tuple[Path, Path], *overrides: str) -> Config:
    path = folder / "run.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""
method: uniseg
output: {folder / "run"}
accelerator: cpu
precision: 32-true
validate_every: 1000
data:
  sources: [{{root: {roots[0]}}}, {{root: {roots[0]}, role: validate, cases: [case_2]}}, {{root: {roots[1]}}}]
  cache: {roots[0].parent / "cache"}
  patch: [32, 36, 36]
  points: 1000
  workers: 0
network: {{widths: [8, 16], blocks: [1, 1], feature_channels: 8}}
optimizer: {{learning_rate: 1e-2, steps: 4, warmup: 1, decay: 0, averaging: 0.9}}
package: {{name: both, patch: [48, 48, 48]}}
objective: {{loss: sigmoid}}
uniseg: {{relations_on: 6}}
""")
    return read_config(path, list(overrides))


def test_a_run_goes_on_in_its_second_stage_as_if_it_had_never_stopped(roots: tuple[Path, Path], tmp_path: Path) -> None:
    for folder, stops in (("whole", [4]), ("before", [1, 4]), ("at", [2, 4]), ("after", [3, 4])):
        for steps in stops:
            train(config_of(tmp_path / folder, roots, "uniseg.relations_from=2", f"optimizer.steps={steps}"))
    whole = load_file(tmp_path / "whole" / "run" / "last.safetensors")
    for folder in ("before", "at", "after"):
        other = load_file(tmp_path / folder / "run" / "last.safetensors")
        assert all(torch.equal(whole[key], other[key]) for key in whole)
    assert (whole["relations"] != NULL).any()


def test_the_second_stage_changes_nothing_before_it_begins_and_the_loss_after(
    roots: tuple[Path, Path], tmp_path: Path
) -> None:
    train(config_of(tmp_path / "plain", roots))
    train(config_of(tmp_path / "related", roots, "uniseg.relations_from=2"))
    plain, related = ([float(row["loss"]) for row in rows(tmp_path / name)] for name in ("plain", "related"))
    assert plain[:2] == related[:2]
    assert all(one != other for one, other in zip(plain[2:], related[2:], strict=True))


def test_relations_are_measured_for_the_classes_that_were_seen(roots: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_of(tmp_path, roots)
    trainer = Trainer(config, make_fabric(config))
    assert isinstance(trainer.method, UniSeg)
    similarity = trainer.method.similarity()
    seen = ~similarity.isnan().any(1)
    leaves = [leaf.name for leaf in trainer.data.tree.leaves]
    known = [name for name, is_seen in zip(leaves, seen[1:].tolist(), strict=True) if is_seen]
    assert {"Thalamus", "Front of it", "Back of it", "Right Hippocampus"} <= set(known)
    assert similarity[seen].abs().max() <= 1 + 1e-5


def test_the_package_finds_in_every_voxel_what_the_cosine_classifier_finds(
    roots: tuple[Path, Path], tmp_path: Path
) -> None:
    config = config_of(tmp_path, roots)
    trainer = Trainer(config, make_fabric(config))
    method = trainer.method
    assert isinstance(method, UniSeg)
    assert isinstance(method.network.head, ClassEmbeddings)
    with torch.no_grad():
        method.network.head.prompts[1:] *= torch.linspace(0.1, 9, method.network.classes - 1)[:, None]
        features = torch.randn(500, 8)
        cosines = method._cosines(features)
        cosines[:, 0] = 0
        method.finish([])
        found = features @ method.network.prompts.T + method.network.bias
    assert torch.equal(found.argmax(1), cosines.argmax(1))


@pytest.mark.parametrize("setting", ["network.conditioning=decoder", "objective.labels=sampled"])
def test_what_needs_a_pass_a_label_is_refused(roots: tuple[Path, Path], tmp_path: Path, setting: str) -> None:
    with pytest.raises(SystemExit, match=r"network\.conditioning has to be head"):
        check_method(config_of(tmp_path, roots, setting))


def test_a_loss_in_which_classes_compete_is_refused_rather_than_ignored(
    roots: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"method=uniseg needs objective\.loss=sigmoid"):
        check_method(config_of(tmp_path, roots, "objective.loss=softmax"))


@pytest.mark.slow
def test_labels_that_only_one_of_two_data_sets_has_are_learned_from_that(
    roots: tuple[Path, Path], tmp_path: Path
) -> None:
    right = f'{{root: "{roots[0]}", labels: [Right Hippocampus, 3rd Ventricle]}}'
    left = f'{{root: "{roots[1]}", labels: [Left Hippocampus]}}'
    check = f'{{root: "{roots[0]}", role: validate, cases: [case_2]}}'
    settings = (f"data.sources=[{right}, {left}, {check}]", "optimizer.steps=120", "optimizer.decay=40")
    train(config_of(tmp_path, roots, *settings, "objective.dice_weight=0"))
    package = ModelPackage.load(tmp_path / "run" / "package")
    assert {leaf.name for leaf in package.labels.leaves} == {"Right Hippocampus", "3rd Ventricle", "Left Hippocampus"}
    assert float(rows(tmp_path)[-1]["dice"]) > 0.6
