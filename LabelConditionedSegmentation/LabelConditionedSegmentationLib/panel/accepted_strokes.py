"""Accepting what strokes became: written into a segmentation as one undo step. Without Qt."""

from __future__ import annotations

from typing import Any

from ..core.errors import InputError
from ..core.labels.label_tree import Label
from ..scene.nodes import is_present, remove
from ..scene.segmentations import check_target, new_segmentation, put_labels, segment_ids
from ..scene.undo import Undo
from .runner import Answer
from .stroke_result import StrokeResult


class AcceptedStrokes:
    """The last result that was accepted.

    node: the segmentation that it lies in; None where there is none. result: what was written.
    """

    def __init__(self) -> None:
        self.node: Any = None
        self.result: StrokeResult | None = None
        self._is_new = False
        self._undo = Undo()

    @property
    def can_undo(self) -> bool:
        """Whether the last Accept can be taken back."""
        return is_present(self.node) and (self._is_new or self._undo.is_available())

    def write(self, result: StrokeResult, output: Any) -> list[Label]:
        """Write the labels into `output`, or into a new segmentation where it is None; one undo step. Returns those
        without a voxel.

        Raises InputError, and then the scene is as it was.
        """
        if output is not None:
            check_target(output, result.volume)
            self._undo.save(output)
        node = output if output is not None else new_segmentation(result.volume, f"{result.volume.GetName()} strokes")
        try:
            empty = put_labels(node, result.volume, result.winners, result.labels_for(output), result.maker)
        except InputError:
            if output is None:
                remove(node)
            raise
        self.node, self.result, self._is_new = node, result, output is None
        return empty

    def undo(self) -> Answer | None:
        """Take the last Accept back; a segmentation that it made goes away. Returns the answer that it mended.

        Raises InputError where there is nothing to undo.
        """
        if not self.can_undo or self.result is None:
            raise InputError("There is nothing to undo: the segmentation of the last Accept is no longer in the scene.")
        before = self.result.mended
        if self._is_new:
            remove(self.node)
        else:
            self._undo.undo()
        self.forget()
        return before

    def segment_of(self, name: str) -> tuple[str, str]:
        """The id and the name of the segment of a structure that was accepted; of the first one where none is called
        so. Raises InputError where it is gone.
        """
        if not is_present(self.node) or self.result is None:
            raise InputError("The segmentation of the last Accept is no longer in the scene; accept a result first.")
        ids = segment_ids(self.node, self.result.maker)
        there = [label for label in self.result.labels if label.id in ids]
        if not there:
            raise InputError("The structures of the last Accept are no longer in their segmentation; accept one first.")
        label = next((label for label in there if label.name == name), there[0])
        return ids[label.id], label.name

    def forget(self) -> None:
        """Forget the undo step."""
        self._undo.clear()
        self.node, self.result, self._is_new = None, None, False
