"""What the files of a data set say about a scan: its JSON sidecar, the table of its subject's sessions, and the table
of the participants.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..findings import Finding
from .bids_place import BidsPlace, place_of
from .contrast_facts import TIMES, contrast_fact, wants_contrast
from .facts import DAYS, Fact, Lookup, OddValueError, in_unit, taken
from .metadata import UNKNOWN_SPELLINGS, Field, MetadataSchema

RESULTS = ({"model", "background", "values"}, {"probabilities"}, {"package_sha256", "findings"}, {"runs"})
"""What is in the JSON files that a segmentation leaves beside a scan, which say nothing of it."""


@dataclass
class BidsFacts:
    """Of one scan. facts: field name -> what is said of it, most telling first. findings: what is odd about a file."""

    facts: dict[str, list[Fact]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, name: str, facts: Sequence[Fact]) -> None:
        self.facts.setdefault(name, []).extend(facts)


def files_about(scan: Path) -> list[Path]:
    """The files that `bids_facts` reads."""
    place = place_of(scan)
    sidecar = [place.sidecar] if place.sidecar and _is_sidecar(place.sidecar) else []
    tables = [*place.session_tables, *place.participants]
    units = (table.with_suffix(".json") for table in tables)
    return [*sidecar, *tables, *(path for path in units if path.is_file())]


def bids_facts(scan: Path, schema: MetadataSchema) -> BidsFacts:
    """What the files about a scan say of a model's fields. Damaged files and odd values are told; nothing is raised."""
    found, place = BidsFacts(), place_of(scan)
    content = _content(found, place.sidecar) if place.sidecar and place.sidecar.is_file() else {}
    if place.sidecar and content:
        _add_sidecar(found, place.sidecar.name, content, schema)
    _add_contrast(found, place, content, schema)
    for what, names in (("subject", place.subjects), ("session", place.sessions)):
        if len(names) > 1:
            text = f'The path of "{scan}" names two of one {what}, {names[0]} and {names[1]}; no table is used.'
            found.findings.append(Finding.warning(text, "Rename the file or the folder."))
            return found
    _add_tables(found, place.session_tables, "session_id", place.sessions, schema)
    _add_tables(found, place.participants, "participant_id", place.names, schema)
    return found


def _is_sidecar(path: Path) -> bool:
    """Whether a file is there that is no result of a segmentation; a damaged one counts."""
    try:
        return path.is_file() and not _is_result(_json(path))
    except InputError:
        return True


def _is_result(content: Mapping[str, Any]) -> bool:
    return any(keys <= content.keys() for keys in RESULTS)


def _content(found: BidsFacts, sidecar: Path) -> dict[str, Any]:
    """Of a sidecar; empty where it is damaged, which is told, and where it is a result."""
    try:
        content = _json(sidecar)
    except InputError as error:
        found.findings.append(Finding.warning(str(error)))
        return {}
    return {} if _is_result(content) else content


def _add_sidecar(found: BidsFacts, name: str, content: Mapping[str, Any], schema: MetadataSchema) -> None:
    for one in schema.fields:
        for key in (key for key in content if key.casefold() == one.name.casefold()):
            found.add(one.name, [_fact(one, content[key], f"{name} {key}", f"{name}: {key}")])
        found.add(one.name, _of_patient(one, content, name))


def _add_contrast(found: BidsFacts, place: BidsPlace, content: Mapping[str, Any], schema: MetadataSchema) -> None:
    """What the suffix of the name and the sidecar say together; a name that is none of BIDS says nothing."""
    if place.sidecar is None:
        return
    for one in filter(wants_contrast, schema.fields):
        fact = contrast_fact(
            one, _words_of_dicom(content), f"{place.sidecar.name} ", f"{place.sidecar.stem}:", place.suffix
        )
        found.add(one.name, [] if fact is None else [fact])


def _words_of_dicom(content: Mapping[str, Any]) -> Lookup:
    """Looks up in a sidecar as in a header of DICOM; its times, which are in s, in ms. Where an echo of 1 s or more
    shows that they are in something else, they are left out.
    """

    def number(keyword: str) -> float | None:
        value = content.get(keyword)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    is_odd = (number("EchoTime") or 0) >= 1

    def lookup(keyword: str) -> str:
        if keyword in TIMES:
            value = number(keyword)
            return "" if is_odd or value is None else f"{1000 * value:.10g}"
        value = content.get(keyword, "")
        return "\\".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else ""

    return lookup


def _of_patient(one: Field, content: Mapping[str, Any], name: str) -> list[Fact]:
    """What a sidecar says in the words of DICOM; only of the patient, since BIDS has other units for the rest."""
    words = {key: str(value) for key, value in content.items() if isinstance(value, str | int | float)}
    keywords = tuple(keyword for keyword in one.dicom if keyword.startswith("Patient"))
    if not any(key.startswith("Patient") for key in words) or not keywords:
        return []
    from .dicom_facts import dicom_facts  # and with it pydicom, which few sidecars need

    words.setdefault("StudyDate", words.get("AcquisitionDateTime", "")[:10])
    return list(dicom_facts(replace(one, dicom=keywords), lambda key: words.get(key, ""), f"{name} ", f"{name}:"))


def _add_tables(
    found: BidsFacts, tables: Sequence[Path], column: str, names: Sequence[str], schema: MetadataSchema
) -> None:
    """The line of the scan, of the nearest table that has one."""
    for table in tables:
        try:
            line = _line(table, column, names)
        except InputError as error:
            found.findings.append(Finding.warning(str(error)))
            return
        if line is not None:
            _add_line(found, table, line, schema)
            return
    if tables:
        found.findings.append(Finding.note(f'"{tables[0]}" has no line for {" or ".join(names)}.'))


def _add_line(found: BidsFacts, table: Path, line: Mapping[str, str], schema: MetadataSchema) -> None:
    wanted = [one for one in schema.fields if one.name.casefold() in line]
    try:
        units = _units(table) if wanted else {}
    except InputError as error:
        found.findings.append(Finding.warning(str(error)))
        units = {}
    for one in wanted:
        key = one.name.casefold()
        found.add(one.name, [_fact(one, line[key], table.name, f"{table.name}: {one.name}", units.get(key, ""))])


def _fact(one: Field, value: Any, source: str, place: str, unit: str = "") -> Fact:
    """unit: in which a number is told, where that is said."""
    try:
        known = taken(one, _converted(one, value, unit))
    except OddValueError as odd:
        return Fact(None, source, f'{place} is "{value}", {odd}; left unknown.')
    return Fact(known, source)


def _converted(one: Field, value: Any, unit: str) -> Any:
    """A number in the unit of the field; as it stands where no other unit is told, or where nothing is known. Raises
    OddValueError where that cannot be.
    """
    told = next((name for name in DAYS if unit.strip().casefold() in (name, name.removesuffix("s"))), unit.strip())
    is_unknown = str(value).strip().lower() in UNKNOWN_SPELLINGS
    if one.kind != "number" or is_unknown or not told or one.unit in ("", told):
        return value
    try:
        return in_unit(float(value) * DAYS[told], one.unit)
    except (ValueError, KeyError):
        raise OddValueError(f'which is in "{told}" and cannot be told in "{one.unit}"') from None


def _line(table: Path, column: str, names: Sequence[str]) -> dict[str, str] | None:
    """The line of the first of these names that a table has: its columns in small letters -> cells. Raises InputError
    where the table, or this line, is damaged.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(_text(table)), delimiter="\t") if any(map(str.strip, row))]
    except csv.Error:
        rows = []
    header = [cell.strip().casefold() for cell in rows[0]] if rows else []
    if column not in header:
        raise InputError(f'"{table}" is no table with tabs and a column {column}; nothing is taken from it.')
    if twice := next((name for name in header if name and header.count(name) > 1), ""):
        raise InputError(f'"{table}" has several columns called "{twice}"; nothing is taken from it.')
    at = header.index(column)
    for name in names:
        lines = [row for row in rows[1:] if len(row) > at and row[at].strip() == name]
        if len(lines) > 1:
            raise InputError(f'"{table}" has {len(lines)} lines for {name}; nothing is taken from it.')
        if lines and len(lines[0]) != len(header):
            count = f"{len(lines[0])} cells under {len(header)} columns"
            raise InputError(f'"{table}" is damaged: the line of {name} has {count}; nothing is taken from it.')
        if lines:
            return dict(zip(header, map(str.strip, lines[0]), strict=True))
    return None


def _units(table: Path) -> dict[str, str]:
    """The units of columns, in small letters, that the JSON file beside a table tells. Raises InputError."""
    about = table.with_suffix(".json")
    content = _json(about) if about.is_file() else {}
    told = {key.casefold(): value.get("Units") for key, value in content.items() if isinstance(value, dict)}
    return {key: unit for key, unit in told.items() if isinstance(unit, str)}


def _json(path: Path) -> dict[str, Any]:
    """The object in a file. Raises InputError."""
    try:
        content = json.loads(_text(path))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InputError(f'"{path}" is damaged: it holds no JSON object; nothing is taken from it.')
    return content


def _text(path: Path) -> str:
    """Raises InputError where a file cannot be read as UTF-8."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f'"{path}" cannot be read ({error.strerror}); nothing is taken from it.') from error
    except UnicodeDecodeError:
        raise InputError(f'"{path}" is no text in UTF-8; nothing is taken from it.') from None
