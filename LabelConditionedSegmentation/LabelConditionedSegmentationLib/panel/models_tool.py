"""Installed models: the list that `lcs models` prints, an update of the marked one from a file, and its removal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.package.package_changes import remove_package
from ..core.package.package_list import ListedPackage, list_packages
from ..resources import model_folders, resources_folder, user_models_folder
from ..worker.requests import InstallRequest
from .runner import Outcome
from .situation import Situation
from .tool import Frame

if TYPE_CHECKING:
    from .model_view import ModelView


@dataclass(frozen=True)
class ModelsSituation(Situation):
    """marked: name of the model that is marked in the list, or "". is_shipped: it came with the extension."""

    marked: str = ""
    is_shipped: bool = False

    @property
    def update_tip(self) -> str:
        """What an update does, or why there can be none."""
        if self.running:
            return "A run is going on; cancel it first."
        if not self.marked:
            return "Mark a model in the list first."
        return f"Choose another version of {self.marked}: its zip file, or the model.json of its folder."

    @property
    def remove_tip(self) -> str:
        """What a removal does, or why the model stays."""
        if self.running:
            return "A run is going on; cancel it first."
        if not self.marked:
            return "Mark a model in the list first."
        if self.is_shipped:
            return f"{self.marked} comes with the extension and stays; a version that you add is taken before it."
        return f"Delete {self.marked} from this computer."

    @property
    def can_update(self) -> bool:
        """Whether the marked model may be exchanged for another version."""
        return not self.running and bool(self.marked)

    @property
    def can_remove(self) -> bool:
        """Whether the marked model may be removed."""
        return self.can_update and not self.is_shipped


def is_shipped(listed: ListedPackage) -> bool:
    """Whether a package came with the extension."""
    return listed.path.parent == resources_folder() / "Models"


class ModelsTool:
    """See `Tool`. show: lists packages. marked: the name of the one that is marked in the list. confirm: asks a
    question.
    """

    def __init__(
        self,
        frame: Frame,
        models: ModelView,
        show: Callable[[list[ListedPackage]], None],
        marked: Callable[[], str],
        confirm: Callable[[str], bool],
    ) -> None:
        self._frame = frame
        self._models = models
        self._show = show
        self._marked = marked
        self._confirm = confirm
        self._packages: Any = None
        self._listed: dict[str, ListedPackage] = {}
        frame.ui.updateModelButton.connect("clicked(bool)", self._update)
        frame.ui.removeModelButton.connect("clicked(bool)", self._remove)

    def refresh(self, now: Situation) -> None:
        ui, translated = self._frame.ui, self._frame.translated
        if ui.modelsSection.collapsed:
            return  # reading every package again would make the module open later
        if self._packages is not self._models.packages:  # they were looked for anew
            self._packages = self._models.packages
            self._listed = {listed.name: listed for listed in list_packages(model_folders())}
            self._show(list(self._listed.values()))
        listed = self._listed.get(self._marked())
        marked = listed.name if listed else ""
        here = ModelsSituation(**vars(now), marked=marked, is_shipped=listed is not None and is_shipped(listed))
        ui.updateModelButton.enabled, ui.updateModelButton.toolTip = here.can_update, translated(here.update_tip)
        ui.removeModelButton.enabled, ui.removeModelButton.toolTip = here.can_remove, translated(here.remove_tip)

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        """It holds nothing of the scene."""

    def _update(self, _checked: bool) -> None:
        listed = self._listed.get(self._marked())
        source = self._models.ask_for_package() if listed else None
        if listed is None or source is None:
            return
        replaces = "" if is_shipped(listed) else str(listed.path)
        request = InstallRequest(str(source), str(user_models_folder()), replaces)
        self._frame.start(lambda: self._frame.runner.send(request), self._updated)

    def _updated(self, outcome: Outcome) -> None:
        self._models.look_for_models()
        self._models.choose(outcome.values["name"])
        self._frame.say("The model was updated.")

    def _remove(self, _checked: bool) -> None:
        listed = self._listed.get(self._marked())
        if listed is None or is_shipped(listed):
            return
        question = f'Delete the model "{listed.name}" from this computer?'
        if not self._confirm(self._frame.translated(question)):
            return
        said = _removed(listed.path, listed.name)
        chosen = self._models.package
        self._models.look_for_models()
        now = self._models.package
        if now is not None and (chosen is None or now.path != chosen.path):
            self._models.choose(now.name)
        self._frame.say(said)


def _removed(path: Path, name: str) -> str:
    """Remove a package; what is said of it."""
    try:
        remove_package(path)
    except OSError as error:
        return f'The model "{name}" could not be removed ({error.strerror or error}).'
    return f'The model "{name}" was removed.'
