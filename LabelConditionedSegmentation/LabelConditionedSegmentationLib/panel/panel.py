"""The panel: shows the situation, passes on what the user does, and leaves every decision to its plain
collaborators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..core.errors import LCSError
from ..core.findings import Finding
from ..core.labels.label_tree import Label
from ..core.package.model_package import ModelPackage
from ..resources import resources_folder, user_models_folder
from ..scene.dicom_metadata import known_facts
from ..scene.nodes import first_scan
from ..scene.picking import PointPicker
from ..scene.run_report import report_of
from ..scene.segmentations import check_target
from ..scene.volumes import declare_scan
from ..scene.volumes_table import put_volumes
from . import installation, model_view
from .device_view import DeviceView
from .input_view import InputView
from .label_ticks import LabelTicks
from .label_view import LabelView
from .live_segments import LiveSegments
from .metadata_entries import MetadataEntries
from .metadata_form import MetadataForm
from .my_labels import MyLabels
from .my_labels_view import MyLabelsView
from .node_selectors import NodeSelectors
from .parameters import INPUT_ROLE
from .quiet import quiet
from .remembered import Memory
from .runner import Answer, Outcome, Runner, Task
from .scene_copy import SceneCopy
from .sentences import told
from .situation import Situation, findings_text, time_left
from .structures_view import StructuresView
from .volume_findings import VolumeFindings

POLL_MS = 50


class Panel(VTKObservationMixin):
    """Over the widgets of the .ui file (`ui`, by their names)."""

    def __init__(self, ui: Any, runner: Runner, log_file: Path) -> None:
        super().__init__()
        self.ui = ui
        self.runner = runner
        self.log_file = log_file
        self.memory = Memory()
        self.live = LiveSegments()
        self.entries: MetadataEntries | None = None
        self.copy = SceneCopy(ui, self._read_parameters)
        self.findings = VolumeFindings()
        self._message = ""
        self._after_run: Callable[[], None] = self.refresh
        self._after_examples: Callable[[], None] = self.refresh
        self.inputs = InputView(
            ui.inputsForm, self._inputs_chosen, "{channel}:", _("The {channel} volume that is to be segmented.")
        )
        self.structures = StructuresView(ui, self.memory, self._structures_changed)
        self.mine = MyLabelsView(ui, self.tree, self._make_label, self._my_labels_changed, self._say, self.refresh)
        self.form = MetadataForm(ui.metadataForm.layout(), self._changed)
        self.devices = DeviceView(ui.deviceSelector, ui.deviceLabel, self._device_chosen)
        self.models = model_view.ModelView(ui.modelSelector, ui.modelLabel, self.memory, self._model_chosen)
        self.picker = PointPicker(self._point_picked, self.refresh, lambda call: qt.QTimer.singleShot(0, call))
        self.selectors = NodeSelectors(self._node_selectors, self._node_gone)
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self._poll)
        self._connect()
        ui.helpLabel.text = _first_steps()
        ui.outputSelector.setMRMLScene(slicer.mrmlScene)
        self._show_model()
        self.refresh()

    @property
    def parameters(self) -> Any:
        """PanelParameters of the scene; None while there are none."""
        return self.copy.parameters

    @property
    def package(self) -> ModelPackage | None:
        """The chosen model."""
        return self.models.package

    @property
    def ticks(self) -> LabelTicks | None:
        """What is chosen of its labels."""
        return self.structures.ticks

    @property
    def tree(self) -> LabelView:
        """Where they are shown."""
        return self.structures.tree

    # What the application tells

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
        self.picker.stop()
        self.live.stop()
        self._watch(())
        self.show(None)
        self._say("")

    def close(self) -> None:
        """The module goes away."""
        self.timer.stop()
        self.picker.stop()
        self.removeObservers()
        self.copy.close()
        self.selectors.close()
        self.runner.close()

    def refresh(self) -> None:
        """Show the situation as it is now."""
        self.selectors.watch()
        now = self.situation()
        ui = self.ui
        if not now.is_answered:  # a point, and what lies under it, belong to one run
            self.picker.stop()
            self.structures.offer([])
        if not (now.running or now.is_picking):
            self._let_pick_button_up()
        ui.findingsLabel.text = findings_text(now.findings, self.findings.name, told) if self.package else ""
        ui.setupNotice.visible = bool(now.missing)
        ui.setupLabel.text = told(now.missing)
        ui.scanButton.visible = now.may_be_scan
        ui.applyButton.enabled, ui.applyButton.toolTip = now.can_apply, told(now.apply_tip)
        ui.pickButton.enabled, ui.pickButton.toolTip = now.can_pick, told(now.pick_tip)
        ui.cancelButton.enabled = now.can_cancel
        ui.undoButton.enabled = now.can_undo and not now.running
        ui.reportButton.enabled = now.has_report
        ui.logButton.enabled = self.log_file.is_file()
        ui.progressBar.visible = now.running
        ui.statusLabel.text = self._progress_text() if now.running else self._message or told(now.advice)
        for widget in (ui.modelSelector, ui.addModelButton, ui.outputSelector, ui.deviceSelector, ui.setupButton):
            widget.enabled = not now.running
        self.inputs.set_enabled(not now.running)
        self.mine.refresh(now)

    def situation(self) -> Situation:
        """All that decides what may be pressed."""
        task = self._task()
        return Situation(
            missing=installation.missing(),
            model=model_view.title(self.package) if self.package else "",
            findings=self.findings.of(self.inputs.nodes, self.package),
            wanted=len(self.structures.wanted),
            problems=tuple(self.entries.problems()) if self.entries else (),
            running=self.runner.running,
            cancelling=self.runner.cancelling,
            is_answered=self.runner.answers(task),
            is_live=self.live.node is not None,
            is_picking=self.picker.is_active,
            has_run_before=self.runner.answer is not None,
            can_undo=self.live.can_undo,
            has_report=self._report is not None,
            learns_examples=bool(self.package and self.package.architecture.learns_examples),
        )

    # Filling

    def _connect(self) -> None:
        ui = self.ui
        ui.setupButton.connect("clicked(bool)", self._install)
        ui.scanButton.connect("clicked(bool)", self._declare_scans)
        ui.addModelButton.connect("clicked(bool)", self._add_model)
        ui.pickButton.connect("toggled(bool)", self._pick_toggled)
        ui.outputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._output_chosen)
        ui.applyButton.connect("clicked(bool)", self._apply)
        ui.cancelButton.connect("clicked(bool)", self._cancel)
        ui.undoButton.connect("clicked(bool)", self._undo)
        ui.reportButton.connect("clicked(bool)", self._copy_report)
        ui.logButton.connect("clicked(bool)", self._open_log)

    def _show_model(self) -> None:
        """Show what the chosen model needs and knows: its channels, labels and metadata."""
        package = self.package
        if package is not None:
            self.inputs.show_channels(package.input.channels)
            self.mine.show_model(package)
            self.structures.show_model(package, self.mine.labels.tree(package))
            self._use_entries(
                MetadataEntries.from_text(package.metadata, self.entries.to_text() if self.entries else "")
            )

    def _use_entries(self, entries: MetadataEntries) -> None:
        self.entries = entries
        self.form.show(entries)
        self.ui.metadataSection.visible = bool(entries.schema.fields)

    # The scene's copy of the panel

    def _read_parameters(self) -> None:
        """Show what the parameter node says."""
        with self.copy.held():
            self._show_parameters()
        self.refresh()
        self._look_for_devices()

    def _show_parameters(self) -> None:
        node = self.copy.node
        name = self.parameters.model
        if name and not self.models.show(name):
            self._message = _(
                'The model "{name}", which this scene was made with, is not installed; add it, or go on with another'
                " one."
            ).format(name=name)
        self.mine.labels = MyLabels.from_text(self.parameters.myLabels)
        self._show_model()
        package = self.package
        if package is not None:
            self.inputs.set_nodes(
                [node.GetNodeReference(f"{INPUT_ROLE}{n}") for n in range(len(package.input.channels))]
            )
            self.structures.show(LabelTicks.from_text(self.mine.labels.tree(package), self.parameters.labels))
            self._use_entries(MetadataEntries.from_text(package.metadata, self.parameters.metadata))
        self.devices.show(self.parameters.device)
        self._watch(self.inputs.nodes)

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

    def _inputs_chosen(self) -> None:
        volume = next(iter(self.inputs.nodes), None)
        if self.entries is not None:
            self.entries.prefill(
                known_facts(volume, self.entries.schema, getattr(slicer, "dicomDatabase", None)) if volume else {}
            )
            self.form.refresh()
        self._watch(self.inputs.nodes)
        self._changed()
        self._look_for_devices()

    def _declare_scans(self, _checked: bool) -> None:
        for node in self.inputs.nodes:
            declare_scan(node)
        self.refresh()

    def _model_chosen(self) -> None:
        self._show_model()
        self._inputs_chosen()

    def _add_model(self, _checked: bool) -> None:
        source = self.models.ask_for_package()
        if source is not None:
            self._start(lambda: self.runner.install(source, user_models_folder()))

    def _structures_changed(self) -> None:
        self._message = ""
        self._write_parameters()
        self._follow()
        self.refresh()

    def _make_label(self) -> None:
        if self.models.is_licence_acknowledged():
            self._start(lambda: self.mine.show_to(self.runner, self.devices.name))

    def _my_labels_changed(self, said: str, replaced: Sequence[tuple[Label, Label]]) -> None:
        for label, other in replaced:
            self.live.hand_over(label, other)
        if self.package is not None:
            self.structures.show_tree(
                self.mine.labels.tree(self.package), {label.id: other.id for label, other in replaced}
            )
        self._structures_changed()
        self._say(said)

    def _output_chosen(self, node: Any) -> None:
        if not self.copy.is_held and node is not self.live.node:
            self.live.stop()
            self._say("")

    def _node_selectors(self) -> tuple[Any, ...]:
        return (*self.inputs.selectors, *self.mine.selectors, self.ui.outputSelector)

    def _node_gone(self, node: Any, was_output: bool) -> None:
        then = (
            _('The segmentation "{name}" is gone; the next Apply makes a new one, unless you choose another.')
            if was_output
            else _('"{name}" is gone; choose another one.')
        )
        self._say(then.format(name=node.GetName()))

    def _device_chosen(self, name: str) -> None:
        if self.parameters is not None:
            self.parameters.device = name
        self._changed()

    def _apply(self, _checked: bool) -> None:
        if self.situation().can_apply and self.models.is_licence_acknowledged():
            output = self.parameters.output  # where the result goes is settled now, whatever happens during the run
            try:
                if output is not None:
                    check_target(output, self.inputs.nodes[0])
            except LCSError as error:
                self._say(told(str(error)))
                return
            self.structures.remember()
            self._run_then(lambda: self._with_examples(lambda: self._write(output)))

    def _cancel(self, _checked: bool) -> None:
        self.runner.cancel()
        self.refresh()

    def _undo(self, _checked: bool) -> None:
        try:
            self.live.undo()
            self._say(
                _("The last Apply was taken back.")
                if self.ui.outputSelector.currentNode()
                else _("The last Apply was taken back, and its segmentation with it; the next Apply makes a new one.")
            )
        except LCSError as error:
            self._say(told(str(error)))

    def _pick_toggled(self, checked: bool) -> None:
        if not checked:
            self.picker.stop()
        elif self.situation().can_pick and self.models.is_licence_acknowledged():
            self._run_then(self._pick)
        else:
            self._let_pick_button_up()

    def _point_picked(self, position_ras: tuple[float, float, float]) -> None:
        self._start(lambda: self.runner.rank(position_ras))

    def _install(self, _checked: bool) -> None:
        self.ui.setupButton.enabled = False  # pip keeps the application alive, and a second click would come through
        try:
            installation.install(
                resources_folder() / "requirements.txt", lambda text: slicer.util.confirmOkCancelDisplay(told(text))
            )
            self._say("")
            self._look_for_devices()
        except installation.InstallationError as error:
            self._say(told(str(error)))

    def _copy_report(self, _checked: bool) -> None:
        slicer.app.clipboard().setText(self._report or "")
        self._say(_("The report is in the clipboard."))

    def _open_log(self, _checked: bool) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.log_file)))

    # Runs

    def _task(self) -> Task | None:
        """What Apply would run; None while something is missing for it."""
        nodes = self.inputs.nodes
        if (
            self.package is None
            or self.entries is None
            or not nodes
            or any(node is None or node.GetImageData() is None for node in nodes)
        ):
            return None
        return Task(nodes, self.package, self.entries.values(), self.devices.name)

    def _run_then(self, action: Callable[[], None]) -> None:
        """Do something that needs the answer of the network: at once where it is there, else after a run."""
        task = self._task()
        if task is None:
            return
        if self.runner.answers(task):
            action()
            self.refresh()
            return
        self._after_run = action
        self._start(lambda: self.runner.start(task))

    def _with_examples(self, action: Callable[[], None]) -> None:
        """Do something that shows my labels: at once where it is known who wins among them, else after the worker was
        asked, without another pass of the network.
        """
        answer, package = self.runner.answer, self.package
        branch = self.mine.labels.branch(package) if package else None
        if (
            answer is None
            or package is None
            or branch is None
            or self.runner.running
            or not self.runner.lacks_examples(branch)
        ):
            action()
        elif not answer.can_rank and not any(label.id in branch for label in self.structures.wanted):
            action()  # it cannot be known, and nobody asks
        else:
            self._after_examples = action
            self._start(lambda: self.runner.ask_examples(branch, self.mine.labels.of(package)))

    def _start(self, begin: Callable[[], None]) -> None:
        self._message = ""
        try:
            begin()
            self.timer.start()
        except LCSError as error:
            self._message = told(str(error))
        self.refresh()

    def _poll(self) -> None:
        outcomes = self.runner.poll()
        if not self.runner.is_waiting:
            self.timer.stop()
        for outcome in outcomes:
            self._ended(outcome)
        if self.runner.running:
            self.ui.progressBar.value = round(1000 * self.runner.fraction)
            self.ui.statusLabel.text = self._progress_text()
        elif outcomes:
            self.refresh()

    def _ended(self, outcome: Outcome) -> None:
        if outcome.kind == "examples" and not outcome.cancelled:
            self._after_examples()  # without my labels where that failed
        if not outcome.ok:
            self._say(told(outcome.text))
            return
        ends = {
            "run": self._run_ended,
            "at": self._rank_ended,
            "example": self._example_ended,
            "install": self._install_ended,
            "devices": self._devices_ended,
        }
        if outcome.kind in ends:
            ends[outcome.kind](outcome)

    def _run_ended(self, _outcome: Outcome) -> None:
        self._after_run()

    def _rank_ended(self, outcome: Outcome) -> None:
        ranked = self.runner.ranked(outcome)
        self.structures.offer(ranked)
        self._say(
            _("Click a structure in the list to tick it.")
            if ranked
            else _("This point lies outside the part of the volume that the model has seen.")
        )

    def _example_ended(self, outcome: Outcome) -> None:
        self.mine.made(outcome.values["prompt"])

    def _install_ended(self, outcome: Outcome) -> None:
        self.models.look_for_models()
        self.models.choose(outcome.values["name"])
        self._say(_("The model was added."))

    def _devices_ended(self, outcome: Outcome) -> None:
        self.devices.list_devices(outcome.values["devices"], outcome.values["note"])
        if self.parameters is not None:
            self.devices.show(self.parameters.device)

    def _write(self, output: Any) -> None:
        """Write what is ticked into a segmentation, or into a new one where it is None."""
        answer = self.runner.answer
        if answer is None or self.parameters is None or not answer.parts(self.structures.wanted):
            return
        try:
            empty = self.live.write(answer, self.structures.wanted, output)
            self._show_output()
            self._write_table(answer)
        except LCSError as error:
            self._say(told(str(error)))
            return
        self._say(self._done_text(answer.report, empty))

    def _write_table(self, answer: Answer) -> None:
        if self.parameters.volumesTable:
            put_volumes(self.live.node, answer.task.nodes[0], answer.parts(self.structures.wanted))

    @property
    def _report(self) -> str | None:
        """The run report of the chosen segmentation."""
        return report_of(self.ui.outputSelector.currentNode())

    def _show_output(self) -> None:
        """Show where the segments went: a new segmentation becomes the chosen one."""
        with self.copy.held():
            self.parameters.output = self.live.node

    def _follow(self) -> None:
        """Show and hide segments as the ticks say, where the last answer still holds."""
        if self.live.node is not None and self.runner.answers(self._task()):
            self._with_examples(self._follow_now)

    def _follow_now(self) -> None:
        answer = self.runner.answer
        if self.live.node is None or answer is None or not self.runner.answers(self._task()):
            return
        try:
            empty = self.live.follow(answer, self.structures.wanted)
            self._write_table(answer)
        except LCSError as error:
            self._message = told(str(error))
            return
        self._message = self._empty_text(empty) or self._message

    def _pick(self) -> None:
        self.picker.start()
        self._say("")

    def _let_pick_button_up(self) -> None:
        with quiet(self.ui.pickButton):
            self.ui.pickButton.checked = False

    # Small things

    def _changed(self) -> None:
        """Something was chosen or entered: what was said about the state before is no longer of interest."""
        self._message = ""
        self._write_parameters()
        self.refresh()

    def _say(self, text: str) -> None:
        self._message = text
        self.refresh()

    def _progress_text(self) -> str:
        if self.runner.cancelling:
            return str(_("Cancelling..."))
        left = time_left(self.runner.fraction, self.runner.seconds)
        return ", ".join(part for part in (told(self.runner.text) or _("starting"), told(left)) if part)

    def _done_text(self, report: dict[str, Any], empty: list[Label]) -> str:
        warnings = [told(str(Finding(**finding))) for finding in report["findings"] if finding["level"] != "note"]
        fallbacks = (
            [_("Memory was short: {steps}.").format(steps=", ".join(map(told, report["fallbacks"])))]
            if report["fallbacks"]
            else []
        )
        seconds = sum(report["timings_s"].values())
        done = _("Done in {seconds:.0f} s on {device}.").format(seconds=seconds, device=told(report["device"]))
        is_current = self.runner.answers(self._task())
        then = (
            _("Further ticks show at once.")
            if is_current
            else _("What is known about the scan was changed meanwhile: press Apply for a new run.")
        )
        return " ".join(part for part in (done, then, *fallbacks, *warnings, self._empty_text(empty)) if part)

    def _empty_text(self, empty: list[Label]) -> str:
        return (
            str(_("Not found in this volume: {names}.")).format(names=", ".join(label.name for label in empty))
            if empty
            else ""
        )

    def _watch(self, nodes: tuple[Any, ...]) -> None:
        """Notice when the chosen volumes change."""
        self.removeObservers(self._volume_changed)
        events = (
            vtk.vtkCommand.ModifiedEvent,
            slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent,
            slicer.vtkMRMLTransformableNode.TransformModifiedEvent,
        )
        for node in {node for node in nodes if node is not None}:
            for event in events:
                self.addObserver(node, event, self._volume_changed)

    def _volume_changed(self, _caller: Any, _event: Any) -> None:
        if self.runner.running:
            return
        if self.findings.are_of_others(self.inputs.nodes) and not self.runner.answers(self._task()):
            self._message = ""  # what was said of the last run is not of this volume
        self.refresh()

    def _look_for_devices(self) -> None:
        """Ask once, as soon as a volume is chosen: it also starts the worker, so that the first run begins sooner."""
        if (
            not self.devices.is_listed
            and any(self.inputs.nodes)
            and not self.runner.is_waiting
            and not installation.missing()
        ):
            self.runner.look_for_devices()
            self.timer.start()


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
