"""Picking one point in any view: the place mode that users know from Markups, on a hidden node that is
gone afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import slicer

from .nodes import is_present, remove

POINT = "vtkMRMLMarkupsFiducialNode"
Point = tuple[float, float, float]


class PointPicker:
    """Lets the user click one point.

    `picked` is called once, with its world RAS position in millimetres; `ended` when picking is over, with a point or
    without.

    `later` calls a function when the event that is being dealt with is over (in the application: a timer of 0 ms). The
    views still hold the point while they report it, so its node must not be removed within their event.
    """

    def __init__(
        self, picked: Callable[[Point], None], ended: Callable[[], None], later: Callable[[Callable[[], None]], None]
    ) -> None:
        self._picked = picked
        self._ended = ended
        self._later = later
        self._node: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._before: tuple[str | None, str | None] = (None, None)

    @property
    def is_active(self) -> bool:
        """Whether the next click picks a point."""
        return self._node is not None

    def start(self) -> None:
        """Wait for one click; a pick that goes on already is begun anew."""
        self.stop()
        scene = slicer.mrmlScene
        selection, interaction = _selection(scene), _interaction(scene)
        # before the node is there: Markups makes every new node the active one
        self._before = (selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID())
        self._node = _hidden_point(scene)
        selection.SetReferenceActivePlaceNodeClassName(POINT)
        selection.SetActivePlaceNodeID(self._node.GetID())
        interaction.SwitchToSinglePlaceMode()
        self._observe(self._node, slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._on_point)
        self._observe(interaction, interaction.InteractionModeChangedEvent, self._on_mode)
        self._observe(scene, scene.StartCloseEvent, lambda *_: self.stop())

    def stop(self) -> None:
        """End picking without a point and leave the scene as it was; may be called at any time."""
        if not self.is_active:
            return
        for observed, tag in self._observed:
            observed.RemoveObserver(tag)
        self._observed.clear()
        node, self._node = self._node, None
        scene = slicer.mrmlScene
        selection, interaction = _selection(scene), _interaction(scene)
        if selection.GetActivePlaceNodeID() == node.GetID():
            if interaction.GetCurrentInteractionMode() == interaction.Place:
                interaction.SwitchToViewTransformMode()
            class_name, node_id = self._before
            selection.SetReferenceActivePlaceNodeClassName(class_name)
            selection.SetActivePlaceNodeID(node_id)
        if is_present(node):
            remove(node)
        self._ended()

    def _observe(self, observed: Any, event: int, call: Callable[..., None]) -> None:
        self._observed.append((observed, observed.AddObserver(event, call)))

    def _on_point(self, *_: Any) -> None:
        position = [0.0, 0.0, 0.0]
        self._node.GetNthControlPointPositionWorld(0, position)
        self._later(partial(self._finish, self._node, (position[0], position[1], position[2])))

    def _on_mode(self, interaction: Any, *_: Any) -> None:
        """Escape, a right click and other tools end place mode; a picked point does so as well, and is
        reported before.
        """
        if interaction.GetCurrentInteractionMode() != interaction.Place:
            self._later(partial(self._finish, self._node, None))

    def _finish(self, node: Any, point: Point | None) -> None:
        if node is not self._node:
            return  # ended before, perhaps begun anew
        self.stop()
        if point is not None:
            self._picked(point)


def _selection(scene: Any) -> Any:
    return scene.GetSingletonNode("Singleton", "vtkMRMLSelectionNode")


def _interaction(scene: Any) -> Any:
    return scene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")


def _hidden_point(scene: Any) -> Any:
    node = slicer.vtkMRMLMarkupsFiducialNode()
    node.SetName("Picked point")
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetPointLabelsVisibility(False)
    return node
