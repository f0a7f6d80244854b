"""Time and peak memory against the number of protocols: one of 134 labels, and four of 180 labels together.

Goal: four protocols cost at most 5 % more memory than one. The weights are random, which makes no difference to that.
"""

from __future__ import annotations

import json
import sys
from itertools import accumulate

from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree, Protocol

from Testing import samples
from Testing.benchmarks.measure import Measurement, in_fresh_process, warm
from Testing.benchmarks.package_times import segmenter
from Training.evaluation.markdown import markdown_table

LABELS = {1: (134,), 4: (134, 32, 12, 2)}
"""Number of protocols -> labels of each."""

SCAN = (165, 200, 160)
ROUNDS = 3

CASES = {
    "one": ("one label of the first protocol", ["1"]),
    "all": ("all labels of all protocols, as layers", "all"),
}


def run() -> str:
    """Rounds go through all cases in turn, so that drift of the machine hits every case alike; the median is shown."""
    found: dict[tuple[int, str], list[dict[str, float]]] = {(n, case): [] for n in LABELS for case in CASES}
    for _ in range(ROUNDS):
        for (count, case), runs in found.items():
            runs.append(in_fresh_process(__name__, str(count), case))

    def median(count: int, case: str, what: str) -> float:
        return sorted(one[what] for one in found[count, case])[ROUNDS // 2]

    rows = [
        [
            f"{n}, {sum(labels)}",
            CASES[case][0],
            *(
                cell
                for what, digits in (("seconds", 2), ("peak_mb", 0))
                for cell in (
                    f"{median(n, case, what):.{digits}f}",
                    f"{median(n, case, what) / median(1, case, what) - 1:+.1%}",
                )
            ),
        ]
        for case in CASES
        for n, labels in LABELS.items()
    ]
    heading = ["protocols, labels", "`segment`, scan 160x200x165", "s", "against one", "peak memory MiB", "against one"]
    return markdown_table(heading, rows)


def tree_of(counts: tuple[int, ...]) -> LabelTree:
    """Protocols of so many leaves each; one alone has no name, as in other models."""
    labels = tuple(Label(n, f"Structure {n}") for n in range(1, sum(counts) + 1))
    if len(counts) == 1:
        return LabelTree(labels)
    stops = list(accumulate(counts))
    protocols = (
        Protocol(f"Protocol {stop}", tuple(label.id for label in labels[stop - count : stop]))
        for count, stop in zip(counts, stops, strict=True)
    )
    return LabelTree(labels, tuple(protocols))


def measure(protocols: int, case: str) -> Measurement:
    """A warm segmenter over a scan."""
    model, volume = segmenter(tree=tree_of(LABELS[protocols])), samples.scan(SCAN)
    return warm(lambda: model.segment(volume, CASES[case][1]))


if __name__ == "__main__":
    found_here = measure(int(sys.argv[1]), sys.argv[2])
    print(json.dumps({"seconds": found_here.seconds, "peak_mb": found_here.peak_mb}))
