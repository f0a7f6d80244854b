"""The stage before a model that looks inside of a label: when it runs, what it leaves, and what is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled, InputError
from LabelConditionedSegmentationLib.core.inference.finder import Finder
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.progress import CancelToken, Progress
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside
from LabelConditionedSegmentationLib.core.scan.stripped import looks_stripped
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples

LABEL = samples.label_tree().roots[0].name
SHAPE = (36, 44, 40)


def inner(package: str = "outer", label: str = LABEL, margin_mm: float = 0.0) -> InputSpec:
    return InputSpec(inside=Inside(package, label, margin_mm))


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `outer`, which finds, and `inner`, which looks inside."""
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "none"))
    samples.package(tmp_path, name="outer")
    samples.package(tmp_path, name="inner", spec=inner())
    return tmp_path


@pytest.fixture
def found_ball(monkeypatch: pytest.MonkeyPatch) -> list[Volume]:
    """The other model finds a ball of 10 mm in the middle of every scan; the scans that it was asked about."""
    asked: list[Volume] = []

    def distance(self: Finder, volume: Volume, steps: Progress) -> tuple[torch.Tensor, Grid, int]:
        asked.append(volume)
        steps.update(0.0, 1.0, 1.0, "finding")
        places = np.indices(volume.shape) - (np.array(volume.shape)[:, None, None, None] - 1) / 2
        return torch.from_numpy(np.linalg.norm(places, axis=0) - 10).float(), Grid.of(volume), 1

    monkeypatch.setattr(Finder, "_distance", distance)
    return asked


def raw() -> Volume:
    """A scan that goes on beyond its border."""
    volume = samples.scan(SHAPE)
    noise = np.random.default_rng(5).uniform(20, 200, volume.array.shape)
    return volume.with_array(volume.array + noise)


def test_only_what_was_found_counts(models: Path, found_ball: list[Volume]) -> None:
    with Segmenter.from_package(models / "inner", "cpu") as segmenter:
        result = segmenter.segment(raw())
    assert len(found_ball) == 1
    labelled = np.argwhere(result.label_map.array[0] > 0)
    centre = (np.array(SHAPE) - 1) / 2
    assert np.abs(labelled - centre).max() <= 11
    assert result.report.inside["stripped"] == "no"
    assert result.report.inside["ml"] == pytest.approx(4 / 3 * np.pi, rel=0.05)
    assert result.report.to_json()["inside"]["model"] == "outer"


def test_what_lies_around_it_changes_nothing(models: Path, found_ball: list[Volume]) -> None:
    one = raw()
    distance = np.linalg.norm(np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2, axis=0)
    around = one.with_array(np.where(distance < 10, one.array, 3 * one.array + 500))
    within = one.with_array(np.where(distance < 10, one.array + 40 * np.sin(np.indices(SHAPE)[0]), one.array))
    with Segmenter.from_package(models / "inner", "cpu") as segmenter:
        maps = [segmenter.segment(volume).label_map.array for volume in (one, around, within)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert (maps[0] != maps[2]).any()


def test_the_margin_is_kept_around_it(tmp_path: Path, models: Path, found_ball: list[Volume]) -> None:
    samples.package(tmp_path, name="wide", spec=inner(margin_mm=3.0))
    counts = []
    for name in ("inner", "wide"):
        with Segmenter.from_package(models / name, "cpu") as segmenter:
            counts.append(int(segmenter.prepared(raw(), None)[0].foreground.sum()))
    assert counts[1] / counts[0] == pytest.approx((13 / 10) ** 3, rel=0.05)


def test_of_a_stripped_scan_nothing_is_looked_for(models: Path, found_ball: list[Volume]) -> None:
    volume = samples.scan(SHAPE)
    framed = np.pad(volume.array, ((0, 0), (4, 4), (4, 4), (4, 4)))
    stripped = Volume(framed, volume.affine)
    assert looks_stripped(stripped)
    with Segmenter.from_package(models / "inner", "cpu") as segmenter:
        assert segmenter.features(stripped).report.inside["stripped"] == "yes"
        assert not found_ball
        assert segmenter.features(stripped, stripped="no").report.inside["stripped"] == "no"
        assert segmenter.features(raw(), stripped="yes").report.inside["because"] == "the user says so"
    assert len(found_ball) == 1


def test_the_last_answer_is_kept_with_its_scan(models: Path, found_ball: list[Volume]) -> None:
    with Segmenter.from_package(models / "inner", "cpu") as segmenter:
        segmenter.features(raw(), {"age": 20})
        segmenter.features(raw(), {"age": 30})
        assert len(found_ball) == 1
        segmenter.features(raw().with_array(raw().array + 1))
        assert len(found_ball) == 2


def test_where_nothing_is_found_a_sentence_says_what_to_do(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(self: Finder, volume: Volume, steps: Progress) -> tuple[torch.Tensor, Grid, int]:
        return torch.full(volume.shape, 1000.0), Grid.of(volume), 1

    monkeypatch.setattr(Finder, "_distance", nothing)
    with (
        Segmenter.from_package(models / "inner", "cpu") as segmenter,
        pytest.raises(InputError, match=f'"outer" finds no "{LABEL}" in this scan.*--stripped yes'),
    ):
        segmenter.segment(raw())


def test_the_other_network_really_runs_and_can_be_cancelled(models: Path) -> None:
    token = CancelToken()
    told: list[tuple[float, str]] = []

    def progress(done: float, text: str) -> None:
        told.append((done, text))
        if text.startswith("finding"):
            token.cancel()

    with Segmenter.from_package(models / "inner", "cpu") as segmenter, pytest.raises(Cancelled):
        segmenter.segment(raw(), progress=progress, cancel=token)
    assert any(text == "finding the deep gray matter" for _, text in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_network_that_sees_the_brightness_finds_what_is_bright(tmp_path: Path, models: Path) -> None:
    samples.bright_finder(tmp_path)
    distance = np.linalg.norm(np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2, axis=0)
    ball = distance < 10
    voxels = np.random.default_rng(1).uniform(20, 60, SHAPE) + 500 * ball
    affine = np.array([[0, -1.0, 0, 7], [1.0, 0, 0, -3], [0, 0, 1.0, 2], [0, 0, 0, 1]])
    with Segmenter.from_package(models / "inner", "cpu") as segmenter:
        result = segmenter.segment(Volume(voxels[None], affine))
    labelled = np.argwhere(result.label_map.array[0] > 0)
    assert 0 < np.abs(labelled - (np.array(SHAPE) - 1) / 2).max() <= 11
    assert result.report.inside["ml"] == pytest.approx(ball.sum() / 1000, rel=0.25)
    assert result.report.inside["trunk_passes"] > 0


def test_closing_frees_the_network_that_finds_as_well(models: Path, found_ball: list[Volume]) -> None:
    segmenter = Segmenter.from_package(models / "inner", "cpu")
    segmenter.features(raw())
    finder = segmenter._finder
    assert finder is not None
    assert not finder.segmenter.network.bias.is_meta
    segmenter.close()
    assert finder.segmenter.network.bias.is_meta


def test_a_model_that_sees_whole_scans_reports_no_stage(models: Path) -> None:
    with Segmenter.from_package(models / "outer", "cpu") as segmenter:
        assert "inside" not in segmenter.features(raw()).report.to_json()
