"""`lcs labels`, `lcs models` and the help: what a user can find out before anything runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.cli.options import build_parser
from LabelConditionedSegmentationLib.resources import MODELS_VARIABLE

from Testing import samples
from Testing.cli.command import one_sentence


def labels(package: Path, *words: str) -> int:
    return main(["labels", "--model", str(package), *words])


def test_label_tree_is_indented_under_its_groups(tiny_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert labels(tiny_package) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    tree = samples.label_tree()
    assert len(lines) == len(tree)
    assert captured.err == ""
    for line, label in zip(lines, tree.walk(), strict=True):
        assert line.lstrip().startswith(f"{label.id}  {label.name}")
        assert all(synonym in line for synonym in label.synonyms)
    groups = [n for n, line in enumerate(lines) if "Deep gray matter" in line or "Rest" in line]
    assert groups == [0, 5]
    column = {line: line.index(line.lstrip().split("  ", 1)[1][:4]) for line in lines}  # where the name begins
    depths = [column[line] for line in lines]
    assert all((depth > depths[0]) == (n not in groups) for n, depth in enumerate(depths))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("amygdala", ["Left Amygdala", "Right Amygdala"]),
        ("RIGHT amyg", ["Right Amygdala"]),
        ("Putamen L", ["Left Putamen"]),
        ("5366008", ["Left Hippocampus", "Right Hippocampus"]),
        ("5366008 7771000", ["Left Hippocampus"]),
        ("deep", ["Deep gray matter"]),
    ],
)
def test_search_by_word_synonym_and_code(
    text: str, found: list[str], tiny_package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert labels(tiny_package, "--search", text) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(found)
    for line, name in zip(lines, found, strict=True):
        assert name in line
        assert ("in Deep gray matter" in line or "in Rest" in line) == (name != "Deep gray matter")


def test_search_without_a_match_says_so(tiny_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert labels(tiny_package, "--search", "kidney") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert '"kidney"' in captured.err
    assert '"tiny"' in captured.err


def test_labels_of_a_model_by_name(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "--model", "tiny"]) == 0
    assert "Left Hippocampus" in capsys.readouterr().out
    assert main(["labels", "--model", "tinny"]) == 2
    assert 'Did you mean "tiny"' in one_sentence(capsys.readouterr().err)


@pytest.fixture
def models(tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of packages that the command searches: one good, one as a zip, two broken."""
    shutil.copytree(tiny_package, tmp_path / "models" / "tiny")
    shutil.make_archive(str(tmp_path / "models" / "zipped"), "zip", tiny_package)
    (tmp_path / "models" / "broken").mkdir()
    (tmp_path / "models" / "broken" / "model.json").write_text("{ not json")
    (tmp_path / "models" / "alsobroken.zip").write_text("no zip")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "models"


def test_models_are_listed_with_licence_and_size(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    paragraphs = {text.split("\n")[0].split(":")[0]: text for text in capsys.readouterr().out.split("\n\n")}
    for name, place in (("tiny", models / "tiny"), ("zipped", models / "zipped.zip")):
        assert "licence   CC0" in paragraphs[name]
        assert "6 structures, 8 with their groups" in paragraphs[name]
        assert "age (0 to 120 years or unknown)" in paragraphs[name]
        assert str(place) in paragraphs[name]
        assert " MB" in paragraphs[name]


def test_broken_package_is_named_and_does_not_stop_the_list(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    for name in ("broken", "alsobroken"):
        assert f"{name}\n  cannot be used: " in captured.out
    assert captured.out.index("\nbroken") < captured.out.index("tiny: Tiny")  # the good one comes after it


SEGMENT_OPTIONS = (
    "--model",
    "--labels",
    "--labels-file",
    "--metadata",
    "--device",
    "--preview",
    "--report",
    "--volumes",
    "--overwrite",
    "-o",
    "-r",
    "SCAN",
)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("segment", SEGMENT_OPTIONS),
        ("bids", ("BIDS_DIR", "OUTPUT_DIR", "participant|group", "--participant-label", "--probabilities", "--suffix")),
        ("labels", ("--model", "--search")),
        ("models", ()),
        (None, ("segment", "labels", "models")),
    ],
)
def test_help_names_every_option(
    command: str | None, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*([command] if command else []), "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    words = text.replace(",", " ").replace("[", " ").replace("]", " ").split()
    for option in options:
        assert option in words
    assert "usage: lcs" in text


def test_every_option_is_explained() -> None:
    parser = build_parser()
    commands = next(action for action in parser._actions if isinstance(action.choices, dict))
    assert isinstance(commands.choices, dict)
    assert set(commands.choices) == {"segment", "brain", "propagate", "bids", "labels", "models", "relations"}
    for command in commands.choices.values():
        for action in command._actions:
            assert action.help, action.option_strings
