"""Where the mouse is in the slice views, and where these views are to look."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

Point = tuple[float, float, float]


class SlicePointer:
    """Tells where the mouse is in a slice view, by the crosshair node of the scene, which the views keep up to date.

    moved: called with the world RAS position in millimetres, or None where it is in no slice view.
    """

    def __init__(self, moved: Callable[[Point | None], None]) -> None:
        self._moved = moved
        self._watched: tuple[Any, int] | None = None

    def start(self) -> None:
        """Tell of every move from now on; may be called again."""
        node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if node is None or (self._watched is not None and self._watched[0] is node):
            return
        self.stop()
        self._watched = node, node.AddObserver(node.CursorPositionModifiedEvent, self._changed)

    def stop(self) -> None:
        """Tell of none any more."""
        if self._watched is not None:
            node, tag = self._watched
            node.RemoveObserver(tag)
        self._watched = None

    def _changed(self, node: Any, _event: str) -> None:
        position = [0.0, 0.0, 0.0]
        is_in_view = node.GetCursorPositionRAS(position)
        self._moved((position[0], position[1], position[2]) if is_in_view else None)


def centre_slices(position: Point) -> None:
    """Let every slice view show the slice through a point (world RAS, millimetres), with the point in its middle."""
    node_class = slicer.vtkMRMLSliceNode
    node_class.JumpAllSlices(slicer.mrmlScene, *position, node_class.CenteredJumpSlice)
