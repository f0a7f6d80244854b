"""The choice of several scans in the panel: volumes and sequences to tick, frames, and a model to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..core.package.model_package import ModelPackage
from ..scene.nodes import is_present
from ..scene.scans_in_scene import SceneScan, scans_in_scene
from .blocked_signals import blocked_signals
from .model_view import ModelView, title


class ScansView(VTKObservationMixin):
    """Over the widgets of the section (`ui`, by their names). models: the choice of the model. changed: called when
    something was ticked or entered. later: calls a function when the event that is being dealt with is over.
    """

    def __init__(
        self, ui: Any, models: ModelView, changed: Callable[[], None], later: Callable[[Callable[[], None]], None]
    ) -> None:
        super().__init__()
        self._ui = ui
        self._models = models
        self._changed = changed
        self._later = later
        self._listed: list[tuple[SceneScan, str]] = []
        self._items: list[Any] = []
        self._ticked: set[str] = set()
        self._others: list[str] = []
        self._is_awaited = False
        ui.scansTree.setHeaderLabels([_("Scan"), _("Frames")])
        header = ui.scansTree.header()
        header.stretchLastSection = False
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        ui.scansTree.connect("itemChanged(QTreeWidgetItem*,int)", self._item_changed)
        ui.allScansButton.connect(
            "clicked(bool)", lambda _checked: self._tick({scan.node.GetID() for scan in self.scans})
        )
        ui.noScansButton.connect("clicked(bool)", lambda _checked: self._tick(set()))
        ui.scansSection.connect("contentsCollapsed(bool)", lambda _collapsed: self._list())
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndImportEvent, scene.EndCloseEvent):
            self.addObserver(scene, event, self._scene_changed)

    @property
    def scans(self) -> list[SceneScan]:
        """What is listed and still there."""
        return [scan for scan, _name in self._listed if is_present(scan.node)]

    @property
    def chosen(self) -> list[SceneScan]:
        """The ticked scans, while the section is open."""
        if self._ui.scansSection.collapsed:
            return []
        return [scan for scan in self.scans if scan.node.GetID() in self._ticked]

    @property
    def frames(self) -> str:
        """Which frames of sequences, as it was entered; "" for all."""
        return str(self._ui.framesEdit.text).strip()

    @property
    def other_model(self) -> ModelPackage | None:
        """The model whose results are put beside those of the chosen one."""
        return self._models.packages.get(str(self._ui.compareSelector.currentData or ""))

    def may_run(self, package: ModelPackage) -> bool:
        """Whether the user accepts the licence of a model, which is asked about once."""
        return self._models.is_licence_acknowledged(package)

    def show(self, package: ModelPackage | None) -> None:
        """Offer the other models of one channel, and ask for frames where a sequence is ticked."""
        others = [
            name
            for name, other in self._models.packages.items()
            if package is not None and name != package.name and len(other.input.channels) == 1
        ]
        if others != self._others:
            self._others = others
            selector = self._ui.compareSelector
            with blocked_signals(selector):
                before = str(selector.currentData or "")
                selector.clear()
                selector.addItem(_("No other model"), "")
                for name in others:
                    selector.addItem(title(self._models.packages[name]), name)
                selector.currentIndex = max(0, selector.findData(before))
        self._ui.compareForm.visible = bool(others)
        self._ui.framesForm.visible = any(scan.frames for scan in self.chosen)

    def enable(self, enabled: bool) -> None:
        """Whether something else may be chosen."""
        ui = self._ui
        for widget in (ui.scansTree, ui.framesEdit, ui.compareSelector, ui.allScansButton, ui.noScansButton):
            widget.enabled = enabled

    def close(self) -> None:
        """Hear no more of the scene."""
        self.removeObservers()
        self._is_awaited = False

    def _scene_changed(self, *_arguments: Any) -> None:
        """Listed once for any number of nodes that come or go together."""
        if not (self._is_awaited or self._ui.scansSection.collapsed):
            self._is_awaited = True
            self._later(self._list_awaited)

    def _list_awaited(self) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._list()

    def _list(self) -> None:
        """List the scans of the scene; ticks stay with their nodes."""
        if self._ui.scansSection.collapsed:
            self._changed()
            return
        listed = [(scan, scan.name) for scan in scans_in_scene(slicer.mrmlScene)]
        if listed != self._listed:
            self._listed = listed
            tree = self._ui.scansTree
            with blocked_signals(tree):
                tree.clear()
                self._items = [_new_item(scan, scan.node.GetID() in self._ticked) for scan, _name in listed]
                for item in self._items:
                    tree.addTopLevelItem(item)
        self._changed()

    def _tick(self, ids: set[str]) -> None:
        self._ticked = ids
        with blocked_signals(self._ui.scansTree):
            for (scan, _name), item in zip(self._listed, self._items, strict=True):
                item.setCheckState(0, qt.Qt.Checked if scan.node.GetID() in ids else qt.Qt.Unchecked)
        self._changed()

    def _item_changed(self, item: Any, _column: int) -> None:
        node_id = str(item.data(0, qt.Qt.UserRole))
        if item.checkState(0) == qt.Qt.Checked:
            self._ticked.add(node_id)
        else:
            self._ticked.discard(node_id)
        self._changed()


def _new_item(scan: SceneScan, is_ticked: bool) -> Any:
    item = qt.QTreeWidgetItem()
    item.setText(0, scan.name)
    item.setText(1, str(scan.frames) if scan.frames else "")
    item.setToolTip(0, scan.name)
    item.setData(0, qt.Qt.UserRole, scan.node.GetID())
    item.setCheckState(0, qt.Qt.Checked if is_ticked else qt.Qt.Unchecked)
    return item
