"""Box plots of values in [0, 1], such as Dice, as SVG."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

Series = Sequence[tuple[str, Sequence[float]]]
"""Names, each with its values: one at least."""

WIDTH, LINE, ROOM = 9.6, 0.23, 0.45
"""Inches: of a plot, the height of a box with its name, and that of the axis."""

LETTERS = 50
"""Of a name; what is longer is cut."""

EDGE = "#1f5f8b"


def box_plot(series: Series) -> str:
    """Horizontal boxes, the first at the top, as the text of an SVG file."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "boxes"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # letters stay letters: the browser has their fonts
        box_figure(series).savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def box_figure(series: Series) -> Figure:
    """The figure of `box_plot`, with how many values each box stands for at its right."""
    lowest = min(min(values) for _, values in series)
    low = min(0.9, math.floor(10 * lowest) / 10)
    figure = Figure(figsize=(WIDTH, ROOM + LINE * len(series)), layout="constrained")
    axes = figure.add_subplot(xlim=(low, 1))
    line = {"color": EDGE}
    axes.boxplot(
        [list(values) for _, values in series],
        orientation="horizontal",
        widths=0.55,
        patch_artist=True,
        boxprops={"facecolor": "#b6d7ef", "edgecolor": EDGE},
        medianprops=line | {"linewidth": 2.2},
        whiskerprops=line,
        capprops=line,
        flierprops={"marker": "o", "markersize": 3, "markeredgecolor": EDGE, "clip_on": False},
    )
    places = np.arange(len(series)) + 1
    axes.set_yticks(places, [_shortened(name) for name, _ in series], parse_math=False)
    counts = axes.secondary_yaxis("right")
    counts.set_yticks(places, [f"n = {len(values)}" for _, values in series])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MultipleLocator(0.1 if low < 0.85 else 0.02))
    axes.xaxis.set_major_formatter("{x:.2f}")
    axes.grid(axis="x", color="#d0d7de")
    axes.set_axisbelow(True)
    for one in (axes, counts):
        one.tick_params(length=0, labelsize=9)
        one.spines[:].set_visible(False)
    return figure


def _shortened(name: str) -> str:
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "\u2026"
