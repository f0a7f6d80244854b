"""What a run is made from, as the user chooses it: the model, a volume for each channel, what is known of the scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..core.package.model_package import ModelPackage
from ..core.scan.stripped import Stripped
from ..scene.dicom_metadata import known_facts
from ..scene.volumes import declare_scan
from .adapt_view import AdaptView
from .input_view import InputView
from .metadata_entries import MetadataEntries
from .metadata_form import MetadataForm
from .model_view import ModelView, title
from .parameters import INPUT_ROLE
from .remembered import Memory
from .runner import Runner, Task
from .sentences import translated
from .situation import Situation, findings_text
from .stripped_view import StrippedView
from .volume_findings import VolumeFindings
from .volume_watch import VolumeWatch


class TaskView:
    """Over the widgets of these sections (`ui`, by their names).

    model_chosen, volumes_chosen, entered: called when the user did so. volume_changed: called when the scene did
    something to a volume that is chosen.
    """

    def __init__(
        self,
        ui: Any,
        memory: Memory,
        model_chosen: Callable[[], None],
        volumes_chosen: Callable[[], None],
        entered: Callable[[], None],
        volume_changed: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._volume_changed = volume_changed
        self._findings = VolumeFindings()
        self._watch = VolumeWatch(volume_changed)
        self.entries: MetadataEntries | None = None
        self.inputs = InputView(
            ui.inputsForm, volumes_chosen, "{channel}:", _("The {channel} volume that is to be segmented.")
        )
        self.stripped = StrippedView(ui, entered)
        self.adapt = AdaptView(ui, entered)
        self._form = MetadataForm(ui.metadataForm.layout(), entered)
        self.models = ModelView(ui, memory, model_chosen)
        ui.scanButton.connect("clicked(bool)", self._declare_scans)

    @property
    def package(self) -> ModelPackage | None:
        """The chosen model."""
        return self.models.package

    def task(self, device: str) -> Task | None:
        """What a run would be made from; None while something is missing for it."""
        nodes = self.inputs.nodes
        if self.package is None or self.entries is None or not nodes:
            return None
        if any(node is None or node.GetImageData() is None for node in nodes):
            return None
        return self.task_of(nodes, self.package, device)

    def task_of(self, nodes: tuple[Any, ...], package: ModelPackage, device: str) -> Task:
        """What a run of volumes by a model would be made from. What was entered is known of the chosen volumes alone;
        of others is known what DICOM says.
        """
        entries = self.entries
        if entries is None or package is not self.package or nodes != self.inputs.nodes:
            entries = MetadataEntries(package.metadata)
            entries.prefill(known_facts(nodes[0], package.metadata, getattr(slicer, "dicomDatabase", None)))
        stripped = self.stripped.value if package.input.inside else Stripped.AUTO
        adapt = self.adapt.value and bool(package.statistics_sha256)
        return Task(nodes, package, entries.values(), device, stripped, adapt)

    def situation(self, missing: str, runner: Runner, is_answered: bool) -> Situation:
        """What has to be known before anything may be pressed. missing: what has to be installed first."""
        return Situation(
            missing=missing,
            model=title(self.package) if self.package else "",
            lack=self.models.lack,
            findings=self._findings.of(self.inputs.nodes, self.package),
            problems=tuple(self.entries.problems()) if self.entries else (),
            running=runner.running,
            cancelling=runner.cancelling,
            is_answered=is_answered,
            has_run_before=runner.answer is not None,
        )

    def refresh(self, now: Situation) -> None:
        """Show what is odd about the volumes, and what may be chosen."""
        ui = self._ui
        ui.findingsLabel.text = findings_text(now.findings, self._findings.name, translated) if self.package else ""
        ui.scanButton.visible = now.may_be_scan
        ui.modelSelector.enabled = not now.running
        self.inputs.set_enabled(not now.running)
        self.stripped.set_enabled(not now.running)
        self.adapt.set_enabled(not now.running)

    def show_needs(self) -> None:
        """Show what the chosen model needs of the scan: its channels and metadata."""
        package = self.package
        self.stripped.show_needs(package)
        self.adapt.show_needs(package)
        if package is not None:
            self.inputs.show_channels(package.input.channels)
            entered = self.entries.to_text() if self.entries else ""
            self._use_entries(MetadataEntries.from_text(package.metadata, entered))

    def take_up_volumes(self) -> None:
        """Volumes were chosen: they bring what is known about them, and are watched."""
        volume = next(iter(self.inputs.nodes), None)
        if self.entries is not None:
            database = getattr(slicer, "dicomDatabase", None)
            self.entries.prefill(known_facts(volume, self.entries.schema, database) if volume else {})
            self._form.refresh()
            self._open_what_is_known()
        self._watch.watch(self.inputs.nodes)

    def are_other_volumes(self) -> bool:
        """Whether the volumes have changed since the last `situation`; another name makes no other volume."""
        return self._findings.are_of_others(self.inputs.nodes)

    def read(self, parameters: Any) -> None:
        """Show the volumes and metadata of PanelParameters."""
        package, node = self.package, parameters.parameterNode
        if package is not None:
            roles = (f"{INPUT_ROLE}{n}" for n in range(len(package.input.channels)))
            self.inputs.set_nodes([node.GetNodeReference(role) for role in roles])
            self._use_entries(MetadataEntries.from_text(package.metadata, parameters.metadata))
        self.stripped.read(parameters.stripped)
        self.adapt.read(parameters.adapt)
        self._watch.watch(self.inputs.nodes)

    def write(self, parameters: Any) -> None:
        """Keep model, volumes and metadata in PanelParameters."""
        parameters.model = self.package.name if self.package else ""
        for n, volume in enumerate(self.inputs.nodes):
            parameters.parameterNode.SetNodeReferenceID(f"{INPUT_ROLE}{n}", volume.GetID() if volume else None)
        parameters.metadata = self.entries.to_text() if self.entries else ""
        parameters.stripped = self.stripped.value
        parameters.adapt = self.adapt.value

    def stop(self) -> None:
        """Watch nothing."""
        self._watch.watch(())

    def _use_entries(self, entries: MetadataEntries) -> None:
        self.entries = entries
        self._form.show(entries)
        self._ui.metadataSection.visible = bool(entries.schema.fields)
        self._open_what_is_known()

    def _open_what_is_known(self) -> None:
        """The section is closed at first; what is filled in, or cannot be, is shown."""
        if self.entries is not None and (self.entries.values() or self.entries.problems() or self.entries.notes()):
            self._ui.metadataSection.collapsed = False

    def _declare_scans(self, _checked: bool) -> None:
        for node in self.inputs.nodes:
            declare_scan(node)
        self._volume_changed()
