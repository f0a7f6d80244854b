"""What an evaluation found: a row of metrics a case and label, their means over labels, groups and cases, and both as
CSV and JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema

from .evaluation_pictures import Picture, worst_of
from .metrics import Scores

MEASURES = tuple(field.name for field in fields(Scores))
ABSOLUTE = "absolute_relative_volume_error"
COUNTS = ("pairs", "missed", "invented")
SHOWN = 6
"""Digits after the point in files."""

Means = dict[str, float]
"""Over pairs of case and label: how many `pairs`, and of them `missed` and `invented`; and by the name of every metric
the mean of its finite values (NaN where there are none), the absolute relative volume error among them.
"""


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
    given: what the models got of that, in words. pictures: where most went wrong.
    """

    name: str
    data: str
    given: str
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

    @cached_property
    def table(self) -> pd.DataFrame:
        """The rows, a line each: see `table_of`."""
        return table_of(self.rows)

    def scores(self, case: str) -> dict[int, Scores]:
        """Label id -> metrics in one case."""
        return {row.label: row.scores for row in self.rows if row.case == case}


def joined(name: str, evaluations: Sequence[Evaluation]) -> Evaluation:
    """Evaluations of disjoint cases as one: the folds of a cross-validation."""
    first = evaluations[0]
    return Evaluation(
        name,
        first.data,
        first.given,
        first.tree,
        first.schema,
        {case: model for part in evaluations for case, model in part.models.items()},
        frozenset().union(*(part.trained_on for part in evaluations)),
        {case: known for part in evaluations for case, known in part.metadata.items()},
        tuple(row for part in evaluations for row in part.rows),
        worst_of(picture for part in evaluations for picture in part.pictures),
    )


def table_of(rows: Iterable[Row]) -> pd.DataFrame:
    """A line a pair of case and label: `case`, `label`, all metrics, and whether it was `missed` or `invented`."""
    columns = ["case", "label", *MEASURES, "missed", "invented"]
    lines = [
        (row.case, row.label, *asdict(row.scores).values(), row.scores.missed, row.scores.invented) for row in rows
    ]
    return pd.DataFrame(lines, columns=columns)


def means_by(table: pd.DataFrame, key: str, order: Sequence[Any] | None = None) -> dict[Any, Means]:
    """The means of the lines that share a value of a column, in the order of the lines; or of `order`, in which values
    without a line have no pairs.
    """
    counts = table[["missed", "invented"]].astype(int).assign(pairs=1).groupby(table[key], sort=False).sum()
    values = table[list(MEASURES)].astype(float)
    values[ABSOLUTE] = values["relative_volume_error"].abs()
    means = values.where(np.isfinite(values)).groupby(table[key], sort=False).mean()
    order = list(counts.index) if order is None else order
    both = counts[list(COUNTS)].reindex(order, fill_value=0).join(means)
    return {key: dict(both.loc[key].items()) | _whole(both.loc[key]) for key in both.index}


def _whole(means: Mapping[str, float]) -> dict[str, int]:
    return {name: int(means[name]) for name in COUNTS}


def mean_of(rows: Iterable[Row]) -> Means:
    """Every pair of case and label counts once."""
    return _mean_of_table(table_of(rows))


def _mean_of_table(table: pd.DataFrame) -> Means:
    return means_by(table.assign(all=""), "all", [""])[""]


def by_case(evaluation: Evaluation) -> dict[str, Means]:
    """Case -> means over its labels."""
    return means_by(evaluation.table, "case", evaluation.cases)


def by_label(evaluation: Evaluation) -> dict[int, Means]:
    """Label id -> means over cases, in the order of the tree."""
    scored = set(evaluation.table["label"])
    return means_by(evaluation.table, "label", [label.id for label in evaluation.tree.labels if label.id in scored])


def table_of_groups(evaluation: Evaluation) -> pd.DataFrame:
    """As the table of an evaluation, with a line for every parent above a label, whose id is in the column `group`."""
    tree, table = evaluation.tree, evaluation.table
    above = {label.id: [parent.id for parent in tree.ancestors(label)] for label in tree.labels}
    return table.assign(group=table["label"].map(above)).explode("group").dropna(subset="group").reset_index(drop=True)


def by_group(evaluation: Evaluation) -> dict[int, Means]:
    """Parent id -> means over the scored labels under it, parents before what they contain."""
    table = table_of_groups(evaluation)
    there = set(table["group"])
    return means_by(table, "group", [label.id for label in evaluation.tree.walk() if label.id in there])


def roots(evaluation: Evaluation) -> list[Label]:
    """The parents at the top of the tree that have something scored under them."""
    return [evaluation.tree[ident] for ident in by_group(evaluation) if evaluation.tree[ident].parent is None]


def cases_of_metadata(evaluation: Evaluation) -> dict[str, list[str]]:
    """Group of metadata -> its cases: each choice of a choice, a number up to its median over these cases and above it,
    and what is unknown.
    """
    groups: dict[str, list[str]] = {}
    for field in evaluation.schema.fields:
        values = pd.Series({case: evaluation.metadata[case].get(field.name) for case in evaluation.cases}, dtype=object)
        known = values.dropna()
        if known.empty:
            continue
        if field.kind == "choice":
            parts = {f"{field.name} = {choice}": known == choice for choice in field.choices}
        else:
            numbers, median = known.astype(float), known.astype(float).median()
            text = f"the median of {f'{median:g} {field.unit}'.strip()}"
            parts = {f"{field.name} up to {text}": numbers <= median, f"{field.name} above {text}": numbers > median}
        groups |= {name: list(known[is_in].index) for name, is_in in parts.items()}
        groups[f"{field.name} unknown"] = list(values[values.isna()].index)
    return {name: cases for name, cases in groups.items() if cases}


def by_metadata(evaluation: Evaluation) -> dict[str, tuple[int, Means]]:
    """Group of metadata -> number of its cases and means over their labels."""
    table = evaluation.table
    return {
        name: (len(cases), _mean_of_table(table[table["case"].isin(cases)]))
        for name, cases in cases_of_metadata(evaluation).items()
    }


def csv_text(evaluation: Evaluation) -> str:
    """A row a case and label with all metrics; infinite is "inf", undefined is empty."""
    tree, table = evaluation.tree, evaluation.table
    top = {label.id: (tree.ancestors(label)[-1:] or (label,))[0].name for label in tree.labels}
    columns = {
        "case": table["case"],
        "id": table["label"],
        "label": table["label"].map(lambda ident: tree[ident].name),
        "group": table["label"].map(top),
        **{name: table[name].astype(float) for name in MEASURES},
        "trained_on": table["case"].isin(evaluation.trained_on).astype(int),
        "model": table["case"].map(evaluation.models),
    }
    text: str = pd.DataFrame(columns).to_csv(index=False, float_format=f"%.{SHOWN}g", lineterminator="\n")
    return text


def json_text(evaluation: Evaluation) -> str:
    """All means; what is infinite or undefined is null."""
    tree = evaluation.tree
    content: dict[str, Any] = {
        "model": evaluation.name,
        "data": evaluation.data,
        "metadata": evaluation.given,
        "overall": _json(mean_of(evaluation.rows)),
        "groups": {tree[ident].name: _json(mean) for ident, mean in by_group(evaluation).items()},
        "metadata_groups": {
            name: {"cases": count, **_json(mean)} for name, (count, mean) in by_metadata(evaluation).items()
        },
        "cases": {
            case: {"model": evaluation.models[case], "trained_on": case in evaluation.trained_on, **_json(mean)}
            for case, mean in by_case(evaluation).items()
        },
        "labels": {tree[ident].name: _json(mean) for ident, mean in by_label(evaluation).items()},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _json(means: Means) -> dict[str, float | int | None]:
    """Plain values; what is infinite or undefined is None."""
    return {name: round(value, SHOWN) if math.isfinite(value) else None for name, value in means.items()}
