"""What a batch puts into the scene: a segmentation a scan, or a sequence of them, and tables that compare two models;
the last scan can be taken back. Without Qt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import slicer

from ..core.errors import InputError
from ..core.labels.label_tree import Label
from ..scene.batch_table import put_table
from ..scene.nodes import is_present, require
from ..scene.segment_display import show_outline
from ..scene.segmentation_sequence import browse_together, put_frame, remove_result
from ..scene.volumes import volume_of
from .live_segments import LiveSegments, take_back
from .result_comparison import Part, comparison_columns, pairs_of
from .runner import Answer
from .scan_batch import BatchItem

COMPARISON = "Comparison of"


@dataclass
class ScanStep:
    """What was made for a scan: segmentation nodes, the sequences of its frames by model, tables of comparison."""

    scan_id: str
    name: str
    segmentations: list[Any] = field(default_factory=list)
    sequences: dict[str, Any] = field(default_factory=dict)
    tables: list[Any] = field(default_factory=list)

    @property
    def is_there(self) -> bool:
        """Whether anything of it is still in the scene."""
        return any(map(is_present, (*self.segmentations, *self.sequences.values(), *self.tables)))

    def take_back(self) -> None:
        """Remove it from the scene."""
        for node in filter(is_present, self.segmentations):
            take_back(node)
        for node in filter(is_present, self.sequences.values()):
            remove_result(node)
        for node in filter(is_present, self.tables):
            slicer.mrmlScene.RemoveNode(node)


class BatchResults:
    """models: the names of the models, whose results of a scan are compared where there are two. One undo step a scan,
    whatever was made for it.
    """

    def __init__(self, models: Sequence[str]) -> None:
        self._models = list(models)
        self._steps: list[ScanStep] = []
        self._before: tuple[BatchItem, list[Part]] | None = None

    def write(self, item: BatchItem, answer: Answer, labels: Sequence[Label]) -> None:
        """Write the labels into a segmentation of its own, or a frame of that of a sequence; where the other model has
        answered for the same scan, compare them. Raises InputError.
        """
        if item.frame is not None:
            require(item.scan.node, "sequence")
        is_compared, model = len(self._models) > 1, item.package.name
        scan = answer.task.nodes[0]
        live = LiveSegments()
        live.write(answer, labels, None, f"{scan.GetName()} segmentation by {model}" if is_compared else "")
        node = live.node
        live.stop()
        if is_compared:
            show_outline(node, model != self._models[0])
        step = self._step_of(item)
        if item.frame is None:
            step.segmentations.append(node)
        else:
            result = put_frame(step.sequences.get(model), item.scan.node, item.frame, node)
            if is_compared:
                result.SetName(f"{item.name} segmentation by {model}")
            step.sequences[model] = result
        self._compare(item, answer, labels, step)

    def end(self) -> None:
        """Let the results of sequences be browsed together with them."""
        for step in self._steps:
            sequence = slicer.mrmlScene.GetNodeByID(step.scan_id)
            for result in step.sequences.values():
                if is_present(sequence) and is_present(result):
                    browse_together(result, sequence)

    @property
    def can_undo(self) -> bool:
        """Whether the results of a scan can be taken back."""
        return any(step.is_there for step in self._steps)

    def undo(self) -> ScanStep:
        """Take the results of the last scan back, and return what they were. Raises InputError where there are none."""
        while self._steps:
            step = self._steps.pop()
            if step.is_there:
                step.take_back()
                return step
        raise InputError("There is nothing to undo: the segmentations of these scans are no longer in the scene.")

    def _step_of(self, item: BatchItem) -> ScanStep:
        """The step of a scan, whose items follow each other."""
        if not self._steps or self._steps[-1].scan_id != item.scan_id:
            self._steps.append(ScanStep(item.scan_id, item.name))
        return self._steps[-1]

    def _compare(self, item: BatchItem, answer: Answer, labels: Sequence[Label], step: ScanStep) -> None:
        """Put two results of the same scan side by side, once both are there."""
        parts = [(winners, label) for winners, there in answer.parts(labels) for label in there]
        before, self._before = self._before, (item, parts)
        if before is None or (before[0].scan, before[0].frame) != (item.scan, item.frame):
            return
        voxel = volume_of(answer.task.nodes[:1]).voxel_millilitres
        columns = comparison_columns((before[0].package.name, item.package.name), pairs_of(before[1], parts), voxel)
        step.tables.append(put_table(slicer.mrmlScene, None, f"{COMPARISON} {item.title}", columns))
