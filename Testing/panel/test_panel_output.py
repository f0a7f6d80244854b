"""What the panel leaves in the scene: segments, their place, the report, the table, one undo step, and a scene that
brings the panel back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk

from Testing.host.application import Host
from Testing.panel.user import User, assert_same_masks, masks, segment_names
from Testing.scene import made_nodes as nodes

HIPPOCAMPI = ["Left Hippocampus", "Right Hippocampus"]


@pytest.fixture
def user(host: Host, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user who has chosen a scan on an oblique grid under a transform, in a patient's folder of the subject
    hierarchy.
    """
    monkeypatch.setenv("LCS_MODELS", str(tiny_package.parent))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user = User(host)
    volume = user.add_volume(affine=nodes.oblique())
    volume.SetAndObserveTransformNodeID(nodes.transform(host.scene, nodes.moved()).GetID())
    tree = hierarchy(host)
    tree.SetItemParent(tree.GetItemByDataNode(volume), tree.CreateSubjectItem(tree.GetSceneItemID(), "Patient"))
    user.choose(volume)
    return user


def hierarchy(host: Host) -> Any:
    """The subject hierarchy."""
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(host.scene)


def scan(user: User) -> Any:
    """The chosen volume."""
    return user.panel.inputs.nodes[0]


def segment(node: Any, name: str) -> Any:
    """The segment of that name."""
    segments = node.GetSegmentation()
    return segments.GetSegment(segments.GetSegmentIdBySegmentName(name))


def tag(part: Any, name: str) -> str:
    value = vtk.reference("")
    return str(value) if part.GetTag(name, value) else ""


def drawn(user: User) -> Any:
    """A segmentation in which the user has drawn a lesion, chosen as the output."""
    node = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "My segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(scan(user).GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan(user))
    mask = np.zeros(slicer.util.arrayFromVolume(scan(user)).shape, np.uint8)
    mask[10:20, 12:30, 5:25] = 1
    ident = node.GetSegmentation().AddEmptySegment("lesion", "Lesion", [0.1, 0.9, 0.4])
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, ident, scan(user))
    user.ui.outputSelector.setCurrentNode(node)
    return node


def test_segments_have_names_terminology_colours_and_the_place_of_the_scan(user: User) -> None:
    user.tick("Left Hippocampus", "Left Putamen")
    node = user.apply()
    labels = user.panel.ticks.wanted()
    assert segment_names(node) == [label.name for label in labels]
    for label in labels:
        assert segment(node, label.name).GetColor() == pytest.approx(label.color)
    entry = tag(segment(node, "Left Hippocampus"), slicer.vtkSegment.GetTerminologyEntryTagName())
    assert "SCT^5366008^Hippocampus" in entry
    assert "SCT^7771000^Left" in entry
    assert "Tissue" in tag(segment(node, "Left Putamen"), slicer.vtkSegment.GetTerminologyEntryTagName())
    assert node.GetName() == "Scan segmentation"
    assert user.ui.outputSelector.currentNode() is node
    assert node.GetParentTransformNode() is scan(user).GetParentTransformNode()
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is scan(user)
    tree = hierarchy(user.host)
    assert tree.GetItemName(tree.GetItemParent(tree.GetItemByDataNode(node))) == "Patient"


def test_an_existing_segmentation_keeps_what_else_is_in_it(user: User) -> None:
    node = drawn(user)
    lesion = masks(node, scan(user))["Lesion"]
    user.tick("Left Hippocampus")
    assert user.apply() is node
    assert segment_names(node) == ["Lesion", *HIPPOCAMPI]
    np.testing.assert_array_equal(masks(node, scan(user))["Lesion"], lesion)
    assert segment(node, "Lesion").GetColor() == pytest.approx((0.1, 0.9, 0.4))
    user.tick("Left Hippocampus", on=False)
    assert segment_names(node) == ["Lesion"]
    np.testing.assert_array_equal(masks(node, scan(user))["Lesion"], lesion)


def test_the_same_label_is_replaced_and_one_undo_brings_it_back(user: User) -> None:
    node = drawn(user)
    user.press("allButton")
    user.apply()
    first = masks(node, scan(user))
    user.press("undoButton")
    assert segment_names(node) == ["Lesion"]
    assert not user.ui.undoButton.enabled
    user.apply()
    assert_same_masks(masks(node, scan(user)), first)

    user.editor("age").text = "30"
    user.apply()
    second = masks(node, scan(user))
    assert list(second) == list(first)
    assert any((second[name] != first[name]).any() for name in first)
    user.press("clearButton")
    user.tick("Left Putamen")
    user.press("undoButton")
    assert_same_masks(masks(node, scan(user)), first)
    assert user.said == "The last Apply was taken back."


def test_undo_of_a_new_segmentation_takes_it_and_what_lies_beside_it_away(user: User) -> None:
    user.ui.tableBox.checked = True
    user.tick("Left Putamen")
    user.apply()
    user.press("undoButton")
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLTextNode", "vtkMRMLTableNode"):
        assert slicer.util.getNodesByClass(kind) == [], kind
    user.apply()
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1


def test_the_table_of_volumes_is_written_on_request_and_follows_the_ticks(user: User) -> None:
    user.tick("Right Amygdala")
    user.apply()
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == []
    user.ui.tableBox.checked = True
    node = user.apply()
    (table,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    millilitres = abs(np.linalg.det(nodes.moved() @ nodes.oblique())) / 1000
    user.tick("Deep gray matter")
    user.tick("Deep gray matter", as_one=True)
    user.tick("Left Putamen")
    assert len(slicer.util.getNodesByClass("vtkMRMLTableNode")) == 1
    rows = {
        table.GetCellText(n, 0): (int(table.GetCellText(n, 1)), float(table.GetCellText(n, 2)))
        for n in range(table.GetNumberOfRows())
    }
    found = masks(node, scan(user))
    assert list(rows) == list(found) == user.chosen
    for name, mask in found.items():
        assert rows[name][0] == mask.sum()
        assert rows[name][1] == pytest.approx(mask.sum() * millilitres, abs=1e-3)


def test_the_report_lies_beside_the_result_and_is_copied(user: User) -> None:
    assert not user.ui.reportButton.enabled
    user.tick("Left Putamen")
    user.apply()
    user.press("reportButton")
    assert json.loads(slicer.app.clipboard().text()) == user.report
    assert user.report["model"] == "tiny"
    assert user.said == "The report is in the clipboard."


def test_the_log_is_opened_where_there_is_one(user: User, tmp_path: Path) -> None:
    assert not user.ui.logButton.enabled
    log = tmp_path / "data" / "LabelConditionedSegmentation" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("begun")
    user.panel.refresh()
    user.press("logButton")
    assert user.host.opened == [f"file://{log}"]


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mrml", "mrb"])
def test_a_saved_scene_brings_the_whole_panel_back(user: User, tmp_path: Path, ending: str) -> None:
    scene = user.host.scene
    node = drawn(user)
    user.ui.sidesBox.checked = False
    user.tick("Left Hippocampus", "Deep gray matter")
    user.tick("Deep gray matter", as_one=True)
    user.editor("age").text = "30"
    user.editor("sex").currentIndex = 2
    user.ui.tableBox.checked = True
    user.ui.deviceSelector.currentIndex = 1
    user.ui.deviceSelector.activated(1)
    device = user.ui.deviceSelector.currentData
    user.apply()
    before = masks(node, scan(user))
    write_scene(scene, tmp_path / f"saved.{ending}")

    user = user.again()
    assert (user.chosen, user.shown("age"), user.panel.inputs.nodes) == ([], "", (None,))
    read_scene(scene, tmp_path / f"saved.{ending}")
    user.widget.enter()
    user.wait()
    assert [volume.GetName() for volume in user.panel.inputs.nodes] == ["Scan"]
    assert user.panel.package.name == "tiny"
    assert user.chosen == ["Deep gray matter"]
    assert not user.ui.sidesBox.checked
    assert (user.shown("age"), user.shown("sex")) == ("30", "M")
    assert user.remark("age") == "entered"
    assert user.ui.tableBox.checked
    assert user.ui.deviceSelector.currentData == device != "auto"
    assert user.ui.outputSelector.currentNode().GetName() == "My segmentation"
    assert user.ui.applyButton.enabled
    node = user.apply()
    assert node.GetName() == "My segmentation"
    assert_same_masks(masks(node, scan(user)), before)


def test_a_new_segmentation_under_a_transform_comes_back_from_a_file_voxel_for_voxel(
    user: User, tmp_path: Path
) -> None:
    user.press("allButton")
    before = masks(user.apply(), scan(user))
    write_scene(user.host.scene, tmp_path / "saved.mrml")
    user = user.again()
    read_scene(user.host.scene, tmp_path / "saved.mrml")
    user.widget.enter()
    assert_same_masks(masks(user.ui.outputSelector.currentNode(), scan(user)), before)
    user.press("reportButton")
    assert json.loads(slicer.app.clipboard().text())["model"] == "tiny"


def write_scene(scene: Any, path: Path) -> None:
    """Save the scene, and its data beside it where it is no bundle."""
    if path.suffix == ".mrb":
        assert scene.WriteToMRB(str(path))
        return
    scene.SetRootDirectory(str(path.parent))
    scene.SetURL(str(path))
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLStorableNode")
        if node.GetSaveWithScene() and not node.GetHideFromEditors() and node.AddDefaultStorageNode():
            storage = node.GetStorageNode()
            storage.SetFileName(str(path.parent / f"{node.GetID()}.{storage.GetDefaultWriteFileExtension()}"))
            assert storage.WriteData(node), node.GetName()
    assert scene.Commit(str(path))


def read_scene(scene: Any, path: Path) -> None:
    """Open a saved scene."""
    if path.suffix == ".mrb":
        assert scene.ReadFromMRB(str(path))
    else:
        scene.SetURL(str(path))
        assert scene.Connect()
