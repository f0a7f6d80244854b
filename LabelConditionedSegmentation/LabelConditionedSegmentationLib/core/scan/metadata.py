"""What can be known about a scan: the typed fields of a model, each always allowed to be unknown."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import MetadataError
from ..findings import Finding

UNKNOWN = "unknown"

UNKNOWN_SPELLINGS = ("", UNKNOWN, "n/a", "nan")
"""How forms, BIDS and tables that went through a program say that nothing is known."""

SYNONYMS = {
    "sex": (("f", "female"), ("m", "male"), ("o", "other")),
    "handedness": (("l", "left"), ("r", "right"), ("a", "ambidextrous")),
}
"""Field -> what BIDS (participants.tsv) lets stand for one value."""


@dataclass(frozen=True)
class Field:
    """One fact about a scan."""

    name: str
    """As users and packages call it."""
    kind: str
    """number or choice."""
    description: str = ""
    """What it means, for the form."""
    unit: str = ""
    """Of a number and its ranges."""
    choices: tuple[str, ...] = ()
    """The values of a choice."""
    possible: tuple[float, float] | None = None
    """The range in which a number can be at all, both ends included."""
    trained: tuple[float, float] | None = None
    """The range of a number that the model was trained on, both ends included."""
    dicom: tuple[str, ...] = ()
    """DICOM keywords that hold the fact; with PatientAge the date of birth tells it as well, and with
    AcquisitionContrast name and times of the scan do.
    """

    def __post_init__(self) -> None:
        if self.kind not in ("number", "choice"):
            raise MetadataError(
                f'Metadata field "{self.name}" has the unknown kind "{self.kind}"; use "number" or "choice".'
            )
        if self.kind == "choice" and not self.choices:
            raise MetadataError(f'Metadata field "{self.name}" is a choice without choices.')
        if self.kind == "number" and (self.possible is None or self.trained is None):
            raise MetadataError(
                f'Metadata field "{self.name}" is a number and needs the ranges "possible" and "trained".'
            )
        names = [choice.strip().lower() for choice in self.choices]
        if len(set(names)) != len(names) or set(names) & set(UNKNOWN_SPELLINGS):
            raise MetadataError(
                f'Metadata field "{self.name}" has choices that cannot be told apart or from "{UNKNOWN}".'
            )
        if self.possible is not None and self.trained is not None:
            rising = self.possible[0] <= self.trained[0] <= self.trained[1] <= self.possible[1]
            if not (rising and math.isfinite(self.possible[0]) and math.isfinite(self.possible[1])):
                raise MetadataError(f'Metadata field "{self.name}" needs finite ranges, "trained" within "possible".')

    @property
    def allowed(self) -> str:
        """The allowed values, for messages."""
        if self.kind == "choice":
            return f"{', '.join(self.choices)} or unknown"
        assert self.possible is not None
        low, high = self.possible
        return f"{low:g} to {high:g} {self.unit} or unknown" if self.unit else f"{low:g} to {high:g} or unknown"

    def parse(self, value: Any) -> str | float | None:
        """A value as the user gave it (number or text) -> number, choice, or None where it is unknown.

        Impossible values raise MetadataError.

        BIDS hides high ages: "89+" is at least 89, and taken as the least that it can be (`MetadataSchema.parse` says
        so).
        """
        if value is None or str(value).strip().lower() in UNKNOWN_SPELLINGS:
            return None
        return self._choice(value) if self.kind == "choice" else self._number(value)

    def _choice(self, value: Any) -> str:
        said = str(value).strip().lower()
        same = next((spellings for spellings in SYNONYMS.get(self.name.lower(), ()) if said in spellings), ())
        for spelling in (said, *same):
            for choice in self.choices:
                if choice.strip().lower() == spelling:
                    return choice
        raise MetadataError(f'Metadata "{self.name}" cannot be "{value}"; allowed: {self.allowed}.')

    def _number(self, value: Any) -> float:
        try:
            number = math.nan if isinstance(value, bool | np.bool_) else float(at_least(value) or value)
        except (TypeError, ValueError):
            raise MetadataError(
                f'Metadata "{self.name}" needs a number, not "{value}"; allowed: {self.allowed}.'
            ) from None
        assert self.possible is not None
        if not (math.isfinite(number) and self.possible[0] <= number <= self.possible[1]):
            raise MetadataError(f'Metadata "{self.name}" cannot be {value}; allowed: {self.allowed}.')
        return number

    def encode(self, value: str | float | None) -> float:
        """A parsed value as the network takes it: the index of a choice, a number scaled so that its trained range is
        [-1, 1]; NaN where unknown.
        """
        if value is None:
            return math.nan
        if self.kind == "choice":
            return float(self.choices.index(str(value)))
        assert self.trained is not None
        low, high = self.trained
        return (2 * float(value) - low - high) / max(high - low, 1e-6)


def at_least(value: Any) -> str:
    """The number of a value such as "89+", as text; empty for any other value."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*\+\s*", value) if isinstance(value, str) else None
    return found[1] if found else ""


@dataclass(frozen=True)
class MetadataSchema:
    """The fields that a model can use, in the order in which its network takes them."""

    fields: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        names = [f.name for f in self.fields]
        if len(set(names)) != len(names):
            raise MetadataError("Two metadata fields of the model have the same name.")

    def parse(self, values: Mapping[str, Any] | None) -> tuple[dict[str, str | float | None], list[Finding]]:
        """Check what the user said.

        Unknown fields and impossible values raise MetadataError; numbers outside the trained range become unknown, with
        a warning, and one that says "at least" is told too.
        """
        values = dict(values or {})
        names = [f.name for f in self.fields]
        for name in values:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = (
                    f' Did you mean "{near[0]}"?'
                    if near
                    else (f" It knows: {', '.join(names)}." if names else " It uses no metadata.")
                )
                raise MetadataError(f'The model does not know the metadata field "{name}".{hint}')
        parsed: dict[str, str | float | None] = {}
        findings = []
        for field in self.fields:
            value = field.parse(values.get(field.name))
            if (
                field.kind == "number"
                and value is not None
                and field.trained is not None
                and not field.trained[0] <= float(value) <= field.trained[1]
            ):
                trained = f"{field.trained[0]:g} to {field.trained[1]:g} {field.unit}".rstrip()
                findings.append(
                    Finding.warning(
                        f"{field.name} = {value:g} lies outside what the model was trained on ({trained}); it is"
                        " treated as unknown."
                    )
                )
                value = None
            elif field.kind == "number" and (least := at_least(values.get(field.name))):
                findings.append(
                    Finding.warning(f"{field.name} = {least}+ means at least {least}; it is taken as {least}.")
                )
            parsed[field.name] = value
        return parsed, findings

    def encode(self, parsed: Mapping[str, str | float | None]) -> np.ndarray:
        """Parsed values -> (fields,) float32 for the network; NaN stands for unknown."""
        return np.array([field.encode(parsed.get(field.name)) for field in self.fields], dtype=np.float32)

    def to_json(self) -> list[dict[str, Any]]:
        """As stored in `model.json`."""
        out = []
        for f in self.fields:
            entry: dict[str, Any] = {
                "name": f.name,
                "kind": f.kind,
                "description": f.description,
                "unit": f.unit,
                "dicom": list(f.dicom),
            }
            entry |= (
                {"choices": list(f.choices)}
                if f.kind == "choice"
                else {"possible": list(f.possible or ()), "trained": list(f.trained or ())}
            )
            out.append(entry)
        return out

    @staticmethod
    def from_json(entries: Sequence[Mapping[str, Any]]) -> MetadataSchema:
        """Inverse of `to_json`."""

        def pair(value: Any) -> tuple[float, float] | None:
            return None if value is None else (float(value[0]), float(value[1]))

        return MetadataSchema(
            tuple(
                Field(
                    str(e["name"]),
                    str(e["kind"]),
                    str(e.get("description", "")),
                    str(e.get("unit", "")),
                    tuple(map(str, e.get("choices", ()))),
                    pair(e.get("possible")),
                    pair(e.get("trained")),
                    tuple(map(str, e.get("dicom", ()))),
                )
                for e in entries
            )
        )
