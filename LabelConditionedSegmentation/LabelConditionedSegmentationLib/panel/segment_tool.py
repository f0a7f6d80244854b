"""Segment: Apply writes what is ticked into a segmentation, which follows the ticks from then on; Undo undoes it. An
answer that cannot be true is written only where the user wants it nevertheless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import LCSError
from ..core.findings import Finding
from ..core.labels.label_tree import Label, in_a_sentence
from ..scene.nodes import is_present
from ..scene.segmentations import check_target, maker_of, segmentations_of
from ..scene.volumes_table import put_volumes
from .live_segments import LiveSegments
from .runner import Answer, Task
from .situation import Situation
from .tool import Frame

if TYPE_CHECKING:
    from .batch_tool import BatchSituation, BatchTool
    from .my_labels_view import MyLabelsView
    from .scene_copy import SceneCopy
    from .structures_view import StructuresView


@dataclass(frozen=True)
class SegmentSituation(Situation):
    """wanted: number of structures chosen. is_live: a segmentation follows the ticks."""

    wanted: int = 0
    is_live: bool = False

    @property
    def can_apply(self) -> bool:
        """Whether Apply may be pressed."""
        return not self.obstacle and self.wanted > 0

    @property
    def apply_text(self) -> str:
        """What stands on Apply."""
        return "Apply"

    @property
    def apply_tip(self) -> str:
        """What Apply does, or why it cannot be pressed."""
        if self.obstacle:
            return self.obstacle
        if not self.wanted:
            return "Choose at least one structure."
        if self.wanted == 1:
            at_once = "Write 1 structure at once: the network has seen this volume already."
            return at_once if self.is_answered else f"Run {self.model} and write 1 structure."
        at_once = f"Write {self.wanted} structures at once: the network has seen this volume already."
        return at_once if self.is_answered else f"Run {self.model} and write {self.wanted} structures."

    @property
    def advice(self) -> str:
        """What is said below Apply while nothing runs and nothing else was said."""
        if self.has_run_before and not self.is_answered and not self.obstacle:
            return "The volume, the model or what is known about the scan has changed: press Apply for a new run."
        if self.is_live and self.is_answered and not self.obstacle:
            return "A tick shows its structure at once."
        return self.apply_tip


def run_sentences(report: dict[str, Any], is_current: bool, translated: Callable[[str], str] = str) -> list[str]:
    """What is said of a run that has ended, by its report. is_current: its answer still holds. translated: what a text
    is in the user's language.
    """
    then = (
        "Further ticks show at once."
        if is_current
        else "What is known about the scan was changed meanwhile: press Apply for a new run."
    )
    steps = ", ".join(map(translated, report["fallbacks"]))
    return [
        f"Done in {sum(report['timings_s'].values()):.0f} s on {report['device']}.",
        then,
        *_stage_sentences(report.get("inside", {})),
        *([report["adaptation"]["sentence"]] if report.get("adaptation") else []),
        *([f"Memory was short: {steps}."] if steps else []),
        *(str(Finding(**finding)) for finding in report["findings"] if finding["level"] != "note"),
    ]


def _stage_sentences(inside: Mapping[str, Any]) -> list[str]:
    """What is said of the stage before the run, where the model has one."""
    if not inside:
        return []
    if inside["stripped"] == "yes":
        return ["The scan was taken for skull-stripped."]
    return [f"The {in_a_sentence(inside['label'])} was found first ({inside['ml']:.0f} ml)."]


def not_found_sentences(empty: Sequence[Label]) -> list[str]:
    """What is said of labels without a voxel, where there are any."""
    return [f"Not found in this volume: {', '.join(label.name for label in empty)}."] if empty else []


class SegmentTool:
    """See `Tool`. batch: takes Apply over where several scans are chosen. mine: the labels by example that may be
    ticked too. copy: where the output is chosen.
    """

    def __init__(
        self, frame: Frame, batch: BatchTool, structures: StructuresView, mine: MyLabelsView, copy: SceneCopy
    ) -> None:
        self._frame = frame
        self._batch = batch
        self._structures = structures
        self._mine = mine
        self._copy = copy
        self.live = LiveSegments()
        self._refused: tuple[int, Any] | None = None  # the run that was refused, and the output it was to go to
        ui = frame.ui
        ui.outputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._output_chosen)
        ui.applyButton.connect("clicked(bool)", self.apply)
        ui.undoButton.connect("clicked(bool)", self.undo)
        ui.anywayButton.connect("clicked(bool)", self.force)

    def refresh(self, now: Situation) -> None:
        ui, here, translated = self._frame.ui, self._situation(now), self._frame.translated
        ui.applyButton.text = translated(here.apply_text)
        ui.applyButton.enabled, ui.applyButton.toolTip = here.can_apply, translated(here.apply_tip)
        is_busy = now.running or self._batch.is_going_on
        ui.undoButton.enabled = not is_busy and (self._batch.can_undo or self.live.can_undo)
        ui.anywayButton.visible = not is_busy and (self._batch.has_refused or self._refused_answer is not None)

    def advice(self, now: Situation) -> str:
        return self._situation(now).advice

    def stop(self) -> None:
        self.live.stop()
        self._refused = None

    def apply(self, _checked: bool) -> None:
        """Run the network, unless it has seen this, and write what is ticked; over every scan where several are
        chosen.
        """
        if self._batch.is_chosen:
            self._refused = None
            self._batch.begin()
            return
        task = self._frame.task()
        if task is None or not self._single(self._frame.situation()).can_apply or not self._frame.may_run():
            return
        output = self._copy.parameters.output  # where the result goes is settled now, whatever happens during the run
        try:
            if output is not None:
                check_target(output, task.nodes[0])
        except LCSError as error:
            self._frame.say(str(error))
            return
        self._structures.remember()
        self._frame.run_then(lambda: self._with_examples(lambda: self._write(output)))

    def undo(self, _checked: bool) -> None:
        """Take the last Apply back; of several scans, what it made of the last one."""
        try:
            said = self._batch.undo() if self._batch.can_undo else self._undo_live()
        except LCSError as error:
            said = str(error)
        self._frame.say(said)

    def _undo_live(self) -> str:
        """Take the last Apply to one scan back; what is said of it. Raises InputError."""
        self.live.undo()
        return (
            "The last Apply was taken back."
            if self._frame.ui.outputSelector.currentNode()
            else "The last Apply was taken back, and its segmentation with it; the next Apply makes a new one."
        )

    def force(self, _checked: bool) -> None:
        """Write what was found to be wrong, and refused."""
        if self._refused is not None and self._refused_answer is not None:
            _run, output = self._refused
            self._frame.runner.force()
            self._with_examples(lambda: self._write(output))
        else:
            self._batch.force()

    def follow_model(self) -> None:
        """Another model was chosen: what one made stays as it is, so the output is what the other one made of this
        scan before, or a new segmentation.
        """
        package, parameters = self._frame.package, self._copy.parameters
        if package is None or parameters is None:
            return
        output, made = parameters.output, self.live.node
        if output is None and is_present(made) and maker_of(made) == package.name:
            own = made  # back to the model before
        elif output is not None and maker_of(output) not in ("", package.name):
            own = _made_of(self._frame.task(), package.name)
        else:
            return
        with self._copy.held():
            parameters.output = own

    def follow(self) -> None:
        """Show and hide segments as the ticks say, where the last answer still holds."""
        if self._followed is not None:
            self._with_examples(self._follow_now)

    def tell_volumes(self) -> None:
        """The answer was mended: its table of volumes is another one."""
        answer = self._frame.runner.answer
        if answer is not None and is_present(self.live.node):
            self._write_table(answer)

    @property
    def _followed(self) -> Answer | None:
        """The answer that the ticks show; None where they show none."""
        runner = self._frame.runner
        answer = runner.answer if self.live.node is not None and runner.answers(self._frame.task()) else None
        return None if answer is None or answer.refusal else answer

    @property
    def _refused_answer(self) -> Answer | None:
        """The answer that was refused, as long as it is that of what is chosen."""
        answer = self._frame.runner.answer
        if self._refused is None or answer is None or answer.run != self._refused[0] or not answer.refusal:
            return None
        return answer if self._frame.runner.answers(self._frame.task()) else None

    def _situation(self, now: Situation) -> SegmentSituation | BatchSituation:
        return self._batch.situation(now) if self._batch.is_chosen else self._single(now)

    def _single(self, now: Situation) -> SegmentSituation:
        known = vars(now) | {"running": now.running or self._batch.is_going_on}  # also between two of several scans
        return SegmentSituation(**known, wanted=len(self._structures.wanted), is_live=self.live.node is not None)

    def _output_chosen(self, node: Any) -> None:
        if not self._copy.is_held and node is not self.live.node:
            self.live.stop()
            self._frame.say()

    def _with_examples(self, action: Callable[[], None]) -> None:
        """Do something that shows my labels: at once where it is known who wins among them, else after the worker has
        answered that, without another pass of the network.
        """
        runner, package = self._frame.runner, self._frame.package
        answer, branch = runner.answer, self._mine.labels.branch(package) if package else None
        if answer is None or package is None or branch is None or runner.running or not runner.lacks_examples(branch):
            action()
        elif not answer.can_rank and not any(label.id in branch for label in self._structures.wanted):
            action()  # it cannot be known, and none of them is ticked
        else:
            prompts = self._mine.labels.of(package)
            self._frame.start(
                lambda: runner.rank_examples(branch, prompts),
                lambda _outcome: action(),
                action,  # without my labels where that failed
            )

    def _write(self, output: Any) -> None:
        """Write what is ticked into a segmentation, or into a new one where it is None."""
        answer = self._frame.runner.answer
        if answer is None or self._copy.parameters is None or not answer.parts(self._structures.wanted):
            return
        if answer.refusal:
            self._refused = answer.run, output
            self._frame.say(*answer.refusal, 'Nothing was written; "Segment anyway" writes it nevertheless.')
            return
        self._batch.forget_undo()
        try:
            empty = self.live.write(answer, self._structures.wanted, output)
            with self._copy.held():
                self._copy.parameters.output = self.live.node  # a new segmentation becomes the chosen one
            self._write_table(answer)
        except LCSError as error:
            self._frame.say(str(error))
            return
        is_current = self._frame.runner.answers(self._frame.task())
        said = run_sentences(answer.report, is_current, self._frame.translated)
        self._frame.say(*said, *not_found_sentences(empty))

    def _write_table(self, answer: Answer) -> None:
        if self._copy.parameters.volumesTable:
            put_volumes(self.live.node, answer.task.nodes[0], answer.parts(self._structures.wanted))

    def _follow_now(self) -> None:
        answer = self._followed
        if answer is None:
            return
        try:
            empty = self.live.follow(answer, self._structures.wanted)
            self._write_table(answer)
        except LCSError as error:
            self._frame.say(str(error))
            return
        if empty:
            self._frame.say(*not_found_sentences(empty))


def _made_of(task: Task | None, model: str) -> Any:
    """The last segmentation that a model made of the scan of a task; None where there is none."""
    made = segmentations_of(task.nodes[0]) if task is not None else []
    return next((node for node in reversed(made) if maker_of(node) == model), None)
