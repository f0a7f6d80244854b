"""My labels as the user of the panel sees them: made from an example, ticked, found without another run, kept, removed,
exported, and what goes wrong.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker

from Testing import samples
from Testing.host.application import Host
from Testing.panel.test_panel_faults import HeldWorker, assert_readable, contents, kill_idle, with_process
from Testing.panel.test_panel_output import read_scene, write_scene
from Testing.panel.user import PLACE, User, entries, masks, segment_names
from Testing.scene import made_nodes as nodes
from Testing.worker.helpers import children


@pytest.fixture
def user(host: Host, learner_models: Path) -> Iterator[User]:
    """A user with a scan to segment, and an atlas with two structures painted on it, who has opened the form.

    After the test no process is left.
    """
    made = User(host)
    made.choose(made.add_volume())
    paint(made)
    open_form(made)
    yield made
    made.panel.runner.close()
    assert children() == []


BOXES = {"Lesion": (slice(12, 22), slice(14, 28), slice(10, 22)), "Cyst": (slice(8, 14), slice(18, 26), slice(22, 30))}
"""Where the structures lie on the atlas (k, j, i)."""


def box(name: str) -> Any:
    """A structure's mask on the atlas."""
    mask = np.zeros(samples.scan().shape, np.uint8)
    mask[BOXES[name]] = 1
    return mask


def paint(user: User) -> tuple[Any, Any]:
    """An atlas, and the segmentation of its structures."""
    atlas = user.add_volume("Atlas", seed=1)
    painted = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Painted")
    painted.CreateDefaultDisplayNodes()
    painted.SetReferenceImageGeometryParameterFromVolumeNode(atlas)
    for n, name in enumerate(BOXES):
        painted.GetSegmentation().AddEmptySegment(name.lower(), name, [0.25 * n, 0.5, 0.75])
        slicer.util.updateSegmentBinaryLabelmapFromArray(box(name), painted, name.lower(), atlas)
    return atlas, painted


def open_form(user: User) -> None:
    if not user.ui.addExampleAction.checked:
        user.press("addExampleAction")


def fill(
    user: User,
    segment: str = "Lesion",
    name: str = "",
    inside: str = "",
    atlas: str = "Atlas",
    painted: str = "Painted",
) -> None:
    """Fill in the form: the scan, the segment, another name, and what the structure lies in."""
    open_form(user)
    user.panel.example.form.atlas.set_nodes([slicer.util.getNode(atlas)])
    user.ui.exampleSelector.setCurrentNode(slicer.util.getNode(painted))
    user.ui.exampleSelector.setCurrentSegmentID(segment.lower())
    if name:
        user.ui.exampleName.text = name
    user.ui.insideSelector.currentIndex = user.ui.insideSelector.findData(inside)


def add(user: User, segment: str = "Lesion", **more: str) -> None:
    """Add a label by example."""
    fill(user, segment, **more)
    user.press("makeLabelButton")


def mine(user: User) -> list[str]:
    """My labels, as the tree shows them."""
    tree = user.panel.ticks.tree
    return [label.name for label in tree.leaves if label.id not in user.panel.package.labels]


def tick(user: User, *names: str, on: bool = True, as_one: bool = False) -> None:
    """Click the boxes of any label of the tree."""
    import qt

    for name in names:
        item = user.panel.tree.item(user.panel.ticks.tree.find(name).id)
        item.setCheckState(1 if as_one else 0, qt.Qt.Checked if on else qt.Qt.Unchecked)
    user.wait()


def mark(user: User, name: str) -> None:
    """Click a label's name in the tree."""
    user.ui.labelTree.setCurrentItem(user.panel.tree.item(user.panel.ticks.tree.find(name).id))


def expected(user: User, learner: Path, *prompts: ExamplePrompt) -> dict[str, Any]:
    """Where core finds these labels in the scan of the panel: name -> mask (k, j, i)."""
    features = Segmenter.from_package(learner, "cpu").features(samples.scan(affine=PLACE)).by_example(prompts)
    result = features.segment()
    return {entry.label.name: result.mask(entry.label.name).to_numpy() for entry in result.labels}


def prompts(user: User) -> list[ExamplePrompt]:
    """What the panel keeps."""
    found: list[ExamplePrompt] = user.panel.mine.labels.of(user.panel.package)
    return found


def scan(user: User) -> Any:
    return user.panel.inputs.nodes[0]


# Making one


def test_a_segment_becomes_a_label_of_the_tree(user: User, learner: Path) -> None:
    fill(user)
    assert user.ui.exampleName.text == "Lesion"  # the segment's
    before = contents()
    user.press("makeLabelButton")
    assert contents() == before
    assert mine(user) == ["Lesion"]
    assert user.said == '"Lesion" was added to My labels.'
    assert not user.ui.exampleForm.visible
    label = user.panel.ticks.tree.find("Lesion")
    assert user.panel.tree.item(label.id).text(0) == "Lesion"
    assert label.color == (0.0, 0.5, 0.75)
    (prompt,) = prompts(user)
    from LabelConditionedSegmentationLib.core.examples.painted_examples import Example

    (made,) = Segmenter.from_package(learner, "cpu").examples(
        samples.scan(affine=PLACE, seed=1), [Example("Lesion", box("Lesion") != 0)]
    )
    assert (prompt.vector, prompt.bias, prompt.weights_sha256) == (made.vector, made.bias, made.weights_sha256)


def test_the_name_and_what_it_lies_in_can_be_chosen(user: User) -> None:
    add(user, "Cyst", name="  My cyst ", inside="Deep gray matter")
    (prompt,) = prompts(user)
    assert (prompt.name, prompt.parent) == ("My cyst", "Deep gray matter")


def test_what_is_known_about_the_scan_is_not_told_of_the_atlas(user: User) -> None:
    """It is another scan, perhaps of somebody else."""
    user.editor("age").text = "31"
    add(user)
    (prompt,) = prompts(user)
    assert [shown["metadata"] for shown in prompt.examples] == [{}]
    user.tick("Left Putamen")
    user.apply()
    assert user.report["metadata"]["age"] == 31


def test_the_button_says_what_is_missing(user: User) -> None:
    assert not user.ui.makeLabelButton.enabled
    assert "Choose the scan" in user.ui.makeLabelButton.toolTip
    user.panel.example.form.atlas.set_nodes([slicer.util.getNode("Atlas")])
    user.ui.exampleSelector.setCurrentNode(slicer.util.getNode("Painted"))
    assert user.ui.makeLabelButton.enabled
    user.ui.exampleName.text = "  "
    assert "name" in user.ui.makeLabelButton.toolTip
    user.ui.exampleSelector.setCurrentSegmentID("cyst")
    assert (user.ui.exampleName.text, user.ui.makeLabelButton.enabled) == ("Cyst", True)
    user.host.scene.RemoveNode(slicer.util.getNode("Painted"))
    assert "Choose the segment" in user.ui.makeLabelButton.toolTip


def test_a_segmentation_brings_its_own_segment_and_its_name(user: User) -> None:
    """The one before has a segment of the same id, and another name."""
    fill(user)
    other = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Other")
    for segment_id, name in (("first", "First"), ("lesion", "Scar")):
        other.GetSegmentation().AddEmptySegment(segment_id, name)
    user.ui.exampleSelector.setCurrentNode(other)
    assert (user.ui.exampleSelector.currentSegmentID(), user.ui.exampleName.text) == ("lesion", "Scar")
    user.ui.exampleSelector.setCurrentNode(None)
    assert user.ui.exampleName.text == ""
    user.ui.exampleName.text = "Mine"
    assert "Choose the segment" in user.ui.makeLabelButton.toolTip
    user.ui.exampleSelector.setCurrentSegmentID("")
    third = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Third")
    third.GetSegmentation().AddEmptySegment("x", "X")
    user.ui.exampleSelector.setCurrentNode(third)
    assert (user.ui.exampleSelector.currentSegmentID(), user.ui.exampleName.text) == ("x", "X")
    user.ui.exampleName.text = "Mine"
    third.SetName("Renamed")
    assert user.ui.exampleName.text == "Mine"


def test_a_segmentation_without_segments_has_none_to_show(user: User) -> None:
    fill(user)
    user.ui.exampleSelector.setCurrentNode(user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty"))
    assert user.ui.exampleName.text == ""
    assert not user.ui.makeLabelButton.enabled
    assert "Choose the segment" in user.ui.makeLabelButton.toolTip


def test_a_model_that_does_not_learn_from_examples_says_so(user: User, tmp_path: Path) -> None:
    samples.package(tmp_path / "models", replace(samples.TINY, conditioning="decoder"), name="plain")
    user = user.again()
    assert user.ui.addExampleAction.enabled
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("plain")
    assert not user.ui.addExampleAction.enabled
    assert not user.ui.importLabelAction.visible
    assert "was not trained to learn labels from examples" in user.ui.addExampleAction.toolTip
    assert_readable(user.ui.addExampleAction.toolTip)
    assert not user.ui.exampleForm.visible


def test_a_model_of_two_channels_asks_for_two_scans(user: User, tmp_path: Path) -> None:
    samples.package(
        tmp_path / "models",
        replace(samples.TINY, in_channels=2, examples=True),
        name="pair",
        spec=InputSpec(("T1", "T2")),
    )
    user = user.again()
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("pair")
    paint(user)
    other = user.add_volume("Atlas T2", seed=2)
    fill(user)
    assert "Choose the scan" in user.ui.makeLabelButton.toolTip
    user.panel.example.form.atlas.set_nodes([slicer.util.getNode("Atlas"), other])
    user.panel.refresh()
    user.press("makeLabelButton")
    assert mine(user) == ["Lesion"]


def choose_of(user: User, name: str) -> None:
    """Choose which label the form shows another example of; "" is a new one."""
    open_form(user)
    user.ui.exampleOfSelector.currentIndex = user.ui.exampleOfSelector.findData(name)


def test_the_form_says_that_it_takes_another_example_of_a_label(user: User) -> None:
    add(user, name="Spot", inside="Rest")
    add(user, "Cyst")
    choose_of(user, "Spot")
    assert entries(user.ui.exampleOfSelector) == ["A new label", "Spot", "Cyst"]
    assert (user.ui.exampleName.text, user.ui.insideSelector.currentData, user.ui.makeLabelButton.text) == (
        "Spot",
        "Rest",
        "Add this example",
    )
    assert not user.ui.exampleName.enabled
    assert not user.ui.insideSelector.enabled
    assert "anew" in user.ui.makeLabelButton.toolTip
    user.ui.exampleSelector.setCurrentSegmentID("cyst")
    assert user.ui.exampleName.text == "Spot"  # not the segment's
    user.press("makeLabelButton")
    assert user.said == '"Spot" was made from 2 examples.'
    assert (user.ui.exampleOfSelector.currentData, user.ui.exampleName.text, user.ui.exampleForm.visible) == (
        "",
        "Cyst",
        False,
    )
    assert user.ui.exampleName.enabled
    assert user.ui.insideSelector.enabled
    assert user.ui.makeLabelButton.text == "Add to My labels"


@pytest.mark.slow
def test_another_example_is_averaged_with_those_before_and_replaces_what_is_shown(user: User, learner: Path) -> None:
    from LabelConditionedSegmentationLib.core.examples.painted_examples import Example

    add(user, name="Spot", inside="Rest")
    add(user, "Cyst")
    tick(user, "Spot", "Left Putamen")
    node = user.apply()
    passes, before = user.passes, user.panel.ticks.tree.find("Spot").id
    choose_of(user, "Spot")
    user.ui.exampleSelector.setCurrentSegmentID("cyst")
    user.press("makeLabelButton")
    spot, cyst = prompts(user)
    shown = [Example(name, box(name) != 0) for name in BOXES]
    made = [
        Segmenter.from_package(learner, "cpu").examples(samples.scan(affine=PLACE, seed=1), [one])[0] for one in shown
    ]
    assert spot.vector == tuple((a + b) / 2 for a, b in zip(*(prompt.vector for prompt in made), strict=True))
    assert (spot.name, spot.parent, spot.color, spot.count) == ("Spot", "Rest", (0.0, 0.5, 0.75), 2)
    assert user.panel.ticks.tree.find("Spot").id != before
    assert mine(user) == ["Spot", "Cyst"]
    assert user.chosen == ["Left Putamen", "Right Putamen", "Spot"]
    assert segment_names(node) == ["Left Putamen", "Right Putamen", "Spot"]
    np.testing.assert_array_equal(masks(node, scan(user))["Spot"], expected(user, learner, spot, cyst)["Spot"])
    assert user.passes == passes  # of the scan; the atlas is not counted
    choose_of(user, "Spot")
    user.press("makeLabelButton")
    assert user.said == '"Spot" was made from 3 examples.'
    tick(user, "Spot", on=False)
    assert segment_names(node) == ["Left Putamen", "Right Putamen"]


def test_another_example_of_a_label_that_is_gone_is_not_lost_silently(user: User) -> None:
    add(user)
    choose_of(user, "Lesion")
    worker = hold(user)
    user.panel.mine.labels.remove(prompts(user)[0])
    finish(user, worker)
    assert "left aside" in user.said
    assert_readable(user.said)
    assert prompts(user) == []
    assert entries(user.ui.exampleOfSelector) == ["A new label"]
    assert user.ui.exampleName.enabled


def test_an_example_for_a_model_that_was_left_meanwhile_says_whose_it_is(user: User, tmp_path: Path) -> None:
    samples.package(tmp_path / "models", samples.TINY, name="plain")
    user = user.again()
    user.choose(user.add_volume())
    paint(user)
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("learner")
    add(user)
    choose_of(user, "Lesion")
    worker = hold(user)
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("plain")  # as a scene that is loaded may do
    assert entries(user.ui.exampleOfSelector) == ["A new label"]
    finish(user, worker)
    assert (
        user.said == '"Lesion" was made from 2 examples. It belongs to the model "Learner"; choose that one to use it.'
    )
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("learner")
    assert [prompt.count for prompt in prompts(user)] == [2]


def rename(user: User, answer: str) -> None:
    """Give the label that is marked another name."""
    user.host.answers.append(answer)
    user.press("renameLabelAction")


@pytest.mark.slow
def test_a_label_gets_another_name_and_keeps_its_tick_and_its_segment(user: User) -> None:
    add(user)
    add(user, "Cyst")
    tick(user, "Lesion")
    node = user.apply()
    segments, before, passes = node.GetSegmentation().GetSegmentIDs(), masks(node, scan(user)), user.passes
    open_form(user)
    assert not user.ui.renameLabelAction.enabled
    mark(user, "Lesion")
    rename(user, "  Tumour, left ")
    assert user.said == '"Lesion" is called "Tumour, left" now.'
    assert mine(user) == ["Tumour, left", "Cyst"]
    assert user.panel.mine._chosen.name == "Tumour, left"  # still marked
    assert user.ui.renameLabelAction.enabled
    assert user.chosen == segment_names(node) == ["Tumour, left"]
    assert node.GetSegmentation().GetSegmentIDs() == segments
    np.testing.assert_array_equal(masks(node, scan(user))["Tumour, left"], before["Lesion"])
    assert user.passes == passes
    assert entries(user.ui.exampleOfSelector) == ["A new label", "Tumour, left", "Cyst"]
    tick(user, "Tumour, left", on=False)
    assert segment_names(node) == []


def test_a_name_that_a_label_cannot_have_is_refused(user: User) -> None:
    add(user)
    add(user, "Cyst")
    kept = prompts(user)
    wrong = {
        "": "keeps its name",
        "  ": "keeps its name",
        "cyst": "already",
        "Left Putamen": "already",
        "My labels": "called",
        "two\nlines": "line break",
    }
    for name, why in wrong.items():
        mark(user, "Lesion")
        rename(user, name)
        assert why in user.said
        assert_readable(user.said)
        assert prompts(user) == kept
    user.panel.say("as before")
    rename(user, "Lesion")
    assert user.said == "as before"
    assert prompts(user) == kept


# Finding them


@pytest.mark.slow
def test_after_a_run_a_tick_shows_the_label_without_another_pass(user: User, learner: Path) -> None:
    add(user)
    add(user, "Cyst", inside="Deep gray matter")
    user.tick("Left Putamen")
    node = user.apply()
    assert segment_names(node) == ["Left Putamen", "Right Putamen"]
    passes, runs = user.passes, user.panel.runner.worker._numbers
    asked = next(runs)
    tick(user, "Lesion")
    tick(user, "Cyst")
    assert next(runs) == asked + 1  # the worker was asked with the run, once and for all
    assert user.passes == passes
    found, wanted = masks(node, scan(user)), expected(user, learner, *prompts(user))
    assert list(found) == ["Left Putamen", "Right Putamen", "Lesion", "Cyst"]
    assert any(mask.any() for mask in wanted.values())
    for name, mask in wanted.items():
        np.testing.assert_array_equal(found[name], mask)
    tick(user, "Lesion", on=False)
    assert segment_names(node) == ["Left Putamen", "Right Putamen", "Cyst"]
    np.testing.assert_array_equal(masks(node, scan(user))["Cyst"], wanted["Cyst"])  # whoever is ticked: all compete


def test_apply_with_my_labels_alone(user: User, learner: Path) -> None:
    add(user)
    tick(user, "Lesion")
    assert "1 structure" in user.ui.applyButton.toolTip
    user.ui.tableBox.checked = True
    node = user.apply()
    assert segment_names(node) == ["Lesion"]
    (wanted,) = expected(user, learner, *prompts(user)).values()
    np.testing.assert_array_equal(masks(node, scan(user))["Lesion"], wanted)
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert (table.GetCellText(0, 0), int(table.GetCellText(0, 1))) == ("Lesion", wanted.sum())
    assert user.report["model"] == "learner"


@pytest.mark.slow
def test_a_label_that_comes_after_the_run_competes_with_those_that_are_shown(user: User, learner: Path) -> None:
    add(user)
    tick(user, "Lesion", "Left Putamen")
    node = user.apply()
    passes = user.passes
    add(user, "Cyst")
    np.testing.assert_array_equal(masks(node, scan(user))["Lesion"], expected(user, learner, *prompts(user))["Lesion"])
    tick(user, "Cyst")
    wanted = expected(user, learner, *prompts(user))
    for name, mask in wanted.items():
        np.testing.assert_array_equal(masks(node, scan(user))[name], mask)
    mark(user, "Cyst")
    user.press("removeLabelAction")
    assert mine(user) == ["Lesion"]
    assert segment_names(node) == ["Left Putamen", "Right Putamen", "Lesion"]
    (alone,) = expected(user, learner, *prompts(user)).values()
    np.testing.assert_array_equal(masks(node, scan(user))["Lesion"], alone)
    assert (alone != wanted["Lesion"]).any() or not wanted["Cyst"].any()
    assert user.passes == passes


def test_my_labels_as_one_are_one_segment(user: User, learner: Path) -> None:
    add(user)
    add(user, "Cyst")
    tick(user, "My labels")
    tick(user, "My labels", as_one=True)
    node = user.apply()
    wanted = expected(user, learner, *prompts(user))
    np.testing.assert_array_equal(masks(node, scan(user))["My labels"], np.any(list(wanted.values()), axis=0))


def test_undo_takes_them_back_with_the_apply(user: User) -> None:
    add(user)
    tick(user, "Lesion", "Left Putamen")
    user.ui.outputSelector.setCurrentNode(slicer.util.getNode("Painted"))
    before = contents()
    user.apply()
    assert segment_names(slicer.util.getNode("Painted"))[2:] == ["Left Putamen", "Right Putamen", "Lesion"]
    user.press("undoButton")
    assert segment_names(slicer.util.getNode("Painted")) == list(BOXES)
    assert contents()[0] == before[0]


def test_features_that_were_not_kept_are_told_and_nothing_else_breaks(user: User) -> None:
    add(user)
    user.panel.runner.worker._server.model._segmenter.feature_budget = 0
    user.tick("Left Putamen")
    node = user.apply()
    assert "Done" in user.said
    tick(user, "Lesion")
    assert "larger than the memory" in user.said
    assert segment_names(node) == ["Left Putamen", "Right Putamen"]
    tick(user, "Left Amygdala")
    assert {*segment_names(node), "Lesion"} == set(user.chosen)
    user.ui.outputSelector.setCurrentNode(None)
    other = user.apply()  # the answer for the classes is still there
    assert "larger than the memory" in user.said
    assert segment_names(other) == user.chosen[:-1]
    user.press("clearButton")
    tick(user, "Lesion")
    user.ui.outputSelector.setCurrentNode(None)
    before = contents()
    user.press("applyButton")
    assert contents() == before
    assert "larger than the memory" in user.said


# Keeping them


@pytest.mark.parametrize("ending", ["mrml", "mrb"])
def test_a_saved_scene_brings_them_back_with_their_ticks(user: User, tmp_path: Path, ending: str) -> None:
    add(user, name='Läsion "<1>"; 日本', inside="Rest")
    tick(user, 'Läsion "<1>"; 日本', "Left Putamen")
    node = user.apply()
    before, kept, chosen = masks(node, scan(user)), prompts(user), user.chosen
    write_scene(user.host.scene, tmp_path / f"saved.{ending}")
    user = user.again()
    assert mine(user) == []
    read_scene(user.host.scene, tmp_path / f"saved.{ending}")
    user.widget.enter()
    user.wait()
    assert (prompts(user), user.chosen) == (kept, chosen)
    node = user.apply()
    assert node.GetName() == "Scan segmentation"
    found = masks(node, scan(user))
    assert list(found) == list(before)
    for name, mask in before.items():
        np.testing.assert_array_equal(found[name], mask)


def test_they_go_with_the_scene(user: User) -> None:
    add(user)
    user.host.scene.Clear(0)
    assert mine(user) == []
    assert prompts(user) == []


def test_another_model_does_not_show_them_and_the_first_one_shows_them_again(user: User, tmp_path: Path) -> None:
    samples.package(tmp_path / "models", replace(samples.TINY, conditioning="decoder"), name="plain")
    user = user.again()
    user.choose(user.add_volume())
    paint(user)
    add(user)
    for name, shown in (("plain", []), ("learner", ["Lesion"])):
        user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData(name)
        user.wait()
        assert mine(user) == shown
        user.tick("Left Putamen")
        user.apply()


def test_they_are_searched_and_remembered_as_a_set(user: User) -> None:
    add(user)
    tick(user, "Lesion")
    user.apply()
    assert entries(user.ui.recentSelector)[1:] == ["Lesion"]
    user.ui.searchBox.text = "lesi"
    tree = user.panel.ticks.tree
    assert {label.name for label in tree.labels if not user.panel.tree.item(label.id).isHidden()} == {
        "My labels",
        "Lesion",
    }
    add(user, "Cyst")  # the tree is made anew, the search stays
    tree = user.panel.ticks.tree
    assert {label.name for label in tree.labels if not user.panel.tree.item(label.id).isHidden()} == {
        "My labels",
        "Lesion",
    }


# Files


def test_a_label_goes_to_a_file_and_comes_back(user: User, tmp_path: Path) -> None:
    add(user)
    (kept,) = prompts(user)
    assert not user.ui.exportLabelAction.enabled
    open_form(user)
    mark(user, "Left Putamen")
    assert not user.ui.exportLabelAction.enabled
    assert not user.ui.removeLabelAction.enabled
    mark(user, "Lesion")
    user.host.answers.append(str(tmp_path / "Lesion.lcs-label.json"))
    user.press("exportLabelAction")
    assert "Lesion.lcs-label.json" in user.said
    user.press("removeLabelAction")
    assert mine(user) == []
    assert not user.ui.removeLabelAction.enabled
    user.host.answers.append(str(tmp_path / "Lesion.lcs-label.json"))
    user.press("importLabelAction")
    assert prompts(user) == [kept]
    user.host.answers.extend(["", ""])
    user.press("importLabelAction")
    mark(user, "Lesion")
    user.press("exportLabelAction")
    assert prompts(user) == [kept]


def test_an_exported_label_gets_the_suffix_that_import_looks_for(user: User, tmp_path: Path) -> None:
    add(user)
    open_form(user)
    mark(user, "Lesion")
    for answer, written in (
        ("plain", "plain.lcs-label.json"),
        ("v1.2", "v1.2.lcs-label.json"),
        ("other.json", "other.json"),
        ("whole.lcs-label.json", "whole.lcs-label.json"),
    ):
        user.host.answers.append(str(tmp_path / answer))
        user.press("exportLabelAction")
        assert user.said == f'"Lesion" was written to {tmp_path / written}.'
        assert (tmp_path / written).is_file()
    before = (tmp_path / "plain.lcs-label.json").stat().st_mtime_ns
    user.host.answers.append(str(tmp_path / "plain"))
    user.press("exportLabelAction")
    assert user.said == f'"{tmp_path / "plain.lcs-label.json"}" exists already; choose it itself, or another name.'
    assert (tmp_path / "plain.lcs-label.json").stat().st_mtime_ns == before
    assert not (tmp_path / "plain").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"weights_sha256": "0" * 64, "package": "zebra"}, "was made with another model (zebra)"),
        ({"vector": [1.0, 2.0]}, "was made with another model"),
        ({"vector": ["x"]}, "This is no label by example"),
        ({"format": 99}, "update LabelConditionedSegmentation"),
        ({"name": "left putamen"}, 'There is a label "left putamen" already'),
        ({"name": "Cyst", "parent": "Moon"}, '"Moon"'),
        ({}, 'There is a label "Lesion" already'),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(
    user: User, tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    add(user)
    open_form(user)
    kept = prompts(user)
    (tmp_path / "file.json").write_text(json.dumps({**kept[0].to_json(), **change}))
    user.host.answers.append(str(tmp_path / "file.json"))
    user.press("importLabelAction")
    assert why in user.said
    assert prompts(user) == kept
    (tmp_path / "file.json").write_text("{")
    user.host.answers.append(str(tmp_path / "file.json"))
    user.press("importLabelAction")
    assert "not readable as JSON" in user.said
    user.host.answers.append(str(tmp_path / "missing" / "file.json"))
    mark(user, "Lesion")
    user.press("exportLabelAction")
    assert "could not be written" in user.said
    assert_readable(user.said)
    assert prompts(user) == kept


# What goes wrong


def refused(user: User, words: str) -> None:
    """Pressing the button changes nothing and says why; afterwards the label can be made."""
    before = contents()
    user.press("makeLabelButton")
    assert words in user.said
    assert_readable(user.said)
    assert contents() == before
    assert prompts(user) == []


def test_segments_that_show_nothing_on_the_scan_are_refused(user: User) -> None:
    painted, atlas = slicer.util.getNode("Painted"), slicer.util.getNode("Atlas")
    fill(user)
    painted.SetAndObserveTransformNodeID(nodes.transform(user.host.scene, nodes.moved()).GetID())
    refused(user, "another transform")
    painted.SetAndObserveTransformNodeID(None)
    painted.GetSegmentation().AddEmptySegment("empty", "Empty", [0.1, 0.2, 0.3])
    user.ui.exampleSelector.setCurrentSegmentID("empty")
    refused(user, 'The segment "Empty" has no voxel in "Atlas"')
    away = PLACE.copy()
    away[:3, 3] += 900
    user.add_volume("Away", affine=away)
    fill(user, atlas="Away")
    refused(user, "has no voxel")
    fill(user, name="Left Putamen")
    refused(user, 'There is a label "Left Putamen" already')
    atlas.SetAndObserveTransformNodeID(nodes.bent(user.host.scene).GetID())
    fill(user, name="Lesion")
    refused(user, "Transforms module")
    atlas.SetAndObserveTransformNodeID(None)
    add(user)
    assert mine(user) == ["Lesion"]


def begin(user: User) -> HeldWorker:
    """Press the button; the run over the atlas stands still in its middle."""
    fill(user)
    return hold(user)


def hold(user: User) -> HeldWorker:
    """As `begin`, with the form as it is."""
    user.panel.runner.worker = worker = HeldWorker()
    user.ui.makeLabelButton.click()
    user.host.run_until(lambda: user.panel.runner.fraction > 0)
    return worker


def finish(user: User, worker: HeldWorker) -> None:
    worker.is_held = False
    user.wait()


def test_cancel_adds_nothing(user: User) -> None:
    worker = begin(user)
    for button in (user.ui.makeLabelButton, user.ui.importLabelAction, user.ui.applyButton):
        assert not button.enabled
    user.ui.cancelButton.click()
    finish(user, worker)
    assert user.said == "Cancelled; nothing was changed."
    assert mine(user) == []
    user.panel.runner.worker = InProcessWorker()
    add(user)
    assert mine(user) == ["Lesion"]


def test_the_scan_may_go_while_the_model_looks_at_it(user: User) -> None:
    worker = begin(user)
    user.host.scene.RemoveNode(slicer.util.getNode("Atlas"))
    user.host.scene.RemoveNode(slicer.util.getNode("Painted"))
    finish(user, worker)
    assert mine(user) == ["Lesion"]


def test_a_scene_that_is_closed_meanwhile_gets_no_label(user: User) -> None:
    worker = begin(user)
    user.host.scene.Clear(0)
    finish(user, worker)
    assert prompts(user) == []
    assert user.panel.copy.parameters.myLabels == ""
    assert_readable(user.said)


def test_cancel_while_my_labels_are_looked_up_writes_nothing_and_the_next_apply_works(user: User) -> None:
    add(user)
    tick(user, "Lesion")
    user.press("pickButton")  # the network has run, and nobody asked for my labels
    user.panel.pick.picker.stop()
    server = user.panel.runner.worker._server
    user.panel.runner.worker = worker = HeldWorker()
    worker._server = server
    worker._numbers = itertools.count(100)
    before = contents()
    user.ui.applyButton.click()
    user.host.run_until(lambda: user.panel.runner.fraction > 0)
    user.ui.cancelButton.click()
    finish(user, worker)
    assert contents() == before
    assert "Cancelled" in user.said
    assert segment_names(user.apply()) == ["Lesion"]


@pytest.mark.slow
def test_worker_killed_while_it_looks_at_the_example_and_between(user: User, tmp_path: Path) -> None:
    with_process(user, tmp_path)
    fill(user)
    before = contents()
    user.ui.makeLabelButton.click()
    children()[0].kill()
    user.wait()
    assert contents() == before
    assert "ended unexpectedly" in user.said
    assert_readable(user.said)
    add(user)
    assert mine(user) == ["Lesion"]
    user.tick("Left Putamen")
    node = user.apply()
    kill_idle()
    tick(user, "Lesion")  # who wins was asked with the run
    assert segment_names(node) == ["Left Putamen", "Right Putamen", "Lesion"]
    add(user, "Cyst")  # a new process, which does not know of the run
    assert mine(user) == ["Lesion", "Cyst"]
    assert "press Apply" in user.said
    assert_readable(user.said)
    tick(user, "Cyst")
    assert set(segment_names(user.apply())) == {"Left Putamen", "Right Putamen", "Lesion", "Cyst"}
