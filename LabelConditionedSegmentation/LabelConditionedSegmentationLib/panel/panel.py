"""The panel: the frame that holds its views and tools, shows the situation, and passes on what the user does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..core.errors import LCSError
from ..core.labels.label_tree import Label
from ..core.package.model_package import ModelPackage
from ..resources import user_models_folder
from ..scene.dicom_metadata import known_facts
from ..scene.nodes import first_scan
from ..scene.volumes import declare_scan
from ..worker.requests import DevicesRequest, InstallRequest
from . import installation, model_view
from .device_view import DeviceView
from .example_form import ExampleForm
from .example_tool import ExampleTool
from .input_view import InputView
from .label_ticks import LabelTicks
from .label_view import LabelView
from .metadata_entries import MetadataEntries
from .metadata_form import MetadataForm
from .my_labels import MyLabels
from .my_labels_view import MyLabelsView
from .node_selectors import NodeSelectors
from .parameters import INPUT_ROLE
from .pick_tool import PickTool
from .remembered import Memory
from .request_loop import RequestLoop
from .runner import Outcome, Runner, Task
from .scene_copy import SceneCopy
from .segment_tool import SegmentTool
from .sentences import translated
from .setup_view import SetupView
from .situation import Situation, findings_text
from .structures_view import StructuresView
from .tool import Tool
from .volume_findings import VolumeFindings
from .volume_watch import VolumeWatch


class Panel:
    """Over the widgets of the .ui file (`ui`, by their names); the `Frame` of its tools."""

    def __init__(self, ui: Any, runner: Runner, log_file: Path) -> None:
        self.ui = ui
        self.runner = runner
        self.log_file = log_file
        self.memory = Memory()
        self.entries: MetadataEntries | None = None
        self.findings = VolumeFindings()
        self._message = ""
        self._make_views()
        self._make_tools()
        self._connect()
        ui.helpLabel.text = _first_steps()
        ui.outputSelector.setMRMLScene(slicer.mrmlScene)
        self._show_model()
        self.refresh()

    def _make_views(self) -> None:
        ui = self.ui
        self.copy = SceneCopy(ui, self._read_parameters)
        self.loop = RequestLoop(ui, self.runner, self.say, self.refresh)
        self.setup = SetupView(ui, self._setup_done, self.say)
        self.volumes = VolumeWatch(self._volume_changed)
        self.inputs = InputView(
            ui.inputsForm, self._inputs_chosen, "{channel}:", _("The {channel} volume that is to be segmented.")
        )
        self.structures = StructuresView(ui, self.memory, self._structures_changed)
        self.mine = MyLabelsView(ui, self.tree, self._my_labels_changed, self.say, self.refresh)
        self.form = MetadataForm(ui.metadataForm.layout(), self._changed)
        self.devices = DeviceView(ui.deviceSelector, ui.deviceLabel, self._device_chosen)
        self.models = model_view.ModelView(ui.modelSelector, ui.modelLabel, self.memory, self._model_chosen)
        self.selectors = NodeSelectors(self._node_selectors, self._node_gone)

    def _make_tools(self) -> None:
        self.pick = PickTool(self, self.structures, lambda call: qt.QTimer.singleShot(0, call))
        form = ExampleForm(self.ui, self.mine, self.refresh)
        self.example = ExampleTool(self, self.mine, form, self._my_labels_changed)
        self.segment = SegmentTool(self, self.structures, self.mine, self.copy)
        self.tools: tuple[Tool, ...] = (self.pick, self.example, self.segment)  # the last one always has advice

    def _connect(self) -> None:
        ui = self.ui
        ui.scanButton.connect("clicked(bool)", self._declare_scans)
        ui.addModelButton.connect("clicked(bool)", self._add_model)
        ui.cancelButton.connect("clicked(bool)", self._cancel)
        ui.reportButton.connect("clicked(bool)", self._copy_report)
        ui.logButton.connect("clicked(bool)", self._open_log)

    # What the application does

    def show(self, parameters: Any) -> None:
        """Take the state of the panel from PanelParameters, and keep it there from now on; None lets go of it."""
        self.copy.show(parameters)

    def choose_first_volume(self) -> None:
        """Where no volume is chosen yet, choose the first one of the scene."""
        volume = first_scan(slicer.mrmlScene)
        if volume is not None and not any(self.inputs.nodes):
            self.inputs.set_nodes([volume])
            self._inputs_chosen()

    def scene_closes(self) -> None:
        """Stop everything that has to do with this scene."""
        self.runner.cancel()
        self.runner.forget()
        for tool in self.tools:
            tool.stop()
        self.volumes.watch(())
        self.show(None)
        self.say()

    def close(self) -> None:
        """The module goes away."""
        self.loop.stop()
        self.pick.stop()
        self.volumes.watch(())
        self.copy.close()
        self.selectors.close()
        self.runner.close()

    # What the tools may use

    @property
    def parameters(self) -> Any:
        """PanelParameters of the scene; None while there are none."""
        return self.copy.parameters

    @property
    def package(self) -> ModelPackage | None:
        """The chosen model."""
        return self.models.package

    @property
    def device(self) -> str:
        """The chosen device."""
        return self.devices.name

    @property
    def ticks(self) -> LabelTicks | None:
        """What is chosen of the labels."""
        return self.structures.ticks

    @property
    def tree(self) -> LabelView:
        """Where they are shown."""
        return self.structures.tree

    def task(self) -> Task | None:
        """What Apply would run; None while something is missing for it."""
        nodes = self.inputs.nodes
        if self.package is None or self.entries is None or not nodes:
            return None
        if any(node is None or node.GetImageData() is None for node in nodes):
            return None
        return Task(nodes, self.package, self.entries.values(), self.device)

    def situation(self) -> Situation:
        """What all tools have to know before anything may be pressed."""
        return Situation(
            missing=installation.missing(),
            model=model_view.title(self.package) if self.package else "",
            findings=self.findings.of(self.inputs.nodes, self.package),
            problems=tuple(self.entries.problems()) if self.entries else (),
            running=self.runner.running,
            cancelling=self.runner.cancelling,
            is_answered=self.runner.answers(self.task()),
            has_run_before=self.runner.answer is not None,
        )

    def may_run(self) -> bool:
        """Whether the user accepts the licence of the model, which is asked about once."""
        return self.models.is_licence_acknowledged()

    def run_then(self, action: Callable[[], None]) -> None:
        """Do something that needs the answer of the network: at once where it is there, else after a run."""
        task = self.task()
        if task is None:
            return
        if self.runner.answers(task):
            action()
            self.refresh()
        else:
            self.start(lambda: self.runner.start(task), lambda _outcome: action())

    def start(
        self, send: Callable[[], int], then: Callable[[Outcome], None], failed: Callable[[], None] | None = None
    ) -> None:
        """See `Frame`."""
        self._message = ""
        try:
            self.loop.start(send, then, failed)
        except LCSError as error:
            self._message = translated(str(error))
        self.refresh()

    def say(self, *sentences: str) -> None:
        """Show English sentences in the user's language, instead of what was said before."""
        self._message = " ".join(map(translated, sentences))
        self.refresh()

    def translated(self, text: str) -> str:
        """An English text of ours in the user's language."""
        return translated(text)

    def refresh(self) -> None:
        """Show the situation as it is now."""
        self.selectors.watch()
        now = self.situation()
        for tool in self.tools:
            tool.refresh(now)
        ui = self.ui
        ui.findingsLabel.text = findings_text(now.findings, self.findings.name, translated) if self.package else ""
        ui.scanButton.visible = now.may_be_scan
        ui.cancelButton.enabled = now.can_cancel
        ui.logButton.enabled = self.log_file.is_file()
        for widget in (ui.modelSelector, ui.addModelButton, ui.outputSelector, ui.deviceSelector):
            widget.enabled = not now.running
        self.setup.show(now.missing, now.running)
        self.inputs.set_enabled(not now.running)
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
        name = self.parameters.model
        if name and not self.models.show(name):
            self._message = translated(
                f'The model "{name}", which this scene was made with, is not installed; add it, or go on with another'
                " one."
            )
        self.mine.labels = MyLabels.from_text(self.parameters.myLabels)
        self._show_model()
        package = self.package
        if package is not None:
            roles = (f"{INPUT_ROLE}{n}" for n in range(len(package.input.channels)))
            self.inputs.set_nodes([self.copy.node.GetNodeReference(role) for role in roles])
            self.structures.show(LabelTicks.from_text(self.mine.labels.tree(package), self.parameters.labels))
            self._use_entries(MetadataEntries.from_text(package.metadata, self.parameters.metadata))
        self.devices.show(self.parameters.device)
        self.volumes.watch(self.inputs.nodes)

    def _write_parameters(self) -> None:
        """Keep the panel in the parameter node."""
        if not self.copy.is_free:
            return
        with self.copy.writing():
            self.parameters.model = self.package.name if self.package else ""
            for n, volume in enumerate(self.inputs.nodes):
                self.copy.node.SetNodeReferenceID(f"{INPUT_ROLE}{n}", volume.GetID() if volume else None)
            self.parameters.labels = self.ticks.to_text() if self.ticks else ""
            self.parameters.myLabels = self.mine.labels.to_text()
            self.parameters.metadata = self.entries.to_text() if self.entries else ""

    # What the user does

    def _changed(self) -> None:
        """Something was chosen or entered: what was said about the state before is no longer of interest."""
        self._message = ""
        self._write_parameters()
        self.refresh()

    def _inputs_chosen(self) -> None:
        volume = next(iter(self.inputs.nodes), None)
        if self.entries is not None:
            self.entries.prefill(
                known_facts(volume, self.entries.schema, getattr(slicer, "dicomDatabase", None)) if volume else {}
            )
            self.form.refresh()
        self.volumes.watch(self.inputs.nodes)
        self._changed()
        self._look_for_devices()

    def _volume_changed(self) -> None:
        if self.runner.running:
            return
        if self.findings.are_of_others(self.inputs.nodes) and not self.runner.answers(self.task()):
            self._message = ""  # what was said of the last run is not of this volume
        self.refresh()

    def _declare_scans(self, _checked: bool) -> None:
        for node in self.inputs.nodes:
            declare_scan(node)
        self.refresh()

    def _node_selectors(self) -> tuple[Any, ...]:
        return (*self.inputs.selectors, *self.example.form.selectors, self.ui.outputSelector)

    def _node_gone(self, node: Any, was_output: bool) -> None:
        name = node.GetName()
        self.say(
            f'The segmentation "{name}" is gone; the next Apply makes a new one, unless you choose another.'
            if was_output
            else f'"{name}" is gone; choose another one.'
        )

    def _model_chosen(self) -> None:
        self._show_model()
        self._inputs_chosen()

    def _show_model(self) -> None:
        """Show what the chosen model needs and knows: its channels, labels and metadata."""
        package = self.package
        if package is not None:
            self.inputs.show_channels(package.input.channels)
            self.mine.show_model(package)
            self.example.form.show_model(package)
            self.structures.show_model(package, self.mine.labels.tree(package))
            self._use_entries(
                MetadataEntries.from_text(package.metadata, self.entries.to_text() if self.entries else "")
            )

    def _use_entries(self, entries: MetadataEntries) -> None:
        self.entries = entries
        self.form.show(entries)
        self.ui.metadataSection.visible = bool(entries.schema.fields)

    def _add_model(self, _checked: bool) -> None:
        source = self.models.ask_for_package()
        if source is not None:
            request = InstallRequest(str(source), str(user_models_folder()))
            self.start(lambda: self.runner.send(request), self._model_added)

    def _model_added(self, outcome: Outcome) -> None:
        self.models.look_for_models()
        self.models.choose(outcome.values["name"])
        self.say("The model was added.")

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

    def _device_chosen(self, name: str) -> None:
        if self.parameters is not None:
            self.parameters.device = name
        self._changed()

    def _setup_done(self) -> None:
        self.say()
        self._look_for_devices()

    def _look_for_devices(self) -> None:
        """Ask once, as soon as a volume is chosen: it also starts the worker, so that the first run begins sooner."""
        is_time = any(self.inputs.nodes) and not self.runner.is_waiting and not installation.missing()
        if is_time and not self.devices.is_listed:
            self.loop.start(lambda: self.runner.send_in_background(DevicesRequest()), self._devices_found)

    def _devices_found(self, outcome: Outcome) -> None:
        self.devices.list_devices(outcome.values["devices"], outcome.values["note"])
        if self.parameters is not None:
            self.devices.show(self.parameters.device)

    def _cancel(self, _checked: bool) -> None:
        self.runner.cancel()
        self.refresh()

    def _copy_report(self, _checked: bool) -> None:
        slicer.app.clipboard().setText(self.segment.report or "")
        self.say("The report is in the clipboard.")

    def _open_log(self, _checked: bool) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.log_file)))


def _first_steps() -> str:
    return str(
        _(
            "1. Choose a volume. What is odd about it is said below it.\n"
            "2. Tick the structures you want; search by name, synonym or code.\n"
            "3. Enter what is known about the scan, if anything is.\n"
            "4. Press Apply. Afterwards every further tick shows its segment at once.\n"
            "No scan at hand? The module Sample Data has a brain scan for this module."
        )
    )
