"""What a setting may be, in words: its type, choices and range, from the JSON schema of its dataclass."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any, cast

from pydantic import ConfigDict, TypeAdapter

Schema = dict[str, Any]
"""A part of a JSON schema."""

ONE = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
SEVERAL = {"integer": "whole numbers", "number": "numbers", "string": "texts", "boolean": "truth values"}


def adapter_of(kind: type[Any]) -> TypeAdapter[Any]:
    """What reads a list of one `kind`, a plain dataclass of which every key is known and described by the docstring
    below it.
    """
    return _adapter(cast(Hashable, kind))


def schema_of(kind: type[Any]) -> Schema:
    """The JSON schema of a dataclass, whole: no part of it refers to another."""
    return _schema(cast(Hashable, kind))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(list[kind], config=ConfigDict(extra="forbid", use_attribute_docstrings=True))


@cache
def _schema(kind: Any) -> Schema:
    schema = adapter_of(kind).json_schema()
    whole: Schema = _resolved(schema["items"], schema.get("$defs", {}))
    return whole


def _resolved(node: Any, parts: Schema) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _resolved(parts[node["$ref"].rpartition("/")[2]], parts) | {
                key: value for key, value in node.items() if key != "$ref"
            }
        return {key: _resolved(value, parts) for key, value in node.items()}
    return [_resolved(value, parts) for value in node] if isinstance(node, list) else node


def settings_in(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Every setting by its full key, those of sections with them, and of lists of sections as `key[]`."""
    for name, setting in schema.get("properties", {}).items():
        key = prefix + name
        items = setting.get("items", {})
        if optional := next((part for part in setting.get("anyOf", ()) if "properties" in part), None):
            yield key, setting
            yield from settings_in(optional, f"{key}.")
            continue
        if "properties" in setting:
            yield from settings_in(setting, f"{key}.")
            continue
        yield key, setting
        if "properties" in items:
            yield from settings_in(items, f"{key}[].")


def kind_of(schema: Schema) -> str:
    """What a value has to be, such as "a whole number", "adamw or sgd" or "3 numbers"."""
    if choices := _choices(schema):
        return " or ".join(choices)
    if "anyOf" in schema:
        return kind_of(schema["anyOf"][0])
    if "prefixItems" in schema:
        return f"{len(schema['prefixItems'])} {_kinds(schema['prefixItems'][0])}"
    if "items" in schema:
        return f"a list of {_kinds(schema['items'])}"
    if "properties" in schema:
        return 'a section of settings, each a line "key: value"'
    if "additionalProperties" in schema:
        return f"names, each with {kind_of(schema['additionalProperties'])}"
    return ONE[schema["type"]]


def _kinds(schema: Schema) -> str:
    if choices := _choices(schema):
        return " or ".join(choices)
    return "sections" if "properties" in schema else SEVERAL.get(schema.get("type", ""), "values")


def _choices(schema: Schema) -> list[str]:
    return [str(choice) for choice in schema.get("enum", [schema["const"]] if "const" in schema else [])]


def range_of(schema: Schema) -> str:
    """The range of a number, such as "at least 1" or "from 0 to 1"; empty where there is none."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"from {least:g} to {most:g}"
    if "exclusiveMinimum" in schema:
        return f"above {schema['exclusiveMinimum']:g}"
    return f"at least {least:g}" if least is not None else f"at most {most:g}" if most is not None else ""
