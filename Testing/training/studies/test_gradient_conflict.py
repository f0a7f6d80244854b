"""How far data sets pull a network apart: the cosines of their gradients, before a run and after it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings

from Testing.training.data.test_sources import write_halves
from Testing.training.made_up_data import write_data_set
from Training.engine.config import Config, read_config
from Training.engine.loop import Trainer, train
from Training.engine.processes import make_fabric
from Training.studies.gradient_conflict import before_and_after, conflicts


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("data")
    return write_data_set(folder / "made_up"), write_halves(folder / "halves")


def config_of(folder: Path, *roots: Path) -> Config:
    path = folder / "run.yaml"
    sources = ", ".join(f'{{root: "{root}", name: set_{n}}}' for n, root in enumerate(roots))
    path.write_text(f"""
method: protocols
output: {folder / "run"}
accelerator: cpu
precision: 32-true
data: {{sources: [{sources}], cache: {folder / "cache"}, patch: [32, 36, 36], points: 1000, workers: 0}}
network: {{widths: [8, 16], blocks: [1, 1], feature_channels: 8}}
optimizer: {{learning_rate: 1e-2, steps: 2, warmup: 1, decay: 0}}
augmentation: {{rotation: 0, scale: 0, shift: 0, warp: 0, flip: false}}
""")
    return read_config(path)


def test_cosines_are_told_before_and_after_and_change_no_weight(roots: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_of(tmp_path, *roots)
    assert list(before_and_after(config, 1)) == ["before"]
    train(config)
    kept = (tmp_path / "run" / "last.safetensors").read_bytes()
    found = before_and_after(config, 2)
    assert list(found) == ["before", "after 2 steps"]
    for conflict in found.values():
        assert [(pair.one, pair.other) for pair in conflict] == [("set_0", "set_1")]
        assert -1 <= conflict[0].cosine <= 1
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == kept


def test_two_data_sets_that_are_alike_pull_the_same_way(roots: tuple[Path, Path], tmp_path: Path) -> None:
    twin = shutil.copytree(roots[0], tmp_path / "twin")
    config = config_of(tmp_path, roots[0], twin)
    trainer = Trainer(config, make_fabric(config))
    head = trainer.method.network.head
    assert isinstance(head, ClassEmbeddings)
    with torch.no_grad():  # the same question in both protocols
        half = head.prompts.shape[0] // 2
        head.prompts[half:] = head.prompts[:half]
    assert conflicts(trainer, 4)[0].cosine > 0.5


def test_a_single_data_set_has_no_conflict(roots: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="name two at least"):
        before_and_after(config_of(tmp_path, roots[0]), 1)
