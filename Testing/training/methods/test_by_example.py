"""Labels by example: what either scan of a pair shows is found in the other, a run ends with a package that takes
examples, and what is frozen stays as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import PackageFormatError
from LabelConditionedSegmentationLib.core.examples.painted_examples import Example
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.network.example_encoder import pool
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from safetensors.torch import load_file

from Testing.samples import SCHEMA, TINY
from Testing.training.engine.test_distributed import run_together, torchrun
from Testing.training.engine.test_fine_tuning import config_of as tuning_of
from Testing.training.engine.test_train import config_of, losses, weights, write_config
from Testing.training.made_up_data import write_data_set
from Testing.training.methods.test_methods import curve_of
from Training.data.example_tasks import masks_of
from Training.engine.config import Config, ObjectiveConfig, OptimizerConfig, read_config
from Training.engine.config_differences import differences
from Training.engine.loop import train
from Training.evaluation.scan_evaluation import evaluate
from Training.losses.streamed_softmax import plain_softmax_loss
from Training.losses.truth import IGNORE, Truth
from Training.methods import build_method
from Training.methods.by_example import ByExample
from Training.methods.points import at_points

CLASSES = 6
EDGE = 24
SIDES = "data.labels=[3rd Ventricle, Left Hippocampus, Right Hippocampus]"
EXAMPLES = ("network.examples=true", "objective.examples_per_sample=8", "objective.splits=0.7", SIDES)
BOTH, ALONE = (*EXAMPLES, "objective.prompts=both"), (*EXAMPLES, "objective.prompts=example")
SHORT = ("optimizer.steps=3", "optimizer.decay=1", "data.points=500", "validate_every=1000")
RIGHT, LEFT, MIDDLE = 47, 48, 4

Batch = dict[str, torch.Tensor]


def settings(prompts: Any = "both", **changes: Any) -> Config:
    return Config(
        network=replace(TINY, examples=True),
        objective=ObjectiveConfig(prompts=prompts, examples_per_sample=4),
        **changes,
    )


def build(config: Config) -> ByExample:
    torch.manual_seed(0)
    method = build_method(
        LabelConditionedNetwork(config.network, CLASSES, SCHEMA.fields),
        config,
        torch.zeros(0, CLASSES, dtype=torch.bool),
    )
    assert isinstance(method, ByExample)
    return method


def batch_of(pairs: int = 1) -> Batch:
    """Two scans of six slabs, each a class that the image shows; four of them are regions; every voxel is a point."""
    torch.manual_seed(1)
    place = torch.stack(torch.meshgrid(*[torch.arange(EDGE)] * 3, indexing="ij"))
    classes = place[2] * CLASSES // EDGE
    image = place[2].float().expand(pairs, 2, 1, EDGE, EDGE, EDGE) / 6 + 0.1 * torch.randn(
        pairs, 2, 1, EDGE, EDGE, EDGE
    )
    positions = (place.flip(0).float() / EDGE * 2 - 1).expand(pairs, 2, 3, EDGE, EDGE, EDGE)
    regions = torch.where(classes <= 4, classes, 0).to(torch.int16)
    return {
        "image": torch.cat([image, positions], dim=2),
        "points": place.flip(0).reshape(3, -1).T.expand(pairs, 2, -1, 3).contiguous(),
        "target": classes.reshape(-1).expand(pairs, 2, -1).contiguous(),
        "asked": regions.reshape(-1).long().expand(pairs, 2, -1).contiguous(),
        "regions": regions.expand(pairs, 2, -1, -1, -1).contiguous(),
        "annotated": torch.ones(pairs, 2, CLASSES, dtype=torch.bool),
        "metadata": torch.full((pairs, 2, 2), torch.nan),
    }


def gradients(method: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    method.zero_grad()
    loss = method(batch)
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in method.named_parameters() if p.grad is not None}


# The loss


@pytest.mark.parametrize("prompts", ["example", "both"])
def test_trunk_and_encoder_get_gradients_and_the_head_where_classes_are_learned(prompts: str) -> None:
    method = build(settings(prompts))
    _, found = gradients(method, batch_of())
    for name, parameter in method.named_parameters():
        if not parameter.requires_grad:
            assert prompts == "example"
            assert name.startswith("network.head")
            continue
        assert found[name].isfinite().all(), name
        assert found[name].any() or "film" in name, name  # no metadata is told
    assert ("network.head.prompts" in found) == (prompts == "both")


def test_the_loss_is_that_of_prompts_pooled_from_the_other_scan() -> None:
    """By hand: masks, pooling, encoder, a background of score 0, and a softmax over what was shown."""
    method, batch = build(settings("example")), batch_of()
    network, shape = method.network, (EDGE,) * 3
    expected = []
    with torch.no_grad():
        levels = [network.levels(batch["image"][0, side][None], batch["metadata"][0, side][None]) for side in range(2)]
        for side in range(2):
            masks = torch.nn.functional.avg_pool3d(
                torch.stack([(batch["regions"][0, 1 - side] == n).float() for n in range(1, 5)]), 2
            )
            assert network.examples is not None
            prompts, bias = network.examples(pool([level[0] for level in levels[1 - side]], masks))
            features = at_points(levels[side][-1], batch["points"][0, side][None], shape)[0].T
            truth = Truth(batch["asked"][0, side], torch.ones(5, dtype=torch.bool), torch.zeros(0, 5, dtype=torch.bool))
            expected.append(
                plain_softmax_loss(
                    features, torch.cat([torch.zeros(1, 8), prompts]), torch.cat([torch.zeros(1), bias]), truth
                )
            )
        torch.testing.assert_close(method(batch), torch.stack(expected).mean(), rtol=1e-5, atol=1e-5)


def test_the_loss_of_a_batch_is_the_mean_of_its_pairs() -> None:
    method, batch = build(settings()), batch_of(2)
    batch["asked"][1] = torch.where(batch["asked"][1] == 2, 0, batch["asked"][1])
    alone = [method({key: value[n : n + 1] for key, value in batch.items()}) for n in range(2)]
    torch.testing.assert_close(method(batch), torch.stack(alone).mean(), rtol=1e-5, atol=1e-5)


def test_a_region_that_the_atlas_does_not_show_is_not_asked_for() -> None:
    """Moved out of its view by the variation, say: whether the query has it or not is the same."""
    method, batch = build(settings("example")), batch_of()
    batch["regions"] = torch.where(batch["regions"] == 3, 0, batch["regions"])
    with_it, gradient = gradients(method, batch)
    without, other = gradients(method, batch | {"asked": torch.where(batch["asked"] == 3, 0, batch["asked"])})
    assert torch.equal(with_it, without)
    assert all(torch.equal(gradient[name], other[name]) for name in gradient)


def test_what_is_unknown_takes_no_part() -> None:
    method, batch = build(settings("example")), batch_of()
    unknown = batch["asked"] == 2
    losses_of = [method(batch | {"asked": torch.where(unknown, value, batch["asked"])}) for value in (IGNORE, 2)]
    assert not torch.equal(*losses_of)
    batch["image"] = batch["image"].clone()
    nothing, gradient = gradients(method, batch | {"asked": torch.full_like(batch["asked"], IGNORE)})
    assert nothing == 0
    assert all(not values.any() for values in gradient.values())


def test_a_pair_with_nothing_to_ask_for_has_a_finite_loss_and_gradients_for_all() -> None:
    """Two processes wait for each other's gradients, even of such a pair."""
    batch = batch_of()
    for key in ("asked", "regions"):
        batch[key] = torch.zeros_like(batch[key])
    method = build(settings())
    loss, found = gradients(method, batch)
    assert loss.isfinite()
    assert all(values.isfinite().all() for values in found.values())
    assert {name for name, p in method.named_parameters() if p.requires_grad} == set(found)


@pytest.mark.parametrize("prompts", ["example", "both"])
def test_the_loss_of_a_fixed_pair_goes_down(prompts: str) -> None:
    curve = curve_of(build(settings(prompts)), batch_of())
    assert sum(curve[-3:]) < 0.6 * sum(curve[:3])


def shuffled(generator: torch.Generator, unknown: int = -1) -> Batch:
    """Two scans of six slabs, in an order of its own each; a slab is known by its intensity alone.

    Slab `unknown` is asked for nowhere, nor background.
    """
    batch, orders = batch_of(), [torch.randperm(CLASSES, generator=generator) for _ in range(2)]
    place = (torch.arange(EDGE) * CLASSES // EDGE).expand(EDGE, EDGE, EDGE)
    slabs = torch.stack([order[place] for order in orders])
    regions = torch.where(slabs == unknown, IGNORE, slabs + 1)[None]
    noise = 0.1 * torch.randn(1, 2, 1, EDGE, EDGE, EDGE, generator=generator)
    return batch | {
        "image": slabs[None, :, None] / 2 + noise,
        "regions": regions.to(torch.int16),
        "asked": regions.flatten(2),
    }


def test_a_label_that_was_left_out_of_training_is_found_by_example() -> None:
    """What either scan shows is found by comparison, not remembered. By chance a sixth of its voxels would be found."""
    left_out, generator = 3, torch.Generator().manual_seed(0)
    config = Config(
        network=replace(TINY, examples=True, position=False, film="none"),
        objective=ObjectiveConfig(prompts="example", examples_per_sample=CLASSES),
    )
    method = build(config)
    optimizer = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        method(shuffled(generator, left_out)).backward()
        optimizer.step()
    batch, network = shuffled(generator), method.network
    with torch.no_grad():
        query, atlas = ([level[0] for level in network.levels(image[None])] for image in batch["image"][0])
        assert network.examples is not None
        prompts, bias = network.examples(pool(atlas, masks_of(batch["regions"][0, 1], CLASSES, 2)))
        found = torch.einsum("kc,czyx->kzyx", prompts, query[-1]).add(bias[:, None, None, None]).argmax(0)
    truth = batch["regions"][0, 0, ::2, ::2, ::2] - 1
    recall = float((found == left_out)[truth == left_out].float().mean())
    precision = float((truth == left_out)[found == left_out].float().mean())
    assert min(recall, precision) > 0.5


def test_brain_float_gives_nearly_the_same_loss() -> None:
    method, batch = build(settings()), batch_of()
    exact = method(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = method(batch)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", ["trunk", "head"])
def test_a_frozen_part_gets_no_gradient_and_costs_no_graph(name: str) -> None:
    config = settings()
    network = LabelConditionedNetwork(config.network, CLASSES, SCHEMA.fields)
    getattr(network, name).requires_grad_(False)
    method = build_method(network, config, torch.zeros(0, CLASSES, dtype=torch.bool))
    _, found = gradients(method, batch_of())
    assert any(key.startswith("network.examples") for key in found)
    assert not any(key.startswith(f"network.{name}") for key in found)
    image = batch_of()["image"][0]
    assert all(level.requires_grad != (name == "trunk") for level in network.levels(image))


# Settings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("objective.prompts=both",), "belong together: set both of them, or neither"),
        (("network.examples=true",), "belong together: set both of them, or neither"),
        ((*BOTH, "method=baseline"), "Only method=lcs with objective.labels=all learns from examples"),
        (
            (*BOTH, "objective.labels=sampled", "objective.loss=sigmoid"),
            "Only method=lcs with objective.labels=all learns from examples",
        ),
        ((*BOTH, "objective.loss=sigmoid"), "softmax loss"),
        ((*BOTH, "objective.prompts=mask"), 'objective.prompts is "mask", but has to be class or example or both'),
        ((*BOTH, "objective.examples_per_sample=0"), "objective.examples_per_sample is 0, but has to be at least 1"),
        ((*BOTH, "objective.splits=1.5"), "objective.splits is 1.5, but has to be from 0 to 1"),
        ((*BOTH, "objective.unions=-1"), "objective.unions is -1, but has to be from 0 to 1"),
        ((*BOTH, "data.patch=[32, 36, 32]"), "data.patch is .*; enlarge it"),
        ((*BOTH, "data.train=[case_0]"), "needs two cases for training at least"),
        ((*BOTH, "network.conditioning=decoder"), "examples need conditioning at the head"),
        ((*BOTH, "optimizer.freeze=[trunk]"), "with init_from"),
        (
            (*BOTH, "init_from=there", "optimizer.freeze=[encoder]"),
            'optimizer.freeze holds "encoder", but has to be a list of trunk or head or examples',
        ),
        ((*ALONE, "init_from=there", "optimizer.freeze=[examples, trunk]"), "leaves nothing to learn"),
        (("init_from=there", "optimizer.freeze=[head, trunk]"), "leaves nothing to learn"),
    ],
)
def test_wrong_settings_are_told_in_one_sentence(
    data_set: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises((SystemExit, PackageFormatError), match=said):
        train(config_of(tmp_path, data_set, *words))
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_from_before_a_setting_existed_had_its_default() -> None:
    now = {"optimizer": {"freeze": [], "batch": 2}, "objective": {"prompts": "both"}, "seed": 3}
    assert differences({"optimizer": {"batch": 2}, "objective": {}, "seed": 3}, now) == [
        "objective.prompts: class -> both"
    ]


# Runs


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up", cases=4)


@pytest.fixture(scope="module")
def both(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for classes and examples: the folder of its configuration."""
    folder = tmp_path_factory.mktemp("both")
    train(config_of(folder, data_set, *BOTH, "package.name=both"))
    return folder


def scan_of(data_set: Path, case: str) -> Volume:
    return read_volume(data_set / "imagesTr" / f"{case}_0000.nii.gz")


def mask_of(data_set: Path, case: str, value: int) -> Array:
    labels: Array = read_volume(data_set / "labelsTr" / f"{case}.nii.gz").array[0]
    return np.asarray(labels == value)


def dice_by_example(package: Path, data_set: Path, structures: Sequence[int]) -> dict[int, float]:
    """Of structures that case_1 shows, in case_2, which no run saw."""
    segmenter = Segmenter.from_package(package, "cpu")
    prompts = segmenter.examples(
        scan_of(data_set, "case_1"),
        [Example(str(number), mask_of(data_set, "case_1", number)) for number in structures],
        pooled=True,
    )
    found = segmenter.features(scan_of(data_set, "case_2")).by_example(prompts).segment()
    out = {}
    for label in found.labels:
        number = int(label.label.name)
        here, there = found.label_map.array[0] == label.value, mask_of(data_set, "case_2", number)
        out[number] = 2 * float((here & there).sum()) / float(here.sum() + there.sum())
    assert sorted(out) == sorted(structures)
    return out


@pytest.mark.slow
def test_a_run_learns_to_find_what_an_example_shows(both: Path, data_set: Path) -> None:
    curve = losses(both)
    assert np.mean(curve[-5:]) < 0.6 * np.mean(curve[:5])
    scores = dice_by_example(both / "run" / "package", data_set, [RIGHT, LEFT, MIDDLE])
    assert min(scores.values()) > 0.6


def test_the_package_of_a_run_for_both_answers_for_classes_too(both: Path, data_set: Path) -> None:
    package = ModelPackage.load(both / "run" / "package")
    assert package.architecture.examples
    scores = evaluate(Segmenter.from_package(package.path, "cpu"), data_set, ["case_2"]).scores("case_2")
    assert min(scores[ident].dice for ident in (RIGHT, LEFT, MIDDLE)) > 0.7


@pytest.mark.slow
def test_a_run_for_examples_alone_ends_with_classes_that_are_means_of_examples(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, *ALONE, "optimizer.steps=80", "optimizer.decay=25"))
    checkpoint = weights(tmp_path / "run" / "last.safetensors", "network")
    assert not checkpoint["head.prompts"].any()
    package = ModelPackage.load(tmp_path / "run" / "package")
    segmenter = Segmenter.from_package(package.path, "cpu")
    network = segmenter.network
    assert not network.prompts[0].any()
    assert not network.bias.detach()[0].any()
    shown = [
        segmenter.examples(
            scan_of(data_set, case),
            [Example(leaf.name, mask_of(data_set, case, leaf.id)) for leaf in package.labels.leaves],
            told,
            pooled=True,
        )
        for case, told in (("case_0", {"sex": "F", "age": 20}), ("case_1", {"sex": "M", "age": 21}), ("case_3", {}))
    ]
    mean = np.mean([[prompt.vector for prompt in case] for case in shown], axis=0)
    np.testing.assert_allclose(network.prompts.detach()[1:].numpy(), mean, atol=0.02 * np.abs(mean).max())
    scores = evaluate(segmenter, data_set, ["case_2"]).scores("case_2")
    assert min(scores[ident].dice for ident in (RIGHT, LEFT)) > 0.6
    assert scores[MIDDLE].dice > 0.1  # a thin one, which so short a run has only begun to find
    with (tmp_path / "run" / "log.csv").open() as file:
        assert float(file.readlines()[-1].split(",")[-1]) > 0.4  # validation found the same classes


def test_a_class_that_no_training_case_shows_is_silent() -> None:
    method = build(settings("example"))
    method.finish([])
    assert not method.network.prompts.any()
    assert not method.network.bias.any()


def test_a_run_goes_on_where_it_was(data_set: Path, tmp_path: Path) -> None:
    for name, lengths in (("whole", (4,)), ("parts", (2, 4))):
        for steps in lengths:
            train(
                config_of(
                    tmp_path / name,
                    data_set,
                    *BOTH,
                    *SHORT,
                    f"optimizer.steps={steps}",
                    "optimizer.schedule=constant",
                    "optimizer.decay=0",
                )
            )
    whole, parts = (load_file(tmp_path / name / "run" / "last.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert any("examples" in key for key in whole)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_run_in_brain_float_stays_finite_and_ends_with_a_package(data_set: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, data_set, *BOTH, *SHORT, "precision=bf16-mixed"))
    assert np.isfinite(losses(tmp_path)).all()
    assert 0 <= dice_by_example(tmp_path / "run" / "package", data_set, [RIGHT])[RIGHT] <= 1


@pytest.mark.slow
def test_two_processes_learn_what_one_would(data_set: Path, tmp_path: Path) -> None:
    words = (
        *BOTH,
        "optimizer.batch=2",
        "optimizer.steps=3",
        "data.validation=[]",
        "precision=32-true",
        "optimizer.name=sgd",
    )  # which does not magnify rounding where gradients are near 0
    for name in ("alone", "together"):
        write_config(tmp_path / name, data_set)
    train(
        config_of(
            tmp_path / "alone",
            data_set,
            "optimizer.decay=1",
            "optimizer.warmup=2",
            "save_every=2",
            "validate_every=3",
            "data.points=500",
            *words,
        )
    )
    done = run_together(torchrun, tmp_path / "together" / "run.yaml", *words)
    assert done.returncode == 0, done.stderr
    alone, together = (load_file(tmp_path / name / "run" / "last.safetensors") for name in ("alone", "together"))
    assert alone.keys() == together.keys()
    for key in alone:
        if key.startswith("network"):
            torch.testing.assert_close(together[key], alone[key], rtol=1e-3, atol=2e-4)


# From a package


@pytest.fixture(scope="module")
def classes_alone(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    folder = tmp_path_factory.mktemp("classes")
    train(config_of(folder, data_set, SIDES, "package.name=classes"))
    return ModelPackage.load(folder / "run" / "package")


def tuned(folder: Path, data_set: Path, package: Path, *words: str) -> ModelPackage:
    train(
        tuning_of(
            folder, data_set, package, SIDES, "optimizer.steps=40", "package.name=tuned", "package.licence=CC0", *words
        )
    )
    return ModelPackage.load(folder / "run" / "package")


@pytest.mark.slow
def test_an_encoder_is_added_to_a_package_whose_answers_for_classes_stay_bit_equal(
    classes_alone: ModelPackage, data_set: Path, tmp_path: Path
) -> None:
    frozen = (
        "objective.prompts=example",
        "network.examples=true",
        "optimizer.freeze=[trunk, head]",
        "precision=bf16-mixed",
    )
    package = tuned(tmp_path, data_set, classes_alone.path, *frozen, "objective.splits=0.7")
    assert package.architecture == replace(classes_alone.architecture, examples=True)
    before, after = (load_file(p.path / "weights.safetensors") for p in (classes_alone, package))
    assert {key for key in after if key not in before} == {key for key in after if key.startswith("examples.")}
    assert all(torch.equal(after[key], before[key]) for key in before)
    scan = scan_of(data_set, "case_2")
    first, second = (Segmenter.from_package(p.path, "cpu").features(scan) for p in (classes_alone, package))
    assert np.array_equal(first.segment().label_map.array, second.segment().label_map.array)
    curve = losses(tmp_path)
    assert np.mean(curve[-5:]) < 0.8 * np.mean(curve[:5])
    assert min(dice_by_example(package.path, data_set, [RIGHT, LEFT]).values()) > 0.5


def test_a_frozen_run_goes_on_where_it_was(classes_alone: ModelPackage, data_set: Path, tmp_path: Path) -> None:
    frozen = ("objective.prompts=example", "optimizer.freeze=[trunk, head]", *SHORT, "optimizer.decay=0")
    for name, lengths in (("whole", (4,)), ("parts", (2, 4))):
        for steps in lengths:
            tuned(tmp_path / name, data_set, classes_alone.path, *frozen, f"optimizer.steps={steps}")
    whole, parts = (load_file(tmp_path / name / "run" / "last.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert {key.split(".")[2] for key in whole if key.startswith("optimizer.exp_avg.")} == {"examples"}


def test_an_encoder_is_taken_over_and_left_behind_where_classes_alone_are_learned(
    both: Path, data_set: Path, tmp_path: Path
) -> None:
    start = both / "run" / "package"
    nothing = (
        "optimizer.steps=1",
        "optimizer.learning_rate=0",
        "optimizer.warmup=0",
        "optimizer.decay=0",
        "data.points=500",
    )
    with_encoder = tuned(tmp_path / "a", data_set, start, "objective.prompts=both", *nothing)
    before, after = (load_file(path / "weights.safetensors") for path in (start, with_encoder.path))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    without = tuned(tmp_path / "b", data_set, start, *nothing)
    assert not without.architecture.examples


def test_a_package_whose_network_is_another_one_is_still_refused(
    classes_alone: ModelPackage, data_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match="keeps its network"):
        tuned(
            tmp_path,
            data_set,
            classes_alone.path,
            "objective.prompts=both",
            "network.examples=true",
            "network.feature_channels=9",
        )


def test_a_frozen_part_that_the_network_lacks_is_told(
    classes_alone: ModelPackage, data_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r'optimizer\.freeze names "examples", which this network does not have'):
        tuned(tmp_path, data_set, classes_alone.path, "optimizer.freeze=[examples]")


def test_the_shipped_experiment_is_read() -> None:
    config = read_config(Path(__file__).resolve().parents[3] / "Training" / "experiments" / "by_example_2mm.yaml", [])
    assert config.network.examples
    assert config.objective.prompts == "both"
    assert OptimizerConfig().freeze == []
    assert masks_of(torch.ones(2, 2, 2), 1, 2).item() == 1
