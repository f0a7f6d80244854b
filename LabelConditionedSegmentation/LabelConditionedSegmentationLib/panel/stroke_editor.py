"""The brush and the eraser of strokes: the application's own Segment Editor, with no other effect."""

from __future__ import annotations

from typing import Any

import slicer

from ..scene.nodes import is_present

EFFECTS = ("Paint", "Erase")

TAG = "LabelConditionedSegmentation.Strokes"
"""Of the node that keeps the settings of this editor, apart from those of the module Segment Editor."""

UNDO_STATES = 20


class StrokeEditor:
    """Over the qMRMLSegmentEditorWidget of the .ui file. It hears of the views while it is open only, so that no two
    editors paint at once.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self._is_open = False
        widget.setEffectNameOrder(list(EFFECTS))
        widget.unorderedEffectsVisible = False
        widget.segmentationNodeSelectorVisible = False
        widget.sourceVolumeNodeSelectorVisible = False
        widget.switchToSegmentationsButtonVisible = False
        widget.setMaximumNumberOfUndoStates(UNDO_STATES)
        widget.setMRMLScene(slicer.mrmlScene)

    def open(self, segmentation: Any, volume: Any) -> None:
        """Let the user paint in a segmentation on a volume; None for neither."""
        node = slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
        if segmentation is not None and node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(TAG)
            node.SetSaveWithScene(False)
            node = slicer.mrmlScene.AddNode(node)
        if node is None:
            return
        if self._widget.mrmlSegmentEditorNode() is not node:
            self._widget.setMRMLSegmentEditorNode(node)
        if self._widget.segmentationNode() is not segmentation:
            self._widget.setSegmentationNode(segmentation)
        if volume is not None and self._widget.sourceVolumeNode() is not volume:
            self._widget.setSourceVolumeNode(volume)
        if not self._is_open:
            self._is_open = True
            self._widget.setupViewObservations()

    def close(self) -> None:
        """Put the brush away."""
        if self._is_open:
            self._is_open = False
            self._widget.setActiveEffect(None)
            self._widget.removeViewObservations()

    def forget(self) -> None:
        """The scene closes, which takes the settings with it."""
        self.close()
        self._widget.setMRMLSegmentEditorNode(None)

    def choose(self, segment: str) -> None:
        """Paint in this segment from now on."""
        if is_present(self._widget.segmentationNode()):
            self._widget.setCurrentSegmentID(segment)

    @property
    def segment(self) -> str:
        """The id of the segment that is painted in; "" for none."""
        return str(self._widget.currentSegmentID() or "")
