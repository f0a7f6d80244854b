"""Add model: a package that the user points at is checked, installed for this user, and chosen."""

from __future__ import annotations

from ..resources import user_models_folder
from ..worker.requests import InstallRequest
from .model_view import ModelView
from .runner import Outcome
from .situation import Situation
from .tool import Frame


class AddModelTool:
    """See `Tool`. models: where the packages are listed."""

    def __init__(self, frame: Frame, models: ModelView) -> None:
        self._frame = frame
        self._models = models
        frame.ui.addModelButton.connect("clicked(bool)", self._add)

    def refresh(self, now: Situation) -> None:
        self._frame.ui.addModelButton.enabled = not now.running

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        """It holds nothing of the scene."""

    def _add(self, _checked: bool) -> None:
        source = self._models.ask_for_package()
        if source is not None:
            request = InstallRequest(str(source), str(user_models_folder()))
            self._frame.start(lambda: self._frame.runner.send(request), self._added)

    def _added(self, outcome: Outcome) -> None:
        self._models.look_for_models()
        self._models.choose(outcome.values["name"])
        self._frame.say("The model was added.")
