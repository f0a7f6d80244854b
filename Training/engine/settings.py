"""From a YAML file and `key=value` words to a dataclass of settings.

Values are taken as they are written: the setting, not its looks, says what is a number.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from LabelConditionedSegmentationLib.core.errors import LCSError
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

Settings = TypeVar("Settings")

HASH = "\ue000"
"""Stands for # while a word is read, where nothing is a comment; the character is of no writing system."""


def read_settings(path: Path, kind: type[Settings], words: Sequence[str] = (), what: str = "configuration") -> Settings:
    """The defaults of a dataclass < a file < words. what: what such a file is called.

    A case called 001, 1e3 or null stays text where the setting is text. A word is its value as it stands, whatever its
    characters; only where a setting holds several values are [...] and {...} read, as in the file but without comments.
    SystemExit with one sentence, and the nearest valid key, for what does not fit.
    """
    schema, content, word = OmegaConf.structured(kind), {}, ""
    try:
        content = _read_file(path, what)
        merged = OmegaConf.merge(schema, content)
        for word in words:
            merged = OmegaConf.merge(merged, _read_word(word, merged))
        settings = OmegaConf.to_object(merged)
    except FileNotFoundError:
        raise SystemExit(f'There is no {what} "{path}"; the shipped ones are in Training/experiments/.') from None
    except ConfigKeyError as error:
        key = str(error.full_key or error.key)
        near = difflib.get_close_matches(key, _keys(schema), n=1)
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise SystemExit(f'"{key}" is no setting of the {what}.{hint}') from None
    except (LCSError, yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise SystemExit(f'The {what} "{path}" cannot be used: {" ".join(str(error).split())}') from None
    except OmegaConfBaseException as error:
        first = re.sub(r"\s+", " ", str(error).splitlines()[0])
        why = "it holds a value of another kind" if "$VALUE" in first else first
        key = error.full_key or word.partition("=")[0] or _key_that_fails(schema, content)
        raise SystemExit(f'The setting "{key}" cannot be used: {why}.') from None
    assert isinstance(settings, kind)
    return settings


class _AsWritten(yaml.SafeLoader):  # type: ignore[misc]  # which has no types
    """Every plain value is the text that stands there.

    A key that comes twice is an error; one without a value keeps its default.
    """

    yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}  # noqa: RUF012  as the base has it

    def construct_scalar(self, node: Any) -> str:
        return _literal(str(super().construct_scalar(node)).replace(HASH, "#"))

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]} comes twice", node.start_mark)
        node.value = [(key, value) for key, value in node.value if not _is_nothing(value)]
        return dict(super().construct_mapping(node, deep))


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and not node.value


def _literal(text: str) -> str:
    """The text, escaped where OmegaConf would take a part of it for the name of another setting."""
    return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)


def _read_file(path: Path, what: str) -> dict[str, Any]:
    content = _parse(path.read_text(encoding="utf-8-sig"))
    if not isinstance(content, dict | None):
        kind = "a list" if isinstance(content, list) else "text"
        raise SystemExit(
            f'The {what} "{path}" cannot be used: it holds {kind} instead of settings, each a line "key: value".'
        )
    return content or {}


def _read_word(word: str, settings: Any) -> Any:
    """A `key=value` word as settings to merge into those that are there."""
    key, sign, text = word.partition("=")
    if not (key and sign):
        raise SystemExit(f'"{word}" sets nothing; settings are words of the form key=value.')
    there = OmegaConf.select(settings, key)
    value: Any = _literal(text)
    if there is None or OmegaConf.is_config(there):
        try:
            value = _parse(text.replace("#", HASH))
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or "it is no list"
            raise SystemExit(
                f'The value of "{word}" cannot be read: {problem.replace(HASH, "#")}. Put each text with special'
                " characters into quotes."
            ) from None
    out = OmegaConf.create()
    OmegaConf.update(out, key, value)
    return out


def _parse(text: str) -> Any:
    return _AsWritten(text).get_single_data()


def _key_that_fails(schema: Any, content: dict[str, Any]) -> str:
    """Where OmegaConf does not say it: the first section of a file that does not fit."""
    for key, value in content.items():
        try:
            OmegaConf.merge(schema, {key: value})
        except OmegaConfBaseException:
            return key
    return ""


def _keys(node: Any, prefix: str = "") -> list[str]:
    out: list[str] = []
    for key in node:
        full = f"{prefix}{key}"
        out.append(full)
        if OmegaConf.is_dict(node[key]):
            out += _keys(node[key], full + ".")
    return out
