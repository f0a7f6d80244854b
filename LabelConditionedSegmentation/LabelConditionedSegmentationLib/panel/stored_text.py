"""Reading back what the panel stored as JSON, in a scene or in the settings, where anybody may have changed it."""

from __future__ import annotations

import json
from typing import Any


def read_object(text: str) -> dict[str, Any]:
    """The JSON object that a text holds; an empty one where it holds anything else."""
    try:
        stored = json.loads(text)
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}
