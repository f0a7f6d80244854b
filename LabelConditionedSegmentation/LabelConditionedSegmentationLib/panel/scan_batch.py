"""Several scans one after another: which they are, how far it is, what was found, and what did not work. Without Qt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..core.errors import InputError
from ..core.package.model_package import ModelPackage
from ..scene.scans_in_scene import SceneScan

RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


@dataclass(frozen=True)
class BatchItem:
    """A run of a batch. frame: of a sequence, from 0; None for a volume. name, scan_id: of the scan's node, as they
    were at the start.
    """

    scan: SceneScan
    name: str
    scan_id: str
    package: ModelPackage
    frame: int | None = None

    @property
    def title(self) -> str:
        """Scan and frame."""
        return self.name if self.frame is None else f"{self.name}, frame {self.frame + 1}"


@dataclass(frozen=True)
class BatchResult:
    """What a run has brought: millilitres of structures by name, or the sentence why there are none (problem).

    remark: the sentence why some of them are missing.
    """

    item: BatchItem
    volumes: dict[str, float] = field(default_factory=dict)
    problem: str = ""
    remark: str = ""


class Batch:
    """Items that are run one after the other. `take` one, then `note` its result, or `refuse` it, until there is none.

    refused: items whose answers were found to be wrong. is_forced: such answers are wanted nevertheless.
    """

    def __init__(self, items: Sequence[BatchItem]) -> None:
        self._waiting = list(items)
        self.number = len(items)
        self.results: list[BatchResult] = []
        self.current: BatchItem | None = None
        self.refused: list[BatchItem] = []
        self.is_forced = False

    def take(self) -> BatchItem | None:
        """The next item; None where all were taken."""
        self.current = self._waiting.pop(0) if self._waiting else None
        return self.current

    @property
    def place(self) -> tuple[int, int]:
        """Which item it is, and of how many: (3, 12)."""
        return self.number - len(self._waiting), self.number

    def note(self, volumes: dict[str, float] | None, problem: str = "", remark: str = "") -> None:
        """Keep what came of the current item."""
        assert self.current is not None
        self.results.append(BatchResult(self.current, volumes or {}, problem, remark))
        self.current = None

    def refuse(self, problem: str) -> None:
        """Keep why the answer of the current item was not written."""
        assert self.current is not None
        self.refused.append(self.current)
        self.note(None, problem)

    def take_up_refused(self) -> None:
        """Let the refused items wait again; this time their answers are wanted, whatever they are."""
        self._waiting, self.refused, self.is_forced = self.refused, [], True
        self.results = [result for result in self.results if result.item not in self._waiting]

    def forget(self, scan_id: str) -> None:
        """There is nothing of a scan any more."""
        self.results = [result for result in self.results if result.item.scan_id != scan_id]

    @property
    def done(self) -> list[BatchResult]:
        """Those that worked."""
        return [result for result in self.results if not result.problem]

    def sentences(self, is_cancelled: bool) -> list[str]:
        """What is said at the end."""
        done, of = len(self.done), self.number
        failed = [result for result in self.results if result.problem]
        first = f"{failed[0].item.title}: {failed[0].problem}" if failed else ""
        more = f"{len(failed)} did not work; the first: {first}" if len(failed) > 1 else f"1 did not work: {first}"
        said = [f"{done} of {of} runs were done."]
        if is_cancelled:
            said = [f"Cancelled in run {self.place[0]} of {of}; what was done before is kept ({done})."]
        anyway = ['"Segment anyway" writes what was found to be wrong.'] if self.refused else []
        return [*said, *([more] if failed else []), *anyway]

    def columns(self) -> dict[str, list[str | float | None]]:
        """The table over all: scan, frame and model, millilitres of each structure, and what did not work."""
        structures = list(dict.fromkeys(name for result in self.results for name in result.volumes))
        columns: dict[str, list[str | float | None]] = {"Scan": [result.item.name for result in self.results]}
        if any(result.item.frame is not None for result in self.results):
            columns["Frame"] = [_frame(result.item) for result in self.results]
        columns["Model"] = [result.item.package.name for result in self.results]
        for name in structures:
            columns[f"{name} (ml)"] = [result.volumes.get(name) for result in self.results]
        if any(result.problem or result.remark for result in self.results):
            columns["Remark"] = [result.problem or result.remark for result in self.results]
        return columns


def _frame(item: BatchItem) -> float | None:
    return None if item.frame is None else float(item.frame + 1)


def batch_items(scans: Iterable[SceneScan], frames: str, packages: Sequence[ModelPackage]) -> list[BatchItem]:
    """The runs of scans, each by every package before the next scan comes; frames: of the sequences among them, as
    `frames_of` reads it. Raises InputError.
    """
    return [
        BatchItem(scan, scan.name, scan.node.GetID(), package, frame)
        for scan in scans
        for frame in (frames_of(frames, scan.frames) if scan.frames else [None])
        for package in packages
    ]


def frames_of(text: str, number: int) -> list[int]:
    """Frames from 0 that a text such as "1-3, 7" names from 1, in rising order; all for an empty one.

    Raises InputError where it names none of `number` frames, or something else.
    """
    chosen: set[int] = set()
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = RANGE.fullmatch(part)
        if found is None:
            raise InputError(f'"{part}" names no frames; write numbers and ranges such as 1-3, 7.')
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1 <= first <= last <= number:
            raise InputError(f'"{part}" names no frames; there are the frames 1 to {number}.')
        chosen.update(range(first - 1, last))
    return sorted(chosen) if chosen else list(range(number))


def scans_in_words(number: int) -> str:
    """What Apply is called where so many scans were chosen."""
    return f"Apply to {number} scans" if number != 1 else "Apply to 1 scan"
