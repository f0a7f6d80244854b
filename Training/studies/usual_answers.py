"""Tells a model package what its answers look like where it works: python -m Training.studies.usual_answers PACKAGE
SCAN [SCAN ...].

The scans are such as the model is made for. Their answers are counted (volumes, intensities under the labels), and what
is usual is written into the package, which from then on judges its own answers; the table says how far each scan is
from the others. With --other SCAN further scans, of which the model should fail or succeed, are shown beside them and
leave no trace in the package. With --any-contrast the intensities are not judged: what is bright and dark in a scan
says nothing of an answer where the model reads every contrast.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.inference.answer_checks import Tally, measures_of, tally_of
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.package.package_files import DESCRIPTION
from LabelConditionedSegmentationLib.core.package.usual_answers import MEASURES, UsualAnswers
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from tqdm import tqdm

from ..engine.kept_files import written_whole
from ..engine.program import ends_with_a_sentence
from ..engine.threads import use_threads

LIMITS = {"lost": (0.03, 0.15), "sizes": (1.0, 1.8), "asymmetry": (0.25, 0.45), "contrast": (0.3, 0.8)}
"""From where an answer is odd, and from where it has failed: well above what people differ by, well below what comes
out of scans of another kind (see BENCHMARKS.md).
"""


def tally_of_scan(segmenter: Segmenter, path: Path) -> Tally:
    """What the model's answer about one scan counts."""
    volume = read_volume(path)
    features = segmenter.features(volume)
    return tally_of(features.winner_map(), volume, features.region, segmenter.package.labels)


def usual_of(tallies: Sequence[Tally], any_contrast: bool = False) -> UsualAnswers:
    """What these answers have in common. any_contrast: nothing is said of intensities, which may be any."""
    sizes = np.array([tally.log_ml for tally in tallies])
    with np.errstate(invalid="ignore"):
        means, deviations = sizes.mean(axis=0), sizes.std(axis=0)  # NaN of what was not found in all of them
        intensity = np.array([tally.intensity for tally in tallies]).mean(axis=0)
    log_ml = tuple((float(mean), float(std)) for mean, std in zip(means, deviations, strict=True))
    if any_contrast:
        limits = {name: ends for name, ends in LIMITS.items() if name != "contrast"}
        return UsualAnswers(log_ml, (float("nan"),) * len(log_ml), limits)
    return UsualAnswers(log_ml, tuple(map(float, intensity)), LIMITS)


def write_usual(package: ModelPackage, usual: UsualAnswers) -> None:
    """Into the description of a package folder. SystemExit for a zip, which would have to be made anew."""
    path = package.path / DESCRIPTION
    if not path.is_file():
        raise SystemExit(f'"{package.path}" is no folder; unpack the package, and zip it again afterwards.')
    entry = json.loads(path.read_text(encoding="utf-8"))
    entry["answers"] = usual.to_json()
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _print_table(named: Sequence[tuple[Path, Tally]], package: ModelPackage, usual: UsualAnswers) -> None:
    print(f"{'scan':32s}" + "".join(f"{name:>11s}" for name in MEASURES))
    for path, tally in named:
        measures = measures_of(tally, package.labels, usual)
        print(f"{path.name:32s}" + "".join(f"{measures.get(name, np.nan):11.3f}" for name in MEASURES))


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m Training.studies.usual_answers", description=__doc__)
    parser.add_argument("package", type=Path, help="folder of the model package, whose model.json is completed")
    parser.add_argument("scans", type=Path, nargs="+", help="scans that the model is made for, eight or more")
    parser.add_argument("--other", type=Path, nargs="+", default=[], help="further scans for the table")
    parser.add_argument(
        "--any-contrast", action="store_true", help="the model reads every contrast: leave intensities unjudged"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the table alone")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of the network")
    return parser


def main() -> None:
    arguments = build_parser().parse_args()
    use_threads(arguments.threads)
    with ends_with_a_sentence():
        segmenter = Segmenter.from_package(arguments.package, arguments.device)
        segmenter.package = replace(segmenter.package, usual=None)
        paths = [*arguments.scans, *arguments.other]
        tallies = [tally_of_scan(segmenter, path) for path in tqdm(paths, desc="segmenting scans", disable=None)]
        usual = usual_of(tallies[: len(arguments.scans)], arguments.any_contrast)
        _print_table(list(zip(paths, tallies, strict=True)), segmenter.package, usual)
        if not arguments.dry_run:
            write_usual(segmenter.package, usual)


if __name__ == "__main__":
    main()
