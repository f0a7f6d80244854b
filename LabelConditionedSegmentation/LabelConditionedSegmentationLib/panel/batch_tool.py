"""Several scans: one press of Apply runs the model, or two of them, over each, writes a segmentation for each and a
table over all. What was done is kept, whatever happens to the others, and taken back scan by scan.
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
from ..scene.nodes import is_present
from ..scene.scans_in_scene import show_frame
from ..scene.volumes import check_nodes, volume_of
from .batch_results import BatchResults
from .runner import Answer, Outcome, Task
from .scan_batch import Batch, BatchItem, batch_items, scans_in_words
from .situation import Situation
from .tool import Frame
from .volume_rows import millilitres

if TYPE_CHECKING:
    from .my_labels_view import MyLabelsView
    from .scans_view import ScansView
    from .structures_view import StructuresView

TABLE = "Volumes of several scans"


@dataclass(frozen=True)
class BatchSituation(Situation):
    """scans: number chosen. wanted: number of structures. channels: that the model takes. is_going_on: a batch has not
    come to its end.
    """

    scans: int = 0
    wanted: int = 0
    channels: int = 1
    is_going_on: bool = False

    @property
    def obstacle_to_batch(self) -> str:
        """Why the scans cannot be segmented, as one sentence with what to do; "" where they can."""
        others = next(filter(None, (self.missing, self.lack)), "")
        if others:
            return others
        if self.running or self.is_going_on:
            return "A run is going on; cancel it first."
        if not self.model:
            return "Choose a model, or add one."
        if self.channels > 1:
            return f"{self.model} takes {self.channels} volumes of each scan; segment such scans one by one."
        return "" if self.wanted else "Choose at least one structure."

    @property
    def can_apply(self) -> bool:
        """Whether Apply may be pressed."""
        return not self.obstacle_to_batch

    @property
    def apply_text(self) -> str:
        """What stands on Apply."""
        return scans_in_words(self.scans)

    @property
    def apply_tip(self) -> str:
        """What Apply does, or why it cannot be pressed."""
        return self.obstacle_to_batch or (
            f"Run {self.model} over the ticked scans, one after the other. Each gets a segmentation of its own; the"
            " volumes of all go into one table."
        )

    @property
    def advice(self) -> str:
        """What is said below Apply while nothing runs and nothing else was said."""
        return self.apply_tip


class BatchTool:
    """See `Tool`; Apply is that of `SegmentTool`. mine: the labels by example that may be ticked too. task_of: what a
    run of volumes by a model on a device is made from. later: calls a function when the event that is being dealt with
    is over.
    """

    def __init__(
        self,
        frame: Frame,
        view: ScansView,
        structures: StructuresView,
        mine: MyLabelsView,
        task_of: Callable[[tuple[Any, ...], ModelPackage, str], Task],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._frame = frame
        self._view = view
        self._structures = structures
        self._mine = mine
        self._task_of = task_of
        self._later = later
        self._said: list[str] = []
        self._let_go()

    def _let_go(self) -> None:
        """There has been no batch."""
        self._batch: Batch | None = None
        self._last: Batch | None = None
        self._wanted: list[Label] = []
        self._packages: tuple[ModelPackage, ...] = ()
        self._results = BatchResults([])
        self._table: Any = None

    @property
    def is_going_on(self) -> bool:
        """Whether a batch has not come to its end, and was said to."""
        return self._batch is not None or bool(self._said)

    @property
    def is_chosen(self) -> bool:
        """Whether Apply is of several scans."""
        return bool(self._view.chosen)

    def refresh(self, now: Situation) -> None:
        self._view.show(self._frame.package)
        self._view.enable(not (now.running or self._batch))

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        self._said = []
        self._let_go()

    def situation(self, now: Situation) -> BatchSituation:
        """What has to be known before Apply may be pressed."""
        package = self._frame.package
        return BatchSituation(
            **vars(now),
            scans=len(self._view.chosen),
            wanted=len(self._structures.wanted),
            channels=len(package.input.channels) if package else 1,
            is_going_on=self._batch is not None,
        )

    def begin(self) -> None:
        """Run the chosen model, and the one to compare it with, over the ticked scans."""
        package = self._frame.package
        if package is None or not self.situation(self._frame.situation()).can_apply or not self._frame.may_run():
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
        self._results = BatchResults([each.name for each in packages])
        self._batch = self._last = Batch(items)
        self._next()

    # What was refused, and what can be taken back

    @property
    def has_refused(self) -> bool:
        """Whether answers of the last batch were found to be wrong, and not written."""
        return self._batch is None and self._last is not None and bool(self._last.refused)

    def force(self) -> None:
        """Run the refused items of the last batch again, and write what comes out."""
        if self._last is not None and self.has_refused and not self._frame.runner.running:
            self._last.take_up_refused()
            self._batch = self._last
            self._next()

    @property
    def can_undo(self) -> bool:
        """Whether results of the last batch can be taken back."""
        return self._batch is None and self._results.can_undo

    def undo(self) -> str:
        """Take the results of the last scan back; what is said of it. Raises InputError where there are none."""
        step = self._results.undo()
        if self._last is not None:
            self._last.forget(step.scan_id)
            self._put_table(self._last)
        return f'What Apply made of "{step.name}" was taken back.'

    def forget_undo(self) -> None:
        """Something else was done since: what there is stays."""
        if self._batch is None:
            self._let_go()

    # One run after the other

    def _next(self) -> None:
        """Start the next run; the end, where there is none."""
        batch = self._batch
        if batch is None:
            return
        item = batch.take()
        if item is None:
            self._end(is_cancelled=False)
        else:
            self._send(
                batch,
                lambda: self._frame.runner.start(self._task(item)),
                lambda: self._done(batch),
                lambda problem: self._failed(batch, problem),
            )

    def _send(
        self, batch: Batch, send: Callable[[], int], then: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        """Send a request of the current item; `failed` takes the sentence where it cannot be sent, or fails."""
        problems: list[str] = []

        def sent() -> int:
            try:
                return send()
            except LCSError as error:
                problems.append(str(error))
                raise

        def ended(outcome: Outcome) -> None:
            if batch is not self._batch:
                return
            if outcome.cancelled:
                self._end(is_cancelled=True)
            else:
                failed(outcome.text)

        self._frame.start(sent, lambda _outcome: then(), ended=ended, part=batch.place)
        if problems:
            failed(problems[0])

    def _task(self, item: BatchItem) -> Task:
        """What the run of an item is made from. Raises InputError where it cannot be run."""
        volume = item.scan.node if item.frame is None else show_frame(item.scan.node, item.frame)
        errors = [str(f) for f in check_nodes((volume,), item.package) if f.level == "error"]
        if errors:
            raise InputError(errors[0])
        return self._task_of((volume,), item.package, self._frame.device)

    def _done(self, batch: Batch) -> None:
        """The model has answered: write that, or find out who wins among labels by example first."""
        runner, item = self._frame.runner, batch.current
        answer = runner.answer
        if batch is not self._batch or answer is None or item is None:
            return
        if answer.refusal and not batch.is_forced:
            batch.refuse(" ".join([*answer.refusal, "Nothing was written."]))
            self._go_on(batch)
            return
        try:
            labels = self._labels_of(item.package)
        except LCSError as error:
            self._failed(batch, str(error))
            return
        branch = self._mine.labels.branch(item.package)
        if branch is None or not any(label.id in branch for label in labels):
            self._write(batch, answer, labels)
            return
        prompts = self._mine.labels.of(item.package)
        self._send(
            batch,
            lambda: runner.rank_examples(branch, prompts),
            lambda: self._write(batch, runner.answer or answer, labels),
            lambda problem: self._write(batch, answer, labels, problem),
        )

    def _labels_of(self, package: ModelPackage) -> list[Label]:
        """What is wanted, as a model and its labels by example have it. Raises InputError where it has none of it."""
        tree = self._mine.labels.tree(package)
        labels = (
            [label for label in self._wanted if label.id in tree]
            if package is self._packages[0]
            else [tree.find(label.name) for label in self._wanted if tree.knows(label.name)]
        )
        if not labels:
            raise InputError(f'The model "{package.name}" has none of the chosen structures.')
        return labels

    def _write(self, batch: Batch, answer: Answer, labels: Sequence[Label], remark: str = "") -> None:
        """Write what is known of the labels. remark: why labels by example are not."""
        item, parts = batch.current, answer.parts(labels)
        if batch is not self._batch or item is None:
            return
        try:
            if not parts:
                raise InputError(remark)
            self._results.write(item, answer, labels)
            voxel = volume_of(answer.task.nodes[:1]).voxel_millilitres
        except LCSError as error:
            self._failed(batch, str(error))
            return
        batch.note({label.name: volume for label, volume in millilitres(parts, voxel)}, remark=remark)
        self._go_on(batch)

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
        elif is_present(self._table):
            slicer.mrmlScene.RemoveNode(self._table)

    def _end(self, is_cancelled: bool) -> None:
        batch, self._batch = self._batch, None
        if batch is None:
            return
        self._results.end()
        self._said = batch.sentences(is_cancelled)
        if is_present(self._table):
            self._said.append(f'The volumes are in the table "{self._table.GetName()}".')
        self._later(self._say)  # after the sentence of the request that ended last

    def _say(self) -> None:
        if self._said:
            said, self._said = self._said, []
            self._frame.say(*said)
