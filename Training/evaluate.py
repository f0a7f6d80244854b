"""Score a model package against labelled scans: python Training/evaluate.py MODEL DATA [--cases ...]. Dice a label and a case, on each scan's own grid."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np
from LabelConditionedSegmentationLib.core.errors import LCSError
from LabelConditionedSegmentationLib.core.image_io import read_volume
from LabelConditionedSegmentationLib.core.labels import LabelTree
from LabelConditionedSegmentationLib.core.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.volume import Array
from tqdm import tqdm

from Training.data import find_cases, read_participants


def dice_of_labels(found: Array, truth: Array, tree: LabelTree) -> dict[int, float]:
    """Leaf id -> Dice between two label maps of the same grid; 1 where a label is in neither, 0 where it is in one only.

    Voxels whose true id is no leaf of the tree are unknown and left out of both.
    """
    known = np.isin(truth, [0, *tree.class_of])
    found, truth = found[known], truth[known]
    length = max(int(found.max(initial=0)), int(truth.max(initial=0)), *tree.class_of) + 1
    both = np.bincount(truth[found == truth], minlength=length)
    total = np.bincount(truth, minlength=length) + np.bincount(found, minlength=length)
    return {leaf: float(2 * both[leaf] / total[leaf]) if total[leaf] else 1.0 for leaf in tree.class_of}


def evaluate(segmenter: Segmenter, data: Path, names: list[str], with_metadata: bool = True) -> dict[str, dict[int, float]]:
    """Case -> leaf id -> Dice. Metadata of `participants.tsv` is told to the model where it knows the field."""
    people = read_participants(data / "participants.tsv")
    known = {field.name for field in segmenter.metadata_schema.fields}
    scores = {}
    for case in tqdm(find_cases(data, names), desc="evaluating", disable=not sys.stderr.isatty()):
        metadata = {k: v for k, v in people.get(case.name, {}).items() if k in known} if with_metadata else {}
        result = segmenter.segment(read_volume(case.image), metadata=metadata)
        truth = read_volume(case.label).array[0].astype(np.int64)
        scores[case.name] = dice_of_labels(result.label_map.array[0].astype(np.int64), truth, segmenter.package.labels)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a model package")
    parser.add_argument("data", type=Path, help="a data set in the nnU-Net raw layout")
    parser.add_argument("--cases", nargs="*", default=[], help="only these cases")
    parser.add_argument("--output", type=Path, help="write CSV (a row a case and label) and JSON (means) with this stem")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--without-metadata", action="store_true", help="tell the model nothing about the scans")
    arguments = parser.parse_args()
    try:
        segmenter = Segmenter.from_package(arguments.model, arguments.device)
        scores = evaluate(segmenter, arguments.data, arguments.cases, not arguments.without_metadata)
    except LCSError as error:
        raise SystemExit(str(error)) from None
    tree, trained = segmenter.package.labels, set(segmenter.package.about.get("provenance", {}).get("training_cases", []))
    means = {name: float(np.mean(list(dice.values()))) for name, dice in scores.items()}
    for name, mean in means.items():
        print(f"{name}  {mean:.4f}{'  (the package was trained on this case)' if name in trained else ''}")
    by_root: dict[str, list[float]] = {}
    for dice in scores.values():
        for leaf in tree.leaves:
            by_root.setdefault((tree.ancestors(leaf)[-1:] or (leaf,))[0].name, []).append(dice[leaf.id])
    for name, values in by_root.items():
        print(f"  {name:45s} {np.mean(values):.4f}")
    print(f"mean Dice of {len(tree.leaves)} labels over {len(means)} cases: {np.mean(list(means.values())):.4f}")
    if arguments.output:
        with arguments.output.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["case", "id", "label", "dice", "trained_on"])
            table.writerows(
                [name, leaf, tree[leaf].name, f"{value:.5f}", int(name in trained)] for name, dice in scores.items() for leaf, value in dice.items()
            )
        summary = {"mean": float(np.mean(list(means.values()))), "cases": means, "compartments": {name: float(np.mean(v)) for name, v in by_root.items()}}
        arguments.output.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
