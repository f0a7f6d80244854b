"""Several scans through the panel: volumes, frames of a sequence, two models; and what may happen in the middle."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from Testing import samples
from Testing.host.application import Host
from Testing.panel import test_panel_examples as examples
from Testing.panel.user import PLACE, User, assert_same_masks, masks, segment_names
from Testing.scene import made_nodes as nodes


@pytest.fixture
def user(host: Host, models: Path) -> User:
    """A user who has ticked a structure and opened the section."""
    user = User(host)
    user.tick("Left Putamen")
    user.ui.scansSection.collapsed = False
    return user


def listed(user: User) -> list[str]:
    user.host.run_until(lambda: not user.panel.scans._is_awaited, 5)
    tree = user.ui.scansTree
    return [str(tree.topLevelItem(n).text(0)) for n in range(tree.topLevelItemCount)]


def press_apply(user: User) -> None:
    """Press Apply, without waiting."""
    listed(user)
    assert user.ui.applyButton.enabled, user.ui.applyButton.toolTip
    user.ui.applyButton.click()


def wait(user: User) -> None:
    user.host.run_until(lambda: not user.panel.batch.is_going_on, 120)


def apply_to_all(user: User) -> None:
    listed(user)
    user.press("allScansButton")
    press_apply(user)
    wait(user)


def segmentations(user: User) -> list[str]:
    return [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]


def table(name: str = "Volumes of several scans") -> dict[str, list[str]]:
    """Columns of the table node whose name begins so."""
    node = next(n for n in slicer.util.getNodesByClass("vtkMRMLTableNode") if n.GetName().startswith(name))
    table = node.GetTable()
    return {
        table.GetColumnName(c): [table.GetValue(r, c).ToString() for r in range(table.GetNumberOfRows())]
        for c in range(table.GetNumberOfColumns())
    }


def sequence(user: User, frames: int, name: str = "Cine") -> Any:
    """A sequence of scans, which is browsed."""
    scene = user.host.scene
    node = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    node.SetIndexName("time")
    node.SetIndexUnit("s")
    for n in range(frames):
        volume = user.add_volume(f"frame {n}", seed=n)
        node.SetDataNodeAtValue(volume, str(0.5 * n))
        scene.RemoveNode(volume)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.SetAndObserveMasterSequenceNodeID(node.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return node


# What there is to choose


def test_volumes_and_sequences_are_listed_as_they_come_and_go(user: User) -> None:
    first = user.add_volume("A")
    user.add_volume("B")
    nodes.volume(user.host.scene, PLACE, np.zeros((3, 3, 3), np.int16), name="Hidden").SetHideFromEditors(True)
    user.host.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    sequence(user, 2)
    assert listed(user) == ["A", "B", "Cine"]
    assert user.ui.scansTree.topLevelItem(2).text(1) == "2"
    user.host.scene.RemoveNode(first)
    assert listed(user) == ["B", "Cine"]


def test_apply_is_of_the_ticked_scans_and_says_why_it_cannot_be(user: User) -> None:
    user.add_volume("A")
    listed(user)
    assert user.ui.applyButton.text == "Apply"
    assert user.ui.applyButton.toolTip == "No volume is chosen. Choose the scan to segment."
    user.press("allScansButton")
    assert user.ui.applyButton.text == "Apply to 1 scan"
    assert user.ui.applyButton.enabled
    user.press("clearButton")
    assert user.ui.applyButton.toolTip == "Choose at least one structure."
    user.ui.scansSection.collapsed = True
    assert user.ui.applyButton.text == "Apply"
    user.ui.scansSection.collapsed = False
    assert user.ui.applyButton.text == "Apply to 1 scan"


# Volumes


def test_each_scan_gets_its_segmentation_as_if_it_were_segmented_alone(user: User) -> None:
    scans = [user.add_volume(name, seed=n) for n, name in enumerate("AB")]
    apply_to_all(user)
    assert segmentations(user) == ["A segmentation", "B segmentation"]
    assert user.said == '2 of 2 runs were done. The volumes are in the table "Volumes of several scans".'
    made = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    user.ui.scansSection.collapsed = True
    for scan, node in zip(scans, made, strict=True):
        user.panel.copy.parameters.output = None
        user.choose(scan)
        assert_same_masks(masks(user.apply(), scan), masks(node, scan))
    columns = table()
    assert columns["Scan"] == ["A", "B"]
    voxel = abs(np.linalg.det(PLACE[:3, :3])) / 1000
    expected = [float(masks(node, scan)["Left Putamen"].sum()) * voxel for scan, node in zip(scans, made, strict=True)]
    assert [float(value) for value in columns["Left Putamen (ml)"]] == pytest.approx(expected, abs=1e-4)


def test_what_dicom_says_of_each_scan_is_what_its_run_is_told(user: User) -> None:
    for n, sex in enumerate("FM"):
        slicer.dicomDatabase[f"1.2.{n}", "0010,0040"] = sex
        user.add_volume(sex, seed=0).SetAttribute("DICOM.instanceUIDs", f"1.2.{n}")
    user.editor("age").text = "25"  # of the volume under Input, which is none of these
    apply_to_all(user)
    role = "LabelConditionedSegmentation.RunReport"
    reports = [n.GetNodeReference(role).GetText() for n in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
    assert ['"sex": "F"' in reports[0], '"sex": "M"' in reports[1]] == [True, True]
    assert not any('"age": 25' in report for report in reports)


def test_a_volume_that_is_deleted_in_the_middle_is_said_and_the_others_are_done(user: User) -> None:
    scans = [user.add_volume(name, seed=n) for n, name in enumerate("ABC")]
    listed(user)
    user.press("allScansButton")
    press_apply(user)
    user.host.scene.RemoveNode(scans[1])
    wait(user)
    assert segmentations(user) == ["A segmentation", "C segmentation"]
    assert "2 of 3 runs were done. 1 did not work: B: The volume is no longer in the scene." in user.said
    assert table()["Remark"][0] == table()["Remark"][2] == ""
    assert "no longer in the scene" in table()["Remark"][1]


def test_a_volume_that_is_deleted_while_it_is_segmented_is_said_too(user: User) -> None:
    scans = [user.add_volume(name, seed=n) for n, name in enumerate("AB")]
    listed(user)
    user.press("allScansButton")
    press_apply(user)
    user.host.scene.RemoveNode(scans[0])
    wait(user)
    assert segmentations(user) == ["B segmentation"]
    assert "1 did not work: A: The volume was changed or removed during the run" in user.said


def cancel_in_run(user: User, number: int) -> list[tuple[str, int]]:
    """Press Cancel as soon as the panel shows that a run goes on; what it shows then."""
    loop, seen = user.panel.loop, list[tuple[str, int]]()
    show = loop.show_progress

    def shown() -> None:
        show()
        if loop._part[0] == number and not seen:
            seen.append((user.said, user.ui.progressBar.value))
            user.ui.cancelButton.click()

    loop.show_progress = shown
    return seen


def test_cancel_in_scan_3_of_12_keeps_what_is_done(user: User) -> None:
    for n in range(12):
        user.add_volume(f"S{n}", seed=n % 2)
    listed(user)
    user.press("allScansButton")
    assert user.ui.applyButton.text == "Apply to 12 scans"
    seen = cancel_in_run(user, 3)
    press_apply(user)
    wait(user)
    ((said, progress),) = seen
    assert said.startswith("3 of 12, ")
    assert 1000 * 2 / 12 - 1 <= progress < 1000 * 3 / 12
    assert segmentations(user) == ["S0 segmentation", "S1 segmentation"]
    assert user.said.startswith("Cancelled in run 3 of 12; what was done before is kept (2).")
    assert table()["Scan"] == ["S0", "S1"]
    assert user.ui.applyButton.enabled


def test_what_cannot_be_segmented_is_said_and_the_batch_goes_on(user: User) -> None:
    nodes.volume(user.host.scene, PLACE, np.zeros((8, 8, 8), np.int16), name="Empty")
    user.add_volume("A")
    apply_to_all(user)
    assert segmentations(user) == ["A segmentation"]
    assert "1 of 2 runs were done. 1 did not work: Empty: " in user.said


def test_a_scene_that_closes_ends_the_batch(user: User) -> None:
    for n in range(3):
        user.add_volume(f"S{n}")
    listed(user)
    user.press("allScansButton")
    press_apply(user)
    user.host.scene.Clear(0)
    assert not user.panel.batch.is_going_on
    user.wait()
    assert segmentations(user) == []


def test_300_volumes_are_listed_ticked_and_begun(user: User) -> None:
    for n in range(300):
        nodes.volume(user.host.scene, PLACE, np.zeros((2, 2, 2), np.int16), name=f"S{n}")
    assert len(listed(user)) == 300
    user.press("allScansButton")
    assert user.ui.applyButton.text == "Apply to 300 scans"
    press_apply(user)
    wait(user)
    assert user.said.startswith("0 of 300 runs were done. 300 did not work; the first: S0: ")
    assert len(table()["Scan"]) == 300


# Taking back


def test_undo_takes_the_scans_back_one_by_one_with_their_rows(user: User) -> None:
    for n, name in enumerate("ABC"):
        user.add_volume(name, seed=n)
    apply_to_all(user)
    user.press("undoButton")
    assert user.said == 'What Apply made of "C" was taken back.'
    assert segmentations(user) == ["A segmentation", "B segmentation"]
    assert table()["Scan"] == ["A", "B"]
    user.press("undoButton")
    user.press("undoButton")
    assert not user.ui.undoButton.enabled
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLTextNode", "vtkMRMLTableNode"):
        assert slicer.util.getNodesByClass(kind) == [], kind


def test_undo_passes_over_what_the_user_has_removed(user: User) -> None:
    for n, name in enumerate("AB"):
        user.add_volume(name, seed=n)
    apply_to_all(user)
    user.host.scene.RemoveNode(slicer.util.getNode("B segmentation"))
    user.press("undoButton")
    assert user.said == 'What Apply made of "A" was taken back.'
    assert not user.ui.undoButton.enabled


def test_undo_after_an_apply_to_one_scan_is_of_that(user: User) -> None:
    scan = user.add_volume("A")
    apply_to_all(user)
    user.ui.scansSection.collapsed = True
    user.choose(scan)
    user.apply()
    user.press("undoButton")
    assert user.said.startswith("The last Apply was taken back")
    assert segmentations(user) == ["A segmentation"]
    assert not user.ui.undoButton.enabled


def test_undo_comes_to_the_apply_before_several_scans(user: User) -> None:
    scan = user.add_volume("A")
    user.ui.scansSection.collapsed = True
    user.choose(scan)
    first = user.apply()
    user.ui.scansSection.collapsed = False
    apply_to_all(user)
    assert len(segmentations(user)) == 2
    user.press("undoButton")
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == [first]
    user.press("undoButton")
    assert segmentations(user) == []


def names(user: User) -> list[str]:
    """Of every node of the scene."""
    scene = user.host.scene
    return sorted(
        f"{scene.GetNthNode(n).GetClassName()} {scene.GetNthNode(n).GetName()}" for n in range(scene.GetNumberOfNodes())
    )


def test_a_sequence_is_one_step_and_its_browser_stays(user: User) -> None:
    user.add_volume("A")
    source = sequence(user, 3)
    before = names(user)
    apply_to_all(user)
    user.press("undoButton")
    assert user.said == 'What Apply made of "Cine" was taken back.'
    assert slicer.util.getNodesByClass("vtkMRMLSequenceNode") == [source]
    assert segmentations(user) == ["A segmentation"]
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(source)
    browser.SetSelectedItemNumber(2)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    user.press("undoButton")
    assert names(user) == before


def test_nothing_is_taken_back_while_scans_are_segmented(user: User) -> None:
    for n, name in enumerate("AB"):
        user.add_volume(name, seed=n)
    listed(user)
    user.press("allScansButton")
    press_apply(user)
    user.host.run_until(lambda: len(segmentations(user)) == 1, 60)
    assert not user.ui.undoButton.enabled
    user.ui.scansSection.collapsed = True
    assert user.ui.applyButton.toolTip == "A run is going on; cancel it first."
    wait(user)
    assert user.ui.undoButton.enabled


# Sequences


def test_a_sequence_becomes_a_sequence_of_segmentations(user: User) -> None:
    source = sequence(user, 3)
    apply_to_all(user)
    result = next(n for n in slicer.util.getNodesByClass("vtkMRMLSequenceNode") if n is not source)
    assert result.GetName() == "Cine segmentation"
    assert [result.GetNthIndexValue(n) for n in range(3)] == [source.GetNthIndexValue(n) for n in range(3)]
    assert (result.GetIndexName(), result.GetIndexUnit()) == ("time", "s")
    assert [segment_names(result.GetNthDataNode(n)) for n in range(3)] == [["Left Putamen", "Right Putamen"]] * 3
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(source)
    shown, volume = browser.GetProxyNode(result), browser.GetProxyNode(source)
    for frame in (0, 2):
        browser.SetSelectedItemNumber(frame)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
        user.ui.scansSection.collapsed = True
        user.panel.copy.parameters.output = None
        user.choose(volume)
        assert_same_masks(masks(user.apply(), volume), masks(shown, volume))
    assert table()["Frame"] == ["1", "2", "3"]


def test_chosen_frames_alone_are_segmented(user: User) -> None:
    source = sequence(user, 4)
    listed(user)
    user.press("allScansButton")
    user.ui.framesEdit.text = "2, 4"
    press_apply(user)
    wait(user)
    result = next(n for n in slicer.util.getNodesByClass("vtkMRMLSequenceNode") if n is not source)
    assert [result.GetNthIndexValue(n) for n in range(2)] == [source.GetNthIndexValue(n) for n in (1, 3)]
    assert result.GetNumberOfDataNodes() == 2
    assert table()["Frame"] == ["2", "4"]


def test_a_sequence_of_one_frame_that_nothing_browses(user: User) -> None:
    source = sequence(user, 1)
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(source)
    for node in (browser, *slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")):
        user.host.scene.RemoveNode(node)
    apply_to_all(user)
    result = next(n for n in slicer.util.getNodesByClass("vtkMRMLSequenceNode") if n is not source)
    assert result.GetNumberOfDataNodes() == 1
    assert "1 of 1 runs were done." in user.said


def test_a_sequence_that_is_deleted_in_the_middle_is_said_and_the_volumes_are_done(user: User) -> None:
    user.add_volume("A")
    source = sequence(user, 2)
    listed(user)
    user.press("allScansButton")
    press_apply(user)
    user.host.scene.RemoveNode(source)
    wait(user)
    assert segmentations(user) == ["A segmentation"]
    assert "1 of 3 runs were done. 2 did not work; the first: Cine, frame 1: This frame is no longer" in user.said


def test_frames_that_are_not_there_are_a_sentence_and_nothing_is_begun(user: User) -> None:
    sequence(user, 2)
    listed(user)
    user.press("allScansButton")
    user.ui.framesEdit.text = "3"
    user.ui.applyButton.click()
    assert user.said == '"3" names no frames; there are the frames 1 to 2.'
    assert not user.panel.batch.is_going_on


# Two models


@pytest.fixture
def two_models(models: Path) -> Path:
    samples.package(models, name="other")
    return models


def test_two_models_stand_side_by_side_for_each_scan(two_models: Path, user: User) -> None:
    scan = user.add_volume("A")
    listed(user)
    user.press("allScansButton")
    user.ui.compareSelector.currentIndex = user.ui.compareSelector.findData(
        "tiny" if user.panel.package.name == "other" else "other"
    )
    press_apply(user)
    wait(user)
    first, second = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    names = [user.panel.package.name, user.panel.scans.other_model.name]
    assert [first.GetName(), second.GetName()] == [f"A segmentation by {name}" for name in names]
    assert [n.GetDisplayNode().GetVisibility2DFill() for n in (first, second)] == [1, 0]
    columns = table("Comparison of A")
    assert columns["Structure"] == ["Left Putamen", "Right Putamen"]
    for n, name in enumerate(columns["Structure"]):
        one, other = masks(first, scan)[name], masks(second, scan)[name]
        total = one.sum() + other.sum()
        expected = 2 * (one & other).sum() / total if total else float("nan")
        assert float(columns["Dice"][n]) == pytest.approx(expected, abs=1e-4, nan_ok=True)
    assert table()["Model"] == names
    user.press("undoButton")
    assert segmentations(user) == []
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == []
    shutil.rmtree(two_models / "other")


# Labels by example


@pytest.fixture
def shower(host: Host, learner_models: Path) -> User:
    """A user who has shown the model a structure on an atlas, ticked it, and opened the section."""
    made = User(host)
    examples.paint(made)
    examples.add(made)
    examples.tick(made, "Lesion")
    made.ui.scansSection.collapsed = False
    return made


def choose_scans(user: User, *names: str) -> None:
    import qt

    for n, name in enumerate(listed(user)):
        user.ui.scansTree.topLevelItem(n).setCheckState(0, qt.Qt.Checked if name in names else qt.Qt.Unchecked)


def test_labels_by_example_are_found_in_every_scan_as_if_it_were_segmented_alone(shower: User) -> None:
    scans = {name: shower.add_volume(name, seed=n) for n, name in enumerate("AB")}
    shower.tick("Left Putamen")
    choose_scans(shower, *scans)
    passes = shower.passes
    press_apply(shower)
    wait(shower)
    passes = shower.passes - passes
    assert shower.said.startswith("2 of 2 runs were done.")
    names = ["Left Putamen", "Right Putamen", "Lesion"]
    assert set(table()) >= {"Lesion (ml)", "Left Putamen (ml)"}
    shower.ui.scansSection.collapsed = True
    for name, scan in scans.items():
        node = slicer.util.getNode(f"{name} segmentation")
        assert segment_names(node) == names
        shower.panel.copy.parameters.output = None
        shower.choose(scan)
        passes += shower.passes
        assert_same_masks(masks(shower.apply(), scan), masks(node, scan))
        passes -= shower.passes
    assert passes == 0  # none was needed to look them up


def test_labels_by_example_alone(shower: User) -> None:
    shower.add_volume("A")
    choose_scans(shower, "A")
    press_apply(shower)
    wait(shower)
    assert segment_names(slicer.util.getNode("A segmentation")) == ["Lesion"]


def test_labels_by_example_that_cannot_be_looked_up_are_a_remark_and_the_others_are_written(
    shower: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    shower.add_volume("A")
    shower.tick("Left Putamen")
    choose_scans(shower, "A")
    monkeypatch.setattr(
        shower.panel.runner.worker._server.model, "keep", lambda *_: None
    )  # as where features take too much memory
    press_apply(shower)
    wait(shower)
    assert segment_names(slicer.util.getNode("A segmentation")) == ["Left Putamen", "Right Putamen"]
    assert "is not kept any more" in table()["Remark"][0]
    assert float(table()["Left Putamen (ml)"][0]) >= 0
    shower.tick("Left Putamen", on=False)
    press_apply(shower)
    wait(shower)
    assert "0 of 1 runs were done. 1 did not work: A: What the network found" in shower.said


def test_cancel_while_labels_by_example_are_looked_up_keeps_the_scans_before(shower: User) -> None:
    for n, name in enumerate("AB"):
        shower.add_volume(name, seed=n)
    choose_scans(shower, "A", "B")
    runner = shower.panel.runner
    rank = runner.rank_examples

    def cancelled(*arguments: Any) -> int:
        number: int = rank(*arguments)
        if segmentations(shower) == ["Painted", "A segmentation"]:
            shower.ui.cancelButton.click()
        return number

    runner.rank_examples = cancelled
    press_apply(shower)
    wait(shower)
    assert segmentations(shower) == ["Painted", "A segmentation"]
    assert shower.said.startswith("Cancelled in run 2 of 2; what was done before is kept (1).")
