"""The choice of the device in the panel, out of those that the worker finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from ..worker.requests import DevicesRequest
from . import installation
from .request_loop import RequestLoop
from .runner import Outcome, Runner
from .scene_copy import SceneCopy
from .sentences import translated

AUTOMATIC = "auto"


class DeviceView:
    """Over a selector of devices, and a label that says why there is no graphics card (`ui`, by their names).

    copy: where the choice is kept. on_chosen: called when the user chooses a device.
    """

    def __init__(
        self, ui: Any, copy: SceneCopy, runner: Runner, loop: RequestLoop, on_chosen: Callable[[], None]
    ) -> None:
        self._selector = ui.deviceSelector
        self._label = ui.deviceLabel
        self._copy = copy
        self._runner = runner
        self._loop = loop
        self._on_chosen = on_chosen
        self._selector.addItem(_("Automatic"), AUTOMATIC)
        self._label.visible = False
        self._selector.connect("activated(int)", self._chosen)

    @property
    def name(self) -> str:
        """The chosen device."""
        return str(self._selector.currentData or AUTOMATIC)

    def look_for_devices(self) -> None:
        """Ask the worker once, as soon as it may be asked: that also starts it, so that the first run begins sooner."""
        is_listed = self._selector.count > 1
        if not (is_listed or self._runner.is_waiting or installation.missing()):
            self._loop.start(lambda: self._runner.send_in_background(DevicesRequest()), self._found)

    def read(self) -> None:
        """Show the device that is kept; the automatic choice where this computer does not have it (yet known)."""
        if self._copy.parameters is not None:
            self._selector.currentIndex = max(0, self._selector.findData(self._copy.parameters.device))

    def _found(self, outcome: Outcome) -> None:
        """Offer the devices, and say what there is to say of them."""
        while self._selector.count > 1:
            self._selector.removeItem(1)
        for name, text in outcome.values["devices"]:
            self._selector.addItem(translated(text), name)
        note = outcome.values["note"]
        self._label.text = translated(note)
        self._label.visible = bool(note)
        self.read()

    def _chosen(self, _index: int) -> None:
        if self._copy.parameters is not None:
            self._copy.parameters.device = self.name
        self._on_chosen()
