"""My labels as plain decisions: names, ids, models, what is stored and what of it can be read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from LabelConditionedSegmentationLib.core.errors import InputError, LabelError
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.panel.my_labels import BRANCH, ExampleChoice, MyLabels

from Testing import samples


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return samples.package(tmp_path_factory.mktemp("models"), replace(samples.TINY, examples=True))


def made(package: ModelPackage, name: str, first: float = 1.0, parent: str = "") -> ExamplePrompt:
    vector = (float(first), *(n / 3 for n in range(1, samples.TINY.feature_channels)))
    return ExamplePrompt(name, vector, -0.25, package.name, package.weights_sha256, parent, (0.2, 0.4, 0.6))


def names(labels: MyLabels, package: ModelPackage) -> list[str]:
    return [prompt.name for prompt in labels.of(package)]


def test_the_branch_comes_after_the_labels_of_the_model(package: ModelPackage) -> None:
    labels = MyLabels([made(package, "Lesion"), made(package, "Cyst", 2)])
    tree = labels.tree(package)
    assert tree.labels[: len(package.labels)] == package.labels.labels
    assert [label.name for label in tree.labels[len(package.labels) :]] == [BRANCH, "Lesion", "Cyst"]
    assert [leaf.name for leaf in tree.leaves_under(tree.find(BRANCH))] == ["Lesion", "Cyst"]
    assert tree.find("Lesion").color == (0.2, 0.4, 0.6)
    assert min(label.id for label in tree.labels[len(package.labels) :]) > max(
        label.id for label in package.labels.labels
    )


def test_without_labels_the_tree_is_that_of_the_model(package: ModelPackage) -> None:
    assert MyLabels().branch(package) is None
    assert MyLabels().tree(package) is package.labels
    assert MyLabels().to_text() == ""


def test_an_id_stays_with_its_label_and_is_never_given_to_another(package: ModelPackage) -> None:
    labels = MyLabels([made(package, "Lesion"), made(package, "Cyst", 2)])
    before = {label.name: label.id for label in labels.tree(package).labels}
    labels.remove(made(package, "Lesion"))
    labels.add(made(package, "Tumour", 3), package)
    labels.add(made(package, "Lesion", 4), package)
    after = {label.name: label.id for label in labels.tree(package).labels}
    assert after["Cyst"] == before["Cyst"]
    assert {after["Tumour"], after["Lesion"]}.isdisjoint(before.values())
    again = MyLabels.from_text(labels.to_text())
    assert again.tree(package) == labels.tree(package)


@pytest.mark.parametrize("taken", ["Left Putamen", "left putamen", "Lesion", "LESION", BRANCH])
def test_a_name_that_is_taken_is_refused_and_nothing_is_added(package: ModelPackage, taken: str) -> None:
    labels = MyLabels([made(package, "Lesion")])
    with pytest.raises(LabelError):
        labels.check(ExampleChoice((), None, "", taken, ""), package)
    with pytest.raises(LabelError):
        labels.add(made(package, taken, 2), package)
    assert names(labels, package) == ["Lesion"]


def test_a_label_comes_in_the_place_of_another(package: ModelPackage) -> None:
    other = replace(package, weights_sha256="other")
    labels = MyLabels([made(other, "Cyst"), made(package, "Lesion"), made(package, "Cyst", 2)])
    tree = labels.tree(package)
    for new in (made(package, "Lesion", 5), made(package, "LESION", 5), made(package, "Tumour", 5)):
        (before,) = [prompt for prompt in labels.of(package) if prompt.name != "Cyst"]
        replaced = labels.replace(before, new, package)
        assert replaced == (tree.find(before.name), labels.tree(package).find(new.name))
        assert replaced[0].id != replaced[1].id
        tree = labels.tree(package)
        assert labels.of(package) == [new, made(package, "Cyst", 2)]
        assert labels.get(replaced[1].id, package) == labels.named(new.name, package) == new
    assert labels.of(other) == [made(other, "Cyst")]
    assert MyLabels.from_text(labels.to_text()).of(package) == labels.of(package)


def test_a_label_that_cannot_stand_in_the_place_of_another_changes_nothing(package: ModelPackage) -> None:
    lesion, cyst = made(package, "Lesion"), made(package, "Cyst", 2)
    labels = MyLabels([lesion, cyst])
    for taken in ("cyst", "Left Putamen", BRANCH):
        with pytest.raises(LabelError):
            labels.replace(lesion, replace(lesion, name=taken), package)
    with pytest.raises(InputError, match="was made with another model"):
        labels.replace(lesion, replace(lesion, weights_sha256="other"), package)
    with pytest.raises(LabelError, match="any more"):
        labels.replace(made(package, "Tumour"), lesion, package)
    assert labels.of(package) == [lesion, cyst]


def test_another_example_may_be_called_as_its_label(package: ModelPackage) -> None:
    lesion = made(package, "Lesion")
    MyLabels([lesion]).check(ExampleChoice((), None, "", "Lesion", "", lesion), package)


def test_the_structure_around_it_has_to_be_known(package: ModelPackage) -> None:
    MyLabels().check(ExampleChoice((), None, "", "Lesion", "Deep gray matter"), package)
    with pytest.raises(LabelError, match="Deep grey"):
        MyLabels().check(ExampleChoice((), None, "", "Lesion", "Deep grey"), package)


def test_labels_of_another_model_are_kept_and_not_shown(package: ModelPackage) -> None:
    other = replace(package, weights_sha256="other")
    labels = MyLabels([made(package, "Lesion"), made(other, "Lesion")])
    assert names(labels, package) == names(labels, other) == ["Lesion"]
    labels.remove(made(package, "Lesion"))
    assert names(labels, package) == []
    assert names(MyLabels.from_text(labels.to_text()), other) == ["Lesion"]
    with pytest.raises(InputError, match="was made with another model"):
        labels.add(made(other, "Cyst"), package)


def test_a_label_is_found_by_its_id_alone(package: ModelPackage) -> None:
    labels = MyLabels([made(package, "Lesion"), made(package, "Cyst", 2)])
    tree = labels.tree(package)
    assert labels.get(tree.find("Cyst").id, package) == made(package, "Cyst", 2)
    for other in (tree.find(BRANCH).id, tree.find("Left Putamen").id, 12345, None):
        assert labels.get(other, package) is None


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[1]", '{"labels": 3}', '{"labels": [3, null, {}, {"format": 99, "name": "x"}]}']
)
def test_what_cannot_be_read_counts_as_nothing(package: ModelPackage, text: str) -> None:
    assert MyLabels.from_text(text).tree(package) is package.labels


def test_what_somebody_wrote_into_the_scene_by_hand_does_not_break_the_tree(package: ModelPackage) -> None:
    entries = [
        made(package, name, parent=parent).to_json()
        for name, parent in (
            ("Lesion", ""),
            ("lesion", ""),
            ("Left Putamen", ""),
            (BRANCH, ""),
            ("Cyst", "Nowhere"),
            ("Tumour", "Rest"),
        )
    ]
    entries.insert(1, {**entries[0], "name": "Broken", "vector": ["x"]})
    entries.insert(1, {**entries[0], "name": "Short", "vector": [1.0]})
    labels = MyLabels.from_text(json.dumps({"labels": entries}))
    assert names(labels, package) == ["Lesion", "Tumour"]
    assert [leaf.name for leaf in labels.tree(package).leaves][-2:] == ["Lesion", "Tumour"]


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        (ExampleChoice((None,), "node", "a", "Lesion", ""), "Choose the scan"),
        (ExampleChoice(("scan", None), "node", "a", "Lesion", ""), "Choose the scan"),
        (
            ExampleChoice(("scan",), None, "a", "Lesion", ""),
            "Choose the segment",
        ),  # the selector still tells the last segment
        (ExampleChoice(("scan",), "node", "", "Lesion", ""), "Choose the segment"),
        (ExampleChoice(("scan",), "node", "a", "", ""), "name"),
        (ExampleChoice(("scan",), "node", "a", "Lesion", ""), ""),
    ],
)
def test_what_is_missing_in_the_form_is_said(choice: ExampleChoice, problem: str) -> None:
    assert problem in choice.problem
    assert bool(problem) == bool(choice.problem)
