"""`make demo`: segment the whole head that is shipped as a sample, with the model that is shipped."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import LCSError
from ..resources import sample_scan

if TYPE_CHECKING:
    from ..core.inference.result import Result
    from ..core.labels.label_tree import LabelTree

NAME = "colin27"
SHOWN = (
    "Left Hippocampus",
    "Right Hippocampus",
    "Left Thalamus Proper",
    "Right Thalamus Proper",
    "Brain Stem",
    "Cerebral cortex",
)


def run(folder: Path) -> None:
    """Segment the scan, write four files, and say what was done, how long it took and how to look at it."""
    began = time.perf_counter()
    from ..core.inference.segmenter import Segmenter
    from ..core.scan.image_io import read_volume
    from ..core.scan.whole_files import write_all
    from .model_choice import resolve_model
    from .preview import write_preview
    from .tables import write_volumes

    scan = sample_scan("colin27_t1_head.nii.gz")
    segmenter = Segmenter.from_package(resolve_model(None))
    loaded = time.perf_counter()
    volume = read_volume(scan)
    result = segmenter.segment(volume)
    segmented = time.perf_counter()
    files = {
        **result.files(folder / f"{NAME}.seg.nrrd"),
        **result.files(folder / f"{NAME}.nii.gz"),
        folder / f"{NAME}.png": write_preview(volume, result),
        folder / "volumes.csv": write_volumes(scan.name, result),
    }
    write_all(files)
    written = time.perf_counter()

    size = " x ".join(map(str, volume.shape[::-1]))
    print(f"Segmented {scan.name} (a whole head, T1, {size} voxels) with the model {segmenter.package.name}:")
    _tell_structures(result, segmenter.package.labels)
    _tell_times(
        {"loading the model": loaded - began, **result.report.timings, "writing": written - segmented}, written - began
    )
    for finding in result.report.findings:
        print(f"{finding.level}: {finding}")
    _tell_files(scan, folder, list(files))
    print(f"\nLicence of the model: {segmenter.package.about.get('licence') or 'not stated'}")


def _tell_structures(result: Result, tree: LabelTree) -> None:
    """What was found, and how large some of it is."""
    report, millilitres = result.report, result.millilitres()
    if ml := report.inside.get("ml"):
        print(f"  the model {report.inside['model']} found the brain first, {ml:.0f} ml")
    print(f"  {len(result.labels)} structures, {report.trunk_passes} pass(es) of the network, on {report.device}\n")
    for name in SHOWN:
        together = sum(millilitres[leaf.id] for leaf in tree.leaves_under(tree.find(name)))
        print(f"  {name:24s} {together:8.1f} ml")


def _tell_times(stages: Mapping[str, float], together: float) -> None:
    print("\nTime in seconds:")
    for stage, seconds in {**stages, "together": together}.items():
        print(f"  {stage:20s} {seconds:6.2f}")
    print()


def _tell_files(scan: Path, folder: Path, files: Sequence[Path]) -> None:
    """What was written, and how to look at it."""
    print("Written:")
    for path in files:
        print(f"  {path}  ({path.stat().st_size / 1024:.0f} kB)")
    print(
        f"\nLook at {folder / f'{NAME}.png'}, or open it in 3D Slicer: drag this scan and {folder / f'{NAME}.seg.nrrd'}"
        f" into its window:\n  {scan}"
    )


def main() -> int:
    """Entry point; the only word is the folder for the results."""
    try:
        run(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
    except LCSError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
