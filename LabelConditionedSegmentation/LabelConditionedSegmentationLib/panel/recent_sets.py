"""The sets of labels that were applied last, of every model, most recent first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .stored_text import read_object

MOST_SETS = 8
"""Sets that are remembered of a model."""

NAMED = 2
"""Labels that the title of a longer set names."""


class RecentSets:
    """Sets of label names. Names and not ids, so that a set outlives a new version of its model."""

    def __init__(self, text: str = "") -> None:
        """From what `to_text` gave; text that cannot be read counts as empty."""
        self._sets = {model: _sets(sets) for model, sets in read_object(text).items()}

    def add(self, model: str, names: Sequence[str]) -> None:
        """Put a set first; the same labels in another order are the same set, and no labels are no set."""
        others = [names_before for names_before in self._sets.get(model, []) if set(names_before) != set(names)]
        self._sets[model] = [*([tuple(names)] if names else []), *others][:MOST_SETS]

    def get(self, model: str, index: int) -> tuple[str, ...]:
        """The label names of the set at this place of `titles`. IndexError where there is none."""
        return self._sets.get(model, [])[index]

    def titles(self, model: str) -> list[str]:
        """What to call the sets, most recent first: "Left Hippocampus, Right Hippocampus and 3 more"."""
        return [_title(names) for names in self._sets.get(model, [])]

    def to_text(self) -> str:
        """As stored in the settings (JSON)."""
        return json.dumps(self._sets)


def _title(names: Sequence[str]) -> str:
    if len(names) <= NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _sets(stored: Any) -> list[tuple[str, ...]]:
    """The sets of a model as far as they can be read."""
    entries = stored if isinstance(stored, list) else []
    readable = (
        entry for entry in entries if isinstance(entry, list) and entry and all(isinstance(name, str) for name in entry)
    )
    return [tuple(entry) for entry in readable][:MOST_SETS]
