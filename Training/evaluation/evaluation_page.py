"""One self-contained HTML page about an evaluation: tables, box plots drawn as SVG, and pictures of the worst.

No script, nothing from elsewhere.
"""

from __future__ import annotations

import base64
import math
import statistics
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from .evaluation_pictures import MOST, Picture
from .evaluation_results import (
    Evaluation,
    Mean,
    Row,
    by_case,
    by_label,
    by_metadata,
    mean_of,
    roots,
    rows_of_groups,
    rows_of_labels,
)
from .metrics import DEFINITIONS

EXTREMES = 12
"""Labels of the highest and of the lowest Dice that get a box."""

COLUMNS = (
    ("dice", "Dice", "{:.3f}", 1),
    ("surface_dice", "Surface Dice at 1 mm", "{:.3f}", 1),
    ("hd95_mm", "HD95 (mm)", "{:.2f}", 1),
    ("volume_error_ml", "Volume error (ml)", "{:+.3f}", 1),
    ("relative_volume_error", "Volume error (%)", "{:+.1f}", 100),
    ("absolute_relative_volume_error", "Absolute volume error (%)", "{:.1f}", 100),
    ("sensitivity", "Sensitivity", "{:.3f}", 1),
    ("precision", "Precision", "{:.3f}", 1),
    ("far_false_positive_ml", "Far false positives (ml)", "{:.2f}", 1),
)
"""Metric, heading, format and factor of the columns of every table."""

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1120px; margin: 2em auto; padding: 0 1em; color: #1b1f24; background: #fff }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #d0d7de }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
caption { text-align: left; padding: 0.3em 0; color: #57606a }
th, td { padding: 3px 8px; text-align: right; border-bottom: 1px solid #eaeef2; vertical-align: bottom }
th:first-child, td:first-child { text-align: left }
thead th { border-bottom: 1px solid #57606a; max-width: 6.5em }
.warning { background: #fff4ce; border-left: 4px solid #bf8700; padding: 0.6em 1em }
.wide { overflow-x: auto } figure { display: inline-block; margin: 0 1em 1.2em 0; vertical-align: top; width: 520px; max-width: 100% }
figure img { width: 100% } figcaption { font-size: 13px } svg { max-width: 100%; height: auto }
.truth { color: #0577a8; font-weight: 600 } .found { color: #b35c00; font-weight: 600 }
"""  # noqa: E501

WIDTH, NAMES, COUNTS, LINE, FOOT = 960, 350, 64, 22, 34
"""Of a box plot in pixels: its width, the column of names, the column of counts, the height of a line, the axis below.
"""

LONGEST = 50
"""Letters of a name in a box plot; what is longer is cut, and whole in the tooltip."""


def page(evaluation: Evaluation) -> str:
    """The page, well-formed as XML too."""
    title = f"{escape(evaluation.name)} on {escape(evaluation.data)}"
    parts = [
        f"<h1>{title}</h1>",
        _introduction(evaluation),
        _seen_in_training(evaluation),
        _section("Summary", _groups_table(evaluation)),
        _section("Dice by group", _groups_plot(evaluation)),
        _section("Labels", _labels_plots(evaluation)),
        _section("Metadata", _metadata_table(evaluation)),
        _section("Cases", _cases_table(evaluation)),
        _section("Where most went wrong", _figures(evaluation)),
        _section("All labels", _labels_table(evaluation)),
        _section("Definitions", _definitions()),
    ]
    head = (
        '<meta charset="utf-8"/><meta name="viewport"'
        f' content="width=device-width"/><title>{title}</title><style>{STYLE}</style>'
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def _section(heading: str, content: str) -> str:
    return f"<h2>{heading}</h2>\n{content}" if content else ""


def _introduction(evaluation: Evaluation) -> str:
    labels = len({row.label for row in evaluation.rows})
    return (
        f"<p>Cases: {len(evaluation.cases)}. Labels: {labels}. Pairs of both: {len(evaluation.rows)}; a label is scored"
        f" only in cases where somebody looked for it. Metadata: {escape(evaluation.told)}. For research; not for"
        " diagnosis.</p>"
    )


def _seen_in_training(evaluation: Evaluation) -> str:
    seen = [case for case in evaluation.cases if case in evaluation.trained_on]
    if not seen:
        return ""
    which = (
        "all of these cases"
        if len(seen) == len(evaluation.cases)
        else f"{len(seen)} of these {len(evaluation.cases)} cases"
    )
    return (
        f'<p class="warning"><strong>The model was trained on {which}: their numbers say nothing about scans that it'
        " has not seen.</strong></p>"
    )


def _table(first: str, rows: Sequence[tuple[str, Mean]], caption: str, counts: Mapping[str, int] | None = None) -> str:
    """Rows of (cell in HTML, means); counts: cases of each row, by its cell."""
    heads = [
        first,
        *(["Cases"] if counts else []),
        *(heading for _, heading, _, _ in COLUMNS),
        "Pairs",
        "Missed",
        "Invented",
    ]
    lines = ["".join(f'<th scope="col">{head}</th>' for head in heads)]
    for cell, mean in rows:
        cells = [
            cell,
            *([str(counts[cell])] if counts else []),
            *(_number(mean.values[key], form, factor) for key, _, form, factor in COLUMNS),
        ]
        lines.append(
            "".join(f"<td>{text}</td>" for text in [*cells, str(mean.pairs), str(mean.missed), str(mean.invented)])
        )
    body = "\n".join(f"<tr>{line}</tr>" for line in lines[1:])
    return (
        "<div"
        f' class="wide"><table><caption>{caption}</caption><thead><tr>{lines[0]}</tr></thead>\n<tbody>{body}</tbody></table></div>'  # noqa: E501
    )


def _number(value: float, form: str, factor: float) -> str:
    return form.format(factor * value).replace("-", "\u2212") if math.isfinite(value) else "\u2013"


def _groups_table(evaluation: Evaluation) -> str:
    tree = evaluation.tree
    rows = [("<strong>All labels</strong>", mean_of(evaluation.rows))]
    for ident, group in rows_of_groups(evaluation).items():
        indent = "\u2003" * (1 + tree.depth(tree[ident]))
        rows.append((indent + escape(tree[ident].name), mean_of(group)))
    return _table("Group", rows, "Means over pairs of case and label.")


def _groups_plot(evaluation: Evaluation) -> str:
    groups = rows_of_groups(evaluation)
    series = [(root.name, _dice(groups[root.id])) for root in roots(evaluation)]
    return (
        box_plot(series, "Dice of every pair of case and label, by group at the top of the label tree")
        if series
        else ""
    )


def _labels_plots(evaluation: Evaluation) -> str:
    dice = {evaluation.tree[ident].name: _dice(rows) for ident, rows in rows_of_labels(evaluation).items()}
    series = sorted(dice.items(), key=lambda entry: -statistics.fmean(entry[1]))
    if len(series) <= 2 * EXTREMES:
        return box_plot(series, "Dice of every label over the cases, best first")
    best = box_plot(series[:EXTREMES], f"Dice of the {EXTREMES} best labels over the cases")
    return best + box_plot(series[-EXTREMES:], f"Dice of the {EXTREMES} worst labels over the cases, the worst last")


def _dice(rows: Sequence[Row]) -> list[float]:
    return [row.scores.dice for row in rows]


def _metadata_table(evaluation: Evaluation) -> str:
    groups = by_metadata(evaluation)
    rows = [(escape(name), mean) for name, (_, mean) in groups.items()]
    caption = (
        "What is true of the scans, whatever the model was told. Numbers are split at their median over these cases."
    )
    return _table("Group", rows, caption, {escape(name): count for name, (count, _) in groups.items()}) if rows else ""


def _cases_table(evaluation: Evaluation) -> str:
    seen = evaluation.trained_on
    rows = [
        (escape(case) + (" (trained on)" if case in seen else ""), mean) for case, mean in by_case(evaluation).items()
    ]
    return _table("Case", rows, "Means over the labels of a case.")


def _labels_table(evaluation: Evaluation) -> str:
    rows = [(escape(evaluation.tree[ident].name), mean) for ident, mean in by_label(evaluation).items()]
    return _table("Label", rows, "Means over the cases.")


def _figures(evaluation: Evaluation) -> str:
    note = (
        f"<p>The labels of the lowest Dice, each in its worst case, at most {MOST}; above the scan, below it with the"
        ' outline of the <span class="truth">truth (blue)</span> and of what was <span class="found">found'
        " (orange)</span>, white where they coincide.</p>"
    )
    return (
        note + "".join(_figure(evaluation, picture) for picture in evaluation.pictures) if evaluation.pictures else ""
    )


def _figure(evaluation: Evaluation, picture: Picture) -> str:
    scores = evaluation.scores(picture.case)[picture.label]
    what = "missed" if scores.missed else "invented" if scores.invented else f"HD95 {scores.hd95_mm:.1f} mm"
    caption = f"{escape(evaluation.tree[picture.label].name)}, {escape(picture.case)}: Dice {scores.dice:.3f}, {what}"
    data = base64.b64encode(picture.jpeg).decode("ascii")
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{caption}"/><figcaption>{caption}</figcaption></figure>'
    )


def _definitions() -> str:
    entries = [
        *DEFINITIONS.values(),
        "Surface voxels are those with a face neighbour outside of their mask.",
        (
            "Voxels whose truth is unknown are left out of both masks; voxels that are only known to lie in a parent"
            " are left out for the labels under it."
        ),
        (
            "A label is not scored in a case where nobody looked for it, or where its truth is hidden in a parent that"
            " was not divided."
        ),
        (
            "Box plots: the box from the first to the third quartile, the line at the median, whiskers to the furthest"
            " value within 1.5 times the length of the box, dots beyond."
        ),
    ]
    return "<ul>" + "".join(f"<li>{escape(entry)}</li>" for entry in entries) + "</ul>"


def box_plot(series: Sequence[tuple[str, Sequence[float]]], title: str) -> str:
    """Horizontal boxes of values in [0, 1] as one SVG element; series: (name, its values, at least one each)."""
    lowest = min(min(values) for _, values in series)
    low = min(0.9, math.floor(10 * lowest) / 10)
    height = 30 + LINE * len(series) + FOOT

    def x(value: float) -> float:
        return NAMES + (value - low) / (1 - low) * (WIDTH - NAMES - COUNTS)

    parts = [f'<text x="0" y="16" font-weight="600">{escape(title)}</text>', *_axis(low, x(low), x(1), height)]
    for line, (name, values) in enumerate(series):
        y = 30 + LINE * line + LINE / 2
        short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "\u2026"
        parts.append(
            f'<text x="{NAMES - 10}" y="{y + 4:g}"'
            f' text-anchor="end">{escape(short)}<title>{escape(name)}</title></text>'
        )
        parts.append(f'<text x="{WIDTH - COUNTS + 12}" y="{y + 4:g}" fill="#57606a">n = {len(values)}</text>')
        parts += _box([x(value) for value in values], y)
    attributes = (
        f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{escape(title)}"'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {attributes} font-family="system-ui, sans-serif" font-size="12">'
        + "".join(parts)
        + "</svg>"
    )


def _axis(low: float, left: float, right: float, height: int) -> list[str]:
    """Grid lines with their numbers, every 0.1 (every 0.02 where the range is short)."""
    step = 0.1 if 1 - low > 0.15 else 0.02
    parts = []
    for n in range(round((1 - low) / step) + 1):
        value = low + n * step
        x = left + (right - left) * n * step / (1 - low)
        parts.append(f'<line x1="{x:.1f}" y1="26" x2="{x:.1f}" y2="{height - FOOT + 4}" stroke="#d0d7de"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{height - FOOT + 20}" text-anchor="middle" fill="#57606a">{value:.2f}</text>'
        )
    return parts


def _box(at: Sequence[float], y: float) -> list[str]:
    """One box with whiskers and outliers; at: where the values lie along x."""
    first, third = (float(q) for q in np.percentile(at, (25, 75)))
    reach = 1.5 * (third - first)
    inside = [x for x in at if first - reach <= x <= third + reach]
    stroke = 'stroke="#1f5f8b"'
    parts = [f'<line x1="{min(inside):.1f}" y1="{y:g}" x2="{max(inside):.1f}" y2="{y:g}" {stroke}/>']
    parts += [
        f'<line x1="{x:.1f}" y1="{y - 4:g}" x2="{x:.1f}" y2="{y + 4:g}" {stroke}/>' for x in (min(inside), max(inside))
    ]
    parts.append(
        f'<rect x="{first:.1f}" y="{y - 6:g}" width="{third - first:.1f}" height="12" fill="#b6d7ef" {stroke}/>'
    )
    median = statistics.median(at)
    parts.append(
        f'<line x1="{median:.1f}" y1="{y - 6:g}" x2="{median:.1f}" y2="{y + 6:g}" {stroke} stroke-width="2.5"/>'
    )
    parts += [f'<circle cx="{x:.1f}" cy="{y:g}" r="2" fill="none" {stroke}/>' for x in at if x not in inside]
    return parts
