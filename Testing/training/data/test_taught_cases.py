"""Scans without labels that a teacher labels: what it is sure of is learned, once, and nothing else changes."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.inference.finder import Finder
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.progress import Progress
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside
from LabelConditionedSegmentationLib.core.scan.preprocessing import BACKGROUND, prepare
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples
from Testing.training.engine.test_train import losses
from Testing.training.made_up_data import write_data_set
from Training.data import taught_cases as teaching
from Training.data.datasets import read_data_set, read_image, read_scans
from Training.data.prepared_cases import Case
from Training.data.sources import Source
from Training.data.targets import TargetCode, select
from Training.data.training_samples import Samples
from Training.engine.config import Config, read_config, write_config
from Training.engine.loop import train
from Training.engine.run_data import RunData, load_data
from Training.engine.teacher import teacher_of
from Training.evaluation.scan_evaluation import was_trained_on
from Training.losses.truth import IGNORE


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain folder of three other scans, what is known of their people, and a label map by mistake."""
    folder = tmp_path_factory.mktemp("data") / "scans"
    folder.mkdir()
    for n in range(3):
        samples.scan((32, 36, 34), seed=20 + n).save(folder / f"sub-{n}_T1w.nii.gz")
    (folder / "participants.tsv").write_text("participant_id\tsex\tage\nsub-0\tF\t30\nsub-1\tM\tn/a\n")
    shutil.copy(folder / "sub-0_T1w.nii.gz", folder / "sub-0_dseg.nii.gz")
    (folder / "README").write_text("Three scans.")
    return folder


@pytest.fixture(scope="module")
def teacher(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model of the labels of the made-up data that is sure in some places and not in others."""
    return package_of(read_data_set(made_up).table, tmp_path_factory.mktemp("teacher"))


def package_of(tree: LabelTree, folder: Path, name: str = "old", **more: Any) -> ModelPackage:
    made = samples.network(tree=tree, seed=3)
    with torch.no_grad():
        made.get_parameter("head.prompts").mul_(6)
    return samples.package(folder, tree=tree, made=made, name=name, patch=(48, 48, 48), **more)


@pytest.fixture
def config(made_up: Path, scans: Path, teacher: ModelPackage, tmp_path: Path) -> Config:
    made = Config(network=samples.TINY, metadata=list(samples.SCHEMA.fields), accelerator="cpu")
    made.data.sources = [Source(str(made_up), cases=["case_0", "case_1"]), Source(str(scans), "target")]
    made.data.cache, made.data.patch, made.data.points = str(tmp_path / "cache"), (32, 36, 36), 300
    made.teacher.package, made.teacher.share, made.teacher.least_probability = str(teacher.path), 0.5, 0.6
    return made


def run_of(config: Config, folder: Path, steps: int) -> Config:
    config.output, config.precision, config.save_every, config.data.workers = str(folder / "run"), "32-true", 2, 0
    config.optimizer.steps, config.optimizer.decay, config.optimizer.warmup = steps, 1, 1
    config.package.patch = (32, 36, 36)
    return config


def samples_of(config: Config, data: RunData) -> Samples:
    return Samples(data.training, data.code, config, taught=data.target if config.teacher.share else ())


def answers(package: Path, scan: Volume, known: dict[str, Any], tree: LabelTree) -> np.ndarray:
    """What a package says of a scan by the door for everybody: (classes, k, j, i) probabilities, background first."""
    with Segmenter.from_package(package, "cpu") as segmenter:
        maps = segmenter.features(scan, known).probabilities([leaf.name for leaf in tree.leaves])
    labels = np.concatenate([maps[leaf.name].to_numpy()[None] for leaf in tree.leaves])
    return np.concatenate([1 - labels.sum(0, keepdims=True), labels])


def test_what_the_teacher_is_sure_of_is_the_truth_and_the_rest_is_unknown(
    config: Config, scans: Path, teacher: ModelPackage
) -> None:
    config.augmentation.flip, config.teacher.least_margin = False, 0.3
    data = load_data(config)
    assert [case.name for case in data.target] == [f"scans/sub-{n}_T1w" for n in range(3)]
    for case in data.target:
        scan = read_volume(scans / f"{case.name.partition('/')[2]}.nii.gz")
        people: dict[str, dict[str, Any]] = {"sub-0": {"sex": "F", "age": 30}, "sub-1": {"sex": "M"}}
        known = people.get(case.name[6:11], {})
        shares = answers(teacher.path, scan, known, data.tree)
        prepared = prepare(scan, config.input, config.network.multiple, with_position=False)
        assert torch.equal(case.image, prepared.image.half())
        place = (prepared.grid.to(Grid.of(scan))[:3, 3]).round().astype(int)[::-1]  # of its first voxel, aligned
        inside = [slice(max(0, p), p + n) for p, n in zip(place, prepared.grid.shape, strict=True)]
        first = [max(0, -p) for p in place]
        theirs = shares[:, *inside]
        mine = case.target[tuple(slice(f, f + n) for f, n in zip(first, theirs.shape[1:], strict=True))].numpy()
        top = np.sort(theirs, axis=0)[::-1]
        clear = (np.abs(top[0] - 0.6) > 1e-3) & (np.abs(top[0] - top[1] - 0.3) > 1e-3)
        trusted = (top[0] >= 0.6) & (top[0] - top[1] >= 0.3)
        np.testing.assert_array_equal(mine[clear], np.where(trusted, theirs.argmax(0), IGNORE)[clear])
        assert 0.05 < trusted.mean() < 0.95
        assert bool(case.annotated.all())


def test_the_answer_is_the_mean_over_the_scan_and_its_mirror_image(
    config: Config, made_up: Path, scans: Path, tmp_path: Path
) -> None:
    sided = ["3rd Ventricle", "Left Hippocampus", "Right Hippocampus"]
    config.teacher.package = str(package_of(select(read_data_set(made_up).table, sided), tmp_path).path)
    config.data.sources[0].labels, config.teacher.least_probability = sided, 0.0
    data = load_data(config)
    teacher = teacher_of(config, data.code)
    assert teacher.package.flip
    segmenter = teacher.segmenter
    prepared, metadata, _ = segmenter.prepared(read_volume(scans / "sub-2_T1w.nii.gz"), None)
    coarse = prepared.grid.coarser(2)
    found = teaching._answer(segmenter, prepared, metadata, coarse, teacher.classes, Progress(None, None))
    network, mirrored = segmenter.network, list(data.tree.mirrored_classes)
    image = prepared.image[None]
    flipped = segmenter.network_pass.mirrored(image)
    with torch.inference_mode():
        one = torch.einsum("kc,cxyz->kxyz", network.prompts, network.features(image, metadata)[0])
        other = torch.einsum("kc,cxyz->kxyz", network.prompts, network.features(flipped, metadata)[0].flip(-1))
        bias = network.bias[:, None, None, None]
        wanted = ((one + bias).softmax(0) + (other + bias).softmax(0)[mirrored]) / 2
    top = wanted.topk(2, dim=0).values
    torch.testing.assert_close(found.probability, top[0], atol=5e-3, rtol=0)
    torch.testing.assert_close(found.margin, top[0] - top[1], atol=1e-2, rtol=0)
    clear = top[0] - top[1] > 0.02
    assert torch.equal(found.best[clear].long(), wanted.argmax(0)[clear])


def test_labelled_samples_stay_what_they_are_and_a_share_is_of_taught_scans(config: Config) -> None:
    data = load_data(config)
    mixed = samples_of(config, data)
    config.teacher.share = 0.0
    plain = samples_of(config, data)
    labelled = [n for n in range(400) if not mixed.case_of(n).name.startswith("scans/")]
    assert 170 < len(labelled) < 230
    for number in labelled[:6]:
        assert all(torch.equal(mixed[number][key].nan_to_num(), plain[number][key].nan_to_num()) for key in plain[0])
    taught = [mixed.case_of(n).name for n in range(400) if n not in labelled]
    assert min(taught.count(name) for name in set(taught)) > 40
    number = next(n for n in range(400) if n not in labelled)
    sample = mixed[number]
    assert int((sample["target"] == IGNORE).sum()) == 0  # the loss is taken where something is known
    assert set(sample["target"].tolist()) > {0}
    assert {plain.case_of(n).name for n in range(40)} == {"made_up/case_0", "made_up/case_1"}


def test_metadata_of_a_plain_folder_are_known_by_the_person_and_label_maps_are_left_out(
    config: Config, scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = {case.name: case.metadata for case in load_data(config).target}
    known = config.schema.encode(config.schema.parse({"sex": "F", "age": "30"})[0])
    assert torch.equal(metadata["scans/sub-0_T1w"], torch.from_numpy(known))
    assert bool(metadata["scans/sub-2_T1w"].isnan().all())
    assert f'The labels of "{scans}" are not read: its role is target.' in capsys.readouterr().err


def test_a_label_map_that_is_called_a_scan_is_left_out_and_that_is_said(
    config: Config, made_up: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(scans, tmp_path / "scans")
    shutil.copy(made_up / "labelsTr" / "case_1.nii.gz", folder / "sub-9.nii.gz")
    config.data.sources[1] = Source(str(folder), "target")
    assert len(load_data(config).target) == 3
    assert f'"{folder / "sub-9.nii.gz"}" is left out: it looks like a label map.' in capsys.readouterr().err


def test_finer_labels_of_the_teacher_are_added_up(config: Config, made_up: Path, tmp_path: Path) -> None:
    table = read_data_set(made_up).table
    left = table.find("Left Hippocampus")
    parts = tuple(Label(900 + n, f"Part {n}", left.id, laterality="left") for n in range(3))
    finer = LabelTree((*table.labels, *parts))
    config.teacher.package = str(package_of(finer, tmp_path, "finer").path)
    data = load_data(config)
    teacher = teacher_of(config, data.code)
    mine = data.tree.class_of[data.tree.find("Left Hippocampus").id]
    assert teacher.classes[mine] == [finer.class_of[part.id] for part in parts]
    assert sorted(n for part in teacher.classes for n in part) == list(range(finer.classes))
    assert any(bool((case.target == mine).any()) for case in data.target)


# Once


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that the teacher was asked about."""
    names: list[str] = []
    answered: Callable[..., Any] = teaching._answered

    def count(files: Any, *rest: Any) -> Any:
        names.append(files.name)
        return answered(files, *rest)

    monkeypatch.setattr(teaching, "_answered", count)
    return names


def test_a_run_that_goes_on_does_not_ask_the_teacher_again(config: Config, tmp_path: Path, asked: list[str]) -> None:
    train(run_of(config, tmp_path / "whole", 6))
    assert asked == ["sub-0_T1w", "sub-1_T1w", "sub-2_T1w"]
    run_of(config, tmp_path / "parts", 6).optimizer.steps = 4
    train(config)
    config.optimizer.steps = 6
    train(config)
    assert len(asked) == 3
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    package = ModelPackage.load(tmp_path / "whole" / "run" / "package")
    assert package.about["provenance"]["labelled_by_teacher"] == [f"scans/sub-{n}_T1w" for n in range(3)]
    assert package.about["provenance"]["teacher"] == "old"
    assert was_trained_on(package, "sub-1_T1w")
    card = (package.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Nobody labelled 3 of them: the model `old` did." in card


def test_another_trust_or_teacher_asks_anew(config: Config, made_up: Path, tmp_path: Path, asked: list[str]) -> None:
    sure = [int((case.target != IGNORE).sum()) for case in load_data(config).target]
    config.teacher.least_probability = 0.3
    more = [int((case.target != IGNORE).sum()) for case in load_data(config).target]
    assert all(a < b for a, b in zip(sure, more, strict=True))
    config.teacher.least_margin = 0.2
    load_data(config)
    moved = shutil.copytree(config.teacher.package, tmp_path / "moved")
    config.teacher.package = str(moved)
    load_data(config)
    assert len(asked) == 9  # not for a teacher that lies elsewhere


def test_what_was_done_before_ctrl_c_is_kept(
    config: Config, monkeypatch: pytest.MonkeyPatch, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def read_and_press(files: Any) -> Volume:
        if files.name == "sub-1_T1w":
            os.kill(os.getpid(), signal.SIGINT)
        return read_image(files)

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(teaching, "read_image", read_and_press)
        with pytest.raises(KeyboardInterrupt):
            load_data(config)
    assert signal.getsignal(signal.SIGINT) is handler
    assert "stopped; 1 of 3 scans without labels are done" in capsys.readouterr().err
    assert not list(Path(config.data.cache).glob(".making-*"))
    load_data(config)
    assert asked == ["sub-0_T1w", "sub-1_T1w", "sub-1_T1w", "sub-2_T1w"]


# Which teacher


def test_the_averaged_weights_of_a_checkpoint_teach(config: Config, made_up: Path, tmp_path: Path) -> None:
    first = run_of(config, tmp_path / "first", 2)
    sources, first.data.sources = first.data.sources, [Source(str(made_up), cases=["case_0", "case_1"])]
    first.teacher.share = 0.0
    train(first)
    config.data.sources, config.teacher.share, config.teacher.package = sources, 0.5, ""
    config.teacher.least_probability = 0.0
    config.init_from = str(tmp_path / "first" / "run" / "last.safetensors")
    by_checkpoint = load_data(config).target
    config.teacher.package = str(tmp_path / "first" / "run" / "package")
    by_package = load_data(config).target
    for one, other in zip(by_checkpoint, by_package, strict=True):
        assert float((one.target == other.target).float().mean()) > 0.99  # a package holds half precision


def test_a_student_sees_what_its_teacher_looks_inside_of(
    config: Config, made_up: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "none"))

    def distance(self: Finder, volume: Volume, steps: Progress) -> tuple[torch.Tensor, Grid, int]:
        places = np.indices(volume.shape) - (np.array(volume.shape)[:, None, None, None] - 1) / 2
        return torch.from_numpy(np.linalg.norm(places, axis=0) - 10).float(), Grid.of(volume), 1

    monkeypatch.setattr(Finder, "_distance", distance)
    samples.package(tmp_path, name="outer")
    spec = InputSpec(inside=Inside("outer", samples.label_tree().roots[0].name, 0.0))
    config.teacher.package = str(package_of(read_data_set(made_up).table, tmp_path, spec=spec).path)
    heads = tmp_path / "heads"
    heads.mkdir()
    scan = samples.scan((32, 36, 34), seed=7)
    noise = np.random.default_rng(0).uniform(20, 200, scan.array.shape)
    scan.with_array(scan.array + noise).save(heads / "head.nii.gz")
    config.data.sources[1] = Source(str(heads), "target")
    case = load_data(config).target[0]
    assert float(case.foreground.sum()) == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.1)
    assert bool((case.image[:, ~case.foreground] == BACKGROUND).all())


@pytest.mark.parametrize("method", [["objective.labels=sampled", "objective.loss=sigmoid"], ["method=baseline"]])
def test_other_methods_learn_from_taught_scans_too(config: Config, tmp_path: Path, method: list[str]) -> None:
    write_config(run_of(config, tmp_path, 3), tmp_path / "run.yaml")
    train(read_config(tmp_path / "run.yaml", method))
    assert np.isfinite(losses(tmp_path)).all()


def test_a_taught_scan_is_asked_about_by_example_but_is_no_atlas(config: Config) -> None:
    config.objective.prompts = "example"
    data = load_data(config)
    drawn = samples_of(config, data)
    number = next(n for n in range(40) if drawn.case_of(n).name.startswith("scans/"))
    sample = drawn[number]
    assert sample["regions"].shape[0] == 2
    images: list[Case] = data.training
    assert drawn.cases == images


# What cannot be


def refused(config: Config, words: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=words):
        load_data(read_config_of(config, tmp_path))


def read_config_of(config: Config, folder: Path) -> Config:
    write_config(config, folder / "config.yaml")
    return read_config(folder / "config.yaml")


@pytest.fixture
def images_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Training.data.data_checks.check_data_set", None)  # would fail


@pytest.mark.usefixtures("images_unread")
def test_settings_that_cannot_teach_are_refused_before_images_are_read(
    config: Config, made_up: Path, scans: Path, tmp_path: Path
) -> None:
    package, target = config.teacher.package, config.data.sources[1]
    config.teacher.share = 1.0
    refused(config, "teacher.share is 1, which leaves no sample to the labelled scans", tmp_path)
    config.teacher.share, config.teacher.package = 0.5, ""
    refused(config, r"there is no teacher: name a model package with teacher\.package", tmp_path)
    config.teacher.package = str(tmp_path / "nowhere")
    with pytest.raises(Exception, match="nowhere"):
        load_data(config)
    config.teacher.package, config.data.sources = package, config.data.sources[:1]
    refused(config, r"none of data\.sources has the role target", tmp_path)
    (tmp_path / "empty").mkdir()
    for root, words in ((tmp_path / "empty", "is no data set: .* no image lies in it"), (made_up / "x", "no data set")):
        config.data.sources = [config.data.sources[0], Source(str(root), "target")]
        refused(config, words, tmp_path)
    config.data.sources[1] = Source(str(made_up / "imagesTr"), "target")
    refused(config, "The case case_0_0000 of .* has the same scan with labels: name other scans", tmp_path)
    config.data.sources = [Source(str(made_up)), Source(str(made_up), "target")]
    refused(config, "Two of data.sources take all cases", tmp_path)
    config.data.sources = [Source(str(made_up)), target]
    fewer = select(read_data_set(made_up).table, ["3rd Ventricle", "Right Hippocampus"])
    config.teacher.package = str(package_of(fewer, tmp_path, "fewer").path)
    refused(config, 'The teacher "fewer" does not know Left Hippocampus, Left AIns .*, which this run learns', tmp_path)
    config.teacher.package = str(samples.package(tmp_path, tree=samples.two_protocols(), name="two").path)
    refused(config, 'The teacher "two" has several protocols', tmp_path)


def test_another_number_of_channels_is_refused(config: Config, made_up: Path, scans: Path, tmp_path: Path) -> None:
    two = InputSpec(channels=("T1", "T2"))
    network = replace(samples.TINY, in_channels=2)
    table = read_data_set(made_up).table
    config.teacher.package = str(samples.package(tmp_path, network, table, spec=two, name="two").path)
    refused(config, r'The teacher "two" reads 2 channel\(s\) \(T1, T2\), but input.channels names 1', tmp_path)
    config.teacher.package = ""
    config.teacher.share = 0.0
    pair = tmp_path / "pair" / "imagesTr"
    pair.mkdir(parents=True)
    for n in range(2):
        shutil.copy(scans / "sub-0_T1w.nii.gz", pair / f"a_000{n}.nii.gz")
    config.data.sources[1] = Source(str(pair.parent), "target")
    refused(config, "has 2 image channel", tmp_path)


def test_a_teacher_that_is_sure_of_nothing_is_told(config: Config, tmp_path: Path) -> None:
    config.teacher.least_probability = 1.0
    config.teacher.least_margin = 1.0
    refused(config, r'the teacher "old" is sure of no label; lower teacher\.least_probability', tmp_path)


def test_a_scan_that_cannot_be_read_is_named(config: Config, scans: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(scans, tmp_path / "scans")
    (folder / "sub-1_T1w.nii.gz").write_text("no image")
    config.data.sources[1] = Source(str(folder), "target")
    refused(config, r"sub-1_T1w: ", tmp_path)


def test_a_checkpoint_of_another_network_is_no_teacher(config: Config, made_up: Path, tmp_path: Path) -> None:
    first = run_of(config, tmp_path / "first", 1)
    sources, first.data.sources = first.data.sources, [Source(str(made_up), labels=["3rd Ventricle"])]
    first.teacher.share = 0.0
    train(first)
    config.data.sources, config.teacher.share = sources, 0.5
    config.teacher.package = str(tmp_path / "first" / "run" / "last.safetensors")
    with pytest.raises(SystemExit, match=r"is a checkpoint of another network: it has no head\.prompts of the shape"):
        load_data(config)


def test_files_of_a_plain_folder_are_cases_without_labels(scans: Path, made_up: Path) -> None:
    table = read_data_set(made_up).table
    data_set = read_scans(scans, table)
    assert [case.name for case in data_set.cases] == ["sub-0_T1w", "sub-1_T1w", "sub-2_T1w"]
    assert data_set.cases[0].metadata == {"sex": "F", "age": "30"}
    assert TargetCode(table, data_set.table).classes == table.classes
    with pytest.raises(SystemExit, match="it has no folder labelsTr"):
        read_data_set(scans)
