"""Notices when the volumes that are chosen in the panel change: their voxels, their place, or their name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin


class VolumeWatch(VTKObservationMixin):
    """on_change: called after every change of a volume that is watched."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._on_change = on_change

    def watch(self, nodes: Sequence[Any]) -> None:
        """Watch these volume nodes, where they are there, and no others."""
        self.removeObservers()
        events = (
            vtk.vtkCommand.ModifiedEvent,
            slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        )
        for node in {node for node in nodes if node is not None}:
            for event in events:
                self.addObserver(node, event, self._changed)

    def _changed(self, _caller: Any, _event: Any) -> None:
        self._on_change()
