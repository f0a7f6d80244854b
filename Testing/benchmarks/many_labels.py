"""Time and peak memory against the number of labels that the model knows: `segment`, and one training step.

Goals: memory within 5 % from 4 to 500, time within 15 % from 4 to 134.
"""

from __future__ import annotations

import json
import sys

from Testing import samples
from Testing.benchmarks.measure import Measurement, in_fresh_process, warm
from Testing.benchmarks.package_times import segmenter, training_batch, training_method, training_step
from Training.evaluation.markdown import markdown_table

COUNTS = (4, 32, 134, 500)
SCAN = (165, 200, 160)
PATCH = (144, 192, 144)
POINTS = 100_000
ROUNDS = 3


def run() -> str:
    """Rounds go through all counts in turn, so that drift of the machine hits every count alike; the median round is
    shown.
    """
    sections = []
    for what, title in (
        ("segment", "`segment`, scan 160x200x165, all labels"),
        ("step", "one training step, patch 144x192x144, 100,000 points, bf16"),
    ):
        results: dict[int, list[dict[str, float]]] = {count: [] for count in COUNTS}
        for _ in range(ROUNDS):
            for count in COUNTS:
                results[count].append(in_fresh_process(__name__, what, str(count)))
        seconds = {count: sorted(r["seconds"] for r in runs)[ROUNDS // 2] for count, runs in results.items()}
        memory = {count: sorted(r["peak_mb"] for r in runs)[ROUNDS // 2] for count, runs in results.items()}
        rows = [
            [
                str(n),
                f"{seconds[n]:.2f}",
                f"{seconds[n] / seconds[4] - 1:+.1%}",
                f"{memory[n]:.0f}",
                f"{memory[n] / memory[4] - 1:+.1%}",
            ]
            for n in COUNTS
        ]
        sections.append(
            f"{title}:\n\n"
            + markdown_table(
                ["labels K", "s", "against K = 4", "peak memory MiB above the loaded model", "against K = 4"], rows
            )
        )
    return "\n\n".join(sections)


def measure_segment(count: int) -> Measurement:
    """A warm segmenter over a scan."""
    model, volume = segmenter(count), samples.scan(SCAN)
    return warm(lambda: model.segment(volume))


def measure_step(count: int) -> Measurement:
    """Forward, backward and nothing else, as training does it."""
    method, batch = training_method(count), training_batch(count, PATCH, POINTS)
    return warm(lambda: training_step(method, batch))


if __name__ == "__main__":
    found = {"segment": measure_segment, "step": measure_step}[sys.argv[1]](int(sys.argv[2]))
    print(json.dumps({"seconds": found.seconds, "peak_mb": found.peak_mb}))
