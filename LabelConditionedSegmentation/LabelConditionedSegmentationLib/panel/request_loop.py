"""The requests of the panel that are under way: polled, shown with their progress, and their outcomes handed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from .runner import Outcome, Runner
from .sentences import translated
from .situation import time_left

POLL_MS = 50

Taker = Callable[[Outcome], None]
"""Takes the outcome of a request."""


class RequestLoop:
    """Over the progress bar and the line below Apply (`ui`, by their names).

    say: shows the sentence of a request that did not end well. ended: called after a poll in which requests have ended,
    when nothing else is under way.
    """

    def __init__(self, ui: Any, runner: Runner, say: Callable[[str], None], ended: Callable[[], None]) -> None:
        self._ui = ui
        self._runner = runner
        self._say = say
        self._ended = ended
        self._takers: dict[int, tuple[Taker, Callable[[], None] | None, Taker | None]] = {}
        self._part = 1, 1
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)

    def start(
        self,
        send: Callable[[], int],
        then: Taker,
        failed: Callable[[], None] | None = None,
        ended: Taker | None = None,
        part: tuple[int, int] = (1, 1),
    ) -> None:
        """See `Frame.start`. Raises LCSError where the request cannot be sent."""
        self._takers[send()] = then, failed, ended
        if self._runner.running:
            self._part = part
        self._timer.start()

    def stop(self) -> None:
        """The panel goes away."""
        self._timer.stop()

    def show_progress(self) -> None:
        """How far the request in the foreground is."""
        number, of = self._part
        self._ui.progressBar.value = round(1000 * (number - 1 + self._runner.fraction) / of)
        self._ui.statusLabel.text = self._progress_text()

    def _progress_text(self) -> str:
        if self._runner.cancelling:
            return str(_("Cancelling..."))
        left = time_left(self._runner.fraction, self._runner.seconds)
        number, of = self._part
        place = _("{number} of {all}").format(number=number, all=of) if of > 1 else ""
        parts = place, translated(self._runner.text) or _("starting"), translated(left)
        return ", ".join(part for part in parts if part)

    def _poll(self) -> None:
        outcomes = self._runner.poll()
        if not self._runner.is_waiting:
            self._timer.stop()
        for outcome in outcomes:
            self._take(outcome)
        if self._runner.running:
            self.show_progress()
        elif outcomes:
            self._ended()

    def _take(self, outcome: Outcome) -> None:
        then, failed, ended = self._takers.pop(outcome.number, (None, None, None))
        if outcome.ok:
            if then is not None:
                then(outcome)
            return
        if failed is not None and not outcome.cancelled:
            failed()
        if ended is not None:
            ended(outcome)
        self._say(outcome.text)
