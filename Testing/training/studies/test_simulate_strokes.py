"""Strokes by a rule: lines through the middle of what they stand for, all else unknown, and a data set that a network
learns from.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume

from Testing import samples
from Testing.training.engine.test_train import config_of, losses
from Testing.training.made_up_data import write_data_set
from Training.data.data_checks import check_data_set
from Training.data.datasets import read_data_set
from Training.engine.loop import train
from Training.losses.truth import IGNORE
from Training.studies.simulate_strokes import Rule, main, stroke_through


def test_a_stroke_runs_along_the_middle_of_the_longer_side_and_stays_off_the_border() -> None:
    region = np.zeros((20, 30), dtype=bool)
    region[5:12, 4:26] = True
    line = stroke_through(region)
    rows, columns = np.nonzero(line)
    assert set(rows.tolist()) <= {6, 7, 8, 9, 10}
    assert (rows[(columns > 8) & (columns < 21)] == 8).all()
    assert sorted(set(columns.tolist())) == list(range(5, 25))
    assert (stroke_through(region.T) == line.T).all()


def test_a_stroke_goes_around_a_hole_on_both_sides() -> None:
    region = np.ones((31, 21), dtype=bool)
    region[10:20, 7:14] = False
    line = stroke_through(region)
    assert line[15, :7].any()
    assert line[15, 14:].any()
    assert not (line & ~region).any()


def test_the_largest_part_is_painted_and_a_part_of_one_voxel_is() -> None:
    region = np.zeros((10, 10), dtype=bool)
    region[2, 2] = True
    assert (stroke_through(region) == region).all()
    region[5:9, 4:9] = True
    assert not stroke_through(region)[2, 2]


def test_a_wider_stroke_does_not_leave_the_structure() -> None:
    region = np.zeros((12, 30), dtype=bool)
    region[4:7, 3:27] = True
    thin, thick = stroke_through(region, 1), stroke_through(region, 5)
    assert thin.sum() < thick.sum()
    assert not (thick & ~region).any()


@pytest.mark.parametrize("axis", ["k", "j", "i"])
def test_every_structure_and_the_background_has_strokes_of_its_own_in_as_many_slices(axis: str) -> None:
    targets = np.zeros((14, 15, 16), dtype=np.int16)
    targets[2:12, 3:8, 2:13], targets[3:12, 8:13, 3:13], targets[0, :, :] = 1, 2, IGNORE
    strokes = Rule(slices=2, axis=axis).strokes(targets)
    known = strokes != IGNORE
    assert (strokes[known] == targets[known]).all()
    for target in (0, 1, 2):
        across = (strokes == target).any(axis=tuple(n for n in range(3) if n != "kji".index(axis)))
        assert across.sum() == 2
    assert known.mean() < 0.1


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr("sys.argv", ["simulate_strokes.py", *map(str, words)])
    main()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data_set(tmp_path / "data")


@pytest.fixture
def made(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = data.parent / "made"
    call(monkeypatch, data, "--whole", "case_2", "--slices", "2", "-o", folder)
    return folder


def test_what_is_written_is_a_data_set_with_the_same_labels_and_what_is_known_of_the_scans(
    made: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = read_data_set(data), read_data_set(made / "datalist.json")
    assert check_data_set(after, 1, samples.SCHEMA, progress=False) == []
    assert [case.name for case in after.cases] == ["case_0", "case_1", "case_2"]
    assert [case.metadata for case in after.cases] == [case.metadata for case in before.cases]
    names = [{(each.name, each.laterality, each.type) for each in one.table.leaves} for one in (before, after)]
    assert names[0] == names[1]
    parents = [
        {leaf.name: [above.name for above in one.table.ancestors(leaf)] for leaf in one.table.leaves}
        for one in (before, after)
    ]
    assert parents[0] == parents[1]


def test_strokes_have_the_labels_of_the_map_and_the_named_case_keeps_its_map(made: Path, data: Path) -> None:
    with (made / "labels.csv").open(newline="", encoding="utf-8") as file:
        unknown = next(int(row["id"]) for row in csv.DictReader(file) if row["name"] == "unknown")
    assert unknown in read_data_set(made / "datalist.json").ignored_ids
    for name, is_whole in (("case_0", False), ("case_2", True)):
        before, after = (
            read_volume(folder / f"{name}.nii.gz").array[0] for folder in (data / "labelsTr", made / "labels")
        )
        known = after != unknown
        assert (after[known] == before[known]).all()
        hidden = before == 63  # which the table ignores
        assert not (known & hidden).any()
        assert (known == ~hidden).all() == is_whole
        assert is_whole or 0 < known.mean() < 0.05
        assert set(after[known].tolist()) == set(before[~hidden].tolist())


def test_a_network_learns_from_the_strokes_and_is_validated_on_the_whole_map(made: Path, tmp_path: Path) -> None:
    words = ("method=strokes", "data.points=0", "data.patch=[32, 32, 32]", "strokes.widths=[4]")
    steps = ("optimizer.steps=2", "optimizer.warmup=1", "optimizer.decay=1", "validate_every=1")
    train(config_of(tmp_path, made / "datalist.json", *words, *steps))
    assert len(losses(tmp_path)) == 2
    assert (tmp_path / "run" / "package" / "model.json").is_file()


def test_only_the_named_structures_are_painted_and_all_else_is_background(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = data.parent / "two"
    call(monkeypatch, data, "--labels", "Left Hippocampus", "Right Hippocampus", "-o", folder)
    data_set = read_data_set(folder / "datalist.json")
    assert {leaf.name for leaf in data_set.table.leaves} == {"Left Hippocampus", "Right Hippocampus"}
    before, after = (read_volume(path / "case_1.nii.gz").array[0] for path in (data / "labelsTr", folder / "labels"))
    assert set(before[after == 0].tolist()) - {47, 48}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--whole", "case_7"), "has no case called case_7"),
        (("--whole", "case_0", "case_1", "case_2"), "none is left to paint strokes in"),
        (("--labels", "Left Hipocampus"), "Left Hippocampus"),
        (("--slices", "0"), "one slice and one voxel of width at least"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        call(monkeypatch, data, *words, "-o", tmp_path / "out")
    assert not (tmp_path / "out" / "labels.csv").exists()


def test_another_rule_in_the_same_folder_is_refused_and_a_full_disk_is_told(
    made: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"keeps strokes of another question \(other rule\)"):
        call(monkeypatch, data, "--whole", "case_2", "--slices", "3", "-o", made)

    def fail(_image: sitk.Image, path: str, **_: bool) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("no space left")

    monkeypatch.setattr("Training.studies.simulate_strokes.sitk.WriteImage", fail)
    with pytest.raises(SystemExit, match=r"case_0\.nii\.gz\" could not be written; the disk may be full"):
        call(monkeypatch, data, "-o", made.parent / "full")
    assert list((made.parent / "full" / "labels").iterdir()) == []


def test_labels_that_nobody_looked_for_stay_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = data / "participants.tsv"
    lines = people.read_text().splitlines()
    told = [lines[0] + "\tannotated", lines[1] + "\tLeft Hippocampus", *(line + "\t" for line in lines[2:])]
    people.write_text("\n".join(told) + "\n")
    call(monkeypatch, data, "-o", data.parent / "partly")
    annotated = [case.annotated for case in read_data_set(data.parent / "partly" / "datalist.json").cases]
    assert annotated == [("Left Hippocampus",), None, None]
