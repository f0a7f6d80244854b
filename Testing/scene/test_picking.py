"""Picking a point: one callback with world RAS, and the scene as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from LabelConditionedSegmentationLib.scene.picking import PointPicker

Later = list[Callable[[], None]]


class Picked:
    """A picker with what it told and what it postponed."""

    def __init__(self) -> None:
        self.points: list[Any] = []
        self.ends = 0
        self.postponed: Later = []
        self.picker = PointPicker(self.points.append, self._end, self.postponed.append)

    def _end(self) -> None:
        self.ends += 1

    def run_postponed(self) -> None:
        while self.postponed:
            self.postponed.pop(0)()


@pytest.fixture
def picked(scene: Any) -> Picked:
    return Picked()


def modes(scene: Any) -> tuple[Any, Any, Any]:
    selection, interaction = (
        scene.GetFirstNodeByClass("vtkMRMLSelectionNode"),
        scene.GetFirstNodeByClass("vtkMRMLInteractionNode"),
    )
    return (
        selection.GetActivePlaceNodeClassName(),
        selection.GetActivePlaceNodeID(),
        interaction.GetCurrentInteractionMode(),
    )


def click(scene: Any, position: tuple[float, float, float]) -> None:
    """What a view does in place mode: a point on the active node, then back to the view mode."""
    node = scene.GetNodeByID(scene.GetFirstNodeByClass("vtkMRMLSelectionNode").GetActivePlaceNodeID())
    node.AddControlPointWorld(position)
    assert scene.IsNodePresent(node), "the view still works with the node"
    scene.GetFirstNodeByClass("vtkMRMLInteractionNode").SwitchToViewTransformMode()


def test_a_click_is_told_once_in_world_ras_and_leaves_nothing(scene: Any, picked: Picked) -> None:
    before, nodes = modes(scene), scene.GetNumberOfNodes()
    picked.picker.start()
    assert picked.picker.is_active
    click(scene, (1.5, -2.0, 30.25))
    picked.run_postponed()
    assert picked.points == [pytest.approx((1.5, -2.0, 30.25))]
    assert (picked.ends, picked.picker.is_active) == (1, False)
    assert modes(scene) == before
    assert scene.GetNodesByClass("vtkMRMLMarkupsFiducialNode").GetNumberOfItems() == 0
    assert scene.GetNumberOfNodes() == nodes


def test_stopping_leaves_the_place_mode_as_it_was(scene: Any, picked: Picked) -> None:
    line = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "mine")
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsLineNode")
    selection.SetActivePlaceNodeID(line.GetID())
    before = modes(scene)
    picked.picker.start()
    picked.picker.stop()
    picked.picker.stop()
    picked.run_postponed()
    assert modes(scene) == before
    assert (picked.points, picked.ends) == ([], 1)


def test_leaving_place_mode_ends_picking_without_a_point(scene: Any, picked: Picked) -> None:
    picked.picker.start()
    scene.GetFirstNodeByClass("vtkMRMLInteractionNode").SwitchToViewTransformMode()
    picked.run_postponed()
    assert (picked.points, picked.ends, picked.picker.is_active) == ([], 1, False)


def test_closing_the_scene_ends_picking(scene: Any, picked: Picked) -> None:
    picked.picker.start()
    scene.Clear(False)
    picked.run_postponed()
    assert (picked.points, picked.ends, picked.picker.is_active) == ([], 1, False)
    picked.picker.start()
    click(scene, (0, 0, 5))
    picked.run_postponed()
    assert len(picked.points) == 1


def test_a_pick_begun_anew_forgets_the_first(scene: Any, picked: Picked) -> None:
    picked.picker.start()
    click(scene, (1, 1, 1))
    picked.picker.start()
    picked.run_postponed()
    assert picked.points == []
    click(scene, (2, 2, 2))
    picked.run_postponed()
    assert picked.points == [pytest.approx((2, 2, 2))]


def test_the_points_node_is_hidden_and_not_saved(scene: Any, picked: Picked) -> None:
    picked.picker.start()
    node = scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode")
    assert node.GetHideFromEditors()
    assert not node.GetSaveWithScene()
