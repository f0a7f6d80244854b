"""What DICOM values say about a scan, wherever they are looked up: ages, sexes, numbers and choices, and odd ones."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword

from .contrast_facts import CONTRAST_KEYWORD, contrast_fact
from .dicom import header_of, value_of_frame
from .facts import DAYS, Fact, Lookup, OddValueError, in_unit, taken
from .metadata import Field

AGE_UNITS = {"Y": "years", "M": "months", "W": "weeks", "D": "days"}
SEXES = {"F": ("F", "FEMALE"), "M": ("M", "MALE"), "O": ("O", "OTHER")}


def dicom_facts(field: Field, lookup: Lookup, source: str, place: str = "DICOM") -> Iterator[Fact]:
    """What each keyword of a field says, most telling first; those of which nothing is said are left out.

    Odd values stay unknown and carry a problem; nothing is raised.

    source: what comes before the keyword where the source is told. place: the same in a sentence.
    """
    for keyword in _keywords(field):
        if keyword == CONTRAST_KEYWORD:
            if (derived := contrast_fact(field, lookup, source, place)) is not None:
                yield derived
            continue
        text = lookup(keyword).strip(" \0")
        if not text:
            continue
        try:
            yield Fact(_value(field, keyword, text, lookup), f"{source}{keyword}")
        except OddValueError as odd:
            yield Fact(None, f"{source}{keyword}", f'{place} {keyword} is "{text}", {odd}; left unknown.')


def lookup_in_series(path: Path, series: str | None) -> Lookup:
    """Looks up in the header of one file of a DICOM series, which is chosen as for `read_volume`. Raises InputError."""
    header, frame = header_of(path, series)
    return lambda keyword: _text(header, keyword) or _as_text(value_of_frame(header, frame, keyword))


def _text(header: Any, keyword: str) -> str:
    """A value of a pydicom header as text; one that pydicom cannot understand as it stands in the file."""
    with warnings.catch_warnings(action="ignore"):
        if keyword not in header:
            return ""
        try:
            value = header[keyword].value
        except (ValueError, TypeError, OverflowError):
            value = header.get_item(keyword).value
    return _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return "" if value is None else str(value)
    return "\\".join(map(str, value))


def _keywords(field: Field) -> tuple[str, ...]:
    """The field's DICOM keywords that exist; where the age is wanted, the date of birth tells it as well."""
    wanted = field.dicom + (("PatientBirthDate",) if "PatientAge" in field.dicom else ())
    return tuple(keyword for keyword in wanted if tag_for_keyword(keyword) is not None)


def _value(field: Field, keyword: str, text: str, lookup: Lookup) -> str | float | None:
    representation = dictionary_VR(int(tag_for_keyword(keyword) or 0))
    if field.kind == "choice":
        return taken(field, _choice(field, keyword, text))
    if representation == "AS":
        return taken(field, _age(text, field.unit))
    if representation == "DA":
        return taken(field, _age_at(text, lookup("StudyDate"), field.unit))
    return taken(field, _number(text))


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
        raise OddValueError("which is no number") from None
    if len(numbers) > 1:
        raise OddValueError("which is more than one number")
    return numbers.pop()


def _age(text: str, unit: str) -> float:
    """An age string such as 045Y, in the field's unit."""
    found = re.fullmatch(r"(\d{1,3})([DWMY])", text.upper())
    if not found:
        raise OddValueError("which is no age")
    return int(found[1]) if AGE_UNITS[found[2]] == unit else in_unit(int(found[1]) * DAYS[AGE_UNITS[found[2]]], unit)


def _age_at(birth: str, study: str, unit: str) -> float:
    """The age at the study, from two dates."""
    return in_unit(
        (_date(study, "the date of the study is missing or no date") - _date(birth, "which is no date")).days, unit
    )


def _date(text: str, otherwise: str) -> date:
    found = re.fullmatch(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", text.strip(" \0"))
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else date.fromisoformat("")
    except ValueError:
        raise OddValueError(otherwise) from None
