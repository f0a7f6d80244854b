"""One self-contained HTML page about an evaluation: tables, box plots, and pictures of the worst.

No script, nothing from elsewhere. What it looks like is in evaluation_page.html.j2.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .box_plot import Series, box_plot
from .evaluation_pictures import MOST, Picture
from .evaluation_results import (
    ABSOLUTE,
    Evaluation,
    Means,
    by_case,
    by_group,
    by_label,
    by_metadata,
    mean_of,
    roots,
    table_of_groups,
)
from .metrics import DEFINITIONS

EXTREMES = 12
"""Labels of the highest and of the lowest Dice that get a box."""


class Column(NamedTuple):
    """A metric in every table; its numbers are multiplied by a factor and then formatted."""

    metric: str
    heading: str
    form: str
    factor: float = 1

    def text(self, means: Means) -> str:
        """The number of a line; a dash where there is none."""
        value = means[self.metric]
        return self.form.format(self.factor * value).replace("-", "\u2212") if math.isfinite(value) else "\u2013"


COLUMNS = (
    Column("dice", "Dice", "{:.3f}"),
    Column("surface_dice", "Surface Dice at 1 mm", "{:.3f}"),
    Column("hd95_mm", "HD95 (mm)", "{:.2f}"),
    Column("volume_error_ml", "Volume error (ml)", "{:+.3f}"),
    Column("relative_volume_error", "Volume error (%)", "{:+.1f}", 100),
    Column(ABSOLUTE, "Absolute volume error (%)", "{:.1f}", 100),
    Column("sensitivity", "Sensitivity", "{:.3f}"),
    Column("precision", "Precision", "{:.3f}"),
    Column("far_false_positive_ml", "Far false positives (ml)", "{:.2f}"),
)


@dataclass(frozen=True)
class Line:
    """One line of a table. depth: how far its name is moved in; cases: how many it stands for."""

    name: str
    means: Means
    depth: int = 0
    cases: int = 0
    is_all: bool = False


class Plot(NamedTuple):
    """A box plot under its title."""

    title: str
    svg: str


class PicturedSlice(NamedTuple):
    """A picture with what is written below it."""

    jpeg: bytes
    caption: str


def page(evaluation: Evaluation) -> str:
    """The page, well-formed as XML too."""
    tree = evaluation.tree
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["base64"] = _base64
    return environment.get_template("evaluation_page.html.j2").render(
        title=f"{evaluation.name} on {evaluation.data}",
        evaluation=evaluation,
        columns=COLUMNS,
        most=MOST,
        trained_on=[case for case in evaluation.cases if case in evaluation.trained_on],
        groups=_groups(evaluation),
        group_plots=_group_plots(evaluation),
        label_plots=_label_plots(evaluation),
        metadata=[Line(name, means, cases=count) for name, (count, means) in by_metadata(evaluation).items()],
        cases=[Line(_marked(evaluation, case), means) for case, means in by_case(evaluation).items()],
        pictures=[PicturedSlice(picture.jpeg, _caption(evaluation, picture)) for picture in evaluation.pictures],
        labels=[Line(tree[ident].name, means) for ident, means in by_label(evaluation).items()],
        definitions=DEFINITIONS.values(),
    )


def _base64(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode("ascii")


def _groups(evaluation: Evaluation) -> list[Line]:
    tree = evaluation.tree
    parents = by_group(evaluation).items()
    lines = [Line(tree[ident].name, means, 1 + tree.depth(tree[ident])) for ident, means in parents]
    return [Line("All labels", mean_of(evaluation.rows), is_all=True), *lines]


def _group_plots(evaluation: Evaluation) -> list[Plot]:
    dice = table_of_groups(evaluation).groupby("group")["dice"]
    series = [(root.name, dice.get_group(root.id).tolist()) for root in roots(evaluation)]
    return _plots(series, "Dice of every pair of case and label, by group at the top of the label tree")


def _label_plots(evaluation: Evaluation) -> list[Plot]:
    dice = evaluation.table.groupby("label")["dice"]
    best_first = sorted(by_label(evaluation).items(), key=lambda entry: -entry[1]["dice"])
    series = [(evaluation.tree[ident].name, dice.get_group(ident).tolist()) for ident, _ in best_first]
    if len(series) <= 2 * EXTREMES:
        return _plots(series, "Dice of every label over the cases, best first")
    return [
        *_plots(series[:EXTREMES], f"Dice of the {EXTREMES} best labels over the cases"),
        *_plots(series[-EXTREMES:], f"Dice of the {EXTREMES} worst labels over the cases, the worst last"),
    ]


def _plots(series: Series, title: str) -> list[Plot]:
    """One plot, none where there is nothing to show."""
    return [Plot(title, box_plot(series))] if series else []


def _marked(evaluation: Evaluation, case: str) -> str:
    return case + (" (trained on)" if case in evaluation.trained_on else "")


def _caption(evaluation: Evaluation, picture: Picture) -> str:
    scores = evaluation.scores(picture.case)[picture.label]
    what = "missed" if scores.missed else "invented" if scores.invented else f"HD95 {scores.hd95_mm:.1f} mm"
    return f"{evaluation.tree[picture.label].name}, {picture.case}: Dice {scores.dice:.3f}, {what}"
