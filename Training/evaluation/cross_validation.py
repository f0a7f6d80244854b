"""Cross-validation: train a configuration once a fold, score every case by the model that never saw it: python
Training/crossvalidate.py CONFIG.yaml --folds 5.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import numpy as np
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.metadata import MetadataSchema
from LabelConditionedSegmentationLib.core.signals import handle_signals, signals_restored

from ..data.data_checks import metadata_problems, raise_problems
from ..data.datasets import CaseFiles, read_data_set
from ..data.sources import only_root
from ..engine.config import Config, read_config
from ..engine.kept_runs import is_finished, refuse_other_run
from ..engine.program import INTERRUPTED, ends_with_a_sentence
from .evaluation_results import joined
from .scan_evaluation import (
    check_stem,
    evaluate,
    known_metadata,
    print_summary,
    write_report,
)

TRAIN = Path(__file__).parents[1] / "train.py"
REPORT = "crossvalidation"
"""Name, without suffix, of the report in the output folder."""


def make_folds(cases: Sequence[CaseFiles], schema: MetadataSchema, folds: int, seed: int) -> list[list[str]]:
    """Names of the held-out cases of every fold, each case once; sizes differ by one at most.

    Shuffled by the seed, and dealt out so that each choice of the schema's first choice field comes evenly often in
    every fold, as does what is unknown.
    """
    if not 2 <= folds <= len(cases):
        raise SystemExit(f"{folds} folds cannot be made of {len(cases)} cases; use a number from 2 to {len(cases)}.")
    raise_problems(metadata_problems(cases, schema))
    field = next((field for field in schema.fields if field.kind == "choice"), None)
    stratum = {case.name: str(known_metadata(case, schema)[field.name]) if field else "" for case in cases}
    shuffled = [sorted(stratum)[n] for n in np.random.default_rng(seed).permutation(len(stratum))]
    dealt = sorted(shuffled, key=lambda name: stratum[name])  # stable: shuffled within each stratum
    return [sorted(dealt[n::folds]) for n in range(folds)]


def crossvalidate(path: Path, overrides: list[str], folds: int, chosen: Sequence[int] = ()) -> None:
    """Train the chosen folds (all, where none is named) that have no package yet; when every fold has one, score all
    cases and write the report.

    SystemExit before anything is trained where a fold has the package of other settings.
    """
    config = read_config(path, overrides)
    _check_honest(config)
    output = Path(config.output)
    check_stem(output / REPORT)
    schema = config.schema
    root = only_root(config.data, "A cross-validation")
    held_out = make_folds(read_data_set(root, config.data.names).cases, schema, folds, config.seed)
    if wrong := [n for n in chosen if n not in range(folds)]:
        raise SystemExit(f"There is no fold {wrong[0]}; with --folds {folds} they are 0 to {folds - 1}.")
    for n in range(folds):
        refuse_other_run(
            _folder(output, n), read_config(path, [*overrides, *fold_settings(held_out[n], _folder(output, n))])
        )
    for n in chosen or range(folds):
        _train_fold(n, held_out[n], path, overrides, output)
    missing = [n for n in range(folds) if not is_finished(_folder(output, n))]
    if missing:
        print(
            f"Still to be trained: fold {', '.join(map(str, missing))}. The report is written when every fold has its"
            " package."
        )
        return
    _report(held_out, config, output)


def _check_honest(config: Config) -> None:
    """What would let a model learn something from the cases that it is scored on."""
    if config.early_stop:
        raise SystemExit(
            "early_stop would end each training by the cases that it is scored on, which makes their numbers too good;"
            " set early_stop=0."
        )
    if config.init_from:
        print(f'The folds start from "{config.init_from}"; their numbers hold only if it never saw any of these cases.')


def _folder(output: Path, fold: int) -> Path:
    return output / f"fold_{fold}"


def _train_fold(fold: int, held_out: Sequence[str], path: Path, overrides: Sequence[str], output: Path) -> None:
    """Run the training of a fold in a process of its own, so that each starts clean; one that was interrupted goes on
    where it was.
    """
    folder = _folder(output, fold)
    if not is_finished(folder):
        print(f"fold {fold}: {len(held_out)} cases held out: {', '.join(held_out)}", flush=True)
        status = run_training(path, [*overrides, *fold_settings(held_out, folder)])
        if status not in (0, INTERRUPTED):
            raise SystemExit(
                f"The training of fold {fold} ended with an error, which stands above; run the same command again when"
                " its cause is gone."
            )
        if not is_finished(folder):
            print("Interrupted; run the same command again to go on.", file=sys.stderr)
            raise SystemExit(INTERRUPTED)


def fold_settings(held_out: Sequence[str], folder: Path) -> list[str]:
    """The words that make a run hold these cases out and write to a folder."""
    return [f"data.validation={json.dumps(list(held_out), ensure_ascii=False)}", f"output={folder}"]


def run_training(path: Path, settings: Sequence[str]) -> int:
    """Train in a process of its own and pass Ctrl-C and SIGTERM on to it: it saves a checkpoint and ends by itself.

    Returns its exit status.
    """
    command = [sys.executable, str(TRAIN), str(path), *settings]
    running: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        for process in running:
            process.send_signal(number)

    with signals_restored():
        handle_signals(pass_on)
        # a session of its own: a terminal's Ctrl-C would reach it twice
        with subprocess.Popen(command, start_new_session=True) as process:
            running.append(process)
            return process.wait()


def _check_unseen(fold: int, folder: Path, held_out: Sequence[str]) -> None:
    """Whatever its settings say: a package must not be scored on what it was trained on."""
    trained = ModelPackage.load(folder / "package").about.get("provenance", {}).get("training_cases", [])
    if seen := sorted(set(trained) & set(held_out)):
        raise SystemExit(
            f'"{folder}" was trained on {", ".join(seen)}, which fold {fold} of this split holds out; it belongs to'
            " other settings. Delete it, or choose another output."
        )


def _report(held_out: Sequence[Sequence[str]], config: Config, output: Path) -> None:
    """Every case scored by the model of the fold that held it out; summary on the terminal, and one report of all."""
    parts = []
    for n, names in enumerate(held_out):
        _check_unseen(n, _folder(output, n), names)
        segmenter = Segmenter.from_package(
            _folder(output, n) / "package", "cpu" if config.accelerator == "cpu" else "auto"
        )
        parts.append(evaluate(segmenter, Path(config.data.root), names))
    evaluation = joined(f"{config.package.name}, cross-validation of {len(held_out)} folds", parts)
    print_summary(evaluation)
    write_report(evaluation, output / REPORT)
    print(f"report: {output / REPORT}.html")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="a YAML file, as for train.py")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="settings that replace those of the file, such as optimizer.steps=100",
    )
    parser.add_argument("--folds", type=int, default=5, help="how many folds (5)")
    parser.add_argument(
        "--fold", type=int, nargs="+", default=[], metavar="N", help="train only these, counted from 0; all by default"
    )
    arguments = parser.parse_intermixed_args()
    with ends_with_a_sentence("Interrupted; run the same command again to go on."):
        crossvalidate(arguments.config, arguments.overrides, arguments.folds, arguments.fold)
