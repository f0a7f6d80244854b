"""Memory that does not grow: one process over many scans, and one raw head of 0.5 mm, as a user starts them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import SimpleITK
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.benchmarks.measure import lcs_lines
from Training.evaluation.markdown import markdown_table

SCANS = 200
WARM = 20
"""Scans after which memory is taken for settled."""

CROP_MM = 60.0
SIDE = 512
SPACING_MM = 0.5
SAMPLES = resources_folder() / "SampleData"


def run() -> str:
    """Markdown of this section."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [_row_of_many(folder / "many"), _row_of_large(folder)]
    return markdown_table(["what", "scans", f"peak MiB after {WARM} scans, or one", "peak MiB at the end"], rows)


def _row_of_many(folder: Path) -> list[str]:
    """SCANS links to one small scan, a part of the stripped sample."""
    folder.mkdir()
    original = folder.parent / "small.nii.gz"
    SimpleITK.WriteImage(_middle_of(SimpleITK.ReadImage(str(SAMPLES / "mni152_t1_brain.nii.gz"))), str(original))
    for number in range(SCANS):
        (folder / f"scan_{number:04}.nii.gz").symlink_to(original)
    sizes = list(sizes_in_between(["segment", str(folder), "-r", "-o", str(folder.parent / "out"), "--force"]))
    return ["links to one small scan", str(len(sizes)), f"{max(sizes[:WARM]):.0f}", f"{max(sizes):.0f}"]


def _row_of_large(folder: Path) -> list[str]:
    """The raw sample head on a grid of SIDE voxels of SPACING_MM each way."""
    scan = folder / "large.nii.gz"
    SimpleITK.WriteImage(_finer(SimpleITK.ReadImage(str(SAMPLES / "colin27_t1_head.nii.gz"))), str(scan))
    sizes = list(sizes_in_between(["segment", str(scan), "-o", str(folder / "large.seg.nrrd")]))
    return [f"raw head, {SIDE} x {SIDE} x {SIDE} of {SPACING_MM} mm", "1", f"{sizes[0]:.0f}", f"{sizes[-1]:.0f}"]


def sizes_in_between(words: list[str]) -> Iterator[float]:
    """Peak resident size in MiB of the process `lcs WORDS` each time it has done a scan."""
    return (line.peak_mb for line in lcs_lines(words) if " -> " in line.text)


def _middle_of(image: SimpleITK.Image) -> SimpleITK.Image:
    """A cube of CROP_MM in the middle of a scan."""
    size = [round(CROP_MM / spacing) for spacing in image.GetSpacing()]
    start = [(whole - part) // 2 for whole, part in zip(image.GetSize(), size, strict=True)]
    return SimpleITK.RegionOfInterest(image, size, start)


def _finer(image: SimpleITK.Image) -> SimpleITK.Image:
    """A scan on a cube of SIDE voxels around its middle, in 16 bits."""
    half = [(n - 1) / 2 for n in image.GetSize()]
    middle = image.TransformContinuousIndexToPhysicalPoint(half)
    axes = image.GetDirection()
    corner = [-(SIDE - 1) / 2 * SPACING_MM] * 3
    origin = [middle[row] + sum(axes[3 * row + n] * corner[n] for n in range(3)) for row in range(3)]
    grid = SimpleITK.ResampleImageFilter()
    grid.SetSize([SIDE] * 3)
    grid.SetOutputSpacing([SPACING_MM] * 3)
    grid.SetOutputOrigin(origin)
    grid.SetOutputDirection(axes)
    grid.SetOutputPixelType(SimpleITK.sitkInt16)
    return grid.Execute(image)


if __name__ == "__main__":
    print(run())
