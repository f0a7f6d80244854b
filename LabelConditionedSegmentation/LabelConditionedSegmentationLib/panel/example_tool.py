"""Label by example: a structure that was painted on an atlas becomes a label, which is ticked like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..core.errors import InputError, LCSError
from ..core.examples.example_prompt import ExamplePrompt
from ..core.findings import Finding
from ..core.package.model_package import ModelPackage
from ..core.scan.stripped import Stripped
from ..scene.example_mask import example_mask
from ..scene.volumes import check_nodes, is_declared_scan, volume_of
from ..worker.requests import ExampleRequest
from .my_labels import ExampleChoice
from .runner import Outcome
from .situation import Situation
from .tool import Frame

if TYPE_CHECKING:
    from .example_form import ExampleForm
    from .my_labels_view import Changed, MyLabelsView


@dataclass(frozen=True)
class ExampleSituation(Situation):
    """learns_examples: the model was trained to learn labels from examples."""

    learns_examples: bool = False

    @property
    def can_show_examples(self) -> bool:
        """Whether the form for a new label by example may be opened."""
        return bool(self.model) and self.learns_examples

    @property
    def examples_tip(self) -> str:
        """What that form is for, or why it cannot be opened."""
        if not self.model:
            return "Choose a model, or add one."
        if not self.learns_examples:
            return f"{self.model} was not trained to learn labels from examples; choose a model that was."
        return (
            "Show the model a structure that it does not know, as a segment on a scan; afterwards it can be found in"
            " every scan."
        )


class ExampleTool:
    """See `Tool`. mine: the labels by example that there are. form: where the user says which
    structure. changed: called after the label came.
    """

    def __init__(self, frame: Frame, mine: MyLabelsView, form: ExampleForm, changed: Changed) -> None:
        self._frame = frame
        self._mine = mine
        self._changed = changed
        self._sent: tuple[ExampleChoice, ModelPackage, Any] | None = None
        self.form = form
        frame.ui.makeLabelButton.connect("clicked(bool)", self._make)

    def refresh(self, now: Situation) -> None:
        ui, package = self._frame.ui, self._frame.package
        here = ExampleSituation(**vars(now), learns_examples=bool(package and package.architecture.learns_examples))
        translated = self._frame.translated
        ui.addExampleAction.enabled, ui.addExampleAction.toolTip = here.can_show_examples, translated(here.examples_tip)
        ui.exampleForm.visible = here.can_show_examples and ui.addExampleAction.checked
        self.form.show(
            translated(now.missing or (now.obstacle if now.running else now.lack or self.form.choice.problem))
        )
        self._mine.refresh(now.running, here.can_show_examples)

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        """Nothing of the scene is held but what a request under way was made of, which is cancelled."""

    def _make(self, _checked: bool) -> None:
        if self._frame.may_run():
            self._frame.start(self._send, self._made)

    def _send(self) -> int:
        """Show the structure to the model. Raises LCSError where something is wrong with it."""
        choice, package = self.form.choice, self._frame.package
        if package is None or choice.problem:
            raise InputError(choice.problem)
        errors = [str(finding) for finding in check_nodes(choice.volumes, package) if finding.level == "error"]
        if errors:
            raise InputError(" ".join(errors))
        self._mine.labels.check(choice, package)
        mask = example_mask(choice.segmentation, choice.segment, choice.volumes[0])
        self._sent = choice, package, choice.segmentation.GetSegmentation().GetSegment(choice.segment).GetColor()
        scan = volume_of(choice.volumes), any(map(is_declared_scan, choice.volumes))
        return self._frame.runner.send(
            ExampleRequest(str(package.path), self._frame.device, {}, *scan, Stripped.AUTO, choice.name, mask)
        )

    def _made(self, outcome: Outcome) -> None:
        """Take what the model has made of the structure: as a new label, or as another example of one."""
        assert self._sent is not None
        choice, package, color = self._sent
        try:
            prompt = ExamplePrompt.from_json(outcome.values["prompt"])
            prompt = replace(prompt, parent=choice.inside, color=color)
            said, replaced = self._mine.take(prompt, choice.of, package)
        except LCSError as error:
            self._frame.say(str(error))
            return
        self.form.close()
        findings = (Finding(**known) for example in prompt.examples for known in example.get("findings", ()))
        warnings = [str(finding) for finding in findings if finding.level != "note"]
        self._changed([said, *self._mine.where(package), *warnings], replaced)
