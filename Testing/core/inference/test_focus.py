"""Focus: of a scan that is larger than its window a model looks at the window around one of its labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled, PackageFormatError
from LabelConditionedSegmentationLib.core.inference import network_pass as network_pass_module
from LabelConditionedSegmentationLib.core.inference.finder import Finder
from LabelConditionedSegmentationLib.core.inference.network_pass import NetworkPass
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.progress import CancelToken, Progress
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside, Intensity
from LabelConditionedSegmentationLib.core.scan.preprocessing import box_around, prepare
from LabelConditionedSegmentationLib.core.scan.stripped import Stripped
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Array, Volume

from Testing import samples
from Testing.samples import dice

CPU = torch.device("cpu")
BALL, TISSUE = samples.label_tree().leaves[:2]
SHAPE = (60, 64, 68)
PATCH = (32, 32, 32)
SPEC = InputSpec(foreground="all", margin_mm=0, intensity=Intensity("window", 0, 1000), focus=BALL.name)
BLIND = replace(SPEC, focus="")
RADIUS = 6.0

STRAIGHT: Affine = np.eye(4)
FINE: Affine = np.diag([0.5, 0.8, 0.5, 1.0])
SAGITTAL: Affine = np.array([[0, 0, 1.0, 5], [-1.0, 0, 0, 60], [0, -1.0, 0, 20], [0, 0, 0, 1]])
OBLIQUE: Affine = np.array([[0.96, -0.28, 0, -10], [0.28, 0.96, 0, 4], [0, 0, 1.0, -3], [0, 0, 0, 1.0]])


def head(ball: tuple[float, float, float], affine: Affine = STRAIGHT, shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Tissue of about 400 in noisy air, with a ball of about 900 around a voxel (k, j, i)."""
    places = zip(np.indices(shape), shape, strict=True)
    radius = sum(((n - (size - 1) / 2) / (0.45 * size)) ** 2 for n, size in places)
    voxels = np.where(ball_of(ball, shape), 900, np.where(radius < 1, 400, 0))
    return Volume((voxels + np.random.default_rng(0).uniform(0, 30, shape)).astype(np.float32)[None], affine)


def ball_of(ball: tuple[float, float, float], shape: tuple[int, int, int] = SHAPE) -> Array:
    """(k, j, i) bool."""
    k, j, i = np.indices(shape)
    return np.asarray((k - ball[0]) ** 2 + (j - ball[1]) ** 2 + (i - ball[2]) ** 2 < RADIUS**2)


@pytest.fixture(autouse=True)
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by the batch size at every pass. The features of a network are the intensities, and there is no memory for
    larger windows.
    """
    seen: list[int] = []

    def features(self: NetworkPass, patches: torch.Tensor, metadata: torch.Tensor) -> torch.Tensor:
        seen.append(len(patches))
        pooled = torch.nn.functional.avg_pool3d(patches[:, :1], self.stride)
        return torch.cat([pooled, torch.zeros_like(pooled).repeat(1, 7, 1, 1, 1)], dim=1)

    monkeypatch.setattr(NetworkPass, "_features", features)
    monkeypatch.setattr(network_pass_module, "free_memory", lambda _device: 0)
    return seen


def segmenter(spec: InputSpec = SPEC, **changes: Any) -> Segmenter:
    """A model that tells the ball from tissue, and that from air."""
    tree = samples.label_tree()
    package = ModelPackage(Path("tiny"), "tiny", samples.TINY, spec, tree, samples.SCHEMA, PATCH, False, "")
    network = samples.network()
    with torch.no_grad():
        network.prompts.zero_()
        network.bias.copy_(torch.tensor([0.0, -3, 6, -99, -99, -99, -99]))
        network.prompts[1:3, 0] = torch.tensor([40.0, 10])
    return Segmenter(package, network, CPU, **changes)


# What a package says


def test_the_focus_is_stored_and_no_older_version_reads_it(tmp_path: Path) -> None:
    package = samples.package(tmp_path, spec=SPEC)
    assert package.input == SPEC
    assert InputSpec().is_plain
    assert not replace(InputSpec(), focus=BALL.name).is_plain
    assert "focus" not in InputSpec().to_json()
    assert InputSpec.from_json(InputSpec().to_json()).focus == ""
    entry = json.loads((package.path / "model.json").read_text())
    assert entry["format"] == 2
    assert entry["input"]["focus"] == BALL.name


@pytest.mark.parametrize(
    ("tree", "text"),
    [(samples.label_tree(), 'no label "Brian"'), (samples.two_protocols(), "without a focus")],
    ids=["unknown", "protocols"],
)
def test_a_focus_that_the_model_cannot_have_is_refused(tmp_path: Path, tree: LabelTree, text: str) -> None:
    folder = samples.package(tmp_path, tree=tree).path
    entry = json.loads((folder / "model.json").read_text())
    entry["input"]["focus"] = "Brian"
    (folder / "model.json").write_text(json.dumps(entry))
    with pytest.raises(PackageFormatError, match=text):
        ModelPackage.load(folder)


# The box


@pytest.mark.parametrize("affine", [STRAIGHT, FINE, SAGITTAL, OBLIQUE], ids=["straight", "fine", "sagittal", "oblique"])
@pytest.mark.parametrize("centre", [(0.0, 0.0, 0.0), (1e3, 1e3, 1e3), (20.2, 31.7, 25.5), (-5.0, 16.0, 1e3)])
def test_a_box_stays_inside_of_the_scan_and_its_region_holds_all_that_lies_in_it(
    affine: Affine, centre: tuple[float, float, float]
) -> None:
    volume = head((15, 16, 17), affine, (30, 32, 34))
    prepared, source = prepare(volume, BLIND, 4, with_position=True), Grid.of(volume)
    part = box_around(prepared, centre, (16, 24, 500), source)
    size = np.minimum((16, 24, 500), prepared.grid.shape)
    assert part.grid.shape == tuple(size)
    first = np.rint((np.linalg.inv(prepared.grid.affine) @ part.grid.affine)[2::-1, 3]).astype(int)
    stop = first + size
    assert (first >= 0).all()
    assert (stop <= prepared.grid.shape).all()
    k, j, i = (slice(a, b) for a, b in zip(first.tolist(), stop.tolist(), strict=True))
    assert torch.equal(part.image, prepared.image[:, k, j, i])
    assert torch.equal(part.foreground, prepared.foreground[k, j, i])
    assert np.abs((first + stop) / 2 - np.clip(centre, size / 2, prepared.grid.shape - size / 2)).max() <= 0.5

    (low, high), whole = part.region, prepared.region
    assert all(a <= b < c <= d for a, b, c, d in zip(whole[0], low, high, whole[1], strict=True))
    index = np.indices(volume.shape).reshape(3, -1).T
    mapping = source.to(part.grid)
    there = (index[:, ::-1] @ mapping[:3, :3].T + mapping[:3, 3])[:, ::-1]
    inside = ((there > -1e-6) & (there < size - 1 + 1e-6)).all(axis=1)
    assert inside.any()
    covered = (np.greater_equal(index, low) & np.less(index, high)).all(axis=1)
    assert np.asarray(covered)[inside].all()


# A run


@pytest.mark.parametrize("budget", [0, 2**30])
@pytest.mark.parametrize("ball", [(30.0, 32.0, 34.0), (14.0, 32.0, 34.0), (38.0, 24.0, 50.0)])
def test_the_window_around_the_label_is_all_that_is_answered(
    ball: tuple[float, float, float], budget: int, passes: list[int]
) -> None:
    volume = head(ball)
    found = segmenter(feature_budget=budget).features(volume)
    result = found.segment()
    assert result.report.trunk_passes == sum(passes) > 2
    assert "first looks" in result.report.timings
    answer = result.label_map.array[0]
    assert dice(np.equal(answer, BALL.id), ball_of(ball)) > 0.8
    assert TISSUE.id in answer
    low, high = found.region
    outside = np.ones(SHAPE, dtype=bool)
    outside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = False
    assert not answer[outside].any()
    first = Grid.of(volume).index_of(found.feature_grid.affine[:3, 3])[::-1] - 0.5  # of the window
    assert np.array_equal(first, np.rint(first))
    assert np.abs(first + 16 - np.clip(np.array(ball) + 0.5, 16, np.array(SHAPE) - 16)).max() <= 1

    start = int(first[0]), int(first[1]), int(first[2])
    stop = start[0] + 32, start[1] + 32, start[2] + 32
    k, j, i = (slice(a, b) for a, b in zip(start, stop, strict=True))
    alone = segmenter(BLIND).segment(Volume(volume.array[:, k, j, i], Grid.of(volume).box(start, stop).affine))
    assert alone.report.trunk_passes == 1
    assert np.array_equal(answer[k, j, i], alone.label_map.array[0])


@pytest.mark.parametrize("affine", [FINE, SAGITTAL, OBLIQUE], ids=["fine", "sagittal", "oblique"])
def test_the_label_is_found_in_scans_of_any_axes(affine: Affine) -> None:
    shape = (60, 64, 68) if affine is not FINE else (80, 90, 100)
    ball = (38.0, 30.0, 44.0) if affine is not FINE else (50.0, 40.0, 60.0)
    result = segmenter().segment(head(ball, affine, shape), [BALL.name])
    places = np.argwhere(result.label_map.array[0])
    assert len(places) > 200
    assert np.abs(places.mean(axis=0) - ball).max() < 1


def test_a_scan_that_fits_into_the_window_is_looked_at_once() -> None:
    volume = head((15, 15, 15), shape=(30, 32, 31))
    one, other = segmenter().segment(volume), segmenter(BLIND).segment(volume)
    assert one.report.trunk_passes == other.report.trunk_passes == 1
    assert np.array_equal(one.label_map.array, other.label_map.array)


def test_where_the_label_is_nowhere_the_whole_scan_is_answered() -> None:
    volume = head((-100, 0, 0))
    model, other = segmenter(), segmenter(BLIND)
    with torch.no_grad():
        for each in (model, other):
            each.network.bias[1] = -1000.0
    one, two = model.segment(volume), other.segment(volume)
    assert np.array_equal(one.label_map.array, two.label_map.array)
    assert set(np.unique(one.label_map.array)) == {0, TISSUE.id}
    assert one.report.trunk_passes > two.report.trunk_passes > 1


def test_the_first_looks_can_be_cancelled() -> None:
    token, told = CancelToken(), list[tuple[float, str]]()

    def progress(done: float, text: str) -> None:
        told.append((done, text))
        if text == f"finding {BALL.name}":
            token.cancel()

    with pytest.raises(Cancelled):
        segmenter().segment(head((30, 32, 34)), progress=progress, cancel=token)
    assert [text for _, text in told].count(f"finding {BALL.name}") == 1
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_first_looks_of_the_stage_before_a_model_can_be_cancelled(passes: list[int]) -> None:
    token, told = CancelToken(), list[str]()
    finder = Finder(segmenter(), Inside("tiny", BALL.name))

    def progress(_done: float, text: str) -> None:
        told.append(text)
        token.cancel()

    with pytest.raises(Cancelled):
        finder.find(head((30, 32, 34)), Stripped.NO, Progress(progress, token))
    assert told == [f"finding {BALL.name}"]
    assert sum(passes) == 1
