"""The preview of what strokes become: a segmentation that is not saved, and how certain it is, laid over the slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
import vtk

from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label
from ..core.scan.volume import Array
from .nodes import is_present, remove, require
from .segmentations import batch, new_segmentation, put_labels, remove_labels, segment_ids

OWNER = "Strokes"
"""In place of the model that segments of the preview were made by."""

OPACITY = 0.4


class StrokePreview:
    """node: the segmentation; None while there is none."""

    def __init__(self) -> None:
        self.node: Any = None
        self._shown: tuple[Label, ...] = ()

    def show(self, volume_node: Any, winners: Winners, labels: Sequence[Label]) -> None:
        """Show these labels, and no others. Raises InputError."""
        if not is_present(self.node):
            self.node = _unsaved(new_segmentation(volume_node, f"{volume_node.GetName()} strokes preview"))
            self.node.SetHideFromEditors(True)  # it is nothing to be chosen
            self.node.GetDisplayNode().SetOpacity2DFill(OPACITY)
            self._shown = ()
        ids = {label.id for label in labels}
        with batch(self.node) as segments:
            remove_labels(self.node, [label for label in self._shown if label.id not in ids], OWNER)
            put_labels(self.node, volume_node, winners, labels, OWNER)
            there = segment_ids(self.node, OWNER)
            for label in labels:
                segment = segments.GetSegment(there[label.id])
                segment.SetName(label.name)
                segment.SetColor(label.color)
        self._shown = tuple(labels)

    def clear(self) -> None:
        """Show nothing."""
        if is_present(self.node):
            remove(self.node)
        self.node, self._shown = None, ()


class CertaintyOverlay:
    """A volume of the box that the walks were in, in front of the scan in all slice views."""

    def __init__(self) -> None:
        self._node: Any = None
        self._before: dict[str, tuple[str | None, float]] = {}

    def show(self, volume_node: Any, percent: Array, start: Sequence[int]) -> None:
        """Show numbers from 0 to 100, (k, j, i), whose first voxel lies at `start` (k, j, i) of the volume.

        Raises InputError.
        """
        require(volume_node, "scan that strokes are painted on")
        if not is_present(self._node):
            self._node = _new_overlay(volume_node)
        matrix = vtk.vtkMatrix4x4()
        volume_node.GetIJKToRASMatrix(matrix)
        origin = matrix.MultiplyPoint([*map(float, reversed(start)), 1.0])
        for row in range(3):
            matrix.SetElement(row, 3, origin[row])
        self._node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        self._node.SetIJKToRASMatrix(matrix)
        slicer.util.updateVolumeFromArray(self._node, percent)
        self._put_in_front()

    def clear(self) -> None:
        """Remove it; the views show what they showed before."""
        node, self._node = self._node, None
        if not is_present(node):
            self._before.clear()
            return
        for composite in _composites(node.GetScene()):
            if composite.GetForegroundVolumeID() == node.GetID():
                volume, opacity = self._before.get(composite.GetID(), (None, 0.0))
                composite.SetForegroundVolumeID(volume)
                composite.SetForegroundOpacity(opacity)
        self._before.clear()
        remove(node)

    def _put_in_front(self) -> None:
        for composite in _composites(self._node.GetScene()):
            if composite.GetForegroundVolumeID() != self._node.GetID():
                self._before[composite.GetID()] = composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()
                composite.SetForegroundVolumeID(self._node.GetID())
                composite.SetForegroundOpacity(OPACITY)


def _composites(scene: Any) -> list[Any]:
    """What each slice view shows."""
    name = "vtkMRMLSliceCompositeNode"
    return [scene.GetNthNodeByClass(n, name) for n in range(scene.GetNumberOfNodesByClass(name))]


def _new_overlay(volume_node: Any) -> Any:
    node = volume_node.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{volume_node.GetName()} certainty")
    node.SetHideFromEditors(True)  # it is no scan to be chosen
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 100)
    return _unsaved(node)


def _unsaved(node: Any) -> Any:
    """A node that a saved scene does not have, with its display."""
    node.SetSaveWithScene(False)
    node.GetDisplayNode().SetSaveWithScene(False)
    return node
