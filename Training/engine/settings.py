"""From a YAML file and `key=value` overrides to a dataclass of settings.

Values are taken as they are written: the setting, not its looks, says what is a number.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from LabelConditionedSegmentationLib.core.errors import LCSError
from pydantic import ValidationError

from .setting_kinds import adapter_of
from .setting_sentences import sentence_of

Settings = TypeVar("Settings")
Content = dict[str, Any]
"""Keys with sections, lists and text, as a file has them."""
Keys = dict[str, Any]
"""Every setting by its full key, sections among them, with its type."""

HASH = "\ue000"
"""Stands for # while an override is read, where nothing is a comment; the character is of no writing system."""

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
"""The shipped configurations, which an installed package has as well."""


def read_settings(
    path: Path, kind: type[Settings], overrides: Sequence[str] = (), what: str = "configuration"
) -> Settings:
    """The defaults of a dataclass < a file < overrides. what: what such a file is called.

    A case called 001, 1e3 or null stays text where the setting is text. An override is its value as it stands, whatever
    its characters; only where a setting holds several values are [...] and {...} read, as in the file but without
    comments.
    SystemExit with one sentence, and the nearest valid key, for what does not fit.
    """
    return validated(read_content(path, overrides, keys_of(kind), what), kind, f'The {what} "{path}"')


def read_content(
    path: Path, overrides: Sequence[str], keys: Keys, what: str, former: Mapping[str, str] | None = None
) -> Content:
    """What a file and the overrides that follow it say, under known keys. former: earlier names of settings -> present
    ones, in an order in which they can be exchanged one after the other.
    """
    former = former or {}
    content = with_present_names(_read_file(path, what), former)
    for override in overrides:
        content = _merged(content, _read_override(override, keys, former))
    for key in _keys_in(content, keys):
        if _kind_at(key, keys) is None:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            raise SystemExit(f'"{key}" is no setting of the {what}.{hint}')
    return content


def validated(content: Content, kind: type[Settings], source: str, section: str = "") -> Settings:
    """The dataclass of a content. source: where that comes from, for messages, and the section that it is there."""
    try:
        settings = adapter_of(kind).validate_python([content])[0]
    except ValidationError as error:
        raise SystemExit(sentence_of(error.errors(include_url=False)[0], kind, section)) from None
    except LCSError as error:
        raise SystemExit(f"{source} cannot be used: {error}") from None
    assert isinstance(settings, kind)
    return settings


def keys_of(kind: type[Any], prefix: str = "") -> Keys:
    """The keys of a dataclass, of the sections in it and of the entries of its lists."""
    hints, out = _hints_of(cast(Hashable, kind)), {}
    for name in (field.name for field in fields(kind)):
        out[prefix + name] = hints[name]
        for section in (hints[name], *get_args(hints[name])):
            if is_dataclass(section):
                out |= keys_of(section, f"{prefix}{name}.")  # type: ignore[arg-type]
    return out


@cache
def _hints_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def with_present_names(content: Content, former: Mapping[str, str]) -> Content:
    """The same content under the names that settings have now."""
    for old, new in former.items():
        value = _at(content, old)
        if value is None:
            continue
        if _at(content, new) is not None:
            raise SystemExit(f'"{old}" is what "{new}" was called before; keep one of the two.')
        content = _merged(_without(content, old), _nested(new.split("."), value))
    return content


class _AsWritten(yaml.SafeLoader):  # type: ignore[misc]  # which has no types
    """Every plain value is the text that stands there.

    A key that comes twice is an error; one without a value keeps its default.
    """

    yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("^<<$"))]}  # noqa: RUF012  as the base has it

    def construct_scalar(self, node: Any) -> str:
        return str(super().construct_scalar(node)).replace(HASH, "#")

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]} comes twice", node.start_mark)
        node.value = [(key, value) for key, value in node.value if not _is_nothing(value)]
        return dict(super().construct_mapping(node, deep))


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and not node.value


def _read_file(path: Path, what: str) -> Content:
    try:
        content = _parse(_shipped_or_own(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SystemExit(f'There is no {what} "{path}"; the shipped ones are in {EXPERIMENTS}.') from None
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise SystemExit(f'The {what} "{path}" cannot be used: {" ".join(str(error).split())}') from None
    if not isinstance(content, dict | None):
        kind = "a list" if isinstance(content, list) else "text"
        raise SystemExit(
            f'The {what} "{path}" cannot be used: it holds {kind} instead of settings, each a line "key: value".'
        )
    return content or {}


def _shipped_or_own(path: Path) -> Path:
    """The file, or, for a bare name of which there is none, the shipped experiment that is called so."""
    shipped = EXPERIMENTS / f"{path.name.removesuffix('.yaml')}.yaml"
    return shipped if path.name == str(path) and not path.exists() and shipped.is_file() else path


def _parse(text: str) -> Any:
    return _AsWritten(text).get_single_data()


def _read_override(override: str, keys: Keys, former: Mapping[str, str]) -> Content:
    """A `key=value` override as settings to merge into those that are there."""
    key, sign, text = override.partition("=")
    if not (key and sign):
        raise SystemExit(f'"{override}" sets nothing; settings are words of the form key=value.')
    for old, new in former.items():
        key = new + key.removeprefix(old) if f"{key}.".startswith(f"{old}.") else key
    value: Any = text
    if not _is_plain(_kind_at(key, keys)):
        try:
            value = _parse(text.replace("#", HASH))
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or "it is no list"
            raise SystemExit(
                f'The value of "{override}" cannot be read: {problem.replace(HASH, "#")}. Put each text with special'
                " characters into quotes."
            ) from None
    return _nested(_path_of(key, keys), text if value is None else value)


def _is_plain(kind: Any) -> bool:
    """Whether a setting is one value, which an override gives as it stands."""
    return kind in (str, int, float, bool) or get_origin(kind) is Literal


def _table_of(key: str, keys: Keys) -> str:
    """The setting with names of the user's, such as those of cases, under which a key lies; empty if none does."""
    return next((known for known, kind in keys.items() if key.startswith(f"{known}.") and _is_table(kind)), "")


def _is_table(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is dict


def _kind_at(key: str, keys: Keys) -> Any:
    """The type of a setting or of an entry in one; None where there is none of that key."""
    table = _table_of(key, keys)
    return get_args(keys[table])[1] if table else keys.get(key)


def _path_of(key: str, keys: Keys) -> list[str]:
    """The parts of a key; a name of the user's is one part, whatever its characters."""
    table = _table_of(key, keys)
    return [*table.split("."), key.removeprefix(f"{table}.")] if table else key.split(".")


def _keys_in(content: Content, keys: Keys, prefix: str = "") -> Iterator[str]:
    """The full keys of a content, down to where names are the user's or a key is unknown."""
    for name, value in content.items():
        key = f"{prefix}{name}"
        yield key
        if isinstance(value, dict) and is_dataclass(keys.get(key)):
            yield from _keys_in(value, keys, f"{key}.")


def _nested(path: Sequence[str], value: Any) -> Content:
    return {path[0]: _nested(path[1:], value) if path[1:] else value}


def _merged(below: Content, above: Content) -> Content:
    """Two contents as one: sections are joined, of all else the one above counts."""
    joined = {
        key: _merged(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }
    return below | joined


def _at(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _without(content: Content, key: str) -> Content:
    first, _, rest = key.partition(".")
    if rest:
        return content | {first: _without(content[first], rest)}
    return {name: value for name, value in content.items() if name != first}
