"""Settings from a file and from words mean what is written: no word is a comment, and no name becomes a number."""

from __future__ import annotations

from dataclasses import is_dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.scan.metadata import Field

from Training.engine.config import Config, as_content, configuration_keys, read_config, write_config
from Training.engine.config_differences import differences
from Training.engine.settings import read_settings
from Training.engine.settings_help import all_settings, settings_in_words
from Training.evaluation.cross_validation import fold_settings
from Training.studies.compare import read_experiment

NAMES = [
    "001",
    "007",
    "1e3",
    "0x10",
    "1_000",
    "yes",
    "no",
    "null",
    "~",
    "2001-02-03",
    "1.50",
    "0o7",
    "12:30:45",
    "True",
]
"""Names of cases that YAML takes for numbers, dates, truth values or nothing."""


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text("{}")
    return path


def config_with(path: Path, text: str, *words: str) -> Config:
    path.write_text(text, encoding="utf-8")
    return read_config(path, words)


# Words


def test_a_word_is_its_value_to_the_last_character(empty: Path) -> None:
    config = read_config(empty, ["data.root=my data #2", "output=runs/out #3", "package.description=a: b = c, [d"])
    assert (config.data.root, config.output) == ("my data #2", "runs/out #3")
    assert config.package.description == "a: b = c, [d"


@settings(deadline=None)
@given(
    text=st.text(st.one_of(st.sampled_from("#${}[]:'\"\\&*!|>%@`, ~?-="), st.characters(codec="utf-8")), max_size=12)
)
def test_a_path_of_any_characters_is_taken_as_it_is(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text("{}")
    assert read_config(path, [f"data.root={text}"]).data.root == text


def test_names_in_a_word_stay_names(empty: Path) -> None:
    config = read_config(empty, [f"data.validation=[{','.join(NAMES)}]", "data.annotated.001=[Left Hippocampus, 12]"])
    assert config.data.validation == NAMES
    assert config.data.annotated == {"001": ["Left Hippocampus", "12"]}
    assert read_config(empty, ["init_from=007"]).init_from == "007"


def test_names_with_a_hash_are_named_in_a_list_too(empty: Path) -> None:
    assert read_config(empty, ["data.validation=[scan #1, 'b #2', #3]"]).data.validation == ["scan #1", "b #2", "#3"]


def test_numbers_lists_and_truth_values_are_what_their_settings_are(empty: Path) -> None:
    words = ["optimizer.learning_rate=1e-3", "data.points=100_000", "data.patch=[32, 48, 64]", "input.spacing=[2,2,2]"]
    config = read_config(
        empty, [*words, "network.position=false", "augmentation.flip=no", "package={name: hip, flip: yes}"]
    )
    assert (config.optimizer.learning_rate, config.data.points) == (1e-3, 100_000)
    assert (config.data.patch, config.input.spacing) == ((32, 48, 64), (2.0, 2.0, 2.0))
    assert (config.network.position, config.augmentation.flip) == (False, False)
    assert (config.package.name, config.package.flip) == ("hip", True)


def test_a_later_word_wins_over_an_earlier_one_and_over_the_file(empty: Path) -> None:
    config = config_with(
        empty, "data: {root: a, validation: [x]}", "data.root=b", "data.validation=[y, z]", "data.root=c"
    )
    assert (config.data.root, config.data.validation) == ("c", ["y", "z"])


def test_the_words_of_a_fold_are_read_as_they_were_meant(empty: Path) -> None:
    cases, folder = ["001", 'a "quoted" one', "b #2", "ü, \\"], Path("runs/out #3")
    config = read_config(empty, fold_settings(cases, folder))
    assert (config.data.validation, config.output) == (cases, "runs/out #3")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("data.root", '"data.root" sets nothing; settings are words of the form key=value'),
        ("=5", '"=5" sets nothing'),
        ("data.validation=[a #1, b", r'value of "data\.validation=\[a #1, b" cannot be read'),
        ("data.validation=[@a]", "Put each text with special characters into quotes"),
        ("data.validation=a", r'^data\.validation is "a", but has to be a list of texts\.$'),
        ("optimizer.steps=1e3", r"^optimizer\.steps is 1e3, but has to be a whole number\.$"),
        ("output=out\udcff", r"output is 'out\\udcff', which is no name in UTF-8"),
        ("data.rot=x", r'Did you mean "data\.root"'),
        ("network.widths.more=[1]", r"network\.widths"),
    ],
)
def test_a_word_that_does_not_fit_is_told(empty: Path, word: str, says: str) -> None:
    with pytest.raises(SystemExit, match=says):
        read_config(empty, [word])


# Files


def test_names_in_a_file_stay_names(empty: Path) -> None:
    listed = ", ".join(NAMES)
    config = config_with(
        empty, f"data: {{validation: [{listed}], annotated: {{001: [yes], 1e3: [007]}}}}\ninit_from: 007\n"
    )
    assert config.data.validation == NAMES
    assert config.data.annotated == {"001": ["yes"], "1e3": ["007"]}
    assert config.init_from == "007"


def test_a_file_may_have_comments_anchors_and_merged_keys(empty: Path) -> None:
    text = (
        "data: {annotated: {001: &all [a, b], 002: *all}} # two\nnetwork: {<<: {widths: [4, 8], blocks: [1, 1]}, film:"
        " none}\n"
    )
    config = config_with(empty, text + "package: {patch: [32, 32, 32]}\n")
    assert config.data.annotated == {"001": ["a", "b"], "002": ["a", "b"]}
    assert (config.network.widths, config.network.film) == ((4, 8), "none")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("output: a\noutput: b\n", "output comes twice"),
        ("just text\n", "holds text instead of settings"),
        ("data: !!python/object/apply:os.getcwd []\n", "cannot be used"),
        (
            "metadata: [{name: age, kind: number, possible: [0, old], trained: [0, 1]}]\n",
            'metadata.possible holds "old", but has to be 2 numbers',
        ),
        ("metadata: [{name: sex, kind: choice, choises: [F, M]}]\n", "choises"),
        ("metadata: [{name: sex, kind: choice}]\n", "choice without choices"),
        ("metadata: [{name: s, kind: choice, choices: [a]}, {name: s, kind: choice, choices: [b]}]\n", "same name"),
        ("data: here\n", 'data is "here", but has to be a section of settings'),
    ],
)
def test_a_file_that_does_not_fit_is_told(empty: Path, text: str, says: str) -> None:
    with pytest.raises(SystemExit, match=says):
        config_with(empty, text)


def test_a_key_without_a_value_keeps_its_default(empty: Path) -> None:
    assert config_with(empty, "data:\ninit_from:\noutput: b\nnetwork: {film: }\n") == config_with(empty, "output: b")


def test_choices_of_a_field_are_text_and_its_ranges_numbers(empty: Path) -> None:
    config = config_with(
        empty,
        "metadata:\n  - {name: smoker, kind: choice, choices: [yes, no]}\n"
        "  - {name: age, kind: number, possible: [0, 120], trained: [19, 34.5]}\n",
    )
    assert config.schema.fields == (
        Field("smoker", "choice", choices=("yes", "no")),
        Field("age", "number", possible=(0.0, 120.0), trained=(19.0, 34.5)),
    )


def test_words_in_a_file_of_an_experiment_are_text(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("base: run.yaml\ntrials: [[seed=007]]\narms: [{name: 001, settings: ['data.root=b #2']}]\n")
    experiment = read_experiment(path)
    assert (experiment.trials, experiment.arms[0].name) == ([["seed=007"]], "001")
    assert read_config(_empty(tmp_path), experiment.arms[0].settings).data.root == "b #2"


def _empty(folder: Path) -> Path:
    (folder / "empty.yaml").write_text("{}")
    return folder / "empty.yaml"


def test_a_configuration_that_was_written_is_the_same_when_it_is_read(empty: Path) -> None:
    words = [f"data.validation=[{','.join(NAMES)}]", "data.root=a ${b} #c: \u00fc\u2028", "package.licence=null"]
    config = config_with(
        empty,
        "metadata: [{name: sex, kind: choice, choices: [yes, no]}, {name: age, kind: number, possible: [0, 9], trained:"
        " [1, 2]}]",
        *words,
    )
    write_config(config, empty.with_name("written.yaml"))
    assert read_config(empty.with_name("written.yaml")) == config


def test_fields_that_were_stored_in_short_are_no_other_setting(empty: Path) -> None:
    config = config_with(empty, "metadata: [{name: age, kind: number, possible: [0, 9], trained: [1, 2]}]")
    now = as_content(config)
    before = now | {"metadata": [{"name": "age", "kind": "number", "possible": [0, 9], "trained": [1, 2]}]}
    assert differences(before, now) == []
    before = now | {"metadata": [{"name": "age", "kind": "number", "possible": [0, 9], "trained": [1, 3]}]}
    assert len(differences(before, now)) == 1


def test_a_file_of_another_kind_is_called_what_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"There is no recipe .*none\.yaml"):
        read_settings(tmp_path / "none.yaml", Config, what="recipe")


# Help


def test_help_lists_every_setting_with_its_type_range_choices_default_and_meaning() -> None:
    listed = dict(all_settings())
    sections = {key for key, kind in configuration_keys().items() if is_dataclass(kind)}
    assert {key.replace("[]", "") for key in listed} == configuration_keys().keys() - sections
    assert not [key for key, setting in listed.items() if not setting.get("description")]
    text = settings_in_words()
    for line in (
        "  method: baseline or colab or lcs",
        "  seed: a whole number, at least 0 [0]\n",
        "  optimizer.name: adamw or sgd [adamw]\n",
        "  optimizer.averaging: a number, from 0 to 1 [0.995]\n",
        "  optimizer.freeze: a list of trunk or head or examples\n",
        "  data.patch: 3 whole numbers [[144, 192, 144]]\n",
        "  data.annotated: names, each with a list of texts\n",
        "  colab.tau: a number, above 0 [20.0]\n      Voxels over which it then fades.\n",
        "  network.film: text [identity]\n      How metadata enters: none, identity or paper.\n",
        "  metadata[].possible: 2 numbers [null]\n",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("optimizer.learning_rate=-1", "optimizer.learning_rate is -1, but has to be at least 0."),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate is fast, but has to be a number."),
        ("optimizer.averaging=1.5", "optimizer.averaging is 1.5, but has to be from 0 to 1."),
        ("colab.eps=0", "colab.eps is 0, but has to be above 0."),
        ("objective.loss=Softmax", 'objective.loss is "Softmax", but has to be softmax or sigmoid.'),
        (
            "optimizer.freeze=[neck]",
            'optimizer.freeze holds "neck", but has to be a list of trunk or head or examples.',
        ),
        ("data.patch=[32, 32]", 'data.patch is ["32", "32"], but has to be 3 whole numbers.'),
        ("data.patch=[32, 32, x]", 'data.patch holds "x", but has to be 3 whole numbers.'),
        ("network.position=maybe", 'network.position is "maybe", but has to be true or false.'),
        ("data.annotated={001: a}", 'data.annotated holds "a", but has to be names, each with a list of texts.'),
        ("method_settings=1", '"method_settings" is no setting of the configuration.'),
    ],
)
def test_a_value_that_cannot_be_is_one_sentence(empty: Path, word: str, sentence: str) -> None:
    with pytest.raises(SystemExit) as ended:
        read_config(empty, [word])
    assert str(ended.value).startswith(sentence)


def test_a_shipped_experiment_is_found_by_its_name_unless_there_is_a_file_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_config(Path("hippocampus")).output == "runs/hippocampus"
    assert read_config(Path("hippocampus.yaml")).output == "runs/hippocampus"
    Path("hippocampus").write_text("output: mine\n", encoding="utf-8")
    assert read_config(Path("hippocampus")).output == "mine"
    with pytest.raises(SystemExit, match=r"There is no .*hipocampus.*; the shipped ones are in .*experiments"):
        read_config(Path("hipocampus"))
