"""Strokes: what is painted in a segmentation is spread over the scan after every stroke, or mends the last answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.errors import LCSError
from ..core.findings import Finding
from ..scene.nodes import is_present
from ..scene.segment_strokes import STRUCTURE_COLOR, SegmentStrokes, add_strokes, new_strokes, painted_on
from ..scene.stroke_preview import CertaintyOverlay, StrokePreview
from ..scene.volumes import fingerprint, volume_of
from ..worker.stroke_request import NO_RUN, StrokesRequest
from .accepted_strokes import AcceptedStrokes
from .runner import Answer, Outcome
from .situation import Situation
from .stroke_result import StrokeResult, mended_by, structures_of
from .stroke_watch import StrokeWatch
from .strokes_form import StrokesForm
from .strokes_situation import StrokesSituation
from .tool import Frame

if TYPE_CHECKING:
    from .example_form import ExampleForm
    from .scene_copy import SceneCopy

CHANGED = "The scan was changed or removed while strokes were spread over it, so that the result was left aside."


@dataclass(frozen=True)
class _Sent:
    """What a request under way was made from. version: of the strokes. key: of the scan."""

    version: int
    key: str
    scan: Any
    owner: str
    strokes: SegmentStrokes
    mended: Answer | None


class StrokesTool:
    """See `Tool`. inputs: gives the volumes of the input. copy: where the output is chosen. example: the form for a
    label by example, which takes an accepted structure. mended: called where the answer of the model is another one.
    """

    def __init__(
        self,
        frame: Frame,
        inputs: Callable[[], tuple[Any, ...]],
        copy: SceneCopy,
        example: ExampleForm,
        mended: Callable[[], None],
    ) -> None:
        self._frame = frame
        self._inputs = inputs
        self._copy = copy
        self._example = example
        self._mended = mended
        self._result: StrokeResult | None = None
        self._painted: tuple[str, ...] = ()
        self._refusal = ""
        self._key = ""
        self._choice: tuple[Any, Any, bool] = (None, None, False)
        self._is_waiting = self._is_lacking = False
        self.preview, self.overlay, self.accepted = StrokePreview(), CertaintyOverlay(), AcceptedStrokes()
        self.watch = StrokeWatch(self._settled)
        self.form = StrokesForm(frame.ui, self._chosen, frame.refresh)
        ui = frame.ui
        ui.newStrokesButton.connect("clicked(bool)", self._begin)
        ui.addMendButton.connect("clicked(bool)", self._add_label)
        ui.certaintyBox.connect("toggled(bool)", lambda _checked: self._show_certainty())
        ui.acceptStrokesButton.connect("clicked(bool)", self.accept)
        ui.discardStrokesButton.connect("clicked(bool)", self.discard)
        ui.undoStrokesButton.connect("clicked(bool)", self.undo)
        ui.strokesLabelButton.connect("clicked(bool)", self._make_label)

    # See `Tool`

    def refresh(self, now: Situation) -> None:
        self.watch.watch(self.form.strokes)
        self._follow_scan()
        package = self._frame.package
        self.form.show_labels(package.labels if package else None)
        here = self.situation(now)
        if not now.running and (self._is_waiting or (self._is_lacking and not here.lack_of_strokes)):
            self._is_waiting = False
            self.watch.again()
        self._is_lacking = bool(here.lack_of_strokes)
        self.form.show(here, self._scan)

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        self.watch.watch(None)
        self._clear()
        self.accepted.forget()
        self._painted, self._refusal, self._key, self._choice = (), "", "", (None, None, False)
        self._is_waiting = self._is_lacking = False
        self.form.editor.forget()

    def close(self) -> None:
        """The panel goes away."""
        self.watch.close()
        self._clear()
        self.form.editor.close()

    def leave(self, is_left: bool) -> None:
        """The user goes to another module, or comes back."""
        self.form.leave(is_left)

    # What is known

    @property
    def _scan(self) -> Any:
        """The scan that is painted on; None for none."""
        node = self.form.scan if self.form.scan is not None else next(iter(self._inputs()), None)
        return node if is_present(node) else None

    @property
    def _kept(self) -> Answer | None:
        """The answer of which the worker has kept what the network found in this scan."""
        answer, task = self._frame.runner.answer, self._frame.task()
        if answer is None or task is None or not answer.can_rank or not self._frame.runner.answers(task):
            return None
        return answer if task.nodes[0] is self._scan else None

    @property
    def is_busy(self) -> bool:
        """Whether strokes have changed and it is not shown yet what they become."""
        return self._is_waiting or self.watch.is_unsettled or self._frame.runner.running

    def situation(self, now: Situation) -> StrokesSituation:
        """What has to be known before anything may be pressed."""
        scan, package = self._scan, self._frame.package
        return StrokesSituation(
            **vars(now),
            scan=scan.GetName() if scan is not None else "",
            has_strokes=is_present(self.form.strokes),
            painted=self._painted,
            problem=self._problem,
            wants_mend=self.form.wants_mend,
            is_kept=self._kept is not None,
            has_preview=self._result is not None,
            can_undo=self.accepted.can_undo,
            has_accepted=is_present(self.accepted.node),
            learns_examples=bool(package and package.architecture.learns_examples),
        )

    @property
    def _problem(self) -> str:
        """Why the strokes that are chosen cannot be used, as a sentence; "" where they can."""
        strokes, parameters = self.form.strokes, self._copy.parameters
        if strokes is not None and parameters is not None and strokes is parameters.output:
            return (
                f'"{strokes.GetName()}" is the output: choose another one there, or press New for strokes of their own.'
            )
        return self._refusal

    def _follow_scan(self) -> None:
        """Another scan, or one that has changed, makes another result."""
        scan = self._scan
        key = fingerprint([scan]) if scan is not None else ""
        if key != self._key:
            self._key = key
            self._clear()
            if self.form.strokes is not None:
                self.watch.changed()

    # What the user does

    def _chosen(self) -> None:
        """Another scan, other strokes, or another purpose: what was shown is no longer of them. Selectors tell the same
        node again where it is called otherwise, or moves to another row.
        """
        choice = self._scan, self.form.strokes, self.form.wants_mend
        if choice == self._choice:
            return
        self._choice = choice
        self._clear()
        self.watch.watch(self.form.strokes)
        self.watch.changed()
        self._frame.refresh()

    def _begin(self, _checked: bool) -> None:
        scan = self._scan
        if scan is None or not self.situation(self._frame.situation()).can_begin:
            return
        try:
            self.form.strokes = new_strokes(scan)
        except LCSError as error:
            self._frame.say(str(error))

    def _add_label(self, _checked: bool) -> None:
        """A segment for strokes of a label of the model; where there are no strokes yet they are begun."""
        package, name = self._frame.package, self.form.wanted_label
        if self.form.strokes is None:
            self._begin(True)
        if package is None or self.form.strokes is None or not name:
            return
        color = package.labels.find(name).color or STRUCTURE_COLOR
        self.form.editor.choose(add_strokes(self.form.strokes, name, color))

    def accept(self, _checked: bool) -> None:
        """Write the preview into the output."""
        result = self._result
        if result is None or self._copy.parameters is None or not self._can_accept(result):
            return
        try:
            self.accepted.write(result, self._copy.parameters.output)
        except LCSError as error:
            self._frame.say(str(error))
            return
        with self._copy.held():
            self._copy.parameters.output = self.accepted.node
        if result.answer is not None:
            self._take(result.answer)
        self._clear()
        names = ", ".join(label.name for label in result.labels)
        self._frame.say(f'Written into "{self.accepted.node.GetName()}": {names}.')

    def _take(self, answer: Answer) -> None:
        """From now on ticks show this answer."""
        self._frame.runner.answer = answer
        self._mended()

    def _can_accept(self, result: StrokeResult) -> bool:
        """Whether the result is still of this scan and this answer of the model; where it is not the user is told."""
        if not is_present(result.volume) or fingerprint([result.volume]) != self._key:
            self._clear()
            self._frame.say(CHANGED)
        elif result.mended is not None and result.mended is not self._frame.runner.answer:
            self._clear()
            self._frame.say("There is another answer of the model now; paint another stroke to mend that one.")
        return self._result is not None

    def discard(self, _checked: bool) -> None:
        """Show no result until the next stroke; what was painted stays."""
        self._clear()
        self._frame.say("The preview was discarded; the next stroke makes a new one.")

    def undo(self, _checked: bool) -> None:
        """Take the last Accept back."""
        result = self.accepted.result
        try:
            before = self.accepted.undo()
        except LCSError as error:
            self._frame.say(str(error))
            return
        runner = self._frame.runner
        if result is not None and before is not None and runner.answer is not None and runner.answer.run == before.run:
            self._take(before)
        self._frame.say("The last Accept was taken back.")

    def _make_label(self, _checked: bool) -> None:
        """Fill in the form for a label by example with what was accepted."""
        result, strokes = self.accepted.result, self.form.strokes
        segment = strokes.GetSegmentation().GetSegment(self.form.editor.segment) if strokes is not None else None
        try:
            ident, name = self.accepted.segment_of(segment.GetName() if segment is not None else "")
        except LCSError as error:
            self._frame.say(str(error))
            return
        assert result is not None
        inputs = self._inputs()
        volumes = inputs if inputs and inputs[0] is result.volume else (result.volume, *(None for _ in inputs[1:]))
        self._example.offer(volumes, self.accepted.node, ident, name)
        self._frame.say("The form for a label by example is filled in, under Structures; add the label there.")

    # What the strokes become

    def _settled(self) -> None:
        """Strokes have changed, or what they spread over."""
        if not is_present(self.form.strokes) or self._scan is None:
            self._painted, self._refusal = (), ""
            self._frame.refresh()
        elif self._frame.runner.running:
            self._is_waiting = True
        else:
            self._spread()

    def _spread(self) -> None:
        scan, strokes = self._scan, self.form.strokes
        try:
            volume = volume_of([scan])
            painted = painted_on(strokes, scan)
        except LCSError as error:
            self._painted, self._refusal = (), str(error)
            self._clear()
            self._frame.refresh()
            return
        self._painted, self._refusal = painted.names, ""
        now = self.situation(self._frame.situation())
        if now.lack_of_strokes:
            self._clear()
            self._frame.refresh()
            return
        self._is_lacking = False
        kept = self._kept
        mended = kept if now.wants_mend else None
        run = kept.run if kept is not None else NO_RUN
        sent = _Sent(self.watch.version, fingerprint([scan]), scan, strokes.GetID(), painted, mended)
        request = StrokesRequest(run, volume, painted.seeds, painted.names, mended is not None)
        self._frame.start(
            lambda: self._frame.runner.send(request), lambda outcome: self._found(sent, outcome), self._clear
        )

    def _found(self, sent: _Sent, outcome: Outcome) -> None:
        """Show what strokes have become, unless they are others by now."""
        if sent.version != self.watch.version:
            return  # the timer of the last change is running, or has put it off until now
        if not is_present(sent.scan) or fingerprint([sent.scan]) != sent.key:
            self._clear()
            self._frame.say(CHANGED)
            return
        values, arrays = outcome.values, outcome.arrays
        found = arrays["winners"], arrays["certainty"], values["start"]
        try:
            self._result = (
                mended_by(sent.strokes, sent.mended, *found)
                if sent.mended is not None
                else structures_of(sent.strokes, sent.owner, sent.scan, *found)
            )
            self.preview.show(sent.scan, self._result.winners, self._result.labels)
            self._show_certainty()
        except LCSError as error:
            self._clear()
            self._frame.say(str(error))
            return
        findings = [Finding(**known) for known in values["findings"]]
        self._frame.say(*(str(finding) for finding in findings if finding.level != "note"))

    def _show_certainty(self) -> None:
        result = self._result
        if result is not None and self.form.wants_certainty:
            self.overlay.show(result.volume, result.certainty, result.start)
        else:
            self.overlay.clear()

    def _clear(self) -> None:
        """Show no result."""
        self._result = None
        self.preview.clear()
        self.overlay.clear()
