"""Dialogs that never block: a test lays answers ready, and finds what was asked."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple


class DialogQuestion(NamedTuple):
    """What a dialog showed: its class or function, and its text or title."""

    kind: str
    text: str


class UnexpectedDialogError(AssertionError):
    """A dialog was opened for which the test has no answer."""


class Dialogs:
    """answers: what the next dialogs return, first come first served. asked: every dialog so far. opened: every address
    that was to be shown.
    """

    def __init__(self) -> None:
        self.answers: deque[Any] = deque()
        self.asked: list[DialogQuestion] = []
        self.opened: list[str] = []

    def ask(self, kind: str, text: str) -> Any:
        """The answer to a dialog; UnexpectedDialogError where the test has laid none ready."""
        self.asked.append(DialogQuestion(kind, text))
        if not self.answers:
            raise UnexpectedDialogError(f"{kind} was opened and the test has no answer for it: {text}")
        return self.answers.popleft()
