"""My labels in the panel: the form for a new label by example, and the buttons that remove, export and import one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..scene.example_labels import SUFFIX, load_label, save_label
from ..scene.example_mask import example_mask
from ..scene.volumes import check_nodes
from ..scene.words import ExamplePrompt, InputError, LCSError, ModelPackage
from .input_view import InputView
from .label_view import LabelView
from .my_labels import ExampleChoice, MyLabels
from .quiet import quiet
from .runner import Runner
from .situation import Situation

FILES = f"{_('Labels by example')} (*{SUFFIX} *.json)"


class MyLabelsView:
    """Over the widgets of the form (`ui`, by their names), and the label tree, in which labels are chosen.

    on_make: called when the user wants the label that the form describes; `show_to` is the answer. on_change: called, with what to say, after labels came or went.
    say: tells the user a sentence. refresh: called where what may be pressed has changed.
    """

    def __init__(
        self, ui: Any, tree: LabelView, on_make: Callable[[], None], on_change: Callable[[str], None], say: Callable[[str], None], refresh: Callable[[], None]
    ) -> None:
        self._ui = ui
        self._tree = tree
        self._on_change = on_change
        self._say = say
        self._package: ModelPackage | None = None
        self._shown: tuple[ExampleChoice, ModelPackage, Any] | None = None
        self.labels = MyLabels()
        self._atlas = InputView(ui.atlasForm, refresh, _("Atlas, {channel}:"), _("The {channel} volume that the structure was painted on."))
        ui.exampleSelector.setMRMLScene(slicer.mrmlScene)
        ui.exampleSelector.connect("currentNodeChanged(vtkMRMLNode*)", lambda _node: refresh())
        ui.exampleSelector.connect("currentSegmentChanged(QString)", self._segment_chosen)
        ui.exampleName.connect("textChanged(QString)", lambda _text: refresh())
        ui.addExampleButton.connect("toggled(bool)", lambda _checked: refresh())
        ui.makeLabelButton.connect("clicked(bool)", lambda _checked: on_make())
        ui.importLabelButton.connect("clicked(bool)", self._import)
        ui.exportLabelButton.connect("clicked(bool)", self._export)
        ui.removeLabelButton.connect("clicked(bool)", self._remove)
        ui.labelTree.connect("currentItemChanged(QTreeWidgetItem*,QTreeWidgetItem*)", lambda _now, _before: refresh())

    def show_model(self, package: ModelPackage) -> None:
        """Offer what a model needs: its channels, and the labels that a new one may lie in."""
        self._package = package
        self._atlas.show_channels(package.input.channels)
        inside = self._ui.insideSelector
        with quiet(inside):
            before = str(inside.currentData or "")
            inside.clear()
            inside.addItem(_("Anywhere"), "")
            for label in package.labels.walk():
                inside.addItem(f"{'   ' * package.labels.depth(label)}{label.name}", label.name)
            inside.currentIndex = max(0, inside.findData(before))

    def refresh(self, now: Situation) -> None:
        """Show what may be pressed."""
        ui, mine = self._ui, self._chosen
        problem = now.missing or (_("A run is going on; cancel it first.") if now.running else self._choice.problem)
        ui.addExampleButton.enabled, ui.addExampleButton.toolTip = now.can_show_examples, now.examples_tip
        ui.exampleForm.visible = now.can_show_examples and ui.addExampleButton.checked
        ui.myLabelsButtons.visible = now.can_show_examples
        ui.makeLabelButton.enabled = not problem
        ui.makeLabelButton.toolTip = problem or _("Run the model once over the scan and add the label to the tree, under My labels.")
        ui.importLabelButton.enabled = not now.running
        ui.exportLabelButton.enabled = mine is not None
        ui.removeLabelButton.enabled = mine is not None and not now.running

    def show_to(self, runner: Runner, device: str) -> None:
        """Show the structure to the model; `made` takes the outcome. Raises LCSError where something is wrong with it."""
        choice, package = self._choice, self._package
        if package is None or choice.problem:
            raise InputError(choice.problem)
        errors = [str(finding) for finding in check_nodes(choice.volumes, package) if finding.level == "error"]
        if errors:
            raise InputError(" ".join(errors))
        self.labels.check(choice, package)
        mask = example_mask(choice.segmentation, choice.segment, choice.volumes[0])
        color = choice.segmentation.GetSegmentation().GetSegment(choice.segment).GetColor()
        runner.show_example(package, device, choice.volumes, mask, choice.name)
        self._shown = choice, package, color

    def made(self, stored: dict[str, Any]) -> None:
        """Add the label that the model has made of the structure."""
        if self._shown is None:
            return
        choice, package, color = self._shown
        try:
            prompt = replace(ExamplePrompt.from_json(stored), parent=choice.inside, color=color)
            self.labels.add(prompt, package)
        except LCSError as error:
            self._say(str(error))
            return
        self._ui.addExampleButton.checked = False
        warnings = [finding["text"] for known in prompt.examples for finding in known.get("findings", ()) if finding["level"] != "note"]
        self._on_change(" ".join([_('"{name}" was added to My labels.').format(name=prompt.name), *warnings]))

    @property
    def _choice(self) -> ExampleChoice:
        """What the form holds."""
        selector = self._ui.exampleSelector
        return ExampleChoice(
            self._atlas.nodes,
            selector.currentNode(),
            str(selector.currentSegmentID()),
            str(self._ui.exampleName.text).strip(),
            str(self._ui.insideSelector.currentData or ""),
        )

    @property
    def _chosen(self) -> ExamplePrompt | None:
        """Which of my labels is marked in the tree."""
        return None if self._package is None else self.labels.get(self._tree.current, self._package)

    def _segment_chosen(self, segment_id: str) -> None:
        """A segment brings its name."""
        node = self._ui.exampleSelector.currentNode()
        segment = None if node is None else node.GetSegmentation().GetSegment(segment_id)
        self._ui.exampleName.text = "" if segment is None else segment.GetName()

    def _remove(self, _checked: bool) -> None:
        prompt = self._chosen
        if prompt is not None:
            self.labels.remove(prompt)
            self._on_change(_('"{name}" was removed from My labels.').format(name=prompt.name))

    def _import(self, _checked: bool) -> None:
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import a label by example"), "", FILES)
        if not path or self._package is None:
            return
        try:
            prompt = load_label(Path(path), self._package)
            self.labels.add(prompt, self._package)
        except LCSError as error:
            self._say(str(error))
            return
        self._on_change(_('"{name}" was added to My labels.').format(name=prompt.name))

    def _export(self, _checked: bool) -> None:
        prompt = self._chosen
        if prompt is None:
            return
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), _("Export a label by example"), _file_name(prompt.name), FILES)
        if not path:
            return
        try:
            save_label(prompt, Path(path))
        except LCSError as error:
            self._say(str(error))
            return
        self._say(_('"{name}" was written to {path}.').format(name=prompt.name, path=path))


def _file_name(name: str) -> str:
    """A file's name for a label, of letters that every system takes."""
    return "".join(letter if letter.isalnum() or letter in " -_" else "_" for letter in name) + SUFFIX
