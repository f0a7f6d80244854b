"""Several sources of training data: their labels joined by name, scans without labels, draws by weight, and the one
source of before.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.itk import image_of

from Testing import samples
from Testing.training.made_up_data import as_bids, as_datalist, write_data_set
from Training.data.augmentation import Augmentation
from Training.data.case_draw import CaseDraw
from Training.data.datasets import has_labels, read_data_set, read_scans
from Training.data.prepared_cases import Case, prepare_cases
from Training.data.sources import Source
from Training.data.targets import TargetCode
from Training.data.training_samples import Samples
from Training.engine.config import Config, read_config, write_config
from Training.engine.loop import train
from Training.engine.preparation import prepare_data
from Training.engine.run_data import RunData, load_data
from Training.evaluation.cross_validation import crossvalidate
from Training.evaluation.scan_evaluation import was_trained_on
from Training.losses.truth import IGNORE

Sample = dict[str, torch.Tensor]


def write_halves(folder: Path) -> Path:
    """Two scans with another table than the made-up data: the left hippocampus divided, a thalamus, and nothing on the
    right; ids that mean something else there.
    """
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for n in range(2):
        volume = samples.scan((32, 36, 34), seed=10 + n)
        inside = volume.array[0] > 0
        k, j, i = np.indices(volume.shape)
        labels = np.where(inside & (i < 15), np.where(j < 18, 1, 2), 0).astype(np.uint8)
        labels[inside & (i > 18) & (k > 20)] = 48
        sitk.WriteImage(image_of(volume), str(folder / "imagesTr" / f"case_{n}_0000.nii.gz"))
        sitk.WriteImage(image_of(volume.with_array(labels)), str(folder / "labelsTr" / f"case_{n}.nii.gz"))
    rows = "1,Front of it,left,Left Hippocampus\n2,Back of it,left,Left Hippocampus\n48,Thalamus,midline,\n"
    (folder / "labels.csv").write_text("id,name,hemisphere,parent\n" + rows)
    return folder


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_halves(tmp_path_factory.mktemp("data") / "halves")


@pytest.fixture(scope="module")
def scans(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images alone."""
    folder = tmp_path_factory.mktemp("data") / "scans"
    shutil.copytree(made_up / "imagesTr", folder / "imagesTr")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def config_of(cache: Path, *sources: Source, **data: Any) -> Config:
    config = Config(network=samples.TINY, metadata=list(samples.SCHEMA.fields))
    config.data.sources, config.data.cache = list(sources), str(cache)
    config.data.patch, config.data.points = (32, 36, 36), 300
    for key, value in data.items():
        setattr(config.data, key, value)
    return config


def samples_of(data: RunData, config: Config) -> Samples:
    return Samples(data.training, data.code, config)


def assert_same(one: Sample, other: Sample) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key].nan_to_num(), other[key].nan_to_num()) for key in one)


def names(cases: Sequence[Case]) -> list[str]:
    return [case.name for case in cases]


def of(data: RunData, name: str) -> Case:
    return next(case for case in (*data.training, *data.validation, *data.target) if case.name == name)


def test_a_root_alone_gives_the_samples_that_it_always_gave(made_up: Path, cache: Path) -> None:
    """Every case once an epoch in the order of (seed, 1, epoch), whatever else a source may be."""
    config = config_of(cache, root=str(made_up), validation=["case_1"])
    data = load_data(config)
    data_set = read_data_set(made_up)
    everyone = prepare_cases(data_set, data_set.table, config.input, config.schema, config.network.multiple, cache)
    kept = [case for case in everyone if case.name != "case_1"]
    drawn = samples_of(data, config)
    by_hand = Samples(kept, TargetCode(data_set.table, data_set.table, data_set.ignored_ids), config)
    for number in range(6):
        epoch, place = divmod(number, len(kept))
        order = np.random.default_rng([config.seed, 1, epoch]).permutation(len(kept))
        assert drawn.case_of(number).name == kept[order[place]].name
        assert_same(drawn[number], by_hand[number])


def test_one_source_gives_the_samples_of_a_root(made_up: Path, cache: Path) -> None:
    root = config_of(cache, root=str(made_up), validation=["case_1"])
    held_out = Source(str(made_up), "validate", cases=["case_1"])
    source = config_of(cache, Source(str(made_up)), held_out)
    by_root, by_source = load_data(root), load_data(source)
    assert names(by_source.training) == ["made_up/case_0", "made_up/case_2"]
    assert names(by_source.validation) == ["made_up/case_1"]
    for number in range(4):
        assert_same(samples_of(by_root, root)[number], samples_of(by_source, source)[number])


def test_an_id_that_two_tables_give_to_different_names_is_said(
    made_up: Path, halves: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_data(config_of(cache, Source(str(made_up)), Source(str(halves))))
    told = capsys.readouterr().err
    assert f'The id 48 is "Left Hippocampus" already: "Thalamus" of "{halves}" has the id ' in told
    load_data(config_of(cache, Source(str(made_up)), Source(str(made_up), "validate", cases=["case_1"])))
    assert "already" not in capsys.readouterr().err


def test_labels_of_two_tables_are_joined_by_name_whatever_their_ids(made_up: Path, halves: Path, cache: Path) -> None:
    data = load_data(config_of(cache, Source(str(made_up)), Source(str(halves))))
    leaves = [leaf.name for leaf in data.tree.leaves]
    assert sorted(leaves) == [
        "3rd Ventricle",
        "Back of it",
        "Front of it",
        "Left AIns anterior insula",
        "Left PIns posterior insula",
        "Right Hippocampus",
        "Thalamus",
    ]
    assert data.tree.ancestors(data.tree.find("Front of it"))[0].name == "Left Hippocampus"
    whole, divided = of(data, "made_up/case_1"), of(data, "halves/case_1")
    front, thalamus = (data.tree.class_of[data.tree.find(name).id] for name in ("Front of it", "Thalamus"))
    parent = int(whole.target[16, 5, 10])
    assert parent >= len(leaves) + 1  # an undivided hippocampus: one of its parts, nobody knows which
    assert data.code.members[parent - len(leaves) - 1].nonzero()[:, 0].tolist() == sorted(
        data.tree.class_of[data.tree.find(name).id] for name in ("Front of it", "Back of it")
    )
    assert int(divided.target[16, 5, 10]) == front
    assert int(divided.target[24, 18, 22]) == thalamus  # id 48, which is the left hippocampus of the other table


def test_every_case_knows_what_was_looked_for_in_its_own_source(made_up: Path, halves: Path, cache: Path) -> None:
    first = Source(str(made_up), annotated={"case_1": ["3rd Ventricle"]})
    data = load_data(config_of(cache, first, Source(str(halves), labels=["Thalamus", "Front of it"])))
    looked_for = {
        case.name: {leaf.name for leaf in data.tree.leaves if case.annotated[data.tree.class_of[leaf.id]]}
        for case in data.training
    }
    assert looked_for["made_up/case_1"] == {"3rd Ventricle"}
    assert looked_for["halves/case_1"] == {"Thalamus", "Front of it"}
    assert "Right Hippocampus" in looked_for["made_up/case_0"]
    assert "Thalamus" not in looked_for["made_up/case_0"]


def test_cases_of_one_name_are_told_apart_in_samples_and_in_validation(
    made_up: Path, halves: Path, cache: Path
) -> None:
    sources = (Source(str(made_up)), Source(str(halves), cases=["case_0"]), Source(str(halves), "validate"))
    data = load_data(config_of(cache, *sources))
    assert names(data.training) == ["made_up/case_0", "made_up/case_1", "made_up/case_2", "halves/case_0"]
    assert names(data.validation) == ["halves/case_1"]
    assert not torch.equal(of(data, "made_up/case_0").target, of(data, "halves/case_0").target)


def test_a_source_is_drawn_by_its_weight_and_its_cases_evenly(made_up: Path, halves: Path, cache: Path) -> None:
    config = config_of(cache, Source(str(made_up), weight=3), Source(str(halves)))
    data = load_data(config)
    draw = CaseDraw(data.training, config)
    counts = Counter(draw.case_of(n).name for n in range(4000))
    expected = {f"made_up/case_{n}": 1000 for n in range(3)} | {f"halves/case_{n}": 500 for n in range(2)}
    assert {name: round(count / 500) * 500 for name, count in counts.items()} == expected
    again = CaseDraw(load_data(config).training, config)
    assert [again.case_of(n).name for n in (17, 3, 2005)] == [draw.case_of(n).name for n in (17, 3, 2005)]
    config.seed = 1
    assert [CaseDraw(data.training, config).case_of(n).name for n in range(20)] != [
        draw.case_of(n).name for n in range(20)
    ]


def test_a_sample_carries_the_domain_of_its_source(made_up: Path, halves: Path, scans: Path, cache: Path) -> None:
    sources = (
        Source(str(made_up), domain="T1"),
        Source(str(halves)),
        Source(str(scans), "target", domain="T1"),
    )
    config = config_of(cache, *sources)
    data = load_data(config)
    drawn = samples_of(data, config)
    domains = {drawn.case_of(n).source: int(drawn[n]["domain"]) for n in range(8)}
    assert domains == {0: 0, 1: 1}
    assert {case.domain for case in data.target} == {0}
    config.objective.prompts = "example"
    assert drawn[0]["domain"].shape == (2,)


def test_scans_without_labels_are_a_target_of_which_nothing_is_known(made_up: Path, scans: Path, cache: Path) -> None:
    config = config_of(cache, Source(str(made_up)), Source(str(scans), "target"))
    data = load_data(config)
    assert names(data.target) == ["scans/case_0", "scans/case_1", "scans/case_2"]
    assert names(data.training) == ["made_up/case_0", "made_up/case_1", "made_up/case_2"]
    for case, labelled in zip(data.target, data.training, strict=True):
        assert torch.equal(case.image, labelled.image)
        assert bool((case.target == IGNORE).all())
        assert case.annotated.nonzero()[:, 0].tolist() == [0]
    sample = Samples(data.target, data.code, config)[0]
    assert {IGNORE} <= set(sample["target"].tolist()) <= {IGNORE, 0}  # 0 beyond the scan
    i, j, k = sample["points"].unbind(1)
    assert sample["foreground"][k, j, i].float().mean() > 0.85  # on the scan, as those of a labelled one
    assert not sample["queries"].any()
    assert sample["queries"].shape == samples_of(data, config)[0]["queries"].shape


@pytest.mark.parametrize("layout", ["nnU-Net", "datalist", "BIDS"])
def test_scans_are_found_in_every_layout_with_or_without_labels(made_up: Path, tmp_path: Path, layout: str) -> None:
    if layout == "nnU-Net":
        root = shutil.copytree(made_up, tmp_path / "copy")
        labels = [root / "labelsTr", root / "labels.csv"]
    elif layout == "BIDS":
        root = as_bids(made_up, tmp_path / "bids")
        labels = [root / "derivatives"]
    else:
        root, labels = as_datalist(made_up, tmp_path / "list.json"), []
    table = read_data_set(made_up).table
    before = read_scans(root, table)
    assert has_labels(root)
    for path in labels:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if layout == "datalist":
        entries = json.loads(root.read_text())
        root.write_text(json.dumps({"training": [{"image": e["image"], "sex": e["sex"]} for e in entries["training"]]}))
    after = read_scans(root, table)
    assert not has_labels(root)
    assert len(after.cases) == (2 if layout == "datalist" else 3)
    assert [case.images for case in after.cases] == [case.images for case in before.cases][: len(after.cases)]
    assert {case.label for case in before.cases} == {None}
    assert after.cases[0].metadata["sex"] == "F"


def test_labels_of_a_target_are_not_read_and_that_is_said(
    made_up: Path, halves: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(halves, tmp_path / "copy")
    for path in (copy / "labelsTr").iterdir():
        path.write_text("no image")
    data = load_data(config_of(cache, Source(str(made_up)), Source(str(copy), "target")))
    assert bool((data.target[0].target == IGNORE).all())
    assert f'The labels of "{copy}" are not read: its role is target.' in capsys.readouterr().err


def test_problems_of_all_sources_are_told_at_once_each_with_its_place(
    made_up: Path, halves: Path, tmp_path: Path, cache: Path
) -> None:
    broken = [shutil.copytree(root, tmp_path / root.name) for root in (made_up, halves)]
    for root in broken:
        (root / "imagesTr" / "case_0_0000.nii.gz").write_text("no image")
    with pytest.raises(SystemExit, match="2 problems") as told:
        load_data(config_of(cache, *(Source(str(root)) for root in broken)))
    assert all(f"{root}: case_0: " in str(told.value) for root in broken)


TARGET = Source("a", "target")


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["{}"], "has no root"),
        (["{root: a, role: test}"], '"a" has the role "test", but it has to be train or target or meta or validate'),
        (["{root: a, images: drawn}"], '"a" has images: drawn, but images can only be stored or made'),
        (["{root: b}", "{root: a, role: target, images: made}"], '"a" has the role target, of which no label maps'),
        (["{root: a, weight: 0}"], '"a" has the weight 0, but has to be above 0'),
        (["{root: a, weight: nan}"], "weight nan, but has to be above 0"),
        (["{root: a, wieght: 2}"], "wieght"),
        (["{root: a}", "{root: b, role: target, labels: [x]}"], '"b" has the role target, of which no labels are read'),
        (["{root: a, role: validate}"], "None of data.sources has the role train"),
        (
            ["{root: one/a}", "{root: two/a}"],
            'Two of data.sources, "one/a" and "two/a", are called a; give each a name',
        ),
        (["{root: a}", "{root: a/, role: target}"], 'Two of data.sources take all cases of "a"'),
    ],
)
def test_sources_that_cannot_be_are_refused_with_a_sentence(tmp_path: Path, sources: list[str], words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"data: {{sources: [{', '.join(sources)}]}}")
    with pytest.raises(SystemExit, match=words):
        read_config(path)


@pytest.mark.parametrize("setting", ["root=b", "train=[c]", "validation=[c]", "labels=[c]", "annotated.c=[d]"])
def test_settings_of_a_single_data_set_are_refused_beside_sources(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("data: {sources: [{root: a}]}")
    key = setting.partition("=")[0].partition(".")[0]
    with pytest.raises(SystemExit, match=rf"data\.{key} is for a single data set: leave it out"):
        read_config(path, [f"data.{setting}"])


def test_a_case_in_two_sources_and_one_that_is_not_there_are_refused(made_up: Path, cache: Path) -> None:
    root = str(made_up)
    with pytest.raises(SystemExit, match=f'The case case_1 of "{root}" is named twice'):
        load_data(config_of(cache, Source(root, cases=["case_1"]), Source(root, "validate", cases=["case_1"])))
    with pytest.raises(SystemExit, match="has no case called case_7; its cases are case_0, case_1, case_2"):
        load_data(config_of(cache, Source(root, cases=["case_7"])))
    everyone = Source(root, "validate", cases=["case_0", "case_1", "case_2"])
    with pytest.raises(SystemExit, match="is left to train on"):
        load_data(config_of(cache, Source(root), everyone))


def test_a_validation_source_that_shares_no_label_is_refused(made_up: Path, halves: Path, cache: Path) -> None:
    first = Source(str(made_up), labels=["3rd Ventricle"])
    with pytest.raises(SystemExit, match=f'Of "{halves}", nobody looked for any of the labels that are learned'):
        load_data(config_of(cache, first, Source(str(halves), "validate")))


def test_a_role_that_a_method_has_no_use_for_is_refused(made_up: Path, scans: Path, tmp_path: Path) -> None:
    config = config_of(tmp_path, Source(str(made_up)), Source(str(scans), "target"))
    config.output = str(tmp_path / "run")
    with pytest.raises(SystemExit, match="method=lcs has no use for a source of the role target; leave"):
        train(config)


def test_a_prepared_folder_is_no_source(made_up: Path, tmp_path: Path) -> None:
    prepared = prepare_data(config_of(tmp_path / "prepared", root=str(made_up)))
    with pytest.raises(SystemExit, match="is a prepared folder, which holds the labels of one data set"):
        load_data(config_of(tmp_path / "cache", Source(str(prepared))))


def test_what_works_on_one_data_set_says_so(made_up: Path, halves: Path, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_config(config_of(tmp_path, Source(str(made_up)), Source(str(halves))), path)
    with pytest.raises(SystemExit, match=r"A cross-validation works on one data set: name it with data\.root"):
        crossvalidate(path, [f"output={tmp_path / 'run'}"], 2)


def test_prepared_sources_are_found_again_by_a_run(
    made_up: Path, halves: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(tmp_path, Source(str(made_up)), Source(str(halves)))
    prepare_data(config)
    assert "5 cases of 2 sources are prepared" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    load_data(config)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(before) == 5


def test_images_of_label_maps_are_made_anew_for_every_sample(made_up: Path, cache: Path) -> None:
    config = config_of(cache, Source(str(made_up), images="made"))
    config.acquisition = replace(config.acquisition, stripped=0, black_air=1, cropped=0)
    data = load_data(config)
    assert all(case.map is not None for case in data.training)
    drawn = samples_of(data, config)
    assert_same(drawn[3], drawn[3])
    again = next(n for n in range(4, 12) if drawn.case_of(n).name == drawn.case_of(3).name)
    config.augmentation = Augmentation(0, 0, 0, 0, flip=False, crop=0)
    still = samples_of(data, config)
    assert torch.equal(still[3]["foreground"], still[again]["foreground"])
    assert not torch.allclose(still[3]["image"][0], still[again]["image"][0], atol=0.1)


def test_no_image_is_needed_where_images_are_made(made_up: Path, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    shutil.copytree(made_up, maps, ignore=shutil.ignore_patterns("imagesTr"))
    config = config_of(tmp_path / "cache", Source(str(maps), images="made", cases=["case_0", "case_1"]))
    config.data.sources.append(Source(str(maps), "validate", images="made", cases=["case_2"]))
    config.acquisition = replace(config.acquisition, stripped=0)
    data = load_data(config)
    assert [case.name for case in data.validation] == [f"maps/case_2#{n}" for n in range(1, 5)]
    first, second = data.validation[:2]
    assert not torch.equal(first.image, second.image)
    assert torch.equal(load_data(config).validation[0].image, first.image)


def test_stripped_images_need_the_label_that_is_left(made_up: Path, cache: Path) -> None:
    config = config_of(cache, Source(str(made_up), images="made"))
    with pytest.raises(SystemExit, match=r'has no label "Brain", .* acquisition\.stripped_to'):
        load_data(config)


def test_what_a_made_image_does_not_show_has_no_label(made_up: Path, cache: Path) -> None:
    config = config_of(cache, Source(str(made_up), images="made"))
    config.acquisition = replace(config.acquisition, stripped=0, cropped=1)
    drawn = samples_of(load_data(config), config)
    for number in range(6):
        sample = drawn[number]
        i, j, k = sample["points"].unbind(1)
        assert not bool((sample["target"] > 0)[~sample["foreground"][k, j, i]].any())


def test_a_run_of_two_sources_ends_in_a_package_that_knows_its_cases(
    made_up: Path, halves: Path, tmp_path: Path
) -> None:
    config = config_of(tmp_path / "cache", Source(str(made_up)), Source(str(halves), cases=["case_0"]))
    config.data.sources.append(Source(str(halves), "validate", cases=["case_1"]))
    config.data.workers, config.output, config.accelerator = 0, str(tmp_path / "run"), "cpu"
    config.precision, config.validate_every = "32-true", 2
    config.optimizer.steps, config.optimizer.decay, config.package.patch = 2, 1, (32, 36, 36)
    train(config)
    package = ModelPackage.load(tmp_path / "run" / "package")
    assert package.about["provenance"]["training_cases"] == [
        "halves/case_0",
        "made_up/case_0",
        "made_up/case_1",
        "made_up/case_2",
    ]
    assert was_trained_on(package, "case_2")
    assert not was_trained_on(package, "case_3")
    assert read_config(tmp_path / "run" / "config.yaml").data.sources == config.data.sources
