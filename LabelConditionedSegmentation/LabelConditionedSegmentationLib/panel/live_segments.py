"""The segments in the scene, kept in step with the ticks after a run. Without Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.errors import InputError
from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label
from ..scene.nodes import is_present, remove
from ..scene.run_report import attach_report, put_report_text, report_of
from ..scene.segment_display import show_outline
from ..scene.segmentations import (
    MADE_BY,
    batch,
    check_target,
    maker_of,
    new_segmentation,
    put_labels,
    remove_labels,
    segmentations_of,
)
from ..scene.undo import Undo
from ..scene.volumes_table import remove_volumes
from .runner import Answer


class LiveSegments:
    """Writes labels into a segmentation and, from then on, follows what is ticked: without the network, since the
    answer holds every label.
    """

    def __init__(self) -> None:
        self.node: Any = None
        """The segmentation that follows the ticks; None while none does."""
        self._shown: tuple[Label, ...] = ()
        self._examples: Winners | None = None
        self._package = ""
        self._is_new = False
        self._report_before: str | None = None
        self._undo = Undo()

    @property
    def can_undo(self) -> bool:
        """Whether the last Apply can be taken back."""
        return is_present(self.node) and (self._is_new or self._undo.is_available())

    def write(self, answer: Answer, labels: Sequence[Label], output: Any, name: str = "") -> list[Label]:
        """Apply: write the labels, with the run's report, into `output`, or into a new segmentation where it is None;
        one undo step. name: of a new one, "" for the usual one.

        Returns the labels without a voxel. Raises InputError, and then the scene is as it was.
        """
        volume, package = answer.task.nodes[0], answer.task.package.name
        if output is not None:
            check_target(output, volume)
            self._undo.save(output)
        node = output if output is not None else _new(volume, package, name)
        try:
            empty = _put(node, answer, labels)
        except InputError:
            if output is None:
                remove(node)
            raise
        self._report_before = report_of(node)
        attach_report(node, answer.report)
        self.node, self._shown, self._package, self._is_new = node, (), package, output is None
        self._note(answer, labels)
        return empty

    def follow(self, answer: Answer, labels: Sequence[Label]) -> list[Label]:
        """Show exactly these labels of ours, as far as the answer knows them; nothing happens before the first Apply.

        Returns the labels, among the new ones, without a voxel. Raises InputError.
        """
        if self.node is None or answer.task.package.name != self._package:
            return []
        gone = [label for label in self._shown if label not in labels]
        new = [
            label
            for label in labels
            if label not in self._shown
            or (label.id not in answer.task.package.labels and answer.examples is not self._examples)
        ]
        if gone:
            remove_labels(self.node, gone, self._package)
        empty = _put(self.node, answer, new) if new else []
        self._note(answer, labels)
        return empty

    def _note(self, answer: Answer, labels: Sequence[Label]) -> None:
        """Remember what is shown; labels by example compete with each other, so that all of them change with their
        number.
        """
        known = {label.id for _, there in answer.parts(labels) for label in there}
        self._shown = tuple(label for label in labels if label.id in known or label in self._shown)
        self._examples = answer.examples

    def hand_over(self, label: Label, other: Label) -> None:
        """Take the segment of a label, where it is shown, for that of the label that came in its place."""
        self._shown = tuple(other if shown == label else shown for shown in self._shown)

    def undo(self) -> None:
        """Take the last Apply back, with all that followed it and its table; a segmentation that it made goes away.

        The ticks are not followed until the next Apply.
        """
        if not self.can_undo:
            raise InputError("There is nothing to undo: the segmentation of the last run is no longer in the scene.")
        if self._is_new:
            take_back(self.node)
        else:
            remove_volumes(self.node)
            put_report_text(self.node, self._report_before)
            self._undo.undo()
        self.stop()

    def stop(self) -> None:
        """Follow no longer, and forget the undo step."""
        self._undo.clear()
        self.node, self._shown, self._is_new, self._examples = None, (), False, None


def take_back(node: Any) -> None:
    """Remove a segmentation that was made for a result, with what lies beside it."""
    remove_volumes(node)
    put_report_text(node, None)
    remove(node)


def _new(volume: Any, model: str, name: str) -> Any:
    """A segmentation of its own for a model. Beside that of another model it has the model's name, and is shown as
    outlines, so that both are seen.
    """
    others = [node for node in segmentations_of(volume) if maker_of(node) not in ("", model)]
    usual = f"{volume.GetName()} segmentation"
    node = new_segmentation(volume, name or (f"{usual} by {model}" if others else usual))
    node.SetAttribute(MADE_BY, model)
    if others:
        show_outline(node, True)
    return node


def _put(node: Any, answer: Answer, labels: Sequence[Label]) -> list[Label]:
    """Write labels into a segmentation, those of the model and those by example in one go; the ones without a voxel."""
    with batch(node):
        return [
            label
            for winners, there in answer.parts(labels)
            for label in put_labels(node, answer.task.nodes[0], winners, there, answer.task.package.name)
        ]
