"""Which trunk fits the demo's minute on two cores: three of them with random weights on the MNI152 scan."""

from __future__ import annotations

from LabelConditionedSegmentationLib.core.inference.result import Result
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.resources import sample_scan

from Testing.benchmarks.measure import measured
from Testing.benchmarks.package_times import segmenter
from Training.evaluation.markdown import markdown_table

TRUNKS = {
    "half resolution, widths 32-64-128-256": Architecture(
        widths=(32, 64, 128, 256), blocks=(1, 1, 1, 1), output_stride=2
    ),
    "half resolution, widths 48-96-192-384": Architecture(
        widths=(48, 96, 192, 384), blocks=(1, 1, 1, 1), output_stride=2
    ),
    "full resolution, widths 16-32-64-128-256": Architecture(
        widths=(16, 32, 64, 128, 256), blocks=(1, 1, 1, 1, 1), output_stride=1
    ),
}


def run() -> str:
    """A row a trunk; 134 labels, the whole of `segment` after a first run that warms up."""
    volume = read_volume(sample_scan("mni152_t1_brain.nii.gz"))
    rows = []
    for name, architecture in TRUNKS.items():
        model = segmenter(134, architecture)
        parameters = sum(p.numel() for p in model.network.parameters()) / 1e6
        model.segment(volume)
        results: list[Result] = []
        cost = measured(lambda model=model, results=results: results.append(model.segment(volume)))  # type: ignore[misc]
        timings = results[0].report.timings
        rows.append(
            [
                name,
                f"{parameters:.1f} M",
                f"{timings['network']:.1f}",
                f"{timings['scoring']:.1f}",
                f"{cost.seconds:.1f}",
                f"{cost.peak_mb:.0f}",
            ]
        )
    return markdown_table(["trunk", "parameters", "network s", "labels s", "segment s", "peak memory MiB"], rows)
