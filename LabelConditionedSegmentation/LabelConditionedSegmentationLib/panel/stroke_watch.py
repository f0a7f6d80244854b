"""Notices when strokes change, and says so once the user has paused: many changes in a row are one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.util import VTKObservationMixin

SETTLED_MS = 150
"""A change is told so long after the last one."""


class StrokeWatch(VTKObservationMixin):
    """on_change: called when the strokes, or what else was told by `changed`, have settled.

    version: counts changes, so that what was made from an earlier one can be told apart. is_unsettled: the last one
    was not told yet.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self.version = 0
        self.is_unsettled = False
        self._on_change = on_change
        self._node: Any = None
        self._timer = qt.QTimer()
        self._timer.setInterval(SETTLED_MS)
        self._timer.connect("timeout()", self._settled)

    def watch(self, segmentation: Any) -> None:
        """Watch the segments of this node, None for none, and of no other."""
        if segmentation is self._node:
            return
        self.removeObservers()
        self._node = segmentation
        self.version += 1
        self._stop()
        if segmentation is not None:
            kinds = slicer.vtkSegmentation
            for event in (
                kinds.SourceRepresentationModified,
                kinds.SegmentModified,
                kinds.SegmentAdded,
                kinds.SegmentRemoved,
            ):
                self.addObserver(segmentation.GetSegmentation(), event, self.changed)

    def changed(self, *_: Any) -> None:
        """Something that the strokes become depends on is another one now."""
        self.version += 1
        self.again()

    def again(self) -> None:
        """Tell the last change once more: it could not be dealt with yet."""
        self.is_unsettled = True
        self._timer.start()

    def close(self) -> None:
        """Hear no more."""
        self._stop()
        self.removeObservers()
        self._node = None

    def _stop(self) -> None:
        self.is_unsettled = False
        self._timer.stop()

    def _settled(self) -> None:
        self._stop()
        self._on_change()
