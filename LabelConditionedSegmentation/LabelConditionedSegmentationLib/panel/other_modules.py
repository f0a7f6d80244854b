"""The ways from a result to other modules of the application: the result is chosen there already."""

from __future__ import annotations

from typing import Any

import slicer
import slicer.util


def edit_segments(segmentation: Any, volume: Any) -> None:
    """Open the Segment Editor with a segmentation and the volume below it."""
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)


def measure_segments(segmentation: Any, volume: Any) -> None:
    """Open Segment Statistics with a segmentation and the volume whose values are measured."""
    slicer.util.selectModule("SegmentStatistics")
    widget = slicer.modules.segmentstatistics.widgetRepresentation().self()
    widget.segmentationSelector.setCurrentNode(segmentation)
    widget.scalarSelector.setCurrentNode(volume)
