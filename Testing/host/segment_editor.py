"""Stand-in of the Segment Editor as a widget: what is chosen in it, undo, and a user who paints with its brush."""

from __future__ import annotations

from typing import Any

import slicer
import slicer.util
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Slot

from Testing.host.selectors import qMRMLWidget
from Testing.host.widgets import plain_property


class qMRMLSegmentEditorWidget(qMRMLWidget):  # noqa: N801
    """As Modules/Loadable/Segmentations/Widgets/qMRMLSegmentEditorWidget.cxx has it: all that is chosen is kept in its
    vtkMRMLSegmentEditorNode; a segmentation brings its first segment; brushes work while views are observed.
    """

    segmentationNodeSelectorVisible = plain_property(bool, "segmentationNodeSelectorVisible", True)  # noqa: N815
    sourceVolumeNodeSelectorVisible = plain_property(bool, "sourceVolumeNodeSelectorVisible", True)  # noqa: N815
    switchToSegmentationsButtonVisible = plain_property(bool, "switchToSegmentationsButtonVisible", True)  # noqa: N815
    unorderedEffectsVisible = plain_property(bool, "unorderedEffectsVisible", True)  # noqa: N815

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._effects: tuple[str, ...] = ()
        self._effect = ""
        self._observes_views = False
        self._states = 10
        self._history = slicer.vtkSegmentationHistory()
        layout = QtWidgets.QVBoxLayout(self)
        self._table = QtWidgets.QListWidget(self)
        self._table.setMinimumSize(440, 120)  # wide, as the real one may be
        layout.addWidget(self._table)

    def setMRMLSegmentEditorNode(self, node: Any) -> None:  # noqa: N802
        self._node = node
        self._history.SetSegmentation(None)

    def mrmlSegmentEditorNode(self) -> Any:  # noqa: N802
        return self._node

    def segmentationNode(self) -> Any:  # noqa: N802
        return self._node.GetSegmentationNode() if self._node is not None else None

    @Slot(object)
    def setSegmentationNode(self, node: Any) -> None:  # noqa: N802
        if self._node is None:
            return
        self._node.SetAndObserveSegmentationNode(node)
        segments = node.GetSegmentation() if node is not None else None
        self._history.SetSegmentation(segments)
        self._history.SetMaximumNumberOfStates(self._states)
        ids = segments.GetSegmentIDs() if segments is not None else ()
        self._node.SetSelectedSegmentID(ids[0] if ids else None)

    def sourceVolumeNode(self) -> Any:  # noqa: N802
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    @Slot(object)
    def setSourceVolumeNode(self, node: Any) -> None:  # noqa: N802
        if self._node is not None:
            self._node.SetAndObserveSourceVolumeNode(node)

    def currentSegmentID(self) -> str:  # noqa: N802
        return str(self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    @Slot(str)
    def setCurrentSegmentID(self, segment_id: str) -> None:  # noqa: N802
        if self._node is not None:
            self._node.SetSelectedSegmentID(segment_id)

    def setEffectNameOrder(self, names: list[str]) -> None:  # noqa: N802
        self._effects = tuple(names)

    def effectNameOrder(self) -> list[str]:  # noqa: N802
        return list(self._effects)

    def setActiveEffect(self, effect: Any) -> None:  # noqa: N802
        assert effect is None, "only none is needed"
        self._effect = ""

    @Slot(str)
    def setActiveEffectByName(self, name: str) -> None:  # noqa: N802
        assert self.unorderedEffectsVisible or name in self._effects
        self._effect = name

    @Slot(int)
    def setMaximumNumberOfUndoStates(self, number: int) -> None:  # noqa: N802
        self._states = number

    maximumNumberOfUndoStates = Property(  # noqa: N815
        int, lambda self: self._states, setMaximumNumberOfUndoStates
    )

    def setupViewObservations(self) -> None:  # noqa: N802
        self._observes_views = True

    def removeViewObservations(self) -> None:  # noqa: N802
        self._observes_views = False

    @Slot()
    def undo(self) -> None:
        self._history.RestorePreviousState()

    def stroke(self, mask: Any, erase: bool = False) -> None:
        """The user draws the brush over voxels (k, j, i) of the source volume; other segments lose them, as the brush
        has it unless the user changes that.
        """
        assert self._observes_views, "no brush is at hand: the views are not observed"
        self.setActiveEffectByName("Erase" if erase else "Paint")
        self._history.SaveState()
        node, volume, current = self.segmentationNode(), self.sourceVolumeNode(), self.currentSegmentID()
        assert current, "no segment is chosen"
        for segment_id in node.GetSegmentation().GetSegmentIDs():
            before = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume) != 0
            after = before | mask if segment_id == current and not erase else before & ~mask
            if (after != before).any() and (segment_id == current or not erase):
                slicer.util.updateSegmentBinaryLabelmapFromArray(after.astype("uint8"), node, segment_id, volume)
