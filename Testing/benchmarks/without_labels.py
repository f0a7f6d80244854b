"""What scans without labels are worth: hippocampi of which 4 are labelled and 16 are not, with a teacher and without:
python -m Testing.benchmarks.without_labels [SEED ...].
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter

from Testing.samples import SHARED
from Training.data.datasets import read_data_set
from Training.engine.config import read_config
from Training.evaluation.evaluation_results import by_label
from Training.evaluation.markdown import markdown_table
from Training.evaluation.scan_evaluation import evaluate

TOP = Path(__file__).resolve().parents[2]
EXPERIMENT = TOP / "Training" / "experiments" / "hippocampus.yaml"
DATA = SHARED / "hippocampus"
LABELLED, UNLABELLED, STEPS = 4, 16, 150
STRUCTURES = ("Anterior hippocampus", "Posterior hippocampus")


def run(seeds: tuple[int, ...] = (0,)) -> str:
    """Mean Dice over the 40 cases that the experiment holds out, of every arm."""
    held_out = read_config(EXPERIMENT).data.validation
    cases = [case.name for case in read_data_set(DATA).cases if case.name not in held_out]
    some, others = cases[:LABELLED], cases[LABELLED : LABELLED + UNLABELLED]
    arms = {
        f"{LABELLED} labelled": (some, [], STEPS),
        f"{LABELLED} labelled, {UNLABELLED} taught by the first": (some, others, STEPS),
        f"{LABELLED} labelled, twice the steps": (some, [], 2 * STEPS),
        f"{LABELLED + UNLABELLED} labelled": ([*some, *others], [], STEPS),
    }
    found: dict[str, list[list[float]]] = {name: [] for name in arms}
    with TemporaryDirectory() as folder:
        for seed in seeds:
            for n, (name, (labelled, taught, steps)) in enumerate(arms.items()):
                output = Path(folder, f"{seed}-{n}")
                teacher = Path(folder, f"{seed}-0", "package") if taught else None
                _train(output, labelled, taught, teacher, steps, seed)
                found[name].append(_dice(output / "package", held_out))
                print(name, seed, found[name][-1], file=sys.stderr, flush=True)
    rows = [
        [name, str(arms[name][2]), *(f"{statistics.mean(values):.3f}" for values in zip(*dice, strict=True))]
        for name, dice in found.items()
    ]
    return markdown_table(["scans", "steps", "anterior", "posterior", "mean"], rows)


def _train(output: Path, labelled: list[str], taught: list[str], teacher: Path | None, steps: int, seed: int) -> None:
    sources = [{"root": str(DATA), "cases": labelled}]
    if taught:
        sources.append({"root": str(DATA), "role": "target", "cases": taught})
    settings = [
        *(
            f"output={output}",
            f"data.cache={output.parent / 'cache'}",
            f"seed={seed}",
            "precision=32-true",
            "optimizer.batch=1",
        ),
        *("data.root=", "data.validation=[]", f"data.sources={json.dumps(sources)}"),
        *(f"optimizer.steps={steps}", "optimizer.warmup=20", f"optimizer.decay={steps // 3}", "data.workers=0"),
        *((f"teacher.package={teacher}", "teacher.share=0.5") if teacher else ()),
    ]
    subprocess.run([sys.executable, str(TOP / "Training" / "train.py"), str(EXPERIMENT), *settings], check=True)


def _dice(package: Path, held_out: list[str]) -> list[float]:
    """Of both structures, and their mean."""
    with Segmenter.from_package(package, "cpu") as segmenter:
        found = evaluate(segmenter, DATA, held_out)
    means = {found.tree[ident].name: mean["dice"] for ident, mean in by_label(found).items()}
    dice = [means[name] for name in STRUCTURES]
    return [*dice, statistics.mean(dice)]


if __name__ == "__main__":
    print(run(tuple(map(int, sys.argv[1:])) or (0,)))
