"""The level `group` of `lcs bids`: the volumes and the quality of all scans in a table each, and one page."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.errors import InputError
from ..core.findings import Finding, gravest
from ..core.package.model_package import ModelPackage
from ..core.scan.whole_files import write_all, write_text
from .bids_files import as_tsv, is_described, read_tsv
from .bids_page import Entry, page_of
from .bids_scans import BidsScan, find_scans, segmentation_name
from .model_choice import resolve_model
from .status import DONE
from .terminal import say

VOLUMES, QUALITY, PAGE = "group_volumes.tsv", "group_quality.tsv", "group.html"

FEWEST = 5
"""Scans from which on each is compared with the others."""

SMALLEST_SPREAD = 0.15
LARGEST_DEVIATION = 5.0
"""Of logarithms of volumes, as `answer_checks` has them."""

MAD_TO_DEVIATION = 1.4826
"""Of a normal distribution."""


@dataclass(frozen=True)
class ScanResult:
    """One scan. millilitres: by the names of labels; none where there is no result. oddness: see
    `answer_checks.oddness_of`, None where the model does not say what is usual. findings: what was noticed.
    """

    scan: BidsScan
    millilitres: Mapping[str, float]
    oddness: float | None
    findings: tuple[Finding, ...]
    picture: Path


def run_group(arguments: argparse.Namespace, source: Path, folder: Path) -> int:
    """Write the tables and the page. Returns the exit status. Raises LCSError."""
    if not is_described(folder):
        raise InputError(f'"{folder}" holds a data set that lcs bids has not made; give the folder of its results.')
    name = segmentation_name(ModelPackage.load(resolve_model(arguments.model)).name)
    results = [_result(scan, folder, name) for scan in find_scans(source, arguments.suffix)]
    if not any(result.millilitres for result in results):
        raise InputError(f'"{folder}" holds no results of the model "{name}"; run the level participant first.')
    deviations = group_deviations([result.millilitres for result in results])
    order = sorted(zip(results, deviations, strict=True), key=lambda pair: (*_badness(*pair), pair[0].scan.stem))
    entries = [_entry(result, deviation, folder) for result, deviation in order]
    texts = {
        folder / PAGE: page_of(entries, name),
        folder / QUALITY: _quality_table(order),
        folder / VOLUMES: _volume_table(results),
    }
    write_all({path: partial(write_text, text) for path, text in texts.items()})
    missing = sum(not result.millilitres for result in results)
    say(f"{len(results) - missing} scans -> {folder / PAGE}" + (f"; {missing} scans have no result" if missing else ""))
    return DONE


def group_deviations(volumes: Sequence[Mapping[str, float]]) -> list[float | None]:
    """How far the volumes of each scan are from those of the others: the mean over its labels of the deviation of the
    logarithm from the median, in deviations of the group by the median absolute deviation, the size of the whole being
    left aside.

    None where there are too few scans, or no volumes.
    """
    full = [one for one in volumes if one]
    if len(full) < FEWEST:
        return [None] * len(volumes)
    names = [name for name in full[0] if all(one.get(name, 0) > 0 for one in full)]
    logs = {name: [math.log(one[name]) for one in full] for name in names}
    middles = {name: statistics.median(values) for name, values in logs.items()}
    spreads = {
        name: max(SMALLEST_SPREAD, MAD_TO_DEVIATION * statistics.median(abs(v - middles[name]) for v in values))
        for name, values in logs.items()
    }

    def deviation(one: Mapping[str, float]) -> float | None:
        if not one or not names:
            return None
        offsets = {name: math.log(one[name]) - middles[name] for name in names}
        size = statistics.median(offsets.values())
        return statistics.fmean(
            min(LARGEST_DEVIATION, abs(offset - size) / spreads[name]) for name, offset in offsets.items()
        )

    return [deviation(one) for one in volumes]


def _badness(result: ScanResult, deviation: float | None) -> tuple[float, float, float]:
    """To be sorted by: scans without a result first, then the oddest."""
    return bool(result.millilitres), -(result.oddness or 0.0), -(deviation or 0.0)


def _result(scan: BidsScan, folder: Path, name: str) -> ScanResult:
    picture = scan.figure(folder, name)
    try:
        rows = read_tsv(scan.result(folder, name, "volumes.tsv"))
        report = json.loads(scan.result(folder, name, "report.json").read_text(encoding="utf-8"))
        millilitres = {row["name"]: float(row["millilitres"]) for row in rows}
        findings = tuple(Finding(**finding) for finding in report["findings"])
        oddness = report.get("answer", {}).get("oddness")
    except FileNotFoundError:
        lost = Finding.error(
            "There is no result of this scan; the level participant has failed, or was not run for it."
        )
        return ScanResult(scan, {}, None, (lost,), picture)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        damaged = Finding.error("The files of this scan's result are damaged; run the level participant again.")
        return ScanResult(scan, {}, None, (damaged,), picture)
    return ScanResult(scan, millilitres, oddness, findings, picture)


def _entry(result: ScanResult, deviation: float | None, folder: Path) -> Entry:
    there = result.picture.relative_to(folder).as_posix() if result.picture.is_file() else ""
    return Entry(
        result.scan.stem,
        there,
        {"oddness": _number(result.oddness), "deviation in the group": _number(deviation)},
        [f"{finding.level}: {finding}" for finding in result.findings],
        gravest(result.findings) or "",
    )


def _quality_table(order: Sequence[tuple[ScanResult, float | None]]) -> str:
    rows = [
        (
            *_identity(result.scan),
            _number(result.oddness),
            _number(deviation),
            gravest(result.findings) or "none",
            " ".join(map(str, result.findings)),
        )
        for result, deviation in order
    ]
    return as_tsv((*IDENTITY, "oddness", "group_deviation", "findings", "text"), rows)


IDENTITY = ("participant_id", "session_id", "scan")


def _identity(scan: BidsScan) -> tuple[str, str, str]:
    return f"sub-{scan.participant}", f"ses-{scan.session}" if scan.session else "n/a", scan.stem


def _volume_table(results: Sequence[ScanResult]) -> str:
    """A row a scan, a column a label, in millilitres."""
    names = list(dict.fromkeys(name for result in results for name in result.millilitres))
    rows = [
        (
            *_identity(result.scan),
            *(f"{result.millilitres[name]:.3f}" if name in result.millilitres else "n/a" for name in names),
        )
        for result in results
    ]
    return as_tsv((*IDENTITY, *names), rows)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
