"""The form for a new label by example, or another example of one: atlas, segment, name, and what it lies in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..core.examples.example_prompt import ExamplePrompt
from ..core.package.model_package import ModelPackage
from .blocked_signals import blocked_signals
from .input_view import InputView
from .my_labels import ExampleChoice
from .my_labels_view import MyLabelsView


class ExampleForm:
    """Over the widgets of the form (`ui`, by their names). mine: the labels that may get another example.

    refresh: called where something was chosen or entered.
    """

    def __init__(self, ui: Any, mine: MyLabelsView, refresh: Callable[[], None]) -> None:
        self._ui = ui
        self._mine = mine
        self._refresh = refresh
        self._package: ModelPackage | None = None
        self._segmentation: Any = None
        self.atlas = InputView(
            ui.atlasForm, refresh, _("Atlas, {channel}:"), _("The {channel} volume that the structure was painted on.")
        )
        ui.exampleOfSelector.connect("currentIndexChanged(int)", self._of_chosen)
        ui.exampleSelector.setMRMLScene(slicer.mrmlScene)
        ui.exampleSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._segmentation_chosen)
        ui.exampleSelector.connect("currentSegmentChanged(QString)", lambda _segment: self._name_as_segment())
        ui.exampleName.connect("textChanged(QString)", lambda _text: refresh())
        ui.addExampleAction.connect("toggled(bool)", lambda _checked: refresh())

    @property
    def selectors(self) -> tuple[Any, ...]:
        """Those of nodes."""
        return (*self.atlas.selectors, self._ui.exampleSelector)

    def show_model(self, package: ModelPackage) -> None:
        """Offer what a model needs: its channels, and the labels that a new one may lie in."""
        self._package = package
        self.atlas.show_channels(package.input.channels)
        inside = self._ui.insideSelector
        with blocked_signals(inside):
            before = str(inside.currentData or "")
            inside.clear()
            inside.addItem(_("Anywhere"), "")
            for label in package.labels.walk():
                inside.addItem(f"{'   ' * package.labels.depth(label)}{label.name}", label.name)
            inside.currentIndex = max(0, inside.findData(before))

    def show(self, problem: str) -> None:
        """Show the labels there are, and whether the label can be made; problem: why not, in the user's language."""
        self._list_labels()
        ui, is_new = self._ui, self._of is None
        ui.makeLabelButton.enabled = not problem
        ui.makeLabelButton.text = _("Add to My labels") if is_new else _("Add this example")
        ui.makeLabelButton.toolTip = problem or (
            _("Run the model once over the scan and add the label to the tree, under My labels.")
            if is_new
            else _("Run the model once over the scan and make the label anew, from all of its examples and this one.")
        )
        ui.exampleName.enabled = ui.insideSelector.enabled = is_new

    def offer(self, volumes: Sequence[Any], segmentation: Any, segment: str, name: str) -> None:
        """Open the form, filled in for a new label: the scan, one volume a channel, and the segment that shows it."""
        ui = self._ui
        ui.labelSection.collapsed = False
        ui.addExampleAction.checked = True
        ui.exampleOfSelector.currentIndex = 0
        self.atlas.set_nodes(volumes)
        ui.exampleSelector.setCurrentNode(segmentation)
        ui.exampleSelector.setCurrentSegmentID(segment)
        ui.exampleName.text = name
        self._refresh()

    def close(self) -> None:
        """The label was made: the form is folded, and the next one will be new."""
        self._ui.addExampleAction.checked = False
        self._ui.exampleOfSelector.currentIndex = 0

    @property
    def choice(self) -> ExampleChoice:
        """What the form holds."""
        selector, of = self._ui.exampleSelector, self._of
        name, inside = (
            (str(self._ui.exampleName.text).strip(), str(self._ui.insideSelector.currentData or ""))
            if of is None
            else (of.name, of.parent)
        )
        return ExampleChoice(self.atlas.nodes, selector.currentNode(), self._segment_id, name, inside, of)

    @property
    def _segment_id(self) -> str:
        """The chosen segment; "" for none. The selector may give one that its segmentation does not have."""
        node, segment_id = self._ui.exampleSelector.currentNode(), str(self._ui.exampleSelector.currentSegmentID())
        return segment_id if node is not None and segment_id in node.GetSegmentation().GetSegmentIDs() else ""

    @property
    def _of(self) -> ExamplePrompt | None:
        """Which label gets another example; None for a new one."""
        return (
            None
            if self._package is None
            else self._mine.labels.named(str(self._ui.exampleOfSelector.currentData or ""), self._package)
        )

    def _list_labels(self) -> None:
        """Offer the labels there are for another example; the one that was chosen stays chosen, as long as
        it is there.
        """
        selector = self._ui.exampleOfSelector
        names = ["", *(prompt.name for prompt in (self._mine.labels.of(self._package) if self._package else ()))]
        if names == [selector.itemData(n) for n in range(selector.count)]:
            return
        before = str(selector.currentData or "")
        with blocked_signals(selector):
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
        if node is not self._segmentation:  # else it is the same, perhaps under another name
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
