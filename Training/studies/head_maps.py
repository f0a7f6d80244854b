"""Makes a data set of head maps, from which images of any contrast are drawn, of label maps of whole heads with the ids
of FreeSurfer: python -m Training.studies.head_maps ROOT OUTPUT.

ROOT is a folder with labelsTr/*.nii.gz, such as the training maps of SynthSeg (Billot et al., Medical Image Analysis
2023). OUTPUT gets the same maps, with axes to the left, the back and the top, cropped to the head, with the
cerebrospinal fluid divided into that within the brain's hull and that around it; and labels.csv, whose hierarchy has
the brain, its structures and what lies outside of it.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.scan.geometry import bounding_box
from LabelConditionedSegmentationLib.core.scan.volume import Array
from tqdm import tqdm

from ..engine.program import ends_with_a_sentence

BRAIN, OUTSIDE = "Brain", "Head outside the Brain"

PAIRS = {
    "Cerebral White Matter": (2, 41),
    "Cerebral Cortex": (3, 42),
    "Lateral Ventricle": (4, 43),
    "Inferior Lateral Ventricle": (5, 44),
    "Cerebellum White Matter": (7, 46),
    "Cerebellum Cortex": (8, 47),
    "Thalamus": (10, 49),
    "Caudate": (11, 50),
    "Putamen": (12, 51),
    "Pallidum": (13, 52),
    "Hippocampus": (17, 53),
    "Amygdala": (18, 54),
    "Accumbens Area": (26, 58),
    "Ventral DC": (28, 60),
}
"""Structure -> ids on the left and on the right."""

MIDDLE = {"3rd Ventricle": 14, "4th Ventricle": 15, "Brain Stem": 16, "Cerebrospinal Fluid": 24}

WITHIN = {
    "White Matter Lesion": {25: 2, 57: 41},
    "Vessel": {30: 2, 62: 41},
    "Choroid Plexus": {136: 4, 163: 43},
    "Choroid Plexus of the Inferior Horn": {137: 5, 164: 44},
    "5th Ventricle": {72: 24},
    "Optic Chiasm": {85: 24},
}
"""Tissue of its own intensity -> id -> the structure that it counts as."""

FLUID, FLUID_OUTSIDE = 24, 257

CLOSING_MM = 6.0
"""Radius by which the brain is closed: fluid within that hull is of the brain, as in sulci and cisterns."""


def make_head_maps(root: Path, output: Path) -> None:
    """All maps of a data set. SystemExit where there are none, or where they hold no brain."""
    maps = sorted((root / "labelsTr").glob("[!.]*.nii.gz"))
    if not maps:
        raise SystemExit(f'"{root}" has no label maps: there is no labelsTr/*.nii.gz.')
    (output / "labelsTr").mkdir(parents=True, exist_ok=True)
    ids: set[int] = set()
    for path in tqdm(maps, desc="making head maps", disable=None):
        ids |= _make(path, output / "labelsTr" / path.name)
    _write_table(output / "labels.csv", ids)
    print(f'{len(maps)} maps with {len(ids)} ids are in "{output}".')


def _make(path: Path, output: Path) -> set[int]:
    """One map; returns its ids."""
    image = sitk.DICOMOrient(sitk.ReadImage(str(path), sitk.sitkInt16), "LPS")
    labels = sitk.GetArrayFromImage(image)
    if not np.isin(labels, [side for pair in PAIRS.values() for side in pair]).any():
        raise SystemExit(f'"{path}" holds none of the ids that FreeSurfer gives to structures of the brain.')
    hull = _hull(labels, image.GetSpacing())
    labels[(labels == FLUID) & ~hull] = FLUID_OUTSIDE
    region = bounding_box(labels > 0)
    assert region is not None
    (k, j, i), (k_end, j_end, i_end) = region
    made = sitk.GetImageFromArray(labels)
    made.CopyInformation(image)
    sitk.WriteImage(made[i:i_end, j:j_end, k:k_end], str(output), useCompression=True)
    return {int(label) for label in np.unique(labels)} - {0}


def _hull(labels: Array, spacing: Sequence[float]) -> Array:
    """(k, j, i) bool: the structures of the brain, closed by CLOSING_MM. spacing: mm along (i, j, k)."""
    known = [*(side for pair in PAIRS.values() for side in pair), *MIDDLE.values()]
    known.remove(FLUID)
    brain = sitk.GetImageFromArray(np.isin(labels, known).astype(np.uint8))
    radius = [max(1, round(CLOSING_MM / length)) for length in spacing]
    padded = sitk.ConstantPad(brain, radius, radius)
    closed = sitk.BinaryMorphologicalClosing(padded, radius)
    hull = sitk.BinaryFillhole(closed)
    inner = tuple(slice(voxels, -voxels) for voxels in reversed(radius))
    return np.asarray(sitk.GetArrayFromImage(hull)[inner] > 0)


def _write_table(path: Path, ids: set[int]) -> None:
    """labels.csv: id, name, parent, hemisphere."""
    rows = [(1000, BRAIN, "", ""), (1001, OUTSIDE, "", "")]
    names: dict[int, str] = {}
    for structure, sides in PAIRS.items():
        for number, side in zip(sides, ("Left", "Right"), strict=True):
            names[number] = f"{side} {structure}"
            rows.append((number, names[number], BRAIN, side.lower()))
    for structure, number in MIDDLE.items():
        names[number] = structure
        rows.append((number, structure, BRAIN, "midline"))
    for tissue, parents in WITHIN.items():
        for number, parent in parents.items():
            side = next((side for side in ("Left", "Right") if names[parent].startswith(side)), "")
            rows.append((number, f"{side} {tissue}".strip(), names[parent], side.lower() or "midline"))
    known = {number for number, *_ in rows}
    rows.append((FLUID_OUTSIDE, "Fluid outside the Brain", OUTSIDE, "midline"))
    rows += [
        (number, f"Extracerebral Tissue {number}", OUTSIDE, "midline")
        for number in sorted(ids - known - {FLUID_OUTSIDE})
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "name", "parent", "hemisphere"))
        writer.writerows(rows)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m Training.studies.head_maps", description=__doc__)
    parser.add_argument("root", type=Path, help="folder with labelsTr/*.nii.gz, ids of FreeSurfer")
    parser.add_argument("output", type=Path, help="folder for the maps that are made, and their table")
    return parser


def main() -> None:
    arguments = build_parser().parse_args()
    with ends_with_a_sentence():
        make_head_maps(arguments.root, arguments.output)


if __name__ == "__main__":
    main()
