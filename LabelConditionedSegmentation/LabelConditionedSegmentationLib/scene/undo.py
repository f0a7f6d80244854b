"""Undo for segmentations: what they were before the last changes comes back, removed and added segments included."""

from __future__ import annotations

from typing import Any

import slicer

from ..core.errors import InputError
from .nodes import is_present, require
from .segmentations import batch


class Undo:
    """The last states of one segmentation node at a time, kept by the class that the Segment Editor uses."""

    def __init__(self) -> None:
        self._node: Any = None
        self._history: Any = slicer.vtkSegmentationHistory()

    def save(self, segmentation: Any) -> None:
        """Remember the segmentation as it is; call it before a change.

        States of another segmentation are forgotten. Raises InputError where it was deleted.
        """
        require(segmentation, "segmentation")
        self._node = segmentation
        self._history.SetSegmentation(segmentation.GetSegmentation())
        self._history.SaveState()

    def is_available(self) -> bool:
        """Whether there is something to undo."""
        return is_present(self._node) and bool(self._history.IsRestorePreviousStateAvailable())

    def undo(self) -> None:
        """Bring back the segmentation as it was saved last. Raises InputError where there is nothing to undo."""
        if not self.is_available():
            raise InputError("There is nothing to undo.")
        with batch(self._node):  # states hold no closed surfaces, those that are shown are made again
            self._history.RestorePreviousState()

    def clear(self) -> None:
        """Forget everything, as when the scene closes."""
        self._history.SetSegmentation(None)
        self._node = None
