"""Training methods side by side: time and peak memory of a training step, and of finding all labels in a patch, against
the number of labels.

Goals: LCS at the head within 5 % of memory from 4 to 134 labels, at most half of the softmax baseline's at 134, and
never slower than it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import torch
from LabelConditionedSegmentationLib.core.inference.scoring import best_classes
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork

from Testing import samples
from Testing.benchmarks.measure import Measurement, in_fresh_process, measured
from Testing.benchmarks.package_times import SHIPPED, training_batch, training_method, training_step
from Training.engine.config import ObjectiveConfig
from Training.evaluation.markdown import markdown_table

COUNTS = (4, 32, 134)
SAMPLED = 4
"""Labels asked of a sample, where labels are sampled."""
ARMS: dict[str, tuple[str, ObjectiveConfig, str]] = {
    "softmax baseline": ("baseline", ObjectiveConfig(), "head"),
    "LCS, head, streamed": ("lcs", ObjectiveConfig(), "head"),
    "sigmoid baseline": ("baseline", ObjectiveConfig(loss="sigmoid"), "head"),
    "LCS, head, sampled": ("lcs", ObjectiveConfig(loss="sigmoid", labels="sampled", labels_per_sample=SAMPLED), "head"),
    "LCS, decoder, sampled": (
        "lcs",
        ObjectiveConfig(loss="sigmoid", labels="sampled", labels_per_sample=SAMPLED),
        "decoder",
    ),
    "LCS, bottleneck, sampled": (
        "lcs",
        ObjectiveConfig(loss="sigmoid", labels="sampled", labels_per_sample=SAMPLED),
        "bottleneck",
    ),
}
SETTINGS = {"points": ((96, 96, 96), 22_000), "dense": ((64, 64, 64), 0)}
"""Patch and points a sample (0: all voxels, as multi-channel networks are usually trained)."""


def run() -> str:
    """Every arm and count in a process of its own, one after the other."""
    sections = []
    for setting, (patch, points) in SETTINGS.items():
        where = f"{points:,} points" if points else "the loss at every voxel"
        size = "x".join(map(str, patch))
        sections.append(
            f"One training step, patch {size}, {where}, bf16; seconds and MiB above the network:\n\n"
            + _table("step", setting, list(ARMS))
        )
    arms = ["softmax baseline", "LCS, head, streamed", "LCS, decoder, sampled", "LCS, bottleneck, sampled"]
    sections.append(
        "All labels of a patch of 64x64x64 at full resolution, bf16 trunk; seconds and MiB above the network (baseline:"
        " all scores, then argmax):\n\n" + _table("find", "dense", arms)
    )
    return "\n\n".join(sections)


def _table(what: str, setting: str, arms: list[str]) -> str:
    found = {
        (arm, count): in_fresh_process(__name__, what, setting, arm, str(count)) for count in COUNTS for arm in arms
    }
    first, last = COUNTS[0], COUNTS[-1]
    header = [
        "arm",
        *(f"K = {count}" for count in COUNTS),
        f"memory, {first} to {last}",
        f"memory against softmax at {last}",
        f"time against softmax at {last}",
    ]
    rows = []
    for arm in arms:
        cells = [f"{found[arm, count]['seconds']:.2f} s, {found[arm, count]['peak_mb']:.0f}" for count in COUNTS]
        growth = found[arm, last]["peak_mb"] / found[arm, first]["peak_mb"] - 1
        against = [found[arm, last][key] / found["softmax baseline", last][key] for key in ("peak_mb", "seconds")]
        rows.append([arm, *cells, f"{growth:+.0%}", *(f"{value:.2f}" for value in against)])
    return markdown_table(header, rows)


def measure_step(setting: str, arm: str, count: int) -> Measurement:
    """Forward and backward; the best of three in time, the first in memory."""
    (patch, points), (method, objective, conditioning) = SETTINGS[setting], ARMS[arm]
    module = training_method(count, replace(SHIPPED, conditioning=conditioning), method, objective)
    batch = training_batch(count, patch, points, SAMPLED)
    runs = [measured(lambda: training_step(module, batch)) for _ in range(4)]
    return Measurement(min(r.seconds for r in runs[1:]), runs[0].peak_mb)


@torch.inference_mode()
def measure_find(setting: str, arm: str, count: int) -> Measurement:
    """From a patch to the label of every voxel: all scores and argmax for the baseline, features and the streamed
    product for the others.
    """
    patch, _ = SETTINGS[setting]
    torch.manual_seed(0)
    network = LabelConditionedNetwork(replace(SHIPPED, conditioning=ARMS[arm][2]), count + 1, samples.SCHEMA.fields)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    image = torch.randn(1, SHIPPED.input_channels, *patch).contiguous(memory_format=torch.channels_last_3d)
    metadata = torch.tensor([[0.0, 0.5]])

    def find() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            found = network(image, metadata) if ARMS[arm][0] == "baseline" else network.features(image, metadata)
        fine = torch.nn.functional.interpolate(found.float(), size=patch, mode="trilinear")
        if ARMS[arm][0] == "baseline":
            return fine.argmax(1)
        return best_classes(fine[0].flatten(1).T, network.prompts, network.bias).best_class

    runs = [measured(find) for _ in range(3)]
    return Measurement(min(r.seconds for r in runs[1:]), runs[0].peak_mb)


if __name__ == "__main__":
    measure = {"step": measure_step, "find": measure_find}[sys.argv[1]]
    one = measure(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    print(json.dumps({"seconds": one.seconds, "peak_mb": one.peak_mb}))
