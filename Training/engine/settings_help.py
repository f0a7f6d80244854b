"""Every setting of a training run in words, for `train.py --help`: its type, range, default and meaning."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from ..methods.registry import registered
from .config import OWN, Config, method_sections
from .setting_kinds import Schema, kind_of, range_of, schema_of, settings_in

WIDTH = 100


def settings_in_words() -> str:
    """A paragraph a setting, under the sections in which a file has them."""
    lines = ["settings, as key=value or in the file (a.b is b in the section a):"]
    for key, setting in all_settings():
        lines += ["", *_lines_of(key, setting)]
    return "\n".join(lines)


def all_settings() -> Iterator[tuple[str, Schema]]:
    """The full key and the JSON schema of every setting, those of each registered method last."""
    for key, setting in settings_in(schema_of(Config)):
        if key != OWN:
            yield key, setting | ({"enum": list(registered())} if key == "method" else {})
    for name, kind in method_sections().items():
        yield from settings_in(schema_of(kind), f"{name}.")


def _lines_of(key: str, setting: Schema) -> list[str]:
    allowed = ", ".join(part for part in (kind_of(setting), range_of(setting)) if part)
    default = f" [{_shown(setting['default'])}]" if "default" in setting else ""
    meaning = " ".join(setting.get("description", "").split())
    return [
        f"  {key}: {allowed}{default}",
        *textwrap.wrap(meaning, WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6),
    ]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)
