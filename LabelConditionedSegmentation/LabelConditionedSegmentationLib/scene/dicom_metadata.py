"""What DICOM says about a scan: the fields of a model's metadata schema, from the volume's instance or from the subject
hierarchy, with their source.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import slicer
from pydicom.datadict import dictionary_VR, tag_for_keyword

from ..core.errors import MetadataError
from ..core.scan.metadata import Field, MetadataSchema
from .nodes import is_present

DAYS = {"years": 365.25, "months": 365.25 / 12, "weeks": 7.0, "days": 1.0}
AGE_UNITS = {"Y": "years", "M": "months", "W": "weeks", "D": "days"}
SEXES = {"F": ("F", "FEMALE"), "M": ("M", "MALE"), "O": ("O", "OTHER")}

Lookup = Callable[[str], str]


@dataclass(frozen=True)
class Fact:
    """What was found for one field: its value, None where it stays unknown, where it comes from, and what was wrong
    with it.
    """

    value: str | float | None
    source: str
    problem: str = ""


class _OddValueError(Exception):
    """Why a DICOM value is no value of a field: the end of a sentence."""


def known_facts(node: Any, schema: MetadataSchema, database: Any = None) -> dict[str, Fact]:
    """Field name -> what DICOM says of it; fields of which nothing is said are left out.

    Odd values stay unknown and carry a problem; nothing is raised.

    database: a ctkDICOMDatabase, by default the application's own.
    """
    if not is_present(node):
        return {}
    found = {}
    for field in schema.fields:
        facts = [
            _fact(field, keyword, lookup, source)
            for lookup, source in _sources(node, database)
            for keyword in _keywords(field)
        ]
        known = [fact for fact in facts if fact is not None]
        if known:
            found[field.name] = next((fact for fact in known if fact.value is not None), known[0])
    return found


def _sources(node: Any, database: Any) -> Iterable[tuple[Lookup, str]]:
    """How a keyword is looked up, and what users call that place; the first that knows a fact wins."""
    database = database or getattr(slicer, "dicomDatabase", None)
    instances = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is not None and instances:
        yield lambda keyword: str(database.instanceValue(instances[0], _tag(keyword)) or ""), "from DICOM"
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    if item != hierarchy.GetInvalidItemID():
        yield (
            lambda keyword: str(hierarchy.GetAttributeFromItemAncestor(item, f"DICOM.{keyword}") or ""),
            "from the subject",
        )


def _keywords(field: Field) -> tuple[str, ...]:
    """The field's DICOM keywords that exist; where the age is wanted, the date of birth tells it as well."""
    wanted = field.dicom + (("PatientBirthDate",) if "PatientAge" in field.dicom else ())
    return tuple(keyword for keyword in wanted if tag_for_keyword(keyword) is not None)


def _tag(keyword: str) -> str:
    number = int(tag_for_keyword(keyword) or 0)
    return f"{number >> 16:04x},{number & 0xFFFF:04x}"


def _fact(field: Field, keyword: str, lookup: Lookup, source: str) -> Fact | None:
    text = lookup(keyword).strip(" \0")
    if not text:
        return None
    try:
        value = _value(field, keyword, text, lookup)
    except _OddValueError as odd:
        return Fact(None, f"{source}: {keyword}", f'DICOM {keyword} is "{text}", {odd}; left unknown.')
    return Fact(value, f"{source}: {keyword}")


def _value(field: Field, keyword: str, text: str, lookup: Lookup) -> str | float | None:
    representation = dictionary_VR(int(tag_for_keyword(keyword) or 0))
    value: str | float
    if field.kind == "choice":
        value = _choice(field, keyword, text)
    elif representation == "AS":
        value = _age(text, field.unit)
    elif representation == "DA":
        value = _age_at(text, lookup("StudyDate"), field.unit)
    else:
        value = _number(text)
    try:
        return field.parse(value)
    except MetadataError:
        what = "which the model does not know" if field.kind == "choice" else "which cannot be"
        raise _OddValueError(f"{what} (allowed: {field.allowed})") from None


def _choice(field: Field, keyword: str, text: str) -> str:
    """The field's choice for a coded value; where sexes are meant, each by letter or word."""
    if keyword == "PatientSex":
        same = next((spellings for spellings in SEXES.values() if text.upper() in spellings), ())
        return next((choice for choice in field.choices if choice.upper() in same), text)
    return text


def _number(text: str) -> float:
    """A number; several, divided by backslashes, have to be equal."""
    try:
        numbers = {float(part) for part in text.split("\\")}
    except ValueError:
        raise _OddValueError("which is no number") from None
    if len(numbers) > 1:
        raise _OddValueError("which is more than one number")
    return numbers.pop()


def _age(text: str, unit: str) -> float:
    """An age string such as 045Y, in the field's unit."""
    found = re.fullmatch(r"(\d{1,3})([DWMY])", text.upper())
    if not found:
        raise _OddValueError("which is no age")
    return int(found[1]) if AGE_UNITS[found[2]] == unit else _in_unit(int(found[1]) * DAYS[AGE_UNITS[found[2]]], unit)


def _age_at(birth: str, study: str, unit: str) -> float:
    """The age at the study, from two dates."""
    return _in_unit(
        (_date(study, "the date of the study is missing or no date") - _date(birth, "which is no date")).days, unit
    )


def _in_unit(days: float, unit: str) -> float:
    if unit not in DAYS:
        raise _OddValueError(f'which cannot be told in "{unit}"')
    return round(days / DAYS[unit], 2)


def _date(text: str, otherwise: str) -> date:
    found = re.fullmatch(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", text.strip(" \0"))
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else date.fromisoformat("")
    except ValueError:
        raise _OddValueError(otherwise) from None
