"""My labels in the panel: the form for a new label by example or another example of one, and the buttons that import,
export, rename and remove one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..core.errors import InputError, LabelError, LCSError
from ..core.examples.example_prompt import ExamplePrompt, averaged
from ..core.findings import Finding
from ..core.labels.label_tree import Label
from ..core.package.model_package import ModelPackage
from ..scene.example_labels import SUFFIX, file_of_label, load_label, plain_name, save_label
from ..scene.example_mask import example_mask
from ..scene.segmentations import hand_over
from ..scene.volumes import check_nodes
from .input_view import InputView
from .label_view import LabelView
from .model_view import title
from .my_labels import ExampleChoice, MyLabels
from .quiet import quiet
from .runner import Runner
from .sentences import told
from .situation import Situation


class MyLabelsView:
    """Over the widgets of the form (`ui`, by their names), and the label tree, in which labels are chosen.

    on_make: called when the user wants the label that the form describes; `show_to` is the answer. on_change: called,
    with what to say, after labels came or went, and with every label that another one came in the place of, beside that
    one. say: tells the user a sentence. refresh: called where what may be pressed has changed.
    """

    def __init__(
        self,
        ui: Any,
        tree: LabelView,
        on_make: Callable[[], None],
        on_change: Callable[[str, Sequence[tuple[Label, Label]]], None],
        say: Callable[[str], None],
        refresh: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._tree = tree
        self._on_change = on_change
        self._say = say
        self._refresh = refresh
        self._package: ModelPackage | None = None
        self._shown: tuple[ExampleChoice, ModelPackage, Any] | None = None
        self._segmentation: Any = None
        self.labels = MyLabels()
        self._atlas = InputView(
            ui.atlasForm, refresh, _("Atlas, {channel}:"), _("The {channel} volume that the structure was painted on.")
        )
        ui.exampleOfSelector.connect("currentIndexChanged(int)", self._of_chosen)
        ui.exampleSelector.setMRMLScene(slicer.mrmlScene)
        ui.exampleSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._segmentation_chosen)
        ui.exampleSelector.connect("currentSegmentChanged(QString)", lambda _segment: self._name_as_segment())
        ui.exampleName.connect("textChanged(QString)", lambda _text: refresh())
        ui.addExampleButton.connect("toggled(bool)", lambda _checked: refresh())
        ui.makeLabelButton.connect("clicked(bool)", lambda _checked: on_make())
        ui.importLabelButton.connect("clicked(bool)", self._import)
        ui.exportLabelButton.connect("clicked(bool)", self._export)
        ui.renameLabelButton.connect("clicked(bool)", self._rename)
        ui.removeLabelButton.connect("clicked(bool)", self._remove)
        ui.labelTree.connect("currentItemChanged(QTreeWidgetItem*,QTreeWidgetItem*)", lambda _now, _before: refresh())

    @property
    def selectors(self) -> tuple[Any, ...]:
        """Those of nodes."""
        return (*self._atlas.selectors, self._ui.exampleSelector)

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
        """Show what there is, and what may be pressed."""
        self._list_labels()
        ui, mine, of = self._ui, self._chosen, self._of
        problem = told(now.missing or (now.obstacle if now.running else self._choice.problem))
        ui.addExampleButton.enabled, ui.addExampleButton.toolTip = now.can_show_examples, told(now.examples_tip)
        ui.exampleForm.visible = now.can_show_examples and ui.addExampleButton.checked
        ui.myLabelsButtons.visible = now.can_show_examples
        ui.makeLabelButton.enabled = not problem
        ui.makeLabelButton.text = _("Add to My labels") if of is None else _("Add this example")
        ui.makeLabelButton.toolTip = problem or (
            _("Run the model once over the scan and add the label to the tree, under My labels.")
            if of is None
            else _("Run the model once over the scan and make the label anew, from all of its examples and this one.")
        )
        ui.exampleName.enabled = ui.insideSelector.enabled = of is None
        ui.importLabelButton.enabled = not now.running
        ui.exportLabelButton.enabled = mine is not None
        ui.renameLabelButton.enabled = ui.removeLabelButton.enabled = mine is not None and not now.running

    def show_to(self, runner: Runner, device: str) -> None:
        """Show the structure to the model; `made` takes the outcome.

        Raises LCSError where something is wrong with it.
        """
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
        """Take what the model has made of the structure: as a new label, or as another example of one."""
        if self._shown is None:
            return
        choice, package, color = self._shown
        try:
            made = replace(ExamplePrompt.from_json(stored), parent=choice.inside, color=color)
            said, replaced = (
                self._added(made, package) if choice.of is None else self._averaged(choice.of, made, package)
            )
        except LCSError as error:
            self._say(told(str(error)))
            return
        self._ui.addExampleButton.checked = False
        self._ui.exampleOfSelector.currentIndex = 0
        warnings = [
            told(str(Finding(**finding)))
            for known in made.examples
            for finding in known.get("findings", ())
            if finding["level"] != "note"
        ]
        self._on_change(" ".join([said, *self._where(package), *warnings]), replaced)

    @property
    def _choice(self) -> ExampleChoice:
        """What the form holds."""
        selector, of = self._ui.exampleSelector, self._of
        name, inside = (
            (str(self._ui.exampleName.text).strip(), str(self._ui.insideSelector.currentData or ""))
            if of is None
            else (of.name, of.parent)
        )
        return ExampleChoice(self._atlas.nodes, selector.currentNode(), self._segment_id, name, inside, of)

    @property
    def _segment_id(self) -> str:
        """The chosen segment; "" for none. The selector also tells one that its segmentation does not have."""
        node, segment_id = self._ui.exampleSelector.currentNode(), str(self._ui.exampleSelector.currentSegmentID())
        return segment_id if node is not None and segment_id in node.GetSegmentation().GetSegmentIDs() else ""

    @property
    def _of(self) -> ExamplePrompt | None:
        """Which label gets another example; None for a new one."""
        return (
            None
            if self._package is None
            else self.labels.named(str(self._ui.exampleOfSelector.currentData or ""), self._package)
        )

    @property
    def _chosen(self) -> ExamplePrompt | None:
        """Which of my labels is marked in the tree."""
        return None if self._package is None else self.labels.get(self._tree.current, self._package)

    def _list_labels(self) -> None:
        """Offer the labels there are for another example; the one that was chosen stays chosen, as long as
        it is there.
        """
        selector = self._ui.exampleOfSelector
        names = ["", *(prompt.name for prompt in (self.labels.of(self._package) if self._package else ()))]
        if names == [selector.itemData(n) for n in range(selector.count)]:
            return
        before = str(selector.currentData or "")
        with quiet(selector):
            selector.clear()
            for name in names:
                selector.addItem(name or _("A new label"), name)
            selector.currentIndex = max(0, selector.findData(before))
        if before not in names:
            self._of_chosen(0)

    def _of_chosen(self, _index: int) -> None:
        """A label that gets another example brings its name and what it lies in."""
        of, package, inside = self._of, self._package, self._ui.insideSelector
        if of is None or package is None:
            inside.currentIndex = 0
            self._name_as_segment()
        else:
            inside.currentIndex = inside.findData(package.labels.find(of.parent).name if of.parent else "")
            self._ui.exampleName.text = of.name
        self._refresh()

    def _segmentation_chosen(self, node: Any) -> None:
        """A segmentation brings its first segment, since the selector leaves it at none; or keeps, in silence, an id
        that the one before had too.
        """
        if node is not self._segmentation:  # else it is told again, perhaps under another name
            self._segmentation = node
            ids = node.GetSegmentation().GetSegmentIDs() if node is not None else ()
            if ids and not self._segment_id:
                self._ui.exampleSelector.setCurrentSegmentID(ids[0])
            self._name_as_segment()
        self._refresh()

    def _name_as_segment(self) -> None:
        """A segment brings the name of a new label."""
        node, segment_id = self._ui.exampleSelector.currentNode(), self._segment_id
        if self._of is None:
            self._ui.exampleName.text = node.GetSegmentation().GetSegment(segment_id).GetName() if segment_id else ""

    def _added(self, made: ExamplePrompt, package: ModelPackage) -> tuple[str, list[tuple[Label, Label]]]:
        """Add a new label; what to say, and that it came in the place of none. Raises InputError or LabelError."""
        self.labels.add(made, package)
        return _('"{name}" was added to My labels.').format(name=made.name), []

    def _averaged(
        self, of: ExamplePrompt, made: ExamplePrompt, package: ModelPackage
    ) -> tuple[str, list[tuple[Label, Label]]]:
        """Make a label anew from its examples and another one; what to say, and what came in the place of what.

        Raises InputError or LabelError.
        """
        kept = self.labels.named(of.name, package)  # the scene may have been read anew
        if kept is None:
            raise LabelError(
                _(
                    'The example was left aside, since "{name}" is no longer one of My labels; add it as a new label.'
                ).format(name=of.name)
            )
        prompt = averaged([kept, made])
        replaced = self._put_in_place(kept, prompt, package)
        return _('"{name}" was made from {n} examples.').format(name=prompt.name, n=prompt.count), [replaced]

    def _put_in_place(self, prompt: ExamplePrompt, other: ExamplePrompt, package: ModelPackage) -> tuple[Label, Label]:
        """Put a label in the place of another one, among my labels and as the one that segments belong to; both as the
        tree has them. Raises InputError or LabelError.
        """
        before, after = self.labels.replace(prompt, other, package)
        hand_over(slicer.mrmlScene, before, after, package.name)
        return before, after

    def _where(self, package: ModelPackage) -> list[str]:
        """A sentence, where labels of this model are not in the tree now."""
        is_shown = self._package is not None and self._package.weights_sha256 == package.weights_sha256
        return (
            []
            if is_shown
            else [_('It belongs to the model "{model}"; choose that one to use it.').format(model=title(package))]
        )

    def _rename(self, _checked: bool) -> None:
        prompt, package = self._chosen, self._package
        if prompt is None or package is None:
            return
        entered = qt.QInputDialog.getText(
            slicer.util.mainWindow(), _("Rename a label by example"), _("Name:"), qt.QLineEdit.Normal, prompt.name
        )
        name = str(entered).strip()
        if name == prompt.name:
            return
        if not name:  # as after Cancel
            self._say(_('"{name}" keeps its name, since no other one was given.').format(name=prompt.name))
            return
        try:
            replaced = self._put_in_place(prompt, replace(prompt, name=name), package)
        except LCSError as error:
            self._say(told(str(error)))
            return
        self._on_change(_('"{before}" is called "{name}" now.').format(before=prompt.name, name=name), [replaced])

    def _remove(self, _checked: bool) -> None:
        prompt = self._chosen
        if prompt is not None:
            self.labels.remove(prompt)
            self._on_change(_('"{name}" was removed from My labels.').format(name=prompt.name), ())

    def _import(self, _checked: bool) -> None:
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import a label by example"), "", _files())
        if not path or self._package is None:
            return
        try:
            said, replaced = self._added(load_label(Path(path), self._package), self._package)
        except LCSError as error:
            self._say(told(str(error)))
            return
        self._on_change(said, replaced)

    def _export(self, _checked: bool) -> None:
        prompt = self._chosen
        if prompt is None:
            return
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Export a label by example"), plain_name(prompt.name) + SUFFIX, _files()
        )
        if not path:
            return
        try:
            file = file_of_label(Path(path))
            save_label(prompt, file)
        except LCSError as error:
            self._say(told(str(error)))
            return
        self._say(_('"{name}" was written to {path}.').format(name=prompt.name, path=file))


def _files() -> str:
    """What the dialogs for files show."""
    return f"{_('Labels by example')} (*{SUFFIX} *.json)"
