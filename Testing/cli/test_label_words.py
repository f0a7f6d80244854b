"""How labels are asked for on the command line: names with commas, quotes, files from Windows, ALL."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.cli.arguments import split_names
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree

from Testing import samples
from Testing.cli.command import one_sentence, write_scan

NAMES = (
    "Insula, anterior",
    "Insula, posterior",
    "Insula",
    "anterior",
    "Left Hippocampus",
    "Körner",
    "a,b",
    "b, c",
    "c",
    'Sulcus "calcarinus"',
)
TREE = LabelTree(tuple(Label(n, name, synonyms=(f"L{n}", "twofold")) for n, name in enumerate(NAMES, start=1)))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Insula, anterior", ["Insula, anterior"]),
        ("Insula, anterior,Left Hippocampus", ["Insula, anterior", "Left Hippocampus"]),
        ("left hippocampus , INSULA,  anterior, Insula", ["left hippocampus", "INSULA, anterior", "Insula"]),
        ("Insula,anterior", ["Insula, anterior"]),
        ('"Insula","anterior"', ["Insula", "anterior"]),
        ('"Insula", anterior', ["Insula", "anterior"]),
        ('Left Hippocampus, "Insula, posterior"', ["Left Hippocampus", "Insula, posterior"]),
        ("a,b, c", ["a,b", "c"]),
        ("a, b", ["a,b"]),
        ('Sulcus "calcarinus"', ['Sulcus "calcarinus"']),
        (
            'Left Hippocampus, sulcus "calcarinus","Insula", anterior',
            ["Left Hippocampus", 'Sulcus "calcarinus"', "Insula", "anterior"],
        ),
        ("1,5", ["1", "5"]),
        (" , ", []),
        ("Insula, superior", ["Insula", "superior"]),
    ],
)
def test_commas_within_names_are_told_from_those_between_them(text: str, names: list[str]) -> None:
    found = split_names(text, TREE)
    assert [TREE.find(name).name if TREE.knows(name) else name for name in found] == [
        TREE.find(name).name if TREE.knows(name) else name for name in names
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan and a model of those labels."""
    folder = tmp_path_factory.mktemp("names")
    samples.package(folder, tree=TREE, name="names")
    write_scan(folder / "scan.nii.gz", samples.scan((16, 18, 20)))
    return folder


def asked(place: Path, output: Path, *words: str) -> set[str]:
    """The labels that a result holds."""
    scan = ["segment", f"{place}/scan.nii.gz", "--model", f"{place}/names", "-o", str(output)]
    assert main([*scan, *words]) == 0
    values = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))["values"]
    return {entry["name"] for entry in values.values()}


def test_labels_with_commas_are_segmented(place: Path, tmp_path: Path) -> None:
    wanted = "Insula, anterior,Left Hippocampus"
    assert asked(place, tmp_path / "r.mha", "--labels", wanted) == {"Insula, anterior", "Left Hippocampus"}


@pytest.mark.parametrize("word", ["all", "ALL", "All"])
def test_all_in_any_case(word: str, place: Path, tmp_path: Path) -> None:
    assert asked(place, tmp_path / "r.mha", "--labels", word) == set(NAMES)
    (tmp_path / "l.txt").write_text(f"{word}\n")
    assert asked(place, tmp_path / "s.mha", "--labels-file", str(tmp_path / "l.txt")) == set(NAMES)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: codecs.BOM_UTF8 + text.replace("\n", "\r\n").encode(),
        lambda text: codecs.BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    ],
    ids=["UTF-8", "UTF-8 of Notepad", "UTF-16 of Notepad", "UTF-16 big-endian"],
)
def test_labels_files_of_windows_are_read(encode: object, place: Path, tmp_path: Path) -> None:
    assert callable(encode)
    (tmp_path / "l.txt").write_bytes(encode("Insula, anterior\nKörner\n"))
    assert asked(place, tmp_path / "r.mha", "--labels-file", str(tmp_path / "l.txt")) == {"Insula, anterior", "Körner"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--labels", "Insula, anterio"], '"anterio"'),
        (["--labels", "twofold"], "may be"),
        (["--labels", ""], "No label was asked for"),
    ],
)
def test_names_that_are_no_labels_are_told_before_the_model_is_loaded(
    words: list[str], says: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = ["segment", f"{place}/scan.nii.gz", "--model", f"{place}/names", "-o", f"{tmp_path}/r.mha"]
    assert main([*scan, *words]) == 2
    stderr = capsys.readouterr().err
    assert says in one_sentence(stderr)
    assert "model names" not in stderr


def test_a_labels_file_in_letters_of_no_known_kind_is_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "l.txt").write_bytes(b"K\xf6rner\n")
    scan = ["segment", f"{place}/scan.nii.gz", "--model", f"{place}/names", "-o", f"{tmp_path}/r.mha"]
    assert main([*scan, "--labels-file", f"{tmp_path}/l.txt"]) == 2
    assert "cannot be read as text" in one_sentence(capsys.readouterr().err)
