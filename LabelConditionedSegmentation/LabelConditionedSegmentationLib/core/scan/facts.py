"""Facts: what files say about a scan, as values of a model's metadata fields, with their source and what was odd."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..errors import MetadataError
from .metadata import Field, at_least

DAYS = {"years": 365.25, "months": 365.25 / 12, "weeks": 7.0, "days": 1.0}
"""Units of an age."""

Lookup = Callable[[str], str]
"""DICOM keyword -> its value as text, several divided by backslashes; empty where nothing is said."""


@dataclass(frozen=True)
class Fact:
    """What was found for one field: its value, None where it stays unknown, where it comes from, and what was wrong
    with it.
    """

    value: str | float | None
    source: str
    problem: str = ""


class OddValueError(Exception):
    """Why a value that was found is no value of a field: the end of a sentence."""


def taken(field: Field, value: Any) -> str | float | None:
    """A value as the field has it, None where it says unknown; "89+" stays as it is. Raises OddValueError."""
    try:
        parsed = field.parse(value)
    except MetadataError:
        what = "which the model does not know" if field.kind == "choice" else "which cannot be"
        raise OddValueError(f"{what} (allowed: {field.allowed})") from None
    return str(value).strip() if field.kind == "number" and at_least(value) else parsed


def in_unit(days: float, unit: str) -> float:
    """Days in the unit of a field, to 0.01. Raises OddValueError for a unit that is none of time."""
    if unit not in DAYS:
        raise OddValueError(f'which cannot be told in "{unit}"')
    return round(days / DAYS[unit], 2)


def first_known(facts: Iterable[Fact]) -> Fact | None:
    """The first fact with a value, else the first of all; None where there is none."""
    found = list(facts)
    return next((fact for fact in found if fact.value is not None), found[0] if found else None)
