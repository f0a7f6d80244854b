"""What is known about a scan: what the command says of it and, for the rest, what DICOM headers and the files of a data
set say.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.findings import Finding
from ..core.scan.bids_facts import bids_facts
from ..core.scan.dicom import SUFFIXES, is_dicom_file
from ..core.scan.facts import Fact, taken
from ..core.scan.metadata import UNKNOWN, Field, MetadataSchema
from .arguments import metadata_of


@dataclass(frozen=True)
class Known:
    """values: field -> value, as `MetadataSchema.parse` takes them. sources: field -> where its value comes from.
    findings: what is odd about what was found.
    """

    values: Mapping[str, str | float]
    sources: Mapping[str, str]
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        """In a line; empty where nothing was said."""
        told = ", ".join(f"{name} {_shown(value)} ({self.sources[name]})" for name, value in self.values.items())
        return f"metadata: {told}" if told else ""


@dataclass(frozen=True)
class Knowing:
    """How a command gets to know scans.

    said: field -> value, checked; this holds for every scan, whatever files say. option: with which it was said.
    from_files: whether files are asked for the rest.
    """

    schema: MetadataSchema
    said: Mapping[str, str]
    option: str
    from_files: bool

    @staticmethod
    def from_words(schema: MetadataSchema, arguments: argparse.Namespace, option: str = "--metadata") -> Knowing:
        """As the words of a command say, `option` among them. Raises MetadataError for what the model does not take."""
        said = metadata_of(getattr(arguments, option.removeprefix("--").replace("-", "_")))
        schema.parse(said)
        return Knowing(schema, said, option, not arguments.ignore_file_metadata)

    def of(self, images: Sequence[Path], series: str | None = None) -> Known:
        """Of a scan that was read. images: a file a channel, or one folder of DICOM. Raises InputError where the DICOM
        files are no longer there.
        """
        wanted = [field for field in self.schema.fields if field.name not in self.said]
        facts, findings = _found(images, series, MetadataSchema(tuple(wanted))) if self.from_files else ({}, [])
        values: dict[str, str | float] = {}
        sources: dict[str, str] = {}
        for field in self.schema.fields:
            told = facts.get(field.name, [])
            known = [(fact.value, fact.source) for fact in told if fact.value is not None]
            if field.name in self.said:
                value = taken(field, self.said[field.name])
                values[field.name], sources[field.name] = UNKNOWN if value is None else value, self.option
            elif known:
                values[field.name], sources[field.name] = known[0]
                findings += _contradictions(field, known)
            else:
                findings += [Finding.warning(fact.problem) for fact in told if fact.problem]
        return Known(values, sources, tuple(dict.fromkeys(findings)))


def _found(
    images: Iterable[Path], series: str | None, schema: MetadataSchema
) -> tuple[dict[str, list[Fact]], list[Finding]]:
    """Field name -> what files say of it, most telling first, and what is odd about the files."""
    facts: dict[str, list[Fact]] = {field.name: [] for field in schema.fields}
    findings: list[Finding] = []
    for image in images if facts else ():
        beside = bids_facts(image, schema)
        findings += beside.findings
        for name, of_header in _of_header(image, series, schema).items():
            facts[name] += [*of_header, *beside.facts.get(name, ())]
    return facts, findings


def _of_header(image: Path, series: str | None, schema: MetadataSchema) -> dict[str, list[Fact]]:
    if not (image.is_dir() or image.suffix.lower() in SUFFIXES or is_dicom_file(image)):
        return {field.name: [] for field in schema.fields}
    from ..core.scan.dicom_facts import dicom_facts, lookup_in_series  # and with it pydicom

    lookup = lookup_in_series(image, series)
    return {field.name: list(dicom_facts(field, lookup, "DICOM ")) for field in schema.fields}


def _contradictions(field: Field, known: Sequence[tuple[str | float, str]]) -> list[Finding]:
    """Where sources make different choices; numbers may differ, as an age does between two visits."""
    if field.kind != "choice" or len({value for value, _ in known}) == 1:
        return []
    told = ", ".join(f"{value} ({source})" for value, source in known)
    return [
        Finding.warning(
            f"The files do not agree about the {field.name} of the scan: {told}; {known[0][0]} is taken.",
            f"Check that they belong together, or say it with {field.name}=VALUE.",
        )
    ]


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"
