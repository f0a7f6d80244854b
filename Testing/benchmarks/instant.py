"""Other labels after a first run, and what lies under a point. Goals: 0.2 s and 20 ms."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from Testing import samples
from Testing.benchmarks.many_labels import SCAN
from Testing.benchmarks.package_times import segmenter
from Training.evaluation.markdown import markdown_table


def run() -> str:
    """Twenty requests each on a scan of 160x200x165 with a model of 134 labels."""
    model, volume = segmenter(134), samples.scan(SCAN)
    features = model.features(volume)
    features.segment()
    one = [_seconds(partial(features.segment, [str(n)])) for n in range(1, 21)]
    everything = [_seconds(lambda: features.segment("all")) for _ in range(20)]
    generator = np.random.default_rng(0)
    points = generator.uniform([40, 50, 40], [120, 150, 125], (20, 3))
    under = [_seconds(partial(features.at, point)) for point in points]
    rows = [
        [name, f"{1000 * np.median(times):.1f}", f"{1000 * max(times):.1f}"]
        for name, times in (
            ("`features.segment`, one other label", one),
            ("`features.segment`, all 134", everything),
            ("`features.at` a point", under),
        )
    ]
    return markdown_table(["request", "median ms", "slowest of 20 ms"], rows)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
