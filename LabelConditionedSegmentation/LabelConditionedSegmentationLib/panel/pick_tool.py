"""Pick in view: after a click into a view, the structures that the model sees there are offered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import InputError
from ..scene.picking import Point, PointPicker
from ..worker.requests import PointRequest
from .blocked_signals import blocked_signals
from .runner import Outcome
from .situation import Situation
from .tool import Frame

if TYPE_CHECKING:
    from .structures_view import StructuresView

OFFERED = 3
"""Structures, the most probable ones."""


@dataclass(frozen=True)
class PickSituation(Situation):
    """is_picking: a click into a view is waited for."""

    is_picking: bool = False

    @property
    def can_pick(self) -> bool:
        """Whether a point may be picked."""
        return not self.obstacle

    @property
    def pick_tip(self) -> str:
        """What picking does, or why it cannot be started."""
        if self.obstacle:
            return self.obstacle
        if self.is_answered:
            return "Click into a view; the structures that the model sees there are offered."
        return "The model runs once. Then: click into a view; the structures that the model sees there are offered."


class PickTool:
    """See `Tool`. later: calls a function when the event that is being dealt with is over."""

    def __init__(self, frame: Frame, structures: StructuresView, later: Callable[[Callable[[], None]], None]) -> None:
        self._frame = frame
        self._structures = structures
        self._button = frame.ui.pickButton
        self.picker = PointPicker(self._point_picked, frame.refresh, later)
        self._button.connect("toggled(bool)", self._toggled)

    def refresh(self, now: Situation) -> None:
        if not now.is_answered:  # a point, and what lies under it, belong to one run
            self.picker.stop()
            self._structures.offer([])
        here = self._situation(now)
        if not (here.running or here.is_picking):
            self._let_button_up()
        self._button.enabled, self._button.toolTip = here.can_pick, self._frame.translated(here.pick_tip)

    def advice(self, now: Situation) -> str:
        return "Click into a view." if self._situation(now).is_picking else ""

    def stop(self) -> None:
        self.picker.stop()

    def _situation(self, now: Situation) -> PickSituation:
        return PickSituation(**vars(now), is_picking=self.picker.is_active)

    def _toggled(self, checked: bool) -> None:
        if not checked:
            self.picker.stop()
        elif self._situation(self._frame.situation()).can_pick and self._frame.may_run():
            self._frame.run_then(self._pick)
        else:
            self._let_button_up()

    def _pick(self) -> None:
        self.picker.start()
        self._frame.say()

    def _point_picked(self, position_ras: Point) -> None:
        self._frame.start(lambda: self._send(position_ras), self._ranked)

    def _send(self, position_ras: Point) -> int:
        runner = self._frame.runner
        if runner.answer is None:
            raise InputError("Run the model first; then points can be picked.")
        return runner.send(PointRequest(runner.answer.run, position_ras, OFFERED))

    def _ranked(self, outcome: Outcome) -> None:
        """Offer the labels under the point."""
        answer = self._frame.runner.answer
        assert answer is not None
        labels = answer.task.package.labels
        ranked = [(labels[int(label_id)], float(share)) for label_id, share in outcome.values["ranked"]]
        self._structures.offer(ranked)
        self._frame.say(
            "Click a structure in the list to tick it."
            if ranked
            else "This point lies outside the part of the volume that the model has seen."
        )

    def _let_button_up(self) -> None:
        with blocked_signals(self._button):
            self._button.checked = False
