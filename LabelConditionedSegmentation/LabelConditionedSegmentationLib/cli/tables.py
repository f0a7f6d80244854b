"""The tables of a run, volumes and report.

They grow: after every scan the file is replaced by one that holds it, so it is whole at any moment.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..core.errors import OutputError
from ..core.findings import gravest
from ..core.scan.whole_files import write_text
from .jobs import Job

if TYPE_CHECKING:
    from ..core.inference.result import Result

COLUMNS = ("scan", "id", "label", "millilitres", "code", "findings")
"""findings: the gravest level of what was noticed about the scan and its answer, NOTHING_FOUND where that is nothing,
empty in rows that were written before there was this column.
"""

NOTHING_FOUND = "none"


class Layout(Protocol):
    """How a table looks: an entry a scan, and what surrounds them."""

    def read(self, text: str) -> dict[str, str]:
        """The entries of a file by the titles of their scans.

        Raises ValueError or KeyError where it is no such table.
        """

    def entry(self, job: Job, result: Result, by_example: Sequence[Mapping[str, Any]]) -> str:
        """What there is to say of one scan. by_example: the labels by example, as the report tells them."""

    def whole(self, entries: Iterable[str]) -> str:
        """The text of a file with these entries."""


@dataclass(frozen=True)
class Table:
    """A table on disk. entries: by the titles of their scans; only these lines are kept of a scan that is done."""

    path: Path
    layout: Layout
    entries: Mapping[str, str] = field(default_factory=dict)

    def read(self) -> Table:
        """With what the file holds already, to go on with it. Raises OutputError where it is another kind of file."""
        if not self.path.exists():
            return self
        try:
            return replace(self, entries=self.layout.read(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f'"{self.path}" is no table that this command has written, so it cannot go on with it; give another'
                " name."
            ) from error

    def __contains__(self, job: Job) -> bool:
        return plain(job.scan.title) in self.entries

    def with_entry(self, title: str, entry: str) -> Table:
        """With what `Layout.entry` says of one scan more, in the place of an earlier entry of the same scan."""
        title = plain(title)
        earlier = {key: text for key, text in self.entries.items() if key != title}
        return replace(self, entries=earlier | {title: entry})

    def write(self, path: Path) -> None:
        """A writer of the file, for `write_all`."""
        write_text(self.layout.whole(self.entries.values()), path)


class Volumes:
    """CSV: a row a scan and label."""

    def read(self, text: str) -> dict[str, str]:
        rows = list(csv.reader(io.StringIO(text)))
        columns = tuple(rows[0]) if rows else ()
        if columns not in (COLUMNS, COLUMNS[:-1]) or any(len(row) != len(columns) for row in rows):
            raise ValueError(text[:80])
        entries: dict[str, str] = {}
        for row in rows[1:]:
            entries[row[0]] = entries.get(row[0], "") + _csv([[*row, ""][: len(COLUMNS)]])
        return entries

    def entry(self, job: Job, result: Result, by_example: Sequence[Mapping[str, Any]]) -> str:  # noqa: ARG002
        return volume_rows(job.scan.title, result)

    def whole(self, entries: Iterable[str]) -> str:
        return _csv([COLUMNS]) + "".join(entries)


@dataclass(frozen=True)
class Report:
    """JSON: {"runs": [...]} with a run report a scan; of a single scan its report alone."""

    is_batch: bool

    def read(self, text: str) -> dict[str, str]:
        content = json.loads(text)
        runs = content.get("runs", [content])
        return {plain(str(run["scan"])): _json(run) for run in runs}

    def entry(self, job: Job, result: Result, by_example: Sequence[Mapping[str, Any]]) -> str:
        about: dict[str, Any] = {"scan": job.scan.title, "output": str(job.first_file)}
        if job.scan.series:
            about["series"] = job.scan.series
        if len(job.scan.images) > 1:
            about["channels"] = [str(image) for image in job.scan.images]
        if by_example:
            about["labels_by_example"] = list(by_example)
        return _json({**about, **result.report.to_json()})

    def whole(self, entries: Iterable[str]) -> str:
        if self.is_batch:
            return '{"runs": [\n' + ",\n".join(entries) + "\n]}\n"
        *_, last = entries
        return last + "\n"


def write_volumes(title: str, result: Result) -> Callable[[Path], None]:
    """A writer of the table of one scan."""
    text = Volumes().whole([volume_rows(title, result)])
    return partial(write_text, text)


def volume_rows(title: str, result: Result) -> str:
    """The rows of one scan."""
    volumes, level = result.millilitres(), gravest(result.report.findings) or NOTHING_FOUND
    rows = []
    for entry in result.labels:
        code = f"{entry.label.type.scheme} {entry.label.type.value}" if entry.label.type else ""
        rows.append((plain(title), entry.label.id, entry.label.name, f"{volumes[entry.label.id]:.3f}", code, level))
    return _csv(rows)


def plain(text: str) -> str:
    """A name as it stands in a table, where bytes that are no UTF-8 are written with backslashes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False)
