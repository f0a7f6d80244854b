"""Crops around single structures, cut out of labelled scans, as data sets of one structure have them: python -m
Training.studies.structure_crops DATA --labels "Left Hippocampus" "Right Hippocampus" --name Hippocampus -o FOLDER.

Every scan gives a case for each of the labels: the box around it and --margin-mm more on every side, with the one label
--name. FOLDER is a data set in the raw layout of nnU-Net.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, bounding_box
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from tqdm import tqdm

from ..data.datasets import read_data_set, read_image, read_labels
from ..data.targets import find_label
from ..engine.kept_files import keep_to
from ..engine.program import ends_with_a_sentence
from .raw_layout import write_case, write_tables


def crop_around(scan: Volume, inside: Array, margin_mm: float) -> tuple[Volume, Volume] | None:
    """Scan and mask (k, j, i) bool, cut to the box around the mask and a margin; None where the mask is empty."""
    box = bounding_box(inside)
    if box is None:
        return None
    steps = np.linalg.norm(scan.affine[:3, :3], axis=0)[::-1]  # along k, j, i
    margin = np.ceil(margin_mm / steps).astype(int)
    first = np.maximum(np.array(box[0]) - margin, 0)
    last = np.minimum(np.array(box[1]) + margin, inside.shape)
    part = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
    grid = Grid.of(scan).box(tuple(map(int, first)), tuple(map(int, last)))  # type: ignore[arg-type]
    image = np.ascontiguousarray(scan.array[(slice(None), *part)])
    return Volume(image, grid.affine), Volume(inside[part][None].astype(np.uint8), grid.affine)


def cut(data: Path, labels: list[str], name: str, margin_mm: float, folder: Path) -> int:
    """Write the data set of crops; returns how many there are. SystemExit with a sentence, InputError or OutputError
    where that cannot be done.
    """
    data_set = read_data_set(data)
    found = [find_label(data_set.table, each, "--labels") for each in labels]
    if margin_mm < 0:
        raise SystemExit("--margin-mm is below 0, but a crop holds its structure; set it to 0 at least.")
    keep_to(folder, {"data": str(data.resolve()), "labels": labels, "name": name, "margin_mm": margin_mm}, "crops")
    write_tables(folder, LabelTree((Label(1, name),)), (), f"MRI, crops of {data.name}")
    count = 0
    for case in tqdm(data_set.cases, desc="cutting", unit="case", disable=not sys.stderr.isatty()):
        try:
            scan, truth = read_image(case), read_labels(case)
            for label in found:
                ids = [label.id, *(leaf.id for leaf in data_set.table.leaves_under(label))]
                if (parts := crop_around(scan, np.isin(truth.array[0], ids), margin_mm)) is not None:
                    slug = "".join(c if c.isalnum() else "_" for c in label.name.lower())
                    write_case(folder, f"{case.name}_{slug}", *parts)
                    count += 1
        except LCSError as error:
            raise SystemExit(f"Case {case.name}: {error}") from None
    return count


def build_parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a data set, as for Training/train.py")
    parser.add_argument("--labels", nargs="+", required=True, metavar="NAME", help="labels, a crop each")
    parser.add_argument("--name", required=True, help="what all of them are called in the crops")
    parser.add_argument("--margin-mm", type=float, default=8.0, help="around a label, on every side (8)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the data set of crops")
    return parser


def main() -> None:
    words = build_parser().parse_args()
    with ends_with_a_sentence():
        count = cut(words.data, words.labels, words.name, words.margin_mm, words.output)
    print(f"Crops: {count} in {words.output}")


if __name__ == "__main__":
    main()
