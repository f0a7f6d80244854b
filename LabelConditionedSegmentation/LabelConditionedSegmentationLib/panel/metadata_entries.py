"""What is known about the scan: what the user entered, what was pre-filled, and which of the two holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..core.errors import MetadataError
from ..core.scan.facts import Fact
from ..core.scan.metadata import Field, MetadataSchema
from .stored_text import read_object


class MetadataEntries:
    """The entries of a metadata form.

    What the user entered holds, an empty entry too (it says "unknown"); where nothing was entered, the fact found for
    the volume holds. All methods take names of fields of `schema`; others raise KeyError.
    """

    def __init__(self, schema: MetadataSchema) -> None:
        self.schema = schema
        self._fields = {field.name: field for field in schema.fields}
        self._entered: dict[str, str] = {}
        self._facts: dict[str, Fact] = {}

    def enter(self, name: str, text: str) -> None:
        """What the user typed or chose; "" is unknown."""
        self._entered[self._fields[name].name] = text

    def prefill(self, facts: Mapping[str, Fact]) -> None:
        """The facts found for the volume; they take the place of all earlier facts.

        Fields that the schema does not have are passed over.
        """
        self._facts = {name: fact for name, fact in facts.items() if name in self._fields}

    def text(self, name: str) -> str:
        """What the field shows; "" is unknown."""
        given = self._given(self._fields[name])
        return "" if given is None else _shown(given)

    def value(self, name: str) -> str | float | None:
        """The value of a field; None where it is unknown or impossible."""
        try:
            return self._parsed(name)
        except MetadataError:
            return None

    def values(self) -> dict[str, str | float]:
        """The values for a run; unknown and impossible ones are left out."""
        return {name: value for name in self._fields if (value := self.value(name)) is not None}

    def source(self, name: str) -> str:
        """Where the value comes from: "entered", "from DICOM: PatientAge" or "". An entry that contradicts the scan
        says so, since it may be left from another scan.
        """
        fact = self._facts.get(name)
        found = fact if fact is not None and fact.value is not None else None
        if name not in self._entered:
            return found.source if found else ""
        if found and self.value(name) != found.value:
            return f"entered ({_shown(found.value)} {found.source})"
        return "entered" if self.text(name) else ""

    def problem(self, name: str) -> str:
        """One sentence where the entry is impossible."""
        try:
            self._parsed(name)
        except MetadataError as error:
            return str(error)
        return ""

    def note(self, name: str) -> str:
        """One sentence where the value is possible and the model treats it as unknown, or where what the scan says
        could not be used.
        """
        findings = self.schema.parse({name: self.value(name)})[1]
        if findings:
            return str(findings[0])
        return self._facts[name].problem if name in self._facts and name not in self._entered else ""

    def problems(self) -> list[str]:
        """The sentences of all impossible entries; a run has to wait while there are any."""
        return [problem for name in self._fields if (problem := self.problem(name))]

    def notes(self) -> list[str]:
        """The sentences of all notes."""
        return [note for name in self._fields if (note := self.note(name))]

    def to_text(self) -> str:
        """As stored in a scene (JSON)."""
        facts = {name: [fact.value, fact.source, fact.problem] for name, fact in self._facts.items()}
        return json.dumps({"entered": self._entered, "facts": facts})

    @classmethod
    def from_text(cls, schema: MetadataSchema, text: str) -> MetadataEntries:
        """Inverse of `to_text`; what the schema does not have (any more), and text that cannot be read, is
        passed over.
        """
        entries = cls(schema)
        stored = read_object(text)
        for name, entered in _mapping(stored, "entered").items():
            if name in entries._fields and isinstance(entered, str):
                entries.enter(name, entered)
        entries.prefill({name: Fact(*fact) for name, fact in _mapping(stored, "facts").items() if _is_fact(fact)})
        return entries

    def _given(self, field: Field) -> str | float | None:
        if field.name in self._entered:
            return self._entered[field.name]
        return self._facts[field.name].value if field.name in self._facts else None

    def _parsed(self, name: str) -> str | float | None:
        field = self._fields[name]
        return field.parse(self._given(field))


def title(field: Field) -> str:
    """What a field is called in the form: "Age (years)"."""
    name = field.name.replace("_", " ")
    return f"{name[:1].upper()}{name[1:]}" + (f" ({field.unit})" if field.unit else "")


def hint(field: Field) -> str:
    """What can be entered: "Age at the scan: 0 to 120 years or unknown; the model was trained on 19 to 34."."""
    about = f"{field.description[:1].upper()}{field.description[1:]}: " if field.description else ""
    if not field.trained:
        return f"{about}{field.allowed}."
    return f"{about}{field.allowed}; the model was trained on {field.trained[0]:g} to {field.trained[1]:g}."


def _shown(value: str | float | None) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"


def _mapping(stored: dict[str, Any], key: str) -> dict[str, Any]:
    inner = stored.get(key)
    return inner if isinstance(inner, dict) else {}


def _is_fact(stored: Any) -> bool:
    return (
        isinstance(stored, list)
        and len(stored) == 3
        and isinstance(stored[0], str | float | int | None)
        and all(isinstance(part, str) for part in stored[1:])
    )
