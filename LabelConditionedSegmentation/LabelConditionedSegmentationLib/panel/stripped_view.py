"""The choice in the panel whether a volume is skull-stripped, for models that another one finds the brain for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from ..core.package.model_package import ModelPackage
from ..core.scan.stripped import Stripped
from .blocked_signals import blocked_signals


class StrippedView:
    """Over a selector (`ui`, by its name). on_chosen: called when the user chooses."""

    def __init__(self, ui: Any, on_chosen: Callable[[], None]) -> None:
        self._form = ui.strippedForm
        self._selector = ui.strippedSelector
        self._on_chosen = on_chosen
        for text, value in ((_("Automatic"), Stripped.AUTO), (_("Yes"), Stripped.YES), (_("No"), Stripped.NO)):
            self._selector.addItem(text, str(value))
        self._selector.connect("activated(int)", self._chosen)

    @property
    def value(self) -> str:
        """The choice."""
        return str(self._selector.currentData or Stripped.AUTO)

    def show_needs(self, package: ModelPackage | None) -> None:
        """Only a model that looks inside of a label asks for it."""
        self._form.visible = package is not None and package.input.inside is not None

    def set_enabled(self, enabled: bool) -> None:
        """Whether it may be chosen."""
        self._selector.enabled = enabled

    def read(self, value: str) -> None:
        """Show a choice, without calling back; the automatic one for what is none."""
        with blocked_signals(self._selector):
            self._selector.currentIndex = max(0, self._selector.findData(value))

    def _chosen(self, _index: int) -> None:
        self._on_chosen()
