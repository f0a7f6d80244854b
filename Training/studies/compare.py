"""Train the arms of an experiment on the same data, steps and seeds, score them alike, and write the table: python -m
Training.studies.compare EXPERIMENT.yaml.

Everything that is trained or scored is kept in the experiment's output folder, so that the same command goes on where
it was interrupted.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import shlex
import statistics
import sys
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree

from ..data.datasets import read_data_set
from ..data.sources import only_root
from ..engine.config import as_content, read_config
from ..engine.config_differences import PLACES, differences
from ..engine.kept_files import written_whole
from ..engine.kept_runs import is_finished, refuse_other_run
from ..engine.program import ends_with_a_sentence
from ..engine.run_settings import settled
from ..engine.settings import read_settings
from ..evaluation.cross_validation import fold_settings, make_folds, run_training
from ..evaluation.evaluation_results import by_label
from ..evaluation.markdown import markdown_table
from ..evaluation.metrics import DEFINITIONS
from ..evaluation.scan_evaluation import evaluate

TOLD = ("told", "withheld", "shuffled")


@dataclass
class Arm:
    """One row of the table: its settings, or the members whose scores it gathers (such as one network a structure).
    told: what is said of the scans when they are
    segmented: `told`, `withheld` or `shuffled`; each is a row of its own. `{seed}` in a setting stands for the seed of
    a run, as in the path of another arm's package.
    """

    name: str = ""
    settings: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=lambda: ["told"])


@dataclass
class Experiment:
    """base: the configuration that all arms share. trials: settings tried in every arm alike; the one with the best
    last validation counts. seeds: each is a run.
    folds: 0 takes the validation cases of `base`. data and cases: what packages are scored on where that is no part of
    `data.root`, since a run has several sources or is for scans of another kind. columns: heading -> labels over which
    it shows means; a label after "not" is left out. measures: what is shown of them, metrics of
    Training.evaluation.metrics. costs: whether the table ends with the seconds a step and the memory of the training.
    """

    base: str = ""
    output: str = ""
    seeds: list[int] = field(default_factory=lambda: [0])
    folds: int = 0
    data: str = ""
    cases: list[str] = field(default_factory=list)
    trials: list[list[str]] = field(default_factory=lambda: [[]])
    columns: dict[str, list[str]] = field(default_factory=dict)
    measures: list[str] = field(default_factory=lambda: ["dice"])
    costs: bool = False
    arms: list[Arm] = field(default_factory=list)


@dataclass(frozen=True)
class ArmRow:
    """What an arm came to. values: what was told of the scans -> heading -> value, for every seed. trial: the number of
    the best one. settings: all that it depends on. changed: what they differ in from those of now.
    """

    values: dict[str, list[dict[str, float]]]
    trial: int
    settings: dict[str, Any]
    changed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SeedRun:
    """One training: its folder, settings and held-out cases."""

    folder: Path
    settings: list[str]
    held_out: list[str]


def read_experiment(path: Path) -> Experiment:
    """An experiment file. SystemExit with a sentence where it cannot be used."""
    experiment = read_settings(path, Experiment, what="experiment")
    names = [arm.name for arm in experiment.arms]
    strange = [name for arm in experiment.arms for name in arm.members if name not in names] + [
        t for arm in experiment.arms for t in arm.told if t not in TOLD
    ]
    strange += [name for name in experiment.measures if name not in DEFINITIONS]
    if strange or not names or len({_slug(arm) for arm in experiment.arms}) < len(names):
        raise SystemExit(
            f'"{path}" needs arms with names of their own, and measures of Training/evaluation/metrics.py; unknown:'
            f" {', '.join(strange) or 'none'}."
        )
    if experiment.data and (experiment.folds or not experiment.cases):
        raise SystemExit(
            f'"{path}" names data that packages are scored on: name the cases of it as well, and leave folds out.'
        )
    return experiment


def runs_of(experiment: Experiment, base: Path, overrides: list[str], arm: Arm, trial: int) -> list[SeedRun]:
    """The trainings of an arm with the settings of one trial: a run a seed and fold."""
    settings = [*experiment.trials[trial], *arm.settings, *overrides]
    config = read_config(base, settings)
    held_out = [experiment.cases if experiment.data else config.data.validation]
    if experiment.folds:
        held_out = make_folds(
            read_data_set(only_root(config.data, "A comparison"), config.data.names).cases,
            config.schema,
            experiment.folds,
            0,
        )
    runs = []
    for seed in experiment.seeds:
        for fold, cases in enumerate(held_out):
            folder = Path(experiment.output) / _slug(arm) / f"trial{trial}-seed{seed}-fold{fold}"
            own = [setting.replace("{seed}", str(seed)) for setting in settings]
            output = [f"output={folder}"] if experiment.data else fold_settings(cases, folder)
            runs.append(SeedRun(folder, [*own, f"seed={seed}", *output], cases))
    return runs


def _slug(arm: Arm) -> str:
    return "".join(c if c.isalnum() else "-" for c in arm.name.lower())


def train_run(run: SeedRun, base: Path) -> None:
    """Train, unless the package is there."""
    if not is_finished(run.folder) and (run_training(base, run.settings) or not is_finished(run.folder)):
        raise SystemExit(f"The training in {run.folder} did not end with a package; the same command goes on with it.")


def last_validation(run: SeedRun) -> float:
    """The Dice of the last validation of a run."""
    with (run.folder / "log.csv").open(newline="", encoding="utf-8") as file:
        dice = [float(row["dice"]) for row in csv.DictReader(file)]
    return next((value for value in reversed(dice) if not math.isnan(value)), math.nan)


def score_run(run: SeedRun, data: Path, told: str) -> dict[str, dict[str, float]]:
    """Metric -> label name -> mean over the held-out cases, without what is infinite or undefined; kept beside the run
    once it was computed.
    """
    kept = run.folder / f"metrics-{told}.json"
    if not kept.is_file():
        segmenter = Segmenter.from_package(run.folder / "package")
        found = evaluate(segmenter, data, run.held_out, told != "withheld", 0 if told == "shuffled" else None)
        means = {found.tree[ident].name: mean for ident, mean in by_label(found).items()}
        with written_whole(kept) as temporary:
            by_metric = {
                metric: {name: values[metric] for name, values in means.items() if math.isfinite(values[metric])}
                for metric in DEFINITIONS
            }
            temporary.write_text(json.dumps(by_metric), encoding="utf-8")
    scores: dict[str, dict[str, float]] = json.loads(kept.read_text(encoding="utf-8"))
    return scores


def costs_of(run: SeedRun) -> dict[str, float]:
    """What the training took, from its log."""
    with (run.folder / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        "seconds a step": float(rows[-1]["seconds"]) / len(rows),
        "memory (MiB)": max(float(row["memory_mb"]) for row in rows),
    }


def row_of(run: SeedRun, experiment: Experiment, data: Path, told: str, table: LabelTree) -> dict[str, float]:
    """Heading -> value of one run."""
    scores = score_run(run, data, told)
    row = {
        heading_of(name, measure, experiment): column_of(labels, scores[measure], table)
        for name, labels in experiment.columns.items()
        for measure in experiment.measures
    }
    return row | (costs_of(run) if experiment.costs else {})


def heading_of(column: str, measure: str, experiment: Experiment) -> str:
    """What stands over a column: the measure is named where there is more than one."""
    return column if len(experiment.measures) == 1 else f"{column} {measure}"


def column_of(labels: list[str], scores: dict[str, float], table: LabelTree) -> float:
    """Mean over the labels of a column: names of leaves or parents, "all", or one that is left out after "not".

    NaN where none was scored.
    """
    wanted: set[str] = set()
    for name in labels:
        leaves = (
            set(scores)
            if name in ("all", "*")
            else {leaf.name for leaf in table.leaves_under(table.find(name.removeprefix("not ")))}
        )
        wanted = (set(scores) - leaves) if name.startswith("not ") else wanted | leaves
    values = [scores[name] for name in sorted(wanted) if name in scores]
    return statistics.fmean(values) if values else math.nan


def compare(path: Path, overrides: list[str], only: list[str]) -> str:
    """Train and score the arms, all or those named; returns the table in Markdown, with the rows of earlier calls for
    the other arms.
    """
    experiment = read_experiment(path)
    base = path.parent / experiment.base
    plans = {arm.name: _plans(experiment, base, overrides, arm) for arm in _asked(experiment, only)}
    for run in chain.from_iterable(chain.from_iterable(plans.values())):
        config = read_config(base, run.settings)
        refuse_other_run(run.folder, config)
    data = Path(experiment.data) if experiment.data else only_root(config.data, "A comparison")
    table = read_data_set(data).table
    for arm in experiment.arms:
        if arm.name in plans:
            _keep(_row_file(experiment, arm), _row(experiment, base, data, table, arm, plans[arm.name]))
    return _markdown(experiment, _kept_rows(experiment, base, overrides))


def _asked(experiment: Experiment, only: list[str]) -> list[Arm]:
    """The arms that are trained: those named, or all; never those that gather the scores of others."""
    arms = {arm.name: arm for arm in experiment.arms if not arm.members}
    if strange := sorted(set(only) - set(arms)):
        raise SystemExit(
            f'No arm of the experiment that is trained is called "{strange[0]}"; there are {", ".join(arms)}.'
        )
    return [arm for name, arm in arms.items() if not only or name in only]


def _plans(experiment: Experiment, base: Path, overrides: list[str], arm: Arm) -> list[list[SeedRun]]:
    """The runs of every trial of an arm."""
    return [runs_of(experiment, base, overrides, arm, trial) for trial in range(len(experiment.trials))]


def _row(
    experiment: Experiment, base: Path, data: Path, table: LabelTree, arm: Arm, plans: list[list[SeedRun]]
) -> ArmRow:
    """Train all runs of an arm and score those of its best trial."""
    for run in chain.from_iterable(plans):
        print(f"== {arm.name}: {run.folder}", flush=True)
        train_run(run, base)
    trial = max(range(len(plans)), key=lambda n: statistics.fmean(last_validation(run) for run in plans[n]))
    values = {}
    for told in arm.told:
        by_seed: dict[str, list[dict[str, float]]] = {}
        for run in plans[trial]:
            by_seed.setdefault(run.folder.name.split("-")[1], []).append(row_of(run, experiment, data, told, table))
        values[told] = [_mean_row(parts) for parts in by_seed.values()]
    return ArmRow(values, trial, _settings_of(experiment, base, plans[trial][0]))


def _settings_of(experiment: Experiment, base: Path, run: SeedRun) -> dict[str, Any]:
    """All that a row depends on: the settings of its first run, and what of the experiment chooses and sums up the
    others.
    """
    summing_up = ("seeds", "folds", "trials", "columns", "measures")
    elsewhere = {"data": experiment.data, "cases": experiment.cases} if experiment.data else {}
    scored = {f"scored on {key}": value for key, value in elsewhere.items()}
    return (
        as_content(settled(read_config(base, run.settings))[0])
        | {key: getattr(experiment, key) for key in summing_up}
        | scored
    )


def _row_file(experiment: Experiment, arm: Arm) -> Path:
    return Path(experiment.output) / _slug(arm) / "row.json"


def _keep(path: Path, row: ArmRow) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(asdict(row)), encoding="utf-8")


def _kept_rows(experiment: Experiment, base: Path, overrides: list[str]) -> dict[str, ArmRow]:
    """The rows of all arms that were ever done in this folder, with what their settings differ in from those of now;
    and of those that gather them.
    """
    rows = {}
    for arm in experiment.arms:
        path = _row_file(experiment, arm)
        if not arm.members and path.is_file():
            row = ArmRow(**json.loads(path.read_text(encoding="utf-8")))
            trial = min(row.trial, len(experiment.trials) - 1)
            now = _settings_of(experiment, base, runs_of(experiment, base, overrides, arm, trial)[0])
            rows[arm.name] = replace(row, changed=differences(row.settings, now, PLACES))
    for arm in experiment.arms:
        if arm.members and all(member in rows for member in arm.members):
            members = [rows[member] for member in arm.members]
            means = [_mean_row([member.values["told"][0] for member in members])]
            changed = sorted({change for member in members for change in member.changed})
            rows[arm.name] = ArmRow({"told": means}, 0, {}, changed)
    return rows


def _mean_row(rows: list[dict[str, float]]) -> dict[str, float]:
    return {heading: _mean_without_nan([row[heading] for row in rows]) for heading in rows[0]}


def _mean_without_nan(values: list[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return statistics.fmean(known) if known else math.nan


def _markdown(experiment: Experiment, rows: dict[str, ArmRow]) -> str:
    """The table; below it, what rows of earlier calls differ in from the settings of now."""
    columns = list(dict.fromkeys(chain(*(seeds[0] for row in rows.values() for seeds in row.values.values()))))
    several = len(experiment.trials) > 1
    heading, lines = ["arm", *columns, *(["best trial"] if several else [])], []
    for arm in experiment.arms:
        if (row := rows.get(arm.name)) is None:
            continue
        for told, seeds in row.values.items():
            name = (
                arm.name
                + ("" if told == "told" else f", metadata {told}")
                + (" (other settings)" if row.changed else "")
            )
            cells = [_cell([seed.get(column, math.nan) for seed in seeds]) for column in columns]
            trial = "" if arm.members else " ".join(experiment.trials[min(row.trial, len(experiment.trials) - 1)])
            lines.append([name, *cells, *([trial] if several else [])])
    notes = [f"- {name}: {'; '.join(row.changed)}" for name, row in rows.items() if row.changed]
    others = ["", "Other settings, in the rows of earlier calls -> now:", "", *notes] if notes else []
    return "\n".join([markdown_table(heading, lines), *others])


def _cell(values: list[float]) -> str:
    known = [v for v in values if not math.isnan(v)]
    if not known:
        return ""
    spread = f" ± {statistics.stdev(known):.3f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.3f}{spread}"


def _write_table(path: Path, text: str) -> None:
    """The table with the command and the day that made it."""
    command = shlex.join(["python", "-m", "Training.studies.compare", *sys.argv[1:]])
    with written_whole(path) as temporary:
        temporary.write_text(f"`{command}`, {datetime.now(UTC).date().isoformat()}\n\n{text}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", type=Path, help="a file such as Training/experiments/compare_methods.yaml")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings for all arms, such as data.root=DATA"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="ARM", help="only this arm; may be given several times"
    )
    arguments = parser.parse_intermixed_args()
    with ends_with_a_sentence():
        text = compare(arguments.experiment, arguments.overrides, arguments.only)
        _write_table(Path(read_experiment(arguments.experiment).output) / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
