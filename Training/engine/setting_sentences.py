"""What is wrong with a setting, in one sentence that names it, its value and what it has to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .setting_kinds import Schema, kind_of, range_of, schema_of

OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
"""What pydantic calls numbers that are too small or too large."""


def sentence_of(error: Mapping[str, Any], kind: type[Any], section: str = "") -> str:
    """The first of pydantic's errors about a list with one dataclass of this kind, which stands in a section."""
    path, schema = _place_of(error["loc"][1:], schema_of(kind))
    key, value = ".".join((section, *path) if section else path), _shown(error["input"], schema)
    if error["type"] == "unexpected_keyword_argument":
        name = error["loc"][-1]
        known = ", ".join(schema.get("items", schema).get("properties", ()))
        return f'"{name}" is no setting of {key}, which has {known}.'
    if error["type"] == "value_error":
        return f"{key} is {value}, {error['ctx']['error']}."
    needed = range_of(schema) if error["type"] in OUT_OF_RANGE else kind_of(schema)
    holds = "holds" if len(error["loc"]) > 1 + len(path) and error["type"] != "missing" else "is"
    return f"{key} {holds} {value}, but has to be {needed}."


def _place_of(loc: tuple[int | str, ...], schema: Schema) -> tuple[list[str], Schema]:
    """The key of a setting in which a place lies, in parts, and its schema."""
    path: list[str] = []
    for part in loc:
        inside = schema.get("properties", {}).get(part)
        entries = schema.get("items", {})
        if isinstance(part, int) and "properties" in entries:
            schema = entries
        elif inside is not None:
            schema = inside
            path.append(str(part))
        else:
            break
    return path, schema


def _shown(value: Any, schema: Schema) -> str:
    """A value as it was written: numbers bare, text in quotes."""
    if isinstance(value, str) and schema.get("type") in ("integer", "number"):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if text.isprintable() else repr(value).encode("ascii", "backslashreplace").decode()
