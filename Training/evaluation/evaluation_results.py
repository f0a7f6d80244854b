"""What an evaluation found: a row of metrics a case and label, their means over labels, groups and cases, and both as
CSV and JSON.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema

from .evaluation_pictures import Picture, worst_of
from .metrics import Scores

MEASURES = tuple(field.name for field in fields(Scores))
SHOWN = 6
"""Digits after the point in files."""


@dataclass(frozen=True)
class Row:
    """The metrics of one label in one case; label is an id of the model's tree."""

    case: str
    label: int
    scores: Scores


@dataclass(frozen=True)
class Evaluation:
    """Cases segmented by one model, or by the models of several folds that share one tree and schema.

    models: case -> the package that segmented it. trained_on: the cases that their own model was trained on. metadata:
    case -> what is true of it, parsed.
    told: what the models were told of that, in words. pictures: where most went wrong.
    """

    name: str
    data: str
    told: str
    tree: LabelTree
    schema: MetadataSchema
    models: dict[str, str]
    trained_on: frozenset[str]
    metadata: dict[str, dict[str, str | float | None]]
    rows: tuple[Row, ...]
    pictures: tuple[Picture, ...]

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases, in the order in which they were segmented."""
        return tuple(self.models)

    def scores(self, case: str) -> dict[int, Scores]:
        """Label id -> metrics in one case."""
        return {row.label: row.scores for row in self.rows if row.case == case}


@dataclass(frozen=True)
class Mean:
    """Means over pairs of case and label. values: metric -> mean of its finite values (NaN where there are none), the
    absolute relative volume error among them.
    """

    pairs: int
    missed: int
    invented: int
    values: dict[str, float]

    def to_json(self) -> dict[str, float | int | None]:
        """Plain values; what is infinite or undefined is None."""
        numbers = {name: round(value, SHOWN) if math.isfinite(value) else None for name, value in self.values.items()}
        return {"pairs": self.pairs, "missed": self.missed, "invented": self.invented, **numbers}


def joined(name: str, evaluations: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of disjoint cases as one: the folds of a cross-validation."""
    first = evaluations[0]
    return Evaluation(
        name,
        first.data,
        first.told,
        first.tree,
        first.schema,
        {case: model for part in evaluations for case, model in part.models.items()},
        frozenset().union(*(part.trained_on for part in evaluations)),
        {case: known for part in evaluations for case, known in part.metadata.items()},
        tuple(row for part in evaluations for row in part.rows),
        worst_of(picture for part in evaluations for picture in part.pictures),
    )


def mean_of(rows: Iterable[Row]) -> Mean:
    """Every pair of case and label counts once."""
    scores = [row.scores for row in rows]
    columns = {name: [float(getattr(s, name)) for s in scores] for name in MEASURES}
    columns["absolute_relative_volume_error"] = [abs(value) for value in columns["relative_volume_error"]]
    return Mean(
        len(scores),
        sum(s.missed for s in scores),
        sum(s.invented for s in scores),
        {name: _finite_mean(values) for name, values in columns.items()},
    )


def _finite_mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else math.nan


def by_case(evaluation: Evaluation) -> dict[str, Mean]:
    """Case -> means over its labels."""
    rows: dict[str, list[Row]] = {case: [] for case in evaluation.cases}
    for row in evaluation.rows:
        rows[row.case].append(row)
    return {case: mean_of(its) for case, its in rows.items()}


def rows_of_labels(evaluation: Evaluation) -> dict[int, list[Row]]:
    """Label id -> its rows, in the order of the tree."""
    rows: dict[int, list[Row]] = {label.id: [] for label in evaluation.tree.labels}
    for row in evaluation.rows:
        rows[row.label].append(row)
    return {ident: its for ident, its in rows.items() if its}


def by_label(evaluation: Evaluation) -> dict[int, Mean]:
    """Label id -> means over cases, in the order of the tree."""
    return {ident: mean_of(rows) for ident, rows in rows_of_labels(evaluation).items()}


def rows_of_groups(evaluation: Evaluation) -> dict[int, list[Row]]:
    """Parent id -> the rows of the scored labels under it, parents before what they contain."""
    tree = evaluation.tree
    above = {label.id: {parent.id for parent in tree.ancestors(label)} for label in tree.labels}
    groups = {
        parent.id: [row for row in evaluation.rows if parent.id in above[row.label]]
        for parent in tree.walk()
        if parent.id in tree.children
    }
    return {parent: rows for parent, rows in groups.items() if rows}


def roots(evaluation: Evaluation) -> list[Label]:
    """The parents at the top of the tree that have something scored under them."""
    return [evaluation.tree[ident] for ident in rows_of_groups(evaluation) if evaluation.tree[ident].parent is None]


def cases_of_metadata(evaluation: Evaluation) -> dict[str, list[str]]:
    """Group of metadata -> its cases: each choice of a choice, a number up to its median over these cases and above it,
    and what is unknown.
    """
    groups: dict[str, list[str]] = {}
    for field in evaluation.schema.fields:
        values = {case: evaluation.metadata[case].get(field.name) for case in evaluation.cases}
        known = {case: value for case, value in values.items() if value is not None}
        if not known:
            continue
        if field.kind == "choice":
            groups |= {
                f"{field.name} = {choice}": [case for case, value in known.items() if value == choice]
                for choice in field.choices
            }
        else:
            groups |= _split_at_median(field.name, field.unit, {case: float(value) for case, value in known.items()})
        groups[f"{field.name} unknown"] = [case for case in values if case not in known]
    return {name: cases for name, cases in groups.items() if cases}


def _split_at_median(name: str, unit: str, known: Mapping[str, float]) -> dict[str, list[str]]:
    median = statistics.median(known.values())
    text = f"{median:g} {unit}".strip()
    return {
        f"{name} up to the median of {text}": [case for case, value in known.items() if value <= median],
        f"{name} above the median of {text}": [case for case, value in known.items() if value > median],
    }


def by_metadata(evaluation: Evaluation) -> dict[str, tuple[int, Mean]]:
    """Group of metadata -> number of its cases and means over their labels."""
    groups = cases_of_metadata(evaluation)
    return {
        name: (len(cases), mean_of(row for row in evaluation.rows if row.case in set(cases)))
        for name, cases in groups.items()
    }


def csv_text(evaluation: Evaluation) -> str:
    """A row a case and label with all metrics; infinite is "inf", undefined is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["case", "id", "label", "group", *MEASURES, "trained_on", "model"])
    tree = evaluation.tree
    for row in evaluation.rows:
        label = tree[row.label]
        group = (tree.ancestors(label)[-1:] or (label,))[0].name
        numbers = ["" if math.isnan(value) else f"{value:.{SHOWN}g}" for value in asdict(row.scores).values()]
        table.writerow(
            [
                row.case,
                row.label,
                label.name,
                group,
                *numbers,
                int(row.case in evaluation.trained_on),
                evaluation.models[row.case],
            ]
        )
    return text.getvalue()


def json_text(evaluation: Evaluation) -> str:
    """All means; what is infinite or undefined is null."""
    tree = evaluation.tree
    content: dict[str, Any] = {
        "model": evaluation.name,
        "data": evaluation.data,
        "metadata": evaluation.told,
        "overall": mean_of(evaluation.rows).to_json(),
        "groups": {tree[ident].name: mean_of(rows).to_json() for ident, rows in rows_of_groups(evaluation).items()},
        "metadata_groups": {
            name: {"cases": count, **mean.to_json()} for name, (count, mean) in by_metadata(evaluation).items()
        },
        "cases": {
            case: {"model": evaluation.models[case], "trained_on": case in evaluation.trained_on, **mean.to_json()}
            for case, mean in by_case(evaluation).items()
        },
        "labels": {tree[ident].name: mean.to_json() for ident, mean in by_label(evaluation).items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
