"""Several scans: one press runs the model, or two of them, over each, writes a segmentation for each and a table over
all. What was done is kept, whatever happens to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer

from ..core.errors import InputError, LCSError
from ..core.labels.label_tree import Label
from ..core.package.model_package import ModelPackage
from ..scene.batch_table import put_table
from ..scene.nodes import is_present, require
from ..scene.scans_in_scene import show_frame
from ..scene.segment_display import show_outline
from ..scene.segmentation_sequence import browse_together, put_frame
from ..scene.volumes import check_nodes, volume_of
from .live_segments import LiveSegments
from .result_comparison import comparison_columns, shared_labels
from .runner import Answer, Outcome, Task
from .scan_batch import Batch, BatchItem, batch_items
from .situation import Situation
from .tool import Frame
from .volume_rows import millilitres

if TYPE_CHECKING:
    from .scans_view import ScansView
    from .structures_view import StructuresView

TABLE = "Volumes of several scans"
COMPARISON = "Comparison of"


@dataclass(frozen=True)
class BatchSituation(Situation):
    """scans: number chosen. wanted: number of structures. channels: that the model takes."""

    scans: int = 0
    wanted: int = 0
    channels: int = 1

    @property
    def obstacle_to_batch(self) -> str:
        """Why the scans cannot be segmented, as one sentence with what to do; "" where they can."""
        others = next(filter(None, (self.missing, self.lack)), "")
        if others:
            return others
        if self.running:
            return "A run is going on; cancel it first."
        if not self.model:
            return "Choose a model, or add one."
        if self.channels > 1:
            return f"{self.model} takes {self.channels} volumes of each scan; segment such scans one by one."
        if not self.scans:
            return "Tick the scans that are to be segmented."
        return "" if self.wanted else "Choose at least one structure."

    @property
    def batch_tip(self) -> str:
        """What the button does, or why it cannot be pressed."""
        return self.obstacle_to_batch or (
            f"Run {self.model} over the ticked scans, one after the other. Each gets a segmentation of its own; the"
            " volumes of all go into one table."
        )


class BatchTool:
    """See `Tool`. task_of: what a run of volumes by a model on a device is made from. later: calls a function when the
    event that is being dealt with is over.
    """

    def __init__(
        self,
        frame: Frame,
        view: ScansView,
        structures: StructuresView,
        task_of: Callable[[tuple[Any, ...], ModelPackage, str], Task],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._frame = frame
        self._view = view
        self._structures = structures
        self._task_of = task_of
        self._later = later
        self._batch: Batch | None = None
        self._wanted: list[Label] = []
        self._packages: tuple[ModelPackage, ...] = ()
        self._said: list[str] = []
        self._table: Any = None
        self._results: dict[tuple[str, str], Any] = {}
        self._before: tuple[BatchItem, Answer, list[Label]] | None = None
        frame.ui.batchButton.connect("clicked(bool)", self._begin)

    @property
    def is_going_on(self) -> bool:
        """Whether a batch has not come to its end, and was said to."""
        return self._batch is not None or bool(self._said)

    def refresh(self, now: Situation) -> None:
        package = self._frame.package
        self._view.show(package)
        here = BatchSituation(
            **vars(now),
            scans=len(self._view.chosen),
            wanted=len(self._structures.wanted),
            channels=len(package.input.channels) if package else 1,
        )
        self._frame.ui.batchButton.enabled = not (here.obstacle_to_batch or self._batch)
        self._frame.ui.batchButton.toolTip = self._frame.translated(here.batch_tip)
        self._view.enable(not (now.running or self._batch))

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        self._batch = self._table = self._before = None
        self._results.clear()
        self._said = []

    def _begin(self, _checked: bool) -> None:
        package = self._frame.package
        if package is None or not self._frame.may_run():
            return
        other = self._view.other_model
        if other is not None and not self._view.may_run(other):
            return
        packages = (package,) if other is None else (package, other)
        try:
            items = batch_items(self._view.chosen, self._view.frames, packages)
        except InputError as error:
            self._frame.say(str(error))
            return
        self.stop()
        self._structures.remember()
        self._wanted, self._packages = self._structures.wanted, packages
        self._batch = Batch(items)
        self._next()

    def _next(self) -> None:
        """Start the next run; the end, where there is none."""
        batch = self._batch
        if batch is None:
            return
        item = batch.take()
        if item is None:
            self._end(is_cancelled=False)
            return
        problems: list[str] = []

        def send() -> int:
            try:
                return self._frame.runner.start(self._task(item))
            except LCSError as error:
                problems.append(str(error))
                raise

        self._frame.start(
            send, lambda _outcome: self._done(batch), ended=lambda how: self._not_done(batch, how), part=batch.place
        )
        if problems:
            self._failed(batch, problems[0])

    def _task(self, item: BatchItem) -> Task:
        """What the run of an item is made from. Raises InputError where it cannot be run."""
        volume = item.scan.node if item.frame is None else show_frame(item.scan.node, item.frame)
        errors = [str(f) for f in check_nodes((volume,), item.package) if f.level == "error"]
        if errors:
            raise InputError(errors[0])
        return self._task_of((volume,), item.package, self._frame.device)

    def _done(self, batch: Batch) -> None:
        answer, item = self._frame.runner.answer, batch.current
        if batch is not self._batch or answer is None or item is None:
            return
        try:
            labels = self._labels_of(item.package)
            self._write(item, answer, labels)
        except LCSError as error:
            self._failed(batch, str(error))
            return
        voxel = volume_of(answer.task.nodes[:1]).voxel_millilitres
        volumes = millilitres(answer.parts(labels), voxel)
        batch.note({label.name: volume for label, volume in volumes})
        self._compare(item, answer, labels, voxel)
        self._go_on(batch)

    def _labels_of(self, package: ModelPackage) -> list[Label]:
        """What is wanted, as a model has it. Raises InputError where it has none of it."""
        labels = (
            [label for label in self._wanted if label.id in package.labels]
            if package is self._packages[0]
            else [package.labels.find(label.name) for label in self._wanted if package.labels.knows(label.name)]
        )
        if not labels:
            raise InputError(f'The model "{package.name}" has none of the chosen structures.')
        return labels

    def _write(self, item: BatchItem, answer: Answer, labels: Sequence[Label]) -> None:
        """Write a segmentation of its own, or a frame of that of a sequence."""
        if item.frame is not None:
            require(item.scan.node, "sequence")
        live = LiveSegments()
        live.write(answer, labels, None)
        node = live.node
        live.stop()
        is_compared = len(self._packages) > 1
        if is_compared:
            node.SetName(f"{node.GetName()} by {item.package.name}")
            show_outline(node, item.package is not self._packages[0])
        if item.frame is not None:
            key = item.scan.node.GetID(), item.package.name
            self._results[key] = put_frame(self._results.get(key), item.scan.node, item.frame, node)
            if is_compared:
                self._results[key].SetName(f"{item.name} segmentation by {item.package.name}")

    def _compare(self, item: BatchItem, answer: Answer, labels: list[Label], voxel: float) -> None:
        """Put two results of the same scan side by side, once both are there."""
        before, self._before = self._before, (item, answer, labels)
        if before is None or (before[0].scan, before[0].frame) != (item.scan, item.frame):
            return
        pairs = [
            (one, other)
            for one, other in shared_labels(before[1].parts(before[2]), answer.winners, item.package.labels)
            if other[1] in labels
        ]
        models = before[0].package.name, item.package.name
        columns = comparison_columns(models, pairs, voxel)
        put_table(slicer.mrmlScene, None, f"{COMPARISON} {item.title}", columns)

    def _not_done(self, batch: Batch, outcome: Outcome) -> None:
        if batch is not self._batch:
            return
        if outcome.cancelled:
            self._end(is_cancelled=True)
        else:
            self._failed(batch, outcome.text)

    def _failed(self, batch: Batch, problem: str) -> None:
        batch.note(None, problem)
        self._go_on(batch)

    def _go_on(self, batch: Batch) -> None:
        """Keep what there is in the table, and go on when what ended has been shown."""
        self._put_table(batch)
        self._later(self._next)

    def _put_table(self, batch: Batch) -> None:
        if batch.results:
            self._table = put_table(slicer.mrmlScene, self._table, TABLE, batch.columns())

    def _end(self, is_cancelled: bool) -> None:
        batch, self._batch, self._before = self._batch, None, None
        if batch is None:
            return
        for (sequence_id, _), result in self._results.items():
            sequence = slicer.mrmlScene.GetNodeByID(sequence_id)
            if is_present(sequence) and is_present(result):
                browse_together(result, sequence)
        said = batch.sentences(is_cancelled)
        if is_present(self._table):
            said.append(f'The volumes are in the table "{self._table.GetName()}".')
        self._said = said
        self._later(self._say)  # after the sentence of the request that ended last

    def _say(self) -> None:
        if self._said:
            said, self._said = self._said, []
            self._frame.say(*said)
