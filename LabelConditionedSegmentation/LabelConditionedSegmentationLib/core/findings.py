"""Findings: what was noticed about an input, told to the user instead of guessed away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

Level = Literal["error", "warning", "note"]
"""The gravest first."""


@dataclass(frozen=True)
class Finding:
    """One thing noticed: how grave it is, a sentence for the user and, where there is one, the fix."""

    level: Level
    text: str
    fix: str = ""

    @staticmethod
    def error(text: str, fix: str = "") -> Finding:
        return Finding("error", text, fix)

    @staticmethod
    def warning(text: str, fix: str = "") -> Finding:
        return Finding("warning", text, fix)

    @staticmethod
    def note(text: str, fix: str = "") -> Finding:
        return Finding("note", text, fix)

    def __str__(self) -> str:
        return f"{self.text} {self.fix}".strip()

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def gravest(findings: Iterable[Finding]) -> Level | None:
    """The gravest level among findings; None where nothing was found."""
    return min((finding.level for finding in findings), key=get_args(Level).index, default=None)
