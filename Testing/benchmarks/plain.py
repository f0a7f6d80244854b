"""Against the plain way: the same trunk with one output channel a class, MONAI's sliding windows, argmax over all
channels.

Goals: faster and at most 0.4 of the memory at K = 135, at most 0.15 of the memory at K = 500.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import torch
from LabelConditionedSegmentationLib.core.inference.network_pass import WINDOW_OVERLAP
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.preprocessing import prepare
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from monai.inferers import sliding_window_inference

from Testing import samples
from Testing.benchmarks.many_labels import SCAN
from Testing.benchmarks.measure import Measurement, in_fresh_process, measured
from Testing.benchmarks.package_times import SHIPPED, segmenter
from Training.evaluation.markdown import markdown_table

CLASSES = (135, 500)
ROUNDS = 3


def run() -> str:
    """Both ways from the loaded model to the label map, in turn, on each device."""
    rows = []
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        for classes in CLASSES:
            times: dict[str, list[float]] = {"streamed": [], "plain": []}
            memory: dict[str, list[float]] = {"streamed": [], "plain": []}
            for _ in range(ROUNDS):
                for way in times:
                    found = in_fresh_process(__name__, way, str(classes), device)
                    times[way].append(found["seconds"])
                    memory[way].append(found["peak_mb"])
            seconds = {way: sorted(values)[ROUNDS // 2] for way, values in times.items()}
            peak = {way: sorted(values)[ROUNDS // 2] for way, values in memory.items()}
            ratios = [f"{seconds['streamed'] / seconds['plain']:.2f}", f"{peak['streamed'] / peak['plain']:.2f}"]
            cells = [f"{seconds[way]:.1f} s, {peak[way]:.0f} MiB" for way in ("streamed", "plain")]
            rows.append([device, str(classes), *cells, *ratios])
    return markdown_table(["device", "classes", "streamed", "plain", "time ratio", "memory ratio"], rows)


def measure(way: str, classes: int, device: str) -> Measurement:
    """One warm-up on a small scan, then one measured run on the large one."""
    model, volume, small = segmenter(classes - 1, device=device), samples.scan(SCAN), samples.scan((40, 40, 40))
    work: Callable[[Volume], object] = (
        model.segment if way == "streamed" else lambda scan: plain_segmentation(model, scan)
    )
    work(small)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    found = measured(lambda: work(volume))
    return Measurement(found.seconds, torch.cuda.max_memory_allocated() / 2**20) if device == "cuda" else found


def plain_segmentation(model: Segmenter, volume: Volume) -> torch.Tensor:
    """Scores of every class on the network's grid by MONAI, and the best class.

    The same input, windows and up-sampling as ours.
    """
    prepared = prepare(volume, model.package.input, SHIPPED.multiple, SHIPPED.position)
    patch = [min(n, p) for n, p in zip(prepared.grid.shape, model.package.patch, strict=True)]
    metadata = torch.full((1, len(samples.SCHEMA.fields)), torch.nan, device=model.plan.device)

    def scores(patches: torch.Tensor) -> torch.Tensor:
        coarse = model.network(patches.to(memory_format=torch.channels_last_3d), metadata)
        return torch.nn.functional.interpolate(
            coarse, scale_factor=SHIPPED.output_stride, mode="trilinear", align_corners=False
        )

    with torch.inference_mode():
        image = prepared.image[None].to(model.plan.device)
        found = sliding_window_inference(image, patch, 1, scores, overlap=WINDOW_OVERLAP, mode="gaussian")
        assert isinstance(found, torch.Tensor)
        return found.argmax(1)


if __name__ == "__main__":
    cost = measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    print(json.dumps({"seconds": cost.seconds, "peak_mb": cost.peak_mb}))
