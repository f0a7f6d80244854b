"""The choice of the device in the panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from slicer.i18n import tr as _

from .sentences import translated

AUTOMATIC = "auto"


class DeviceView:
    """A selector of devices, and a label that says why there is no graphics card. on_chosen is called with the name of
    the device that the user chooses.
    """

    def __init__(self, selector: Any, label: Any, on_chosen: Callable[[str], None]) -> None:
        self._selector = selector
        self._label = label
        self._on_chosen = on_chosen
        selector.addItem(_("Automatic"), AUTOMATIC)
        label.visible = False
        selector.connect("activated(int)", self._chosen)

    @property
    def name(self) -> str:
        """The chosen device."""
        return str(self._selector.currentData or AUTOMATIC)

    @property
    def is_listed(self) -> bool:
        """Whether the devices of this computer are known."""
        return bool(self._selector.count > 1)

    def list_devices(self, devices: Sequence[tuple[str, str]], note: str) -> None:
        """Offer devices (name, words), and say what there is to say of them."""
        while self._selector.count > 1:
            self._selector.removeItem(1)
        for name, words in devices:
            self._selector.addItem(translated(words), name)
        self._label.text = translated(note)
        self._label.visible = bool(note)

    def show(self, name: str) -> None:
        """Show a device; the automatic choice where this computer does not have it (yet known)."""
        self._selector.currentIndex = max(0, self._selector.findData(name))

    def _chosen(self, _index: int) -> None:
        self._on_chosen(self.name)
