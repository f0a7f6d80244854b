"""A large scan: 512x512x458 voxels of 0.8 mm, 117 labels, network grid 1.5 mm, on a machine of 24 GiB."""

from __future__ import annotations

import json
import sys

import numpy as np
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples
from Testing.benchmarks.measure import in_fresh_process, measured
from Testing.benchmarks.package_times import segmenter
from Training.evaluation.markdown import markdown_table

SHAPE = (458, 512, 512)
LABELS = 117


def run() -> str:
    """Once with the features kept (2 GiB budget), once streamed (no budget), each in a process of its own."""
    rows = []
    for name, budget in (("features kept (budget 2 GiB)", 2**31), ("streamed, features dropped (budget 0)", 0)):
        found = in_fresh_process(__name__, str(budget))
        rows.append(
            [
                name,
                f"{found['seconds']:.0f}",
                f"{found['peak_mb'] / 1024:.2f}",
                str(found["passes"]),
                str(found["labels"]),
            ]
        )
    return markdown_table(
        ["way", "segment s", "peak memory GiB above the loaded model and the scan", "windows", "labels found"], rows
    )


def measure(budget: int) -> dict[str, float]:
    """Segment a made-up scan; its voxels vary smoothly, so that every region differs."""
    spec = InputSpec(channels=("CT",), spacing=(1.5, 1.5, 1.5), foreground="all", margin_mm=0)
    model = segmenter(LABELS, spec=spec, patch=(128, 128, 128))
    model.feature_budget = budget
    small = samples.scan((58, 64, 64)).array[0]
    voxels = np.kron(small, np.ones((8, 8, 8), dtype=np.int16))[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    voxels += np.random.default_rng(0).integers(0, 60, SHAPE, dtype=np.int16)
    volume = Volume(voxels[None], np.diag([0.8, 0.8, 0.8, 1.0]))
    out = {}

    def once() -> None:
        result = model.segment(volume)
        out["passes"] = float(result.report.trunk_passes)
        out["labels"] = float(len(np.unique(result.label_map.array)) - 1)

    cost = measured(once)
    return {"seconds": cost.seconds, "peak_mb": cost.peak_mb, **{k: int(v) for k, v in out.items()}}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
