"""The panel: shows the situation, passes on what the user does, and leaves every decision to its plain collaborators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..resources import model_folders, resources_folder, user_models_folder
from ..scene.dicom_metadata import known_facts
from ..scene.models import installed_models
from ..scene.picking import PointPicker
from ..scene.segmentations import check_target
from ..scene.volumes import check_nodes, fingerprint
from ..scene.volumes_table import put_volumes
from ..scene.words import Finding, Label, LCSError, ModelPackage
from . import installation
from .input_view import InputView
from .label_ticks import LabelTicks
from .label_view import LabelView
from .live_segments import LiveSegments
from .memory import Memory, needs_acknowledgement
from .metadata_entries import MetadataEntries
from .metadata_form import MetadataForm
from .parameters import INPUT_ROLE
from .recent_sets import RecentSets
from .runner import Answer, Outcome, Runner, Task
from .situation import Situation, findings_text, time_left

POLL_MS = 50
AUTOMATIC = "auto"

FIRST_STEPS = _(
    "1. Choose a volume. What is odd about it is said below it.\n"
    "2. Tick the structures you want; search by name, synonym or code.\n"
    "3. Enter what is known about the scan, if anything is.\n"
    "4. Press Apply. Afterwards every further tick shows its segment at once.\n"
    "No scan at hand? The module Sample Data has a brain scan for this module."
)


class Panel(VTKObservationMixin):  # type: ignore[misc]  # a class of the application
    """Over the widgets of the .ui file (`ui`, by their names)."""

    def __init__(self, ui: Any, runner: Runner, log_file: Path) -> None:
        super().__init__()
        self.ui = ui
        self.runner = runner
        self.log_file = log_file
        self.memory = Memory()
        self.live = LiveSegments()
        self.recent = RecentSets(self.memory.recent_sets)
        self.packages: dict[str, ModelPackage] = {}
        self._unusable: list[Finding] = []
        self.package: ModelPackage | None = None
        self.ticks: LabelTicks | None = None
        self.entries: MetadataEntries | None = None
        self.parameters: Any = None
        self._gui_tag: Any = None
        self._message = ""
        self._report = ""
        self._after_run: Callable[[], None] = self.refresh
        self._checked: tuple[Any, tuple[Finding, ...]] = (None, ())
        self._is_loading = False
        self.inputs = InputView(ui.inputsForm, self._inputs_chosen)
        self.tree = LabelView(ui.labelTree, self._ticks_changed)
        self.form = MetadataForm(ui.metadataForm.layout(), self._metadata_changed)
        self.picker = PointPicker(self._point_picked, self.refresh, lambda call: qt.QTimer.singleShot(0, call))
        self.timer = qt.QTimer()
        self.timer.setInterval(POLL_MS)
        self.timer.connect("timeout()", self._poll)
        self._connect()
        self._fill()

    # What the application tells

    def show(self, parameters: Any) -> None:
        """Take the state of the panel from PanelParameters, and keep it there from now on; None lets go of it."""
        if self.parameters is not None:
            self.parameters.disconnectGui(self._gui_tag)
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)
        self.parameters = parameters
        if parameters is not None:
            self._gui_tag = parameters.connectGui(self.ui)
            self.addObserver(parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self._parameters_changed)
            self._read_parameters()

    def choose_first_volume(self) -> None:
        """Where no volume is chosen yet, choose the first one of the scene."""
        volume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
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
        self.show(None)
        self.removeObservers()
        self.runner.close()

    def refresh(self) -> None:
        """Show the situation as it is now."""
        now = self.situation()
        ui = self.ui
        if not now.is_answered:  # a point, and what lies under it, belong to one run
            self.picker.stop()
            ui.pickList.visible = False
        if not (now.running or now.is_picking):
            self._let_pick_button_up()
        ui.setupNotice.visible = bool(now.missing)
        ui.setupLabel.text = now.missing
        ui.applyButton.enabled, ui.applyButton.toolTip = now.can_apply, now.apply_tip
        ui.pickButton.enabled, ui.pickButton.toolTip = now.can_pick, now.pick_tip
        ui.cancelButton.enabled = now.can_cancel
        ui.undoButton.enabled = now.can_undo and not now.running
        ui.reportButton.enabled = now.has_report
        ui.logButton.enabled = self.log_file.is_file()
        ui.progressBar.visible = now.running
        ui.statusLabel.text = self._progress_text() if now.running else self._message or now.advice
        for widget in (ui.modelSelector, ui.addModelButton, ui.outputSelector, ui.deviceSelector, ui.setupButton):
            widget.enabled = not now.running
        self.inputs.set_enabled(not now.running)
        ui.countLabel.text = self.ticks.summary() if self.ticks else ""

    def situation(self) -> Situation:
        """All that decides what may be pressed."""
        task = self._task()
        return Situation(
            missing=installation.missing(),
            model=str(self.package.about.get("title", self.package.name)) if self.package else "",
            findings=self._findings(),
            wanted=len(self.ticks.wanted()) if self.ticks else 0,
            problems=tuple(self.entries.problems()) if self.entries else (),
            running=self.runner.running,
            cancelling=self.runner.cancelling,
            is_answered=self.runner.answers(task),
            is_live=self.live.node is not None,
            is_picking=self.picker.is_active,
            has_run_before=self.runner.answer is not None,
            can_undo=self.live.can_undo,
            has_report=bool(self._report),
        )

    # Filling

    def _connect(self) -> None:
        ui = self.ui
        ui.setupButton.connect("clicked(bool)", self._install)
        ui.modelSelector.connect("currentIndexChanged(int)", self._model_chosen)
        ui.addModelButton.connect("clicked(bool)", self._add_model)
        ui.searchBox.connect("textChanged(QString)", self.tree.filter)
        ui.allButton.connect("clicked(bool)", self._tick_all)
        ui.clearButton.connect("clicked(bool)", self._untick_all)
        ui.sidesBox.connect("toggled(bool)", self._sides_toggled)
        ui.recentSelector.connect("activated(int)", self._recent_chosen)
        ui.pickButton.connect("toggled(bool)", self._pick_toggled)
        ui.pickList.connect("itemClicked(QListWidgetItem*)", self._ranked_clicked)
        ui.outputSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._output_chosen)
        ui.deviceSelector.connect("activated(int)", self._device_chosen)
        ui.applyButton.connect("clicked(bool)", self._apply)
        ui.cancelButton.connect("clicked(bool)", self._cancel)
        ui.undoButton.connect("clicked(bool)", self._undo)
        ui.reportButton.connect("clicked(bool)", self._copy_report)
        ui.logButton.connect("clicked(bool)", self._open_log)

    def _fill(self) -> None:
        self.ui.helpLabel.text = FIRST_STEPS
        self.ui.outputSelector.setMRMLScene(slicer.mrmlScene)
        self.ui.deviceSelector.addItem(_("Automatic"), AUTOMATIC)
        self.ui.pickList.visible = False
        self.ui.deviceLabel.visible = False
        self._list_models()

    def _list_models(self) -> None:
        """Offer every model package that is found; the one chosen before stays."""
        self.packages, self._unusable = installed_models(model_folders())
        selector = self.ui.modelSelector
        selector.blockSignals(True)
        selector.clear()
        for name, package in self.packages.items():
            selector.addItem(str(package.about.get("title", name)), name)
        selector.blockSignals(False)
        wanted = (self.package.name if self.package else "") or self.memory.model
        self._use_model(wanted if wanted in self.packages else next(iter(self.packages), ""))
        self.refresh()

    def _use_model(self, name: str) -> None:
        """Show a model: its channels, labels and metadata."""
        self.package = self.packages.get(name)
        package = self.package
        self.ui.modelSelector.blockSignals(True)
        self.ui.modelSelector.currentIndex = list(self.packages).index(name) if package else -1
        self.ui.modelSelector.blockSignals(False)
        self.ui.modelLabel.text = self._about_model()
        if package is None:
            return
        self.inputs.show_channels(package.input.channels)
        ticks = LabelTicks(package.labels)
        ticks.choose([label.name for label in self.ticks.wanted()] if self.ticks else [])  # structures that both models know stay chosen
        self._use_ticks(ticks)
        self._use_entries(MetadataEntries.from_text(package.metadata, self.entries.to_text() if self.entries else ""))
        self._show_recent()

    def _about_model(self) -> str:
        """What the model is for, its licence, and which packages cannot be used."""
        about = self.package.about if self.package else {}
        not_for = _("Not for: ") + str(about["not_for"]) if about.get("not_for") else ""
        return "\n".join(str(line) for line in (about.get("intended_use"), not_for, about.get("licence"), *self._unusable) if line)

    def _use_ticks(self, ticks: LabelTicks) -> None:
        self.ticks = ticks
        self.ui.sidesBox.blockSignals(True)
        self.ui.sidesBox.checked = ticks.sides_together
        self.ui.sidesBox.blockSignals(False)
        self.tree.show(ticks)
        self.tree.filter(self.ui.searchBox.text)

    def _use_entries(self, entries: MetadataEntries) -> None:
        self.entries = entries
        self.form.show(entries)
        self.ui.metadataSection.visible = bool(entries.schema.fields)

    def _show_recent(self) -> None:
        selector = self.ui.recentSelector
        selector.clear()
        titles = self.recent.titles(self.package.name) if self.package else []
        selector.addItem(_("Recent structures") if titles else _("No recent structures"))
        for title in titles:
            selector.addItem(title)
        selector.enabled = bool(titles)

    # The scene's copy of the panel

    def _read_parameters(self) -> None:
        """Show what the parameter node says."""
        self._is_loading = True
        node = self.parameters.parameterNode
        if self.parameters.model in self.packages:
            self._use_model(self.parameters.model)
        elif self.parameters.model:
            self._message = _('The model "{name}", which this scene was made with, is not installed; add it, or go on with another one.').format(name=self.parameters.model)
        package = self.package
        if package is not None:
            self.inputs.set_nodes([node.GetNodeReference(f"{INPUT_ROLE}{n}") for n in range(len(package.input.channels))])
            self._use_ticks(LabelTicks.from_text(package.labels, self.parameters.labels))
            self._use_entries(MetadataEntries.from_text(package.metadata, self.parameters.metadata))
        self._show_device(self.parameters.device)
        self._watch(self.inputs.nodes)
        self._is_loading = False
        self.refresh()

    def _write_parameters(self) -> None:
        """Keep the panel in the parameter node."""
        if self.parameters is None or self._is_loading:
            return
        self._is_loading = True
        node = self.parameters.parameterNode
        with slicer.util.NodeModify(node):
            self.parameters.model = self.package.name if self.package else ""
            for n, volume in enumerate(self.inputs.nodes):
                node.SetNodeReferenceID(f"{INPUT_ROLE}{n}", volume.GetID() if volume else None)
            self.parameters.labels = self.ticks.to_text() if self.ticks else ""
            self.parameters.metadata = self.entries.to_text() if self.entries else ""
            self.parameters.device = str(self.ui.deviceSelector.currentData)
        self._is_loading = False

    def _parameters_changed(self, _caller: Any, _event: Any) -> None:
        if not self._is_loading:
            self._read_parameters()

    # What the user does

    def _inputs_chosen(self) -> None:
        volume = next(iter(self.inputs.nodes), None)
        if self.entries is not None:
            self.entries.prefill(known_facts(volume, self.entries.schema, getattr(slicer, "dicomDatabase", None)) if volume else {})
            self.form.refresh()
        self._watch(self.inputs.nodes)
        self._changed()
        self._look_for_devices()

    def _model_chosen(self, index: int) -> None:
        if index < 0:
            return
        self._use_model(list(self.packages)[index])
        self.memory.model = list(self.packages)[index]
        self._inputs_chosen()

    def _add_model(self, _checked: bool) -> None:
        chosen = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Add model"), "", _("Model packages (*.zip model.json)"))
        if not chosen:
            return
        source = Path(chosen).parent if Path(chosen).name == "model.json" else Path(chosen)
        self._start(lambda: self.runner.install(source, user_models_folder()))

    def _ticks_changed(self) -> None:
        self._changed()
        self._follow()

    def _tick_all(self, _checked: bool) -> None:
        if self.ticks is not None:
            self.ticks.tick_all()
            self.tree.refresh()
            self._ticks_changed()

    def _untick_all(self, _checked: bool) -> None:
        if self.ticks is not None:
            self.ticks.clear()
            self.tree.refresh()
            self._ticks_changed()

    def _sides_toggled(self, checked: bool) -> None:
        if self.ticks is not None:
            self.ticks.sides_together = checked
            self._changed()

    def _recent_chosen(self, index: int) -> None:
        if index > 0 and self.ticks is not None and self.package is not None:
            self.ticks.choose(self.recent.get(self.package.name, index - 1))
            self.tree.refresh()
            self._ticks_changed()
        self.ui.recentSelector.currentIndex = 0

    def _metadata_changed(self) -> None:
        self._changed()

    def _output_chosen(self, node: Any) -> None:
        if not self._is_loading and node is not self.live.node:
            self.live.stop()
            self._say("")

    def _device_chosen(self, _index: int) -> None:
        self._changed()

    def _apply(self, _checked: bool) -> None:
        if self.situation().can_apply and self._is_licence_acknowledged():
            output = self.parameters.output  # where the result goes is settled now, whatever happens during the run
            try:
                if output is not None:
                    check_target(output, self.inputs.nodes[0])
            except LCSError as error:
                self._say(str(error))
                return
            self._remember_set()
            self._run_then(lambda: self._write(output))

    def _cancel(self, _checked: bool) -> None:
        self.runner.cancel()
        self.refresh()

    def _undo(self, _checked: bool) -> None:
        try:
            self.live.undo()
            self._say(_("The last Apply was taken back."))
        except LCSError as error:
            self._say(str(error))

    def _pick_toggled(self, checked: bool) -> None:
        if not checked:
            self.picker.stop()
        elif self.situation().can_pick and self._is_licence_acknowledged():
            self._run_then(self._pick)
        else:
            self._let_pick_button_up()

    def _point_picked(self, position_ras: tuple[float, float, float]) -> None:
        self._start(lambda: self.runner.rank(position_ras))

    def _ranked_clicked(self, item: Any) -> None:
        if self.ticks is not None:
            self.ticks.tick(item.data(qt.Qt.UserRole), True)
            self.tree.refresh()
            self._ticks_changed()

    def _install(self, _checked: bool) -> None:
        try:
            installation.install(resources_folder() / "requirements.txt", slicer.util.confirmOkCancelDisplay)
            self._say("")
        except installation.InstallationError as error:
            self._say(str(error))

    def _copy_report(self, _checked: bool) -> None:
        slicer.app.clipboard().setText(self._report)
        self._say(_("The report is in the clipboard."))

    def _open_log(self, _checked: bool) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self.log_file)))

    # Runs

    def _task(self) -> Task | None:
        """What Apply would run; None while something is missing for it."""
        nodes = self.inputs.nodes
        if self.package is None or self.entries is None or not nodes or any(node is None or node.GetImageData() is None for node in nodes):
            return None
        return Task(nodes, self.package, self.entries.values(), str(self.ui.deviceSelector.currentData or AUTOMATIC))

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

    def _start(self, begin: Callable[[], None]) -> None:
        self._message = ""
        try:
            begin()
        except LCSError as error:
            self._say(str(error))
        if self.runner.is_waiting:
            self.timer.start()
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
        if not outcome.ok:
            self._say(outcome.text)
            return
        {"run": self._run_ended, "at": self._rank_ended, "install": self._install_ended, "devices": self._devices_ended}[outcome.kind](outcome)

    def _run_ended(self, _outcome: Outcome) -> None:
        self._after_run()

    def _rank_ended(self, outcome: Outcome) -> None:
        ranked = self.runner.ranked(outcome)
        pick_list = self.ui.pickList
        pick_list.clear()
        for label, share in ranked:
            pick_list.addItem(f"{label.name}  {100 * share:.0f} %")
            pick_list.item(pick_list.count - 1).setData(qt.Qt.UserRole, label.id)
        pick_list.visible = bool(ranked)
        self._say(_("Click a structure in the list to tick it.") if ranked else _("This point lies outside the part of the volume that the model has seen."))

    def _install_ended(self, outcome: Outcome) -> None:
        self._list_models()
        self._model_chosen(list(self.packages).index(outcome.values["name"]))
        self._say(_("The model was added."))

    def _devices_ended(self, outcome: Outcome) -> None:
        selector = self.ui.deviceSelector
        chosen = str(selector.currentData)
        while selector.count > 1:
            selector.removeItem(1)
        for name, words in outcome.values["devices"]:
            selector.addItem(words, name)
        self.ui.deviceLabel.text = outcome.values["note"]
        self.ui.deviceLabel.visible = bool(outcome.values["note"])
        self._show_device(chosen)

    def _write(self, output: Any) -> None:
        """Write what is ticked into a segmentation, or into a new one where it is None."""
        answer = self.runner.answer
        if answer is None or self.ticks is None or self.parameters is None:
            return
        self._report = answer.report_text
        try:
            empty = self.live.write(answer, self.ticks.wanted(), output)
            self._show_output()
            self._write_table(answer)
        except LCSError as error:
            self._say(str(error))
            return
        self._say(self._done_text(answer.report, empty))

    def _write_table(self, answer: Answer) -> None:
        if self.parameters.volumesTable and self.ticks is not None:
            put_volumes(self.live.node, answer.task.nodes[0], answer.winners, self.ticks.wanted())

    def _show_output(self) -> None:
        """Show where the segments went: a new segmentation becomes the chosen one."""
        self._is_loading = True
        self.parameters.output = self.live.node
        self._is_loading = False

    def _follow(self) -> None:
        """Show and hide segments as the ticks say, where the last answer still holds."""
        answer = self.runner.answer
        if self.live.node is None or answer is None or self.ticks is None or not self.runner.answers(self._task()):
            return
        if not slicer.mrmlScene.IsNodePresent(self.live.node):
            self.live.stop()
            self._say(_("The segmentation was removed from the scene; press Apply to write a new one."))
            return
        try:
            empty = self.live.follow(answer, self.ticks.wanted())
            self._write_table(answer)
        except LCSError as error:
            self._say(str(error))
            return
        self._say(self._empty_text(empty))

    def _pick(self) -> None:
        self.picker.start()
        self._say("")

    def _let_pick_button_up(self) -> None:
        self.ui.pickButton.blockSignals(True)
        self.ui.pickButton.checked = False
        self.ui.pickButton.blockSignals(False)

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
            return _("Cancelling...")
        left = time_left(self.runner.fraction, self.runner.seconds)
        return ", ".join(part for part in (self.runner.text or _("starting"), left) if part)

    def _done_text(self, report: dict[str, Any], empty: list[Label]) -> str:
        warnings = [finding["text"] for finding in report["findings"] if finding["level"] != "note"]
        fallbacks = [_("Memory was short: {steps}.").format(steps=", ".join(report["fallbacks"]))] if report["fallbacks"] else []
        seconds = sum(report["timings_s"].values())
        done = _("Done in {seconds:.0f} s on {device}. Further ticks show at once.").format(seconds=seconds, device=report["device"])
        return " ".join(part for part in (done, *fallbacks, *warnings, self._empty_text(empty)) if part)

    def _empty_text(self, empty: list[Label]) -> str:
        return str(_("Not found in this volume: {names}.")).format(names=", ".join(label.name for label in empty)) if empty else ""

    def _findings(self) -> tuple[Finding, ...]:
        """What is odd about the chosen volumes; looked for again only where they changed."""
        if self.package is None:
            return ()
        nodes = self.inputs.nodes
        key = (fingerprint(nodes), self.package.weights_sha256)
        if key != self._checked[0]:
            self._checked = key, tuple(check_nodes(nodes, self.package))
            name = next((node.GetName() for node in nodes if node), "")
            self.ui.findingsLabel.text = findings_text(self._checked[1], name)
        return self._checked[1]

    def _watch(self, nodes: tuple[Any, ...]) -> None:
        """Notice when the chosen volumes change."""
        self.removeObservers(self._volume_changed)
        events = (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent)
        for node in {node for node in nodes if node is not None}:
            for event in events:
                self.addObserver(node, event, self._volume_changed)

    def _volume_changed(self, _caller: Any, _event: Any) -> None:
        if self.runner.running:
            return
        if not self.runner.answers(self._task()):
            self._message = ""  # what was said of the last run is not of this volume
        self.refresh()

    def _look_for_devices(self) -> None:
        """Ask once, as soon as a volume is chosen: it also starts the worker, so that the first run begins sooner."""
        if self.ui.deviceSelector.count == 1 and any(self.inputs.nodes) and not self.runner.running and not installation.missing():
            self._start(self.runner.look_for_devices)

    def _show_device(self, name: str) -> None:
        index = self.ui.deviceSelector.findData(name)
        self.ui.deviceSelector.currentIndex = max(0, index)

    def _is_licence_acknowledged(self) -> bool:
        package = self.package
        if package is None or not needs_acknowledgement(package) or self.memory.is_acknowledged(package):
            return True
        text = _("{licence}\n\nDo you use the model {model} within this licence?").format(licence=package.about["licence"], model=package.name)
        if not slicer.util.confirmOkCancelDisplay(text):
            return False
        self.memory.acknowledge(package)
        return True

    def _remember_set(self) -> None:
        if self.package is not None and self.ticks is not None:
            self.recent.add(self.package.name, [label.name for label in self.ticks.wanted()])
            self.memory.recent_sets = self.recent.to_text()
            self._show_recent()
