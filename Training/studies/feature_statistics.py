"""Adds statistics of its features to a model package: python -m Training.studies.feature_statistics PACKAGE DATA
[--cases NAME ...].

The scans are those of the data set that the package says it was trained on, or all where it names none of them. The
network runs over each of them once; with the statistics the model can be adapted to scans of another kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage, add_feature_statistics
from tqdm import tqdm

from ..data.datasets import CaseFiles, read_image, read_scans
from ..engine.program import ends_with_a_sentence
from ..engine.threads import use_threads
from ..evaluation.scan_evaluation import was_trained_on
from ..evaluation.scan_features import FeatureStatistics, statistics_over


def training_cases(package: ModelPackage, data: Path, names: Sequence[str]) -> list[CaseFiles]:
    """The cases that are named; else those that the package was trained on; where it names none, all."""
    cases = read_scans(data, package.labels, names).cases
    trained = [case for case in cases if was_trained_on(package, case.name)]
    return list(cases) if names or not trained else trained


def statistics_of(segmenter: Segmenter, cases: Sequence[CaseFiles]) -> FeatureStatistics:
    """Statistics of the features of a package over these scans."""

    def scans() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for case in tqdm(cases, desc="looking at scans", disable=None):
            prepared, _, _ = segmenter.prepared(read_image(case), None, not_a_label_map=True)
            yield prepared.image, prepared.foreground

    return statistics_over(segmenter.network_pass, scans())


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m Training.studies.feature_statistics", description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the model package that is completed")
    parser.add_argument("data", type=Path, help="data set with its training scans (nnU-Net, MONAI datalist or BIDS)")
    parser.add_argument("--cases", nargs="+", default=[], metavar="NAME", help="the scans to take")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of the network")
    return parser


def main() -> None:
    arguments = build_parser().parse_args()
    use_threads(arguments.threads)
    with ends_with_a_sentence():
        with Segmenter.from_package(arguments.package, arguments.device) as segmenter:
            cases = training_cases(segmenter.package, arguments.data, arguments.cases)
            found = statistics_of(segmenter, cases)
            add_feature_statistics(segmenter.package, found.levels, found.ranges)
        for case, off in zip(cases, found.distances, strict=False):
            print(f"{case.name:32s}{off:11.4f}")


if __name__ == "__main__":
    main()
