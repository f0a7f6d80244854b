"""Fine-tuning: a run that starts from a model package keeps what the package knows and learns labels beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from safetensors.torch import load_file

from Testing.training.engine.test_train import config_of as config_of_new
from Testing.training.engine.test_train import losses
from Testing.training.made_up_data import write_data_set
from Training.engine.config import Config, read_config
from Training.engine.loop import train
from Training.engine.run_data import load_data
from Training.engine.start import joined_tree
from Training.evaluation.scan_evaluation import evaluate

KNOWN = ("3rd Ventricle", "Right Hippocampus", "Left Hippocampus", "Left Insula")
LEARNED_FIRST = f"data.labels=[{', '.join(KNOWN)}]"
TABLE = """id,name,hemisphere,parent
5,right hippocampus,right,
4,Left Hippocampus,left,
48,Right vessel,right,
103,Left AIns anterior insula,left,Left Insula
7,Left PIns posterior insula,left,Left Insula
"""
"""Of the second data set: other ids, the insula divided, a vessel, and nothing of the ventricle."""

NEW_IDS = {4: 0, 47: 5, 48: 4, 63: 48, 103: 103, 65: 7}


@pytest.fixture(scope="module")
def first_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("first") / "made_up")


@pytest.fixture(scope="module")
def second_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scans, labelled by somebody else."""
    made = write_data_set(tmp_path_factory.mktemp("second") / "made_up")
    (made / "labels.csv").write_text(TABLE)
    for path in (made / "labelsTr").iterdir():
        image = sitk.ReadImage(str(path))
        ids = sitk.GetArrayFromImage(image)
        out = np.zeros_like(ids)
        for old, new in NEW_IDS.items():
            out[ids == old] = new
        renamed = sitk.GetImageFromArray(out)
        renamed.CopyInformation(image)
        sitk.WriteImage(renamed, str(path))
    return made


@pytest.fixture(scope="module")
def first(first_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A package that knows the ventricle, both hippocampi and the insula as a whole."""
    folder = tmp_path_factory.mktemp("trained")
    advice = "package.advice={contrast: Take a T1 scan., too_small: Is it whole}"
    train(config_of_new(folder, first_data, LEARNED_FIRST, "package.name=first", advice))
    return ModelPackage.load(folder / "run" / "package")


def config_of(folder: Path, data: Path, package: Path, *overrides: str) -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.yaml"
    path.write_text(f"""
output: {folder / "run"}
init_from: {package}
accelerator: cpu
precision: 32-true
validate_every: 1000
data: {{root: {data}, cache: {data.parent / "cache"}, validation: [case_2], patch: [32, 36, 36], points: 2000, workers: 0}}
optimizer: {{learning_rate: 1e-2, steps: 30, warmup: 5, decay: 10, averaging: 0.9}}
augmentation: {{rotation: 5, scale: 0.05, shift: 1, warp: 1, warp_spacing: 16}}
package: {{name: second, patch: [48, 48, 48]}}
""")  # noqa: E501
    return read_config(path, list(overrides))


NOTHING_LEARNED = ("optimizer.steps=1", "optimizer.learning_rate=0")


@pytest.mark.slow
def test_the_labels_of_the_package_come_first_and_new_ones_get_free_ids(
    first: ModelPackage, second_data: Path, tmp_path: Path
) -> None:
    train(config_of(tmp_path, second_data, first.path, *NOTHING_LEARNED))
    tree = ModelPackage.load(tmp_path / "run" / "package").labels
    assert tree.labels[: len(first.labels)] == first.labels.labels
    new = tree.labels[len(first.labels) :]
    assert {label.name for label in new} == {"Right vessel", "Left AIns anterior insula", "Left PIns posterior insula"}
    ids = {label.name: label.id for label in new}
    assert ids["Left AIns anterior insula"] == 103  # which was free
    assert ids["Right vessel"] not in {label.id for label in first.labels.labels}
    assert ids["Left PIns posterior insula"] == 7
    insula = tree.find("Left Insula")
    assert {leaf.name for leaf in tree.leaves_under(insula)} == {
        "Left AIns anterior insula",
        "Left PIns posterior insula",
    }


def test_trunk_and_known_prompts_start_as_they_were_and_new_children_as_their_parent(
    first: ModelPackage, second_data: Path, tmp_path: Path
) -> None:
    train(config_of(tmp_path, second_data, first.path, *NOTHING_LEARNED))
    before = first.build_network().state_dict()
    now = {
        name.removeprefix("network."): t
        for name, t in load_file(tmp_path / "run" / "last.safetensors").items()
        if name.startswith("network.")
    }
    for name, tensor in before.items():
        if not name.startswith("head."):
            assert torch.equal(now[name], tensor), name
    tree = ModelPackage.load(tmp_path / "run" / "package").labels
    here = {leaf.name: n for n, leaf in enumerate(tree.leaves, start=1)} | {"background": 0}
    there = {leaf.name: n for n, leaf in enumerate(first.labels.leaves, start=1)} | {"background": 0}
    for name in ("head.prompts", "head.bias"):
        for label in ("background", "3rd Ventricle", "Right Hippocampus", "Left Hippocampus"):
            assert torch.equal(now[name][here[label]], before[name][there[label]]), (name, label)
        for label in ("Left AIns anterior insula", "Left PIns posterior insula"):
            assert torch.equal(now[name][here[label]], before[name][there["Left Insula"]]), (name, label)
    vessel = now["head.prompts"][here["Right vessel"]]
    assert not any(torch.equal(vessel, row) for row in before["head.prompts"])


def test_codes_of_a_network_that_sees_the_label_are_taken_over_too(
    first_data: Path, second_data: Path, tmp_path: Path
) -> None:
    sigmoid = ("objective.loss=sigmoid", "objective.labels=sampled", "objective.labels_per_sample=2")
    train(
        config_of_new(
            tmp_path / "first", first_data, LEARNED_FIRST, "network.conditioning=decoder", "optimizer.steps=2", *sigmoid
        )
    )
    package = ModelPackage.load(tmp_path / "first" / "run" / "package")
    train(config_of(tmp_path / "second", second_data, package.path, *NOTHING_LEARNED, *sigmoid))
    before = package.build_network().state_dict()
    now = load_file(tmp_path / "second" / "run" / "last.safetensors")
    tree = ModelPackage.load(tmp_path / "second" / "run" / "package").labels
    for name, tensor in before.items():
        if name != "head.codes":
            assert torch.equal(now[f"network.{name}"], tensor), name
    for label, origin in (
        ("3rd Ventricle",) * 2,
        ("Left Hippocampus",) * 2,
        ("Left AIns anterior insula", "Left Insula"),
    ):
        n, m = tree.class_of[tree.find(label).id] - 1, package.labels.class_of[package.labels.find(origin).id] - 1
        assert torch.equal(now["network.head.codes"][n], before["head.codes"][m]), label


@pytest.mark.slow
def test_what_the_new_data_does_not_know_is_not_forgotten_and_what_is_new_is_learned(
    first: ModelPackage, first_data: Path, second_data: Path, tmp_path: Path
) -> None:
    """The ventricle is background in every label map of the new data; nobody looked for it there, so it is not
    unlearned.
    """
    config = config_of(tmp_path, second_data, first.path)
    data = load_data(
        config_of(tmp_path, second_data, first.path, "network.widths=[8, 16]", "network.blocks=[1, 1]"), first.labels
    )
    ventricle = data.tree.class_of[data.tree.find("3rd Ventricle").id]
    for case in data.training:
        assert case.annotated.nonzero()[:, 0].tolist() == [n for n in range(data.code.classes) if n != ventricle]
    train(config)
    segmenter = Segmenter.from_package(tmp_path / "run" / "package", "cpu")
    names = {
        segmenter.package.labels[ident].name: s.dice
        for ident, s in evaluate(segmenter, second_data, ["case_2"]).scores("case_2").items()
    }
    assert min(names["Right Hippocampus"], names["Right vessel"]) > 0.6
    before, after = (
        {
            p.labels[i].name: s.dice
            for i, s in (
                evaluate(Segmenter.from_package(p.path, "cpu"), first_data, ["case_2"], labels=["3rd Ventricle"])
                .scores("case_2")
                .items()
            )
        }
        for p in (first, segmenter.package)
    )
    assert before["3rd Ventricle"] > 0.8
    assert after["3rd Ventricle"] > 0.8 * before["3rd Ventricle"]


def test_the_package_says_where_it_comes_from(first: ModelPackage, second_data: Path, tmp_path: Path) -> None:
    train(config_of(tmp_path, second_data, first.path, "optimizer.steps=2", "package.advice.too_small=Whole head?"))
    train(
        config_of(tmp_path, second_data, first.path, "optimizer.steps=3", "package.advice.too_small=Whole head?")
    )  # a run that went on has the same history
    package = ModelPackage.load(tmp_path / "run" / "package")
    said = '60 steps of the package "first" on case_0, case_1'
    assert package.about["provenance"]["history"] == [said]
    assert package.about["provenance"]["steps"] == 3
    assert f"{said}, then 3 steps on these cases" in (package.path / "MODEL_CARD.md").read_text()
    assert len(losses(tmp_path)) == 3
    assert package.architecture == first.architecture
    assert package.metadata == first.metadata
    assert package.advice == {"contrast": "Take a T1 scan.", "too_small": "Whole head?"}


def test_a_new_metadata_field_changes_nothing_at_first(first: ModelPackage, second_data: Path, tmp_path: Path) -> None:
    fields = [*first.metadata.to_json(), {"name": "contrast", "kind": "choice", "choices": ["T1", "T2"]}]
    train(config_of(tmp_path, second_data, first.path, f"metadata={json.dumps(fields)}", *NOTHING_LEARNED))
    package = ModelPackage.load(tmp_path / "run" / "package")
    assert [field.name for field in package.metadata.fields] == [*(f.name for f in first.metadata.fields), "contrast"]
    before, now = first.build_network().eval(), package.build_network().eval()
    image = torch.randn(1, first.architecture.in_channels + 3 * first.architecture.position, 16, 16, 16)
    known = torch.full((1, len(first.metadata.fields)), 0.5)
    known[0, 0] = torch.nan
    told = torch.cat([known, torch.ones(1, 1)], dim=1)
    with torch.inference_mode():
        assert torch.allclose(now.trunk(image, told), before.trunk(image, known), atol=2e-3)  # kept in half precision


@pytest.mark.parametrize(
    ("advice", "words"),
    [("contrst: x", 'names "contrst", but there is advice for'), ("contrast: ''", "a text of 1 to 500 characters")],
)
def test_advice_that_cannot_be_is_refused(
    first: ModelPackage, second_data: Path, tmp_path: Path, advice: str, words: str
) -> None:
    with pytest.raises(SystemExit, match=words):
        config_of(tmp_path, second_data, first.path, f"package.advice={{{advice}}}")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("network.widths=[8, 16, 32]", "keeps its network: leave the section network out"),
        ("input.spacing=[2, 2, 2]", "keeps its input: leave the section input out"),
        (
            "metadata=[{name: weight, kind: number, unit: kg, possible: [0, 300], trained: [40, 90]}]",
            "keeps its metadata fields: leave the section metadata out",
        ),
        ("data.patch=[32, 36, 35]", "data.patch is .*multiple of 4"),
        ("package.patch=[48, 48, 46]", "package.patch is .*multiple of 4"),
    ],
)
def test_what_the_package_settles_cannot_be_changed(
    first: ModelPackage, second_data: Path, tmp_path: Path, override: str, words: str
) -> None:
    overrides = [override, "network.blocks=[1, 1, 1]"] if override.startswith("network") else [override]
    with pytest.raises(SystemExit, match=words):
        train(config_of(tmp_path, second_data, first.path, *overrides))
    assert not (tmp_path / "run").exists()


def test_the_patch_need_only_fit_the_network_of_the_package(
    first: ModelPackage, second_data: Path, tmp_path: Path
) -> None:
    """[32, 36, 36] does not fit the network that a run without a package would have."""
    with pytest.raises(SystemExit, match=r"data\.patch.*multiple of 16"):
        config_of(tmp_path, second_data, first.path, "init_from=")
    assert config_of(tmp_path, second_data, first.path).data.patch == (32, 36, 36)


def test_a_prepared_folder_is_refused(first: ModelPackage, second_data: Path, tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "prepared.json").write_text(json.dumps({}))
    with pytest.raises(SystemExit, match=r"set data\.root to the data set itself"):
        train(config_of(tmp_path, tmp_path / "prepared", first.path))


# Joining trees


def test_labels_are_matched_by_name_whatever_their_ids_and_case() -> None:
    known = LabelTree((Label(1, "Brain"), Label(2, "Left A", 1), Label(3, "Right A", 1)))
    added = LabelTree((Label(1, "left a"), Label(2, "B"), Label(9, "Right a")))
    assert [(label.id, label.name, label.parent) for label in joined_tree(known, added).labels] == [
        (1, "Brain", None),
        (2, "Left A", 1),
        (3, "Right A", 1),
        (10, "B", None),
    ]


def test_new_labels_hang_under_the_known_parent_of_their_name() -> None:
    known = LabelTree((Label(5, "Brain"), Label(2, "A", 5)))
    added = LabelTree((Label(7, "brain"), Label(5, "Stem", 7), Label(6, "Pons", 5), Label(8, "A", 7)))
    joined = {label.name: label for label in joined_tree(known, added).labels}
    assert joined["Stem"].parent == joined["Brain"].id == 5
    assert joined["Pons"].parent == joined["Stem"].id
    assert len({label.id for label in joined.values()}) == 4


def test_a_parent_of_known_labels_alone_does_not_become_a_label_to_learn() -> None:
    """The same structures, grouped in another way: there is nothing new."""
    known = LabelTree((Label(1, "Deep"), Label(2, "A", 1), Label(3, "B", 1)))
    added = LabelTree((Label(1, "All"), Label(2, "Gray", 1), Label(3, "A", 2), Label(4, "B", 2)))
    assert joined_tree(known, added) == known
    with_new = LabelTree((*added.labels, Label(5, "C", 2)))
    assert [leaf.name for leaf in joined_tree(known, with_new).leaves] == ["A", "B", "C"]
