"""The panel: the frame that holds its views and tools, shows the situation, and passes on what the user does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer

from ..core.errors import LCSError
from ..core.labels.label_tree import Label
from ..core.package.model_package import ModelPackage
from ..scene.nodes import first_scan
from . import installation
from .add_model_tool import AddModelTool
from .batch_tool import BatchTool
from .beside_tool import BesideTool
from .beside_view import BesideView
from .device_view import DeviceView
from .example_form import ExampleForm
from .example_tool import ExampleTool
from .installed_view import InstalledView
from .label_drop import LabelDrop
from .label_ticks import LabelTicks
from .metadata_entries import MetadataEntries
from .models_tool import ModelsTool
from .my_labels import MyLabels
from .my_labels_view import MyLabelsView
from .node_selectors import NodeSelectors
from .parameters import holds_output
from .pick_tool import PickTool
from .remembered import Memory
from .report_view import ReportView
from .request_loop import RequestLoop
from .result_tool import ResultTool
from .result_view import ResultView
from .runner import Outcome, Runner, Task
from .scans_view import ScansView
from .scene_copy import SceneCopy
from .segment_tool import SegmentTool
from .sentences import translated
from .setup_view import SetupView
from .shortcuts import Shortcuts
from .situation import Situation
from .strokes_tool import StrokesTool
from .structures_view import StructuresView
from .task_view import TaskView
from .tool import Tool

FLASH_MS = 120
"""Between off and on of a segment that flashes."""


class Panel:
    """Over the widgets of the .ui file (`ui`, by their names); the `Frame` of its tools."""

    def __init__(self, ui: Any, runner: Runner, log_file: Path) -> None:
        self.ui = ui
        self.runner = runner
        self.log_file = log_file
        self.memory = Memory()
        self._message = ""
        self._make_views()
        self._make_tools()
        ui.cancelButton.connect("clicked(bool)", self._cancel)
        self.keys = Shortcuts(ui, lambda: self.segment.apply(False), self.tree.mark_first)
        self._drop = LabelDrop(
            ui.LabelConditionedSegmentation, self.mine.import_file, lambda: ui.importLabelAction.enabled
        )
        ui.outputSelector.setMRMLScene(slicer.mrmlScene)
        self._show_model()
        self.refresh()

    def _make_views(self) -> None:
        ui = self.ui
        self.copy = SceneCopy(ui, self._read_parameters)
        self.loop = RequestLoop(ui, self.runner, self.say, self.refresh)
        self.setup = SetupView(ui, self._look_for_devices, self.say)
        self.structures = StructuresView(ui, self.memory, self._structures_changed)
        self.tree = self.structures.tree
        self.mine = MyLabelsView(ui, self.tree, self._my_labels_changed, self.say, self.refresh)
        self.devices = DeviceView(ui, self.copy, self.runner, self.loop, self._changed)
        self.choices = TaskView(
            ui, self.memory, self._model_chosen, self._inputs_chosen, self._changed, self._volume_changed
        )
        self.inputs = self.choices.inputs
        self.report = ReportView(ui, self.log_file, self.say)
        self.selectors = NodeSelectors(self._node_selectors, self.say)

    def _make_tools(self) -> None:
        self.pick = PickTool(self, self.structures, lambda call: _later(0, call))
        form = ExampleForm(self.ui, self.mine, self.refresh)
        self.example = ExampleTool(self, self.mine, form, self._my_labels_changed)
        self.scans = ScansView(self.ui, self.choices.models, self.refresh, lambda call: _later(0, call))
        self.batch = BatchTool(
            self, self.scans, self.structures, self.mine, self.choices.task_of, lambda call: _later(0, call)
        )
        self.segment = SegmentTool(self, self.batch, self.structures, self.mine, self.copy)
        self.strokes = StrokesTool(
            self, lambda: self.inputs.nodes, self.copy, form, lambda: self.segment.tell_volumes()
        )
        add_model = AddModelTool(self, self.choices.models)
        view = ResultView(self.ui)
        self.result = ResultTool(self, view, self.structures, self.segment.live, lambda call: _later(FLASH_MS, call))
        self.beside = BesideTool(self, BesideView(self.ui), lambda: self.result.node)
        installed = InstalledView(self.ui, self.refresh)
        manage = ModelsTool(self, self.choices.models, installed.show, lambda: installed.marked, _confirm)
        others = self.pick, self.example, self.strokes, add_model, manage, self.result, self.beside, self.batch
        self.tools: tuple[Tool, ...] = (*others, self.segment)  # the last always has advice

    # What the application does

    def show(self, parameters: Any) -> None:
        """Take the state of the panel from PanelParameters, and keep it there from now on; None lets go of it."""
        self.copy.show(parameters)

    def choose_first_volume(self) -> None:
        """Where no volume is chosen yet, choose the first one of the scene."""
        volume = first_scan(slicer.mrmlScene)
        if volume is not None and not any(self.inputs.nodes):
            self.choose_volume(volume)

    def choose_volume(self, volume: Any) -> None:
        """Choose the volume of the first channel."""
        self.inputs.set_nodes([volume])
        self._inputs_chosen()

    def leave(self, is_left: bool = True) -> None:
        """The user goes to another module, or comes back."""
        if is_left:
            self.pick.picker.stop()
        self.strokes.leave(is_left)

    def scene_closes(self) -> None:
        """Stop everything that has to do with this scene."""
        self.runner.cancel()
        self.runner.forget()
        for tool in self.tools:
            tool.stop()
        self.choices.stop()
        self.show(None)
        self.say()

    def close(self) -> None:
        """The module goes away."""
        self.loop.stop()
        self.pick.stop()
        self.result.stop()
        self.batch.stop()
        self.strokes.close()
        self.choices.stop()
        self.copy.close()
        self.selectors.close()
        self.scans.close()
        self.runner.close()

    # What is chosen

    @property
    def entries(self) -> MetadataEntries | None:
        """What is known about the scan."""
        return self.choices.entries

    @property
    def ticks(self) -> LabelTicks | None:
        """Which structures are wanted."""
        return self.structures.ticks

    # What the tools may use; see `Frame`

    @property
    def package(self) -> ModelPackage | None:
        return self.choices.package

    @property
    def device(self) -> str:
        return self.devices.name

    def task(self) -> Task | None:
        return self.choices.task(self.device)

    def situation(self) -> Situation:
        return self.choices.situation(installation.missing(), self.runner, self.runner.answers(self.task()))

    def may_run(self) -> bool:
        return self.choices.models.is_licence_acknowledged()

    def run_then(self, action: Callable[[], None]) -> None:
        task = self.task()
        if task is None:
            return
        if self.runner.answers(task):
            action()
            self.refresh()
        else:
            self.start(lambda: self.runner.start(task), lambda _outcome: action())

    def start(
        self,
        send: Callable[[], int],
        then: Callable[[Outcome], None],
        failed: Callable[[], None] | None = None,
        ended: Callable[[Outcome], None] | None = None,
        part: tuple[int, int] = (1, 1),
    ) -> None:
        self._message = ""
        try:
            self.loop.start(send, then, failed, ended, part)
        except LCSError as error:
            self._message = translated(str(error))
        self.refresh()

    def say(self, *sentences: str) -> None:
        self._message = " ".join(map(translated, sentences))
        self.refresh()

    def translated(self, text: str) -> str:
        return translated(text)

    def refresh(self) -> None:
        """Show the situation as it is now."""
        self.selectors.watch()
        now = self.situation()
        for tool in self.tools:
            tool.refresh(now)
        self.choices.refresh(now)
        self.setup.show(now.missing, now.running)
        self.report.refresh()
        ui = self.ui
        ui.outputSelector.enabled = ui.deviceSelector.enabled = not now.running
        ui.cancelButton.enabled = now.can_cancel
        ui.progressBar.visible = now.running
        if now.running:
            self.loop.show_progress()
        else:
            ui.statusLabel.text = self._message or translated(next(filter(None, (t.advice(now) for t in self.tools))))

    # The scene's copy of the panel

    def _read_parameters(self) -> None:
        """Show what the parameter node says."""
        with self.copy.held():
            self._show_parameters()
        self.refresh()
        self._look_for_devices()

    def _show_parameters(self) -> None:
        name = self.copy.parameters.model
        if name and not self.choices.models.show(name):
            self._message = translated(
                f'The model "{name}", which this scene was made with, is not installed; add it, or go on with another'
                " one."
            )
        self.mine.labels = MyLabels.from_text(self.copy.parameters.myLabels)
        self._show_model()
        if self.package is not None:
            self.structures.show(LabelTicks.from_text(self.mine.labels.tree(self.package), self.copy.parameters.labels))
        self.choices.read(self.copy.parameters)
        self.devices.read()
        if holds_output(self.copy.parameters):
            self.ui.outputSection.collapsed = False

    def _write_parameters(self) -> None:
        """Keep the panel in the parameter node."""
        if self.copy.is_free:
            with self.copy.writing():
                self.choices.write(self.copy.parameters)
                self.copy.parameters.labels = self.ticks.to_text() if self.ticks else ""
                self.copy.parameters.myLabels = self.mine.labels.to_text()

    # What the user does

    def _changed(self) -> None:
        """Something was chosen or entered: what was said about the state before is no longer of interest."""
        self._message = ""
        self._write_parameters()
        self.refresh()

    def _inputs_chosen(self) -> None:
        self.choices.take_up_volumes()
        self._changed()
        self._look_for_devices()

    def _volume_changed(self) -> None:
        if self.runner.running:
            return
        if self.choices.are_other_volumes() and not self.runner.answers(self.task()):
            self._message = ""  # what was said of the last run is not of this volume
        self.refresh()

    def _node_selectors(self) -> tuple[Any, ...]:
        tools = *self.example.form.selectors, *self.strokes.form.selectors
        return (*self.inputs.selectors, *tools, self.ui.outputSelector)

    def _model_chosen(self) -> None:
        self._show_model()
        self.segment.follow_model()
        self._inputs_chosen()

    def _show_model(self) -> None:
        """Show what the chosen model needs and knows: its channels, labels and metadata."""
        package = self.package
        if package is not None:
            self.choices.show_needs()
            self.mine.show_model(package)
            self.example.form.show_model(package)
            self.structures.show_model(package, self.mine.labels.tree(package))

    def _structures_changed(self) -> None:
        self._message = ""
        self._write_parameters()
        self.segment.follow()
        self.refresh()

    def _my_labels_changed(self, said: Sequence[str], replaced: Sequence[tuple[Label, Label]]) -> None:
        for label, other in replaced:
            self.segment.live.hand_over(label, other)
        if self.package is not None:
            self.structures.show_tree(
                self.mine.labels.tree(self.package), {label.id: other.id for label, other in replaced}
            )
        self._structures_changed()
        self.say(*said)

    def _look_for_devices(self) -> None:
        if any(self.inputs.nodes):
            self.devices.look_for_devices()

    def _cancel(self, _checked: bool) -> None:
        self.runner.cancel()
        self.refresh()


def _confirm(question: str) -> bool:
    return bool(slicer.util.confirmOkCancelDisplay(question))


def _later(milliseconds: int, call: Callable[[], None]) -> None:
    qt.QTimer.singleShot(milliseconds, call)
