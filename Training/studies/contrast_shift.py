"""Scans of another contrast, made of labelled ones, to measure domain adaptation on: python -m
Training.studies.contrast_shift DATA --contrast T2 -o FOLDER.

Each scan of DATA, of T1-like contrast and stripped, becomes one whose fluid, gray and white matter are as bright as
the contrast of that name in Training/experiments/brain_contrasts.yaml has them: its labels are divided by the
intensities of the scan, as for images made beside the stored ones, and every part gets an intensity of its own with
little noise, bias and blur. FOLDER is a data set in the raw layout of nnU-Net with the label maps of DATA.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from tqdm import tqdm

from ..data.acquisition import Acquisition
from ..data.class_maps import ClassMap, divided_by_intensity, generation_classes
from ..data.datasets import DataSet, read_data_set, read_image, read_labels
from ..data.made_images import ImageMaker
from ..data.targets import find_label
from ..data.tissue_curves import TissueCurve
from ..engine.config import read_config
from ..engine.kept_files import keep_to
from ..engine.program import ends_with_a_sentence
from .raw_layout import write_case, write_tables

RECIPE = Path(__file__).parents[1] / "experiments" / "brain_contrasts.yaml"
PARTS = 4
"""Into which each label is divided by the intensities of its scan."""

MIDDLE, SPREAD = 1000, 300
"""Stored intensities of a made scan: mean and deviation of the brain, whose voxels are all above 0, the outside."""


def acquisition_of(contrast: str) -> Acquisition:
    """How images of one contrast are made, without the faults that a network is trained against. SystemExit for a
    contrast that the recipe does not have.
    """
    settings = read_config(RECIPE).acquisition
    wanted = [replace(each, share=1.0) for each in settings.contrasts if each.name == contrast]
    if not wanted:
        names = ", ".join(each.name for each in settings.contrasts)
        raise SystemExit(f'There is no contrast "{contrast}" in "{RECIPE.name}", which has {names}.')
    calm = replace(settings, around=0.0, cropped=0.0, sharp=1.0, gamma=0.0, divided=0.0, shared=0.0)
    return replace(calm, contrasts=wanted, noise=0.02, bias=0.2, offset=5.0)


def made_scan(
    scan: Volume, labels: Volume, data_set: DataSet, alike: list[str], settings: Acquisition, seed: list[int]
) -> Volume:
    """A scan of another contrast on the grid of a labelled one; the same seed makes the same scan."""
    names, classes = generation_classes(labels.array[0], data_set.table, alike)
    image = scan.array[0].astype(np.float32)
    divided, names, levels = divided_by_intensity(classes, names, image, image > 0, PARTS)
    whole = ClassMap(torch.from_numpy(divided), tuple(frozenset(each) for each in names), tuple(levels))
    spacing = tuple(np.linalg.norm(scan.affine[:3, :3], axis=0).tolist())
    maker = ImageMaker(len(names), (), spacing, settings, TissueCurve(whole, settings.tissues))
    made = maker(whole.classes, np.random.default_rng(seed))
    shown = np.where(made.foreground, MIDDLE + SPREAD * made.image.numpy().clip(-3, 6), 0)
    return scan.with_array(shown[None].astype(np.float32))


def shift(data: Path, contrast: str, alike: list[str], seed: int, folder: Path) -> Path:
    """Write the data set of made scans; returns its folder. SystemExit with a sentence, InputError or OutputError
    where that cannot be done.
    """
    settings, data_set = acquisition_of(contrast), read_data_set(data)
    tissues = settings.tissues
    for name in (*alike, tissues.fluid, tissues.gray, tissues.white):
        find_label(data_set.table, name, "--alike" if name in alike else "acquisition.tissues")
    question = {"data": str(data.resolve()), "contrast": contrast, "alike": alike, "seed": seed}
    keep_to(folder, question, "scans")
    write_tables(folder, data_set.table, sorted(data_set.ignored_ids), f"{contrast}-like MRI, made of {data.name}")
    cases = tqdm(data_set.cases, desc="making scans", unit="case", disable=not sys.stderr.isatty())
    for number, case in enumerate(cases):
        if (folder / "labelsTr" / f"{case.name}.nii.gz").is_file():
            continue
        try:
            scan, labels = read_image(case), read_labels(case)
            write_case(folder, case.name, made_scan(scan, labels, data_set, alike, settings, [seed, number]), labels)
        except LCSError as error:
            raise SystemExit(f"Case {case.name}: {error}") from None
    return folder


def build_parser() -> argparse.ArgumentParser:
    """The words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="a data set of stripped scans, as for Training/train.py")
    parser.add_argument("--contrast", required=True, help="T2, FLAIR or another one of brain_contrasts.yaml")
    parser.add_argument(
        "--alike",
        nargs="+",
        default=["Cerebral cortex"],
        metavar="NAME",
        help="labels of which all that lies below looks alike (Cerebral cortex)",
    )
    parser.add_argument("--seed", type=int, default=7, help="of the draw of intensities (7)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the data set of made scans")
    return parser


def main() -> None:
    words = build_parser().parse_args()
    with ends_with_a_sentence():
        print(f"Scans: {shift(words.data, words.contrast, words.alike, words.seed, words.output)}")


if __name__ == "__main__":
    main()
