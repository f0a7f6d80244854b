"""The choice in the panel whether the network is adapted to the scan, for models that have what it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.package.model_package import ModelPackage
from .blocked_signals import blocked_signals


class AdaptView:
    """Over a check box (`ui`, by its name). on_chosen: called when the user chooses."""

    def __init__(self, ui: Any, on_chosen: Callable[[], None]) -> None:
        self._box = ui.adaptBox
        self._box.connect("toggled(bool)", lambda _on: on_chosen())

    @property
    def value(self) -> bool:
        """The choice."""
        return bool(self._box.checked)

    def show_needs(self, package: ModelPackage | None) -> None:
        """Only a model with statistics of its features can be adapted."""
        self._box.visible = package is not None and bool(package.statistics_sha256)

    def set_enabled(self, enabled: bool) -> None:
        """Whether it may be chosen."""
        self._box.enabled = enabled

    def read(self, value: bool) -> None:
        """Show a choice, without calling back."""
        with blocked_signals(self._box):
            self._box.checked = value
