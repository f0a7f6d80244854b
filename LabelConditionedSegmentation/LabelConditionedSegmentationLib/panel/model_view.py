"""The choice of the model in the panel: the packages that are found, what each was made for, and its licence."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..core.findings import Finding
from ..core.package.model_package import ModelPackage
from ..resources import model_folders
from ..scene.installed_models import installed_models, lack_of
from .blocked_signals import blocked_signals
from .remembered import Memory, needs_acknowledgement
from .sentences import translated

LINE = 38
"""Characters of a line of the panel beside a small button, in the application's font."""


class ModelView:
    """A selector of model packages and the text below it, of which more is shown when it is asked for (`ui`, by their
    names). on_chosen is called when the user chooses another one.
    """

    def __init__(self, ui: Any, memory: Memory, on_chosen: Callable[[], None]) -> None:
        self._selector = selector = ui.modelSelector
        self._label = ui.modelLabel
        self._more = ui.moreButton
        self._memory = memory
        self._on_chosen = on_chosen
        self.packages: dict[str, ModelPackage] = {}
        """Those that are found, by name."""
        self._unusable: list[Finding] = []
        self._lacks: dict[str, str] = {}
        self.package: ModelPackage | None = None
        selector.connect("currentIndexChanged(int)", self._chosen)
        self._more.connect("toggled(bool)", lambda _checked: self._show_text())
        self.look_for_models()

    @property
    def lack(self) -> str:
        """Why the chosen model cannot run before another one is installed, as a sentence; "" where it can."""
        return self._lacks.get(self.package.name, "") if self.package else ""

    def look_for_models(self) -> None:
        """Offer every package that is found; the one chosen before, or at the last start, stays."""
        self.packages, self._unusable = installed_models(model_folders())
        self._lacks = {name: lack_of(package) for name, package in self.packages.items()}
        with blocked_signals(self._selector):
            self._selector.clear()
            for name, package in self.packages.items():
                self._selector.addItem(title(package), name)
        wanted = self.package.name if self.package else self._memory.model
        self.show(wanted if wanted in self.packages else next(iter(self.packages), ""))

    def show(self, name: str) -> bool:
        """Show a model, without calling back; whether there is one of this name.

        Where there is none the one shown stays, unless it is gone as well.
        """
        if name not in self.packages:
            if self.package is None or self.package.name not in self.packages:
                self.package = None
        else:
            self.package = self.packages[name]
        with blocked_signals(self._selector):
            self._selector.currentIndex = list(self.packages).index(self.package.name) if self.package else -1
        self._show_text()
        return name in self.packages

    def choose(self, name: str) -> None:
        """Show a model and remember it, as if the user had chosen it."""
        self.show(name)
        self._memory.model = name
        self._on_chosen()

    def ask_for_package(self) -> Path | None:
        """Let the user choose a package to install: its zip, or the folder whose `model.json` was chosen.

        None where nothing was.
        """
        chosen = qt.QFileDialog.getOpenFileName(
            slicer.util.mainWindow(), _("Add model"), "", _("Model packages (*.zip model.json)")
        )
        if not chosen:
            return None
        return Path(chosen).parent if Path(chosen).name == "model.json" else Path(chosen)

    def is_licence_acknowledged(self, package: ModelPackage | None = None) -> bool:
        """Whether a model, the chosen one where it is None, may be run: a licence that restricts its use is asked about
        once.
        """
        package = package or self.package
        if package is None or not needs_acknowledgement(package) or self._memory.is_acknowledged(package):
            return True
        text = _("{licence}\n\nDo you use the model {model} within this licence?").format(
            licence=package.about["licence"], model=package.name
        )
        if not slicer.util.confirmOkCancelDisplay(text):
            return False
        self._memory.acknowledge(package)
        return True

    def _chosen(self, index: int) -> None:
        if index >= 0:
            self.choose(list(self.packages)[index])

    def _show_text(self) -> None:
        """What the model is for, its licence, and which packages cannot be used; of the first two one line, unless all
        is asked for.
        """
        about = self.package.about if self.package else {}
        not_for = _("Not for: ") + str(about["not_for"]) if about.get("not_for") else ""
        lines = [str(line) for line in (about.get("intended_use"), not_for, about.get("licence")) if line]
        unusable = [translated(str(finding)) for finding in self._unusable]
        self._label.text = "\n".join([*(lines if self._more.checked else one_line(lines)), *unusable])
        self._more.visible = bool(lines)


def one_line(lines: Sequence[str]) -> list[str]:
    """The beginning of a text, as far as a line of the panel holds it, in a list; an empty list for no text."""
    return [textwrap.shorten(lines[0], LINE, placeholder=" …")] if lines else []


def title(package: ModelPackage) -> str:
    """What a model is called in the panel."""
    return str(package.about.get("title", package.name))
