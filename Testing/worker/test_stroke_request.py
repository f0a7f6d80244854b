"""What a worker makes of strokes, in a process of its own or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.core.strokes.mending import mend
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.core.strokes.propagation import propagate
from LabelConditionedSegmentationLib.worker.client import ProcessWorker
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker
from LabelConditionedSegmentationLib.worker.protocol import Worker
from LabelConditionedSegmentationLib.worker.stroke_request import NO_RUN, StrokesRequest

from Testing import samples
from Testing.worker.helpers import answer, run_of, wait

SCAN = samples.scan((20, 36, 32))
NAMES = ("Lesion", "Background")
SEEDS = np.zeros(SCAN.shape, dtype=np.uint16)
SEEDS[10, 18, 12:20], SEEDS[10, 28, 12:20] = 1, 2
STROKES = Strokes(Grid.of(SCAN), SEEDS, NAMES)
REQUEST = StrokesRequest(NO_RUN, SCAN, SEEDS, NAMES)


@pytest.fixture(scope="module", params=[pytest.param("process", marks=pytest.mark.slow), "in process"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker of each kind, warm from one test to the next."""
    is_process = request.param == "process"
    worker: Worker = ProcessWorker(tmp_path_factory.mktemp("log") / "log.txt") if is_process else InProcessWorker()
    yield worker
    worker.close()


def box_of(event: object, start: list[int]) -> tuple[slice, ...]:
    shape = event.arrays["winners"].shape  # type: ignore[attr-defined]
    return tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))


def test_strokes_spread_over_intensities_without_a_model(either: Worker) -> None:
    event = answer(either, REQUEST)
    assert event.kind == "done", event.text
    found = propagate(STROKES, SCAN)
    assert event.values["start"] == list(found.start)
    cut = box_of(event, event.values["start"])
    np.testing.assert_array_equal(event.arrays["winners"], found.label_map[cut])
    np.testing.assert_allclose(event.arrays["certainty"], 100 * found.certainty[cut], atol=0.51)
    assert event.values["findings"] == [vars(finding) for finding in found.findings]


def test_strokes_spread_over_the_features_of_a_run_and_mend_it(either: Worker, tiny_package: Path) -> None:
    run = either.send(run_of(tiny_package, SCAN))
    assert wait(either, run).kind == "done"
    features = Segmenter.from_package(tiny_package, "cpu").features(SCAN)
    spread = answer(either, replace(REQUEST, run=run))
    found = propagate(STROKES, SCAN, features)
    np.testing.assert_array_equal(spread.arrays["winners"], found.label_map[box_of(spread, spread.values["start"])])
    leaves = features.labels.leaves
    names = (leaves[2].name, "Background")
    event = answer(either, replace(REQUEST, run=run, names=names, mend=True))
    map_of_leaves = features.segment().label_map.array[0].astype(int)
    mended, _ = mend(Strokes(Grid.of(SCAN), SEEDS, names), SCAN, features, map_of_leaves)
    ids = np.array([0, *(leaf.id for leaf in leaves)])
    np.testing.assert_array_equal(ids[event.arrays["winners"]], mended[box_of(event, event.values["start"])])
    assert event.values["findings"] == []


def test_strokes_mend_the_answer_of_the_protocol_that_they_are_of(either: Worker, tmp_path: Path) -> None:
    tree = samples.rival_protocols()
    package = samples.package(tmp_path, tree=tree, made=samples.network(tree=tree, seed=25)).path
    run = either.send(run_of(package, SCAN))
    assert wait(either, run).kind == "done"
    part = Segmenter.from_package(package, "cpu").features(SCAN).of_protocol("Coarse")
    names = ("Left Hippocampus (Coarse)", "Background")
    event = answer(either, replace(REQUEST, run=run, names=names, mend=True))
    before = part.segment().label_map.array[0].astype(int)
    mended, _ = mend(Strokes(Grid.of(SCAN), SEEDS, names), SCAN, part, before)
    ids = np.array([0, *(leaf.id for leaf in part.labels.leaves)])
    np.testing.assert_array_equal(ids[event.arrays["winners"]], mended[box_of(event, event.values["start"])])
    both = answer(either, replace(REQUEST, run=run, names=("Remainder", "Left Putamen"), mend=True))
    assert (both.kind, both.values["error"]) == ("failed", "LabelError")
    assert '"Remainder" belongs to the protocol Coarse and "Left Putamen" to Fine' in both.text
    nothing = answer(either, replace(REQUEST, run=run, seeds=SEEDS // 2, names=("Background",), mend=True))
    assert "paint a stroke of a label as well, of Fine or Coarse" in nothing.text


def test_what_cannot_be_spread_is_refused_with_a_sentence(either: Worker) -> None:
    one = answer(either, replace(REQUEST, seeds=np.minimum(SEEDS, 1) * (SEEDS == 1), names=("Lesion",)))
    assert (one.kind, one.values["error"]) == ("failed", "InputError")
    assert "one class" in one.text
    lost = answer(either, replace(REQUEST, run=999))
    assert (lost.kind, lost.values["error"]) == ("failed", "NotKeptError")
    assert "press Apply again to spread strokes by it" in lost.text
    odd = answer(either, replace(REQUEST, volume=Volume(SCAN.array * np.nan, SCAN.affine)))
    assert "NaN" in odd.text


def test_only_what_is_lost_makes_the_panel_forget_a_run() -> None:
    assert not replace(REQUEST, run=3).has_lost_run("LabelError")
    assert replace(REQUEST, run=3).has_lost_run("NotKeptError")
    assert replace(REQUEST, run=3).has_lost_run("ChildProcessError")
    assert not REQUEST.has_lost_run("ChildProcessError")


@pytest.mark.slow
def test_cancel_is_honoured_inside_the_solver(tmp_path: Path) -> None:
    worker = ProcessWorker(tmp_path / "log.txt")
    try:
        scan = samples.scan((120, 120, 120))
        seeds = np.zeros(scan.shape, dtype=np.uint16)
        seeds[60, 60, 10:110], seeds[60, 20, 10:110] = 1, 2
        number = worker.send(StrokesRequest(NO_RUN, scan, seeds, NAMES))
        wait(worker, number, "random walks")
        child = worker._child
        worker.cancel(number)
        assert wait(worker, number).kind == "cancelled"
        assert worker._child is child  # it was not ended for that
        assert answer(worker, REQUEST).kind == "done"
    finally:
        worker.close()
