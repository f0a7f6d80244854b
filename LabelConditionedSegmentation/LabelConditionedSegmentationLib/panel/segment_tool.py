"""Segment: Apply writes what is ticked into a segmentation, which follows the ticks from then on; Undo undoes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import LCSError
from ..core.findings import Finding
from ..core.labels.label_tree import Label, in_a_sentence
from ..scene.nodes import is_present
from ..scene.segmentations import check_target
from ..scene.volumes_table import put_volumes
from .live_segments import LiveSegments
from .runner import Answer
from .situation import Situation
from .tool import Frame

if TYPE_CHECKING:
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
    """See `Tool`. mine: the labels by example that may be ticked too. copy: where the output is chosen."""

    def __init__(self, frame: Frame, structures: StructuresView, mine: MyLabelsView, copy: SceneCopy) -> None:
        self._frame = frame
        self._structures = structures
        self._mine = mine
        self._copy = copy
        self.live = LiveSegments()
        ui = frame.ui
        ui.outputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._output_chosen)
        ui.applyButton.connect("clicked(bool)", self.apply)
        ui.undoButton.connect("clicked(bool)", self.undo)

    def refresh(self, now: Situation) -> None:
        ui, here = self._frame.ui, self._situation(now)
        ui.applyButton.enabled, ui.applyButton.toolTip = here.can_apply, self._frame.translated(here.apply_tip)
        ui.undoButton.enabled = self.live.can_undo and not now.running

    def advice(self, now: Situation) -> str:
        return self._situation(now).advice

    def stop(self) -> None:
        self.live.stop()

    def apply(self, _checked: bool) -> None:
        """Run the network, unless it has seen this, and write what is ticked."""
        task = self._frame.task()
        if task is None or not self._situation(self._frame.situation()).can_apply or not self._frame.may_run():
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
        """Take the last Apply back."""
        try:
            self.live.undo()
        except LCSError as error:
            self._frame.say(str(error))
            return
        self._frame.say(
            "The last Apply was taken back."
            if self._frame.ui.outputSelector.currentNode()
            else "The last Apply was taken back, and its segmentation with it; the next Apply makes a new one."
        )

    def follow(self) -> None:
        """Show and hide segments as the ticks say, where the last answer still holds."""
        if self.live.node is not None and self._frame.runner.answers(self._frame.task()):
            self._with_examples(self._follow_now)

    def tell_volumes(self) -> None:
        """The answer was mended: its table of volumes is another one."""
        answer = self._frame.runner.answer
        if answer is not None and is_present(self.live.node):
            self._write_table(answer)

    def _situation(self, now: Situation) -> SegmentSituation:
        return SegmentSituation(**vars(now), wanted=len(self._structures.wanted), is_live=self.live.node is not None)

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
        answer = self._frame.runner.answer
        if self.live.node is None or answer is None or not self._frame.runner.answers(self._frame.task()):
            return
        try:
            empty = self.live.follow(answer, self._structures.wanted)
            self._write_table(answer)
        except LCSError as error:
            self._frame.say(str(error))
            return
        if empty:
            self._frame.say(*not_found_sentences(empty))
