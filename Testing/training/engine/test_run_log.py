"""The log of a run: one line a step, whatever was killed in between, and curves and pictures that TensorBoard shows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import OutputError
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from Testing import samples
from Training.engine.run_log import COLUMNS, RunLog

TREE = samples.label_tree(4)


def write(folder: Path, first: int, last: int, loss: float = 1.0) -> RunLog:
    """A log with the steps from `first` to `last`, still open."""
    log = RunLog(folder, first, 10, TREE)
    for step in range(first, last):
        log.step(step, loss, 0.1, 2.0 * (step - first + 1), None)
    return log


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def scalars(folder: Path, name: str) -> dict[int, float]:
    points = events(folder).Scalars(name)
    assert len({point.step for point in points}) == len(points)
    return {point.step: point.value for point in points}


def test_every_step_is_on_disk_before_the_next_one_begins(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 10, TREE)
    for step in range(3):
        log.step(step, 1.5 - step, 0.1, 4.0 * (step + 1), None)
        assert [int(row["step"]) for row in rows(tmp_path)] == list(range(step + 1))
    assert tuple(rows(tmp_path)[0]) == COLUMNS
    assert float(rows(tmp_path)[2]["loss"]) == -0.5
    log.close()


def test_a_run_that_goes_on_keeps_earlier_lines_and_makes_no_step_twice(tmp_path: Path) -> None:
    write(tmp_path, 0, 7).close()
    write(tmp_path, 4, 8, loss=2.0).close()
    assert [(int(row["step"]), float(row["loss"])) for row in rows(tmp_path)] == [
        (n, 1.0 if n < 4 else 2.0) for n in range(8)
    ]
    seconds = [float(row["seconds"]) for row in rows(tmp_path)]
    assert seconds == sorted(seconds)
    assert seconds[4] == seconds[3] + 2
    assert scalars(tmp_path, "loss") == {n: 1.0 if n < 4 else 2.0 for n in range(8)}


def test_earlier_lines_are_never_lost_not_even_before_the_first_new_step(tmp_path: Path) -> None:
    write(tmp_path, 0, 5).close()
    log = RunLog(tmp_path, 3, 10, TREE)  # a kill here leaves what the file has now
    assert [int(row["step"]) for row in rows(tmp_path)] == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "tensorboard"]
    log.close()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"run.* cannot be written to: Not a directory.*choose another folder"):
        RunLog(tmp_path / "file" / "run", 0, 10, TREE)


def test_half_a_line_of_a_killed_run_goes(tmp_path: Path) -> None:
    write(tmp_path, 0, 3).close()
    with (tmp_path / "log.csv").open("a") as file:
        file.write("3,0.5,0.1")
    write(tmp_path, 3, 5).close()
    assert [int(row["step"]) for row in rows(tmp_path)] == list(range(5))


def test_a_new_run_in_the_same_place_begins_anew(tmp_path: Path) -> None:
    write(tmp_path, 0, 6).close()
    write(tmp_path, 0, 2, loss=3.0).close()
    assert [float(row["loss"]) for row in rows(tmp_path)] == [3.0, 3.0]
    assert scalars(tmp_path, "loss") == {0: 3.0, 1: 3.0}


def test_validations_are_curves_over_all_cases_one_case_and_each_root_label(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 10, TREE)
    scores = {"a": np.array([0.5, 0.7, np.nan, 0.9]), "b": np.array([0.3, 0.5, np.nan, 0.7])}
    log.step(4, 1.0, 0.1, 1.0, scores)
    log.close()
    assert float(rows(tmp_path)[0]["dice"]) == pytest.approx(0.6)
    assert scalars(tmp_path, "dice/mean")[4] == pytest.approx(0.6)
    assert scalars(tmp_path, "dice/case/a")[4] == pytest.approx(0.7)
    assert scalars(tmp_path, "dice/Deep gray matter")[4] == pytest.approx(0.5)
    assert scalars(tmp_path, "dice/Rest")[4] == pytest.approx(0.8)


def test_a_root_label_that_is_in_no_case_has_no_curve(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 10, TREE)
    log.step(4, 1.0, 0.1, 1.0, {"a": np.array([0.5, 0.7, 0.1, np.nan])})
    log.close()
    assert not [name for name in events(tmp_path).Tags()["scalars"] if name == "dice/Rest"]


def test_the_picture_shows_scan_truth_and_what_was_found_in_three_slices(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 10, TREE)
    image = torch.rand(8, 10, 12)
    truth, found = torch.zeros(2, 8, 10, 12, dtype=torch.long)
    truth[4], found[4] = 2, 3
    truth[:, 0] = -1  # unknown
    log.picture(6, "scan, truth, found", image, [truth, found])
    log.close()
    (shown,) = events(tmp_path).Images("scan, truth, found")
    assert shown.step == 6
    sheet = np.asarray(Image.open(io.BytesIO(shown.encoded_image_string)).convert("RGB")).astype(float)
    assert sheet.shape == (10 + 8 + 8, 3 * 12, 3)  # axial, coronal and sagittal, one below the other
    gray, true, ours = (
        sheet[:9, 12 * n : 12 * (n + 1)] for n in range(3)
    )  # the axial slice goes through the labels; its last line is unknown
    assert np.abs(gray - gray.mean(axis=2, keepdims=True)).max() < 1
    for panel, cls in ((true, 2), (ours, 3)):
        expected = 0.4 * gray + 0.6 * 255 * np.array(TREE.leaves[cls - 1].color)
        assert np.abs(panel - expected).max() < 3
    assert np.abs(sheet[9, 12:24] - sheet[9, :12]).max() < 1
