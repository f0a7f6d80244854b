"""What a tool of the panel is, such as picking in a view, and what it may use of the panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..core.package.model_package import ModelPackage
from .runner import Outcome, Runner, Task
from .situation import Situation


class Frame(Protocol):
    """The panel, as its tools see it."""

    ui: Any
    """The widgets, by their names."""

    runner: Runner

    @property
    def package(self) -> ModelPackage | None:
        """The chosen model."""

    @property
    def device(self) -> str:
        """The chosen device."""

    def task(self) -> Task | None:
        """What a run would be made from; None while something is missing for it."""

    def situation(self) -> Situation:
        """What all tools have to know before anything may be pressed."""

    def may_run(self) -> bool:
        """Whether the user accepts the licence of the model, which is asked about once."""

    def run_then(self, action: Callable[[], None]) -> None:
        """Do something that needs the answer of the network: at once where it is there, else after a run."""

    def start(
        self,
        send: Callable[[], int],
        then: Callable[[Outcome], None],
        failed: Callable[[], None] | None = None,
        ended: Callable[[Outcome], None] | None = None,
        part: tuple[int, int] = (1, 1),
    ) -> None:
        """Send a request (`send` returns its number); `then` takes the outcome of one that ended well, and the sentence
        of any other is shown, after `failed` where it was not cancelled, and after `ended` has taken its outcome. part:
        which of how many requests it is that belong together, for the progress that is shown.
        """

    def say(self, *sentences: str) -> None:
        """Show English sentences in the user's language, instead of what was said before."""

    def translated(self, text: str) -> str:
        """An English text of ours in the user's language."""

    def refresh(self) -> None:
        """Show the situation as it is now."""


class Tool(Protocol):
    """Something that the user can do with the model: its requests of the worker, what may be pressed (a dataclass that
    extends `Situation`), and how the answer is written. It knows no Qt but the widgets of the .ui file.
    """

    def refresh(self, now: Situation) -> None:
        """Show what may be pressed."""

    def advice(self, now: Situation) -> str:
        """What is said below Apply while nothing else is; "" where there is nothing to say."""

    def stop(self) -> None:
        """Let go of the scene: it closes, or the panel goes away."""
