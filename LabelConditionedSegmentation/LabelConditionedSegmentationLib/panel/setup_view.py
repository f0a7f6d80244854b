"""The notice that something has to be installed first, and the button that installs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer.util

from ..resources import resources_folder
from . import installation
from .sentences import translated


class SetupView:
    """Over the widgets of the notice (`ui`, by their names). installed: called after it was. say: shows sentences."""

    def __init__(self, ui: Any, installed: Callable[[], None], say: Callable[..., None]) -> None:
        self._ui = ui
        self._installed = installed
        self._say = say
        ui.setupButton.connect("clicked(bool)", self._install)

    def show(self, missing: str, running: bool) -> None:
        """Show what is missing, as a sentence, or nothing where that is ""; no button while a run goes on."""
        self._ui.setupNotice.visible = bool(missing)
        self._ui.setupLabel.text = translated(missing)
        self._ui.setupButton.enabled = not running

    def _install(self, _checked: bool) -> None:
        self._ui.setupButton.enabled = False  # pip keeps the application alive, and a second click would come through
        try:
            installation.install(
                resources_folder() / "requirements.txt",
                lambda text: slicer.util.confirmOkCancelDisplay(translated(text)),
            )
        except installation.InstallationError as error:
            self._say(str(error))
            return
        self._say()
        self._installed()
