"""The published form of labels by example: it learns to find what an atlas shows in a pass a label, and its runs are
scored from their checkpoint.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.network.architecture import ATLAS_PAIR
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from Testing.samples import SCHEMA, TINY
from Testing.training.engine.test_train import config_of, losses
from Testing.training.made_up_data import write_data_set
from Testing.training.methods.test_by_example import CLASSES, batch_of, gradients
from Testing.training.methods.test_methods import curve_of
from Training.data.prepared_cases import Case
from Training.engine.config import Config, ObjectiveConfig, read_config
from Training.engine.loop import train
from Training.losses.truth import IGNORE
from Training.methods import build_method
from Training.methods.atlas_pair import find_by_pair
from Training.studies.published_form import main, score

ROOT = Path(__file__).resolve().parents[3]
NETWORK = replace(TINY, conditioning=ATLAS_PAIR, film="none")
PAIR = (
    "network.conditioning=atlas_pair",
    "objective.prompts=example",
    "objective.loss=sigmoid",
    "objective.splits=0",
    "objective.examples_per_sample=3",
)
SIDES = "data.labels=[3rd Ventricle, Left Hippocampus, Right Hippocampus]"


def build() -> torch.nn.Module:
    torch.manual_seed(0)
    config = Config(
        network=NETWORK, objective=ObjectiveConfig(prompts="example", loss="sigmoid", examples_per_sample=4)
    )
    return build_method(
        LabelConditionedNetwork(NETWORK, CLASSES, SCHEMA.fields), config, torch.zeros(0, CLASSES, dtype=torch.bool)
    )


def case_of(name: str, shape: tuple[int, int, int]) -> Case:
    torch.manual_seed(len(name))
    image, target = torch.randn(1, *shape, dtype=torch.float16), torch.zeros(shape, dtype=torch.int16)
    return Case(name, image, image[0] > -1, target, torch.ones(3, dtype=torch.bool), torch.full((2,), torch.nan), {})


# The loss


def test_every_parameter_gets_a_gradient_even_of_a_pair_with_nothing_to_ask_for() -> None:
    batch = batch_of()
    for asked in (batch, batch | {key: torch.zeros_like(batch[key]) for key in ("asked", "regions")}):
        method = build()
        loss, found = gradients(method, asked)
        assert loss.isfinite()
        assert set(found) == {name for name, _ in method.named_parameters()}
        assert all(values.isfinite().all() for values in found.values())


def test_what_is_unknown_and_what_the_atlas_does_not_show_take_no_part() -> None:
    method, batch = build(), batch_of()
    unknown, _ = gradients(method, batch | {"asked": torch.full_like(batch["asked"], IGNORE)})
    assert unknown == 0
    hidden = batch | {"regions": torch.where(batch["regions"] == 3, 0, batch["regions"])}
    without = hidden | {"asked": torch.where(batch["asked"] == 3, 0, batch["asked"])}
    assert torch.equal(method(hidden), method(without))
    assert not torch.equal(method(hidden), method(batch))


def test_the_loss_of_a_fixed_pair_goes_down() -> None:
    curve = curve_of(build(), batch_of(), steps=25)
    assert sum(curve[-3:]) < 0.7 * sum(curve[:3])


# Finding


def test_the_best_of_many_structures_wins_whatever_the_order_and_nothing_where_no_score_is_positive() -> None:
    """More masks than go into a pass together, on scans of different sizes."""
    network = build().network
    assert isinstance(network, LabelConditionedNetwork)
    query, atlas = case_of("query", (24, 20, 16)), case_of("atlas", (16, 20, 24))
    masks = {10 * n: torch.randn(16, 20, 24) > 1 for n in range(1, 12)}
    found = find_by_pair(network, query, atlas, masks)
    assert found.shape == (24, 20, 16)
    assert set(np.unique(found.numpy()).tolist()) <= {0, *masks}
    assert torch.equal(found, find_by_pair(network, query, atlas, dict(reversed(masks.items()))))
    with torch.no_grad():
        network.head.bias.fill_(-1000)
    assert not find_by_pair(network, query, atlas, masks).any()


# Runs


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up", cases=4)


@pytest.fixture(scope="module")
def run(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(config_of(folder, data_set, *PAIR, SIDES, "optimizer.learning_rate=2e-2", "optimizer.steps=40"))
    return folder


@pytest.mark.slow
def test_a_run_learns_and_says_that_it_has_no_package(
    run: Path, data_set: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    curve = losses(run)
    assert np.mean(curve[-5:]) < 0.8 * np.mean(curve[:5])
    assert not (run / "run" / "package").exists()
    train(
        config_of(run, data_set, *PAIR, SIDES, "optimizer.learning_rate=2e-2", "optimizer.steps=40")
    )  # finished already
    assert "no model package: this network needs a labelled scan at every pass" in capfd.readouterr().out


def test_a_run_is_scored_on_both_grids(run: Path) -> None:
    coarse, fine = score(run / "run", "case_1", ["case_2"])["case_2"]
    assert (
        np.isfinite(coarse).sum() == np.isfinite(fine).sum() == 4
    )  # of the whole table: the vessel too, which was not learned; the case has no posterior insula
    np.testing.assert_allclose(coarse, fine, atol=0.02)  # the same grid here, but for its margin
    assert np.nanmax(coarse) > 0.5


def test_the_program_prints_a_line_a_case(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["published_pair.py", str(run / "run"), "--atlas", "case_1", "--cases", "case_0", "case_2"]
    )
    main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["case_0", "case_2"]
    assert all("on the network's grid" in line and "on the scan's" in line for line in lines)


def test_a_missing_case_and_a_run_of_another_kind_are_told(run: Path, data_set: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no case called case_9"):
        score(run / "run", "case_1", ["case_9"])
    train(config_of(tmp_path, data_set, SIDES, "optimizer.steps=1", "optimizer.decay=0", "data.points=200"))
    with pytest.raises(SystemExit, match=r"has network\.conditioning=head"):
        score(tmp_path / "run", "case_1", ["case_2"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*PAIR, "objective.loss=softmax"), "set objective.loss=sigmoid"),
        ((*PAIR, "objective.prompts=both"), "set objective.prompts=example"),
        ((*PAIR, "objective.prompts=class"), "set objective.prompts=example"),
        ((*PAIR, "objective.labels=sampled"), "Only method=lcs with objective.labels=all"),
        ((*PAIR, "method=baseline"), "Only method=lcs"),
    ],
)
def test_wrong_settings_are_told_in_one_sentence(
    data_set: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        train(config_of(tmp_path, data_set, SIDES, *words))
    assert not (tmp_path / "run").exists()


def test_the_shipped_experiment_differs_from_the_other_one_in_the_form_alone() -> None:
    published, ours = (
        read_config(ROOT / "Training" / "experiments" / f"by_example_{name}.yaml", [])
        for name in ("published_2mm", "2mm")
    )
    assert (published.data, published.input, published.augmentation, published.optimizer) == (
        ours.data,
        ours.input,
        ours.augmentation,
        ours.optimizer,
    )
    assert replace(published.network, conditioning="head", examples=True) == ours.network
