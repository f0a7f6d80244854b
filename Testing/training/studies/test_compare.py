"""An experiment: arms on the same data and steps, scored alike, in one table; what was done is not done again."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from Testing import samples
from Testing.training.engine.test_train import write_config
from Testing.training.made_up_data import write_data_set
from Testing.training.training_here import train_here
from Training.engine.config import read_config
from Training.methods import check_method
from Training.studies import compare as script
from Training.studies.compare import column_of, compare, last_validation, read_experiment, runs_of

EXPERIMENTS = Path(__file__).resolve().parents[3] / "Training" / "experiments"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    write_config(folder, write_data_set(folder / "made_up"))
    path = folder / "experiment.yaml"
    path.write_text(
        f"""
base: run.yaml
output: {folder / "out"}
trials: [[optimizer.learning_rate=1e-2], [optimizer.learning_rate=1e-6]]
columns: {{all: [all], left: [Left Hippocampus], others: [not Left Hippocampus]}}
arms:
  - {{name: streamed, settings: [optimizer.steps=40, optimizer.decay=10], told: [told, withheld]}}
  - {{name: the same again, members: [streamed]}}
"""
    )
    return path


@pytest.fixture
def _trained_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "run_training", train_here)


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_here")
def test_the_table_shows_the_best_trial_of_every_arm_and_a_second_call_trains_nothing(
    experiment: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = compare(experiment, [], [])
    lines = [line.split(" | ") for line in table.strip("| \n").splitlines()]
    assert [line[0].strip("| ") for line in lines] == [
        "arm",
        "---",
        "streamed",
        "streamed, metadata withheld",
        "the same again",
    ]
    assert "optimizer.learning_rate=1e-2" in table  # 1e-6 learns nothing
    assert "1e-6" not in table
    assert float(lines[2][1]) > 0.5
    assert lines[4][1:4] == lines[2][1:4]
    packages = sorted(experiment.parent.glob("out/*/*/package/weights.safetensors"))
    assert len(packages) == 2
    times = [path.stat().st_mtime_ns for path in packages]
    capfd.readouterr()
    assert compare(experiment, [], []) == table
    assert [path.stat().st_mtime_ns for path in packages] == times


@pytest.fixture
def short(experiment: Path, tmp_path: Path) -> Path:
    """An experiment of two arms and a few steps, in a folder of its own."""
    path = experiment.with_name(f"{tmp_path.name}.yaml")
    path.write_text(
        f"""
base: run.yaml
output: {tmp_path / "out"}
columns: {{all: [all]}}
arms:
  - {{name: a, settings: [optimizer.steps=3, optimizer.decay=1]}}
  - {{name: b, settings: [optimizer.steps=4, optimizer.decay=1]}}
  - {{name: both, members: [a, b]}}
"""
    )
    return path


def rows_of(table: str) -> dict[str, list[str]]:
    """Name of each row of a table -> its cells."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in lines[2:]}


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_here")
def test_one_arm_done_anew_leaves_the_rows_of_the_others_in_the_table(short: Path, tmp_path: Path) -> None:
    first = rows_of(compare(short, [], []))
    assert list(first) == ["a", "b", "both"]
    shutil.rmtree(tmp_path / "out" / "b")
    assert list(rows_of(compare(short, [], ["a"]))) == ["a"]
    again = compare(short, [], ["b"])
    assert rows_of(again) == first
    assert "ther settings" not in again


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_here")
def test_runs_of_other_settings_are_refused_with_the_difference_before_anything_is_trained(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(short, [], ["b"])
    monkeypatch.setattr(script, "train_run", None)  # would fail
    with pytest.raises(
        SystemExit, match=r"out/b/trial0-seed0-fold0.* other settings: optimizer\.learning_rate: 0\.01 -> 0\.02\. "
    ):
        compare(short, ["optimizer.learning_rate=2e-2"], [])
    short.write_text(short.read_text().replace("steps=4", "steps=5"))
    with pytest.raises(SystemExit, match=r"optimizer\.steps: 4 -> 5"):
        compare(short, [], [])


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_here")
def test_rows_that_are_kept_say_which_settings_they_have(short: Path, tmp_path: Path) -> None:
    compare(short, [], [])
    shutil.rmtree(tmp_path / "out" / "a")
    table = compare(short, ["optimizer.learning_rate=2e-2"], ["a"])
    assert list(rows_of(table)) == ["a", "b (other settings)", "both (other settings)"]
    assert "- b: optimizer.learning_rate: 0.01 -> 0.02" in table.splitlines()
    short.write_text(short.read_text().replace("all: [all]", "all: [Left Hippocampus]"))
    assert "- b: columns.all: ['all'] -> ['Left Hippocampus']; optimizer.learning_rate: 0.01 -> 0.02" in compare(
        short, ["optimizer.learning_rate=2e-2"], ["a"]
    )


@pytest.mark.slow
def test_the_table_is_a_file_with_the_command_that_made_it(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained in a process of its own, as users have it."""
    monkeypatch.setattr("sys.argv", ["compare.py", str(short), "--only", "a"])
    script.main()
    text = (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert text.startswith(f"`python -m Training.studies.compare {short} --only a`")
    assert list(rows_of(text)) == ["a"]


def test_an_arm_that_is_not_there_is_told(short: Path) -> None:
    with pytest.raises(SystemExit, match='called "c"; there are a, b'):
        compare(short, [], ["c"])


@pytest.mark.slow
@pytest.mark.usefixtures("_trained_here")
def test_several_measures_and_the_costs_are_columns_with_their_spread_over_seeds(experiment: Path) -> None:
    path = experiment.with_name("measures.yaml")
    path.write_text(
        f"""
base: run.yaml
output: {experiment.parent / "measured"}
seeds: [0, 1]
columns: {{ROI: [Left Hippocampus, Right Hippocampus]}}
measures: [precision, far_false_positive_ml]
costs: true
arms: [{{name: plain, settings: [optimizer.steps=6, optimizer.decay=2]}}]
"""
    )
    header, _, row = (line.strip("| ").split(" | ") for line in compare(path, [], []).splitlines())
    assert header == ["arm", "ROI precision", "ROI far_false_positive_ml", "seconds a step", "memory (MiB)"]
    assert row[0] == "plain"
    assert all("±" in cell for cell in row[1:])
    assert float(row[4].split(" ")[0]) > 100


def test_all_arms_have_the_same_cases_seeds_and_trials(experiment: Path) -> None:
    read = read_experiment(experiment)
    read.seeds, read.folds = [0, 7], 3
    for arm in read.arms:
        runs = runs_of(read, experiment.parent / read.base, [], arm, 0)
        assert [run.held_out for run in runs[:3]] == [run.held_out for run in runs[3:]]
        assert sorted(case for run in runs[:3] for case in run.held_out) == ["case_0", "case_1", "case_2"]
        assert len({run.folder for run in runs}) == 6
        assert all("optimizer.learning_rate=1e-2" in run.settings for run in runs)


def test_a_column_is_the_mean_over_its_labels() -> None:
    tree = samples.label_tree(4)
    first, second, *others = (leaf.name for leaf in tree.leaves)
    scores = {first: 0.2, second: 0.4, **dict.fromkeys(others, 0.9)}
    assert column_of([first], scores, tree) == 0.2
    assert column_of([first, second], scores, tree) == pytest.approx(0.3)
    assert column_of([f"not {first}"], scores, tree) == pytest.approx((0.4 + 0.9 * len(others)) / (1 + len(others)))
    assert math.isnan(column_of([first], {second: 0.4}, tree))


def test_the_last_validation_counts_for_the_choice_of_a_trial(experiment: Path) -> None:
    read = read_experiment(experiment)
    (run,) = runs_of(read, experiment.parent / read.base, [], read.arms[0], 0)
    run.folder.mkdir(parents=True, exist_ok=True)
    kept = (run.folder / "log.csv").read_text() if (run.folder / "log.csv").exists() else ""
    (run.folder / "log.csv").write_text("step,loss,rate,dice,seconds\n0,1,1,0.9,0\n1,1,1,0.3,0\n2,1,1,nan,0\n")
    assert last_validation(run) == 0.3
    (run.folder / "log.csv").write_text(kept)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base: run.yaml\n", "needs arms"),
        ("arms: [{name: a}, {name: a}]\n", "names of their own"),
        ("arms: [{name: a b}, {name: A-b}]\n", "names of their own"),  # one folder
        ("arms: [{name: a, members: [b]}]\n", "unknown: b"),
        ("arms: [{name: a, told: [everything]}]\n", "unknown: everything"),
        ("measures: [beauty]\narms: [{name: a}]\n", "unknown: beauty"),
        ("arm: []\n", r"no setting of the experiment\. Did you mean .arms"),
    ],
)
def test_an_experiment_that_cannot_be_understood_is_refused_with_a_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(SystemExit, match=words):
        read_experiment(tmp_path / "e.yaml")
    with pytest.raises(SystemExit, match="There is no experiment"):
        read_experiment(tmp_path / "none.yaml")


def test_every_shipped_experiment_names_settings_that_exist_and_labels_of_the_data(malc2012: Path) -> None:
    folder = Path(__file__).resolve().parents[3] / "Training" / "experiments"
    paths = sorted(folder.glob("compare_*.yaml"))
    assert paths
    for path in paths:
        read = read_experiment(path)
        for arm in read.arms:
            if not arm.members and not read.data:  # those with sources are looked at below
                assert runs_of(
                    read,
                    folder / read.base,
                    [f"data.root={malc2012.parent / ('fetal' if 'fetal' in path.name else 'malc2012')}"],
                    arm,
                    0,
                )


@pytest.mark.usefixtures("_trained_here")
def test_scores_that_were_kept_are_plain_numbers(experiment: Path) -> None:
    compare(experiment, [], [])
    kept = sorted(experiment.parent.glob("out/*/*/metrics-*.json"))
    assert {path.name for path in kept} == {"metrics-told.json", "metrics-withheld.json"}
    assert all(0 <= value <= 1 for path in kept for value in json.loads(path.read_text())["dice"].values())


def test_settings_may_stand_before_and_after_the_options(experiment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(_path: Path, overrides: list[str], only: list[str]) -> str:
        asked.append((overrides, only))
        return "no table"

    monkeypatch.setattr(script, "compare", note)
    Path(read_experiment(experiment).output).mkdir(exist_ok=True)
    monkeypatch.setattr(
        "sys.argv", ["compare.py", str(experiment), "data.workers=0", "--only", "streamed", "optimizer.steps=2"]
    )
    script.main()
    assert asked == [(["data.workers=0", "optimizer.steps=2"], ["streamed"])]


def test_an_experiment_may_be_scored_elsewhere_and_an_arm_may_name_the_run_of_another_with_its_seed(
    tmp_path: Path,
) -> None:
    (tmp_path / "experiment.yaml").write_text(
        f"""
base: run.yaml
output: {tmp_path / "out"}
seeds: [0, 5]
data: {tmp_path / "elsewhere"}
cases: [x, y]
columns: {{all: [all]}}
arms:
  - {{name: source only}}
  - name: taught
    settings: [teacher.share=0.5, "teacher.package={tmp_path}/out/source-only/trial0-seed{{seed}}-fold0"]
"""
    )
    write_config(tmp_path, tmp_path / "made_up")
    experiment = read_experiment(tmp_path / "experiment.yaml")
    sources = '[{"root": "a"}, {"root": "b", "role": "target"}]'
    words = ["data.root=", "data.validation=[]", f"data.sources={sources}"]
    runs = runs_of(experiment, tmp_path / "run.yaml", words, experiment.arms[1], 0)
    assert [run.held_out for run in runs] == [["x", "y"]] * 2
    for run, seed in zip(runs, (0, 5), strict=True):
        config = read_config(tmp_path / "run.yaml", run.settings)
        assert config.seed == seed
        assert config.teacher.package == f"{tmp_path}/out/source-only/trial0-seed{seed}-fold0"
        assert [source.root for source in config.data.sources] == ["a", "b"]
        assert not config.data.validation


def test_data_that_are_scored_on_need_the_names_of_their_cases(tmp_path: Path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text("base: run.yaml\noutput: out\ndata: elsewhere\narms:\n  - {name: a}\n")
    with pytest.raises(SystemExit, match="name the cases of it as well"):
        read_experiment(path)


def test_every_arm_of_the_shipped_comparisons_is_a_run_that_can_begin() -> None:
    for path in sorted(EXPERIMENTS.glob("compare_adaptation_*.yaml")):
        experiment = read_experiment(path)
        for arm in experiment.arms:
            for run in runs_of(experiment, path.parent / experiment.base, [], arm, 0)[:1]:
                check_method(read_config(path.parent / experiment.base, run.settings))
