"""The node and the segment selector have the habits of the application's, the awkward ones too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer

from Testing.host.application import Host


@pytest.fixture
def selector(host: Host) -> Any:
    """Of volumes; none may be chosen, and the current one may be given another name."""
    widget = slicer.qMRMLNodeComboBox()
    widget.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    widget.noneEnabled = widget.renameEnabled = True
    widget.setMRMLScene(host.scene)
    return widget


@pytest.fixture
def told(selector: Any) -> list[Any]:
    """The name of every node that the selector has told of, None for none."""
    names: list[Any] = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: names.append(node and node.GetName()))
    return names


def volumes(host: Host, *names: str) -> list[Any]:
    return [host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in names]


@pytest.mark.parametrize(("gone", "neighbour"), [("A", "B"), ("B", "C"), ("C", "B")])
def test_the_neighbour_is_chosen_where_the_current_node_is_removed(
    host: Host, selector: Any, told: list[Any], gone: str, neighbour: str
) -> None:
    nodes = {node.GetName(): node for node in volumes(host, "A", "B", "C")}
    selector.setCurrentNode(nodes[gone])
    host.scene.RemoveNode(nodes[gone])
    assert selector.currentNode() is nodes[neighbour]
    assert told == [gone, neighbour]


def test_none_is_chosen_where_the_only_node_is_removed(host: Host, selector: Any, told: list[Any]) -> None:
    (node,) = volumes(host, "A")
    selector.setCurrentNode(node)
    host.scene.RemoveNode(node)
    assert selector.currentNode() is None
    assert told == ["A", None]


def test_the_neighbour_is_chosen_where_the_current_node_is_hidden(host: Host, selector: Any) -> None:
    first, second = volumes(host, "A", "B")
    selector.setCurrentNode(first)
    first.SetHideFromEditors(True)
    assert selector.currentNode() is second


def test_none_that_was_chosen_before_a_removal_stays(host: Host, selector: Any) -> None:
    """Observers of a higher priority than the selector's hear of the removal before it."""
    first, _second = volumes(host, "A", "B")
    selector.setCurrentNode(first)
    host.scene.AddObserver(host.scene.NodeAboutToBeRemovedEvent, lambda *_: selector.setCurrentNode(None), 1.0)
    host.scene.RemoveNode(first)
    assert selector.currentNode() is None


def test_the_current_node_is_told_again_where_it_gets_another_name_or_row(
    host: Host, selector: Any, told: list[Any]
) -> None:
    first, second = volumes(host, "A", "B")
    selector.setCurrentNode(second)
    second.SetName("C")
    host.scene.RemoveNode(first)
    assert told == ["B", "C", "C"]


def test_a_closed_scene_leaves_none(host: Host, selector: Any) -> None:
    (node,) = volumes(host, "A")
    selector.setCurrentNode(node)
    host.scene.Clear(False)
    assert selector.currentNode() is None
    assert selector.nodeCount() == 0


def test_nothing_is_listed_and_references_do_not_yet_resolve_during_an_import(
    host: Host, selector: Any, told: list[Any], tmp_path: Path
) -> None:
    (node,) = volumes(host, "A")
    holder = host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Holder")
    holder.SetSingletonTag("Holder")
    holder.SetNodeReferenceID("Input0", node.GetID())
    host.scene.SetURL(str(tmp_path / "scene.mrml"))
    host.scene.Commit()
    host.scene.Clear(False)
    selector.setCurrentNode(volumes(host, "B")[0])
    seen: list[Any] = []

    def look(*_: Any) -> None:
        selector.setCurrentNode(host.scene.GetFirstNodeByName("A"))
        seen.append((selector.nodeCount(), selector.currentNode(), holder.GetNodeReference("Input0")))

    host.scene.AddObserver(host.scene.NodeAddedEvent, look)
    holder.AddObserver("ModifiedEvent", look)
    host.scene.Import()
    assert {(count, current) for count, current, _ in seen} == {(1, None)}
    assert seen[0][2] is not host.scene.GetFirstNodeByName("A")
    assert selector.nodeCount() == 2
    assert selector.currentNode() is None  # though there was one before
    assert holder.GetNodeReference("Input0").GetName() == "A"


def segmentation(host: Host, name: str, **segments: str) -> Any:
    """A segmentation with segments: id -> name."""
    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    for segment_id, segment in segments.items():
        node.GetSegmentation().AddEmptySegment(segment_id, segment, [1.0, 0.0, 0.0])
    return node


@pytest.fixture
def segments(host: Host) -> Any:
    widget = slicer.qMRMLSegmentSelectorWidget()
    widget.noneEnabled = True
    widget.setMRMLScene(host.scene)
    return widget


def test_choosing_a_segmentation_leaves_its_segment_at_none(host: Host, segments: Any) -> None:
    told: list[Any] = []
    segments.connect("currentSegmentChanged(QString)", told.append)
    segments.setCurrentNode(segmentation(host, "Painted", a="A", b="B"))
    assert (segments.currentSegmentID(), told) == ("", [])
    segments.setCurrentSegmentID("b")
    segments.setCurrentSegmentID("c")  # there is none
    assert (segments.currentSegmentID(), told) == ("b", ["b"])


def test_an_id_that_another_segmentation_has_too_is_restored_in_silence(host: Host, segments: Any) -> None:
    one, other = segmentation(host, "One", a="Lesion"), segmentation(host, "Other", x="X", a="Cyst")
    segments.setCurrentNode(one)
    segments.setCurrentSegmentID("a")
    told: list[Any] = []
    segments.connect("currentSegmentChanged(QString)", told.append)
    segments.setCurrentNode(other)
    assert (segments.currentSegmentID(), told) == ("a", [])
    segments.setCurrentNode(segmentation(host, "Third", y="Y"))
    assert (segments.currentSegmentID(), told) == ("y", ["y"])


def test_the_segment_chosen_last_is_told_after_its_segmentation_has_gone(host: Host, segments: Any) -> None:
    node = segmentation(host, "Painted", a="A")
    segments.setCurrentNode(node)
    segments.setCurrentSegmentID("a")
    host.scene.RemoveNode(node)
    assert (segments.currentNode(), segments.currentSegmentID()) == (None, "a")


def test_a_segment_that_is_renamed_is_shown_so(host: Host, segments: Any) -> None:
    from PySide6 import QtWidgets

    from Testing.host.qt import unwrap

    node = segmentation(host, "Painted", a="A")
    segments.setCurrentNode(node)
    segments.setCurrentSegmentID("a")
    node.GetSegmentation().GetSegment("a").SetName("B")
    shown = unwrap(segments).findChildren(QtWidgets.QComboBox)[-1]
    assert [shown.itemText(row) for row in range(shown.count())] == ["None", "B"]
    assert segments.currentSegmentID() == "a"
