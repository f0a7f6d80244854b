"""What a worker answers, in a process of its own or not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt
from LabelConditionedSegmentationLib.core.examples.painted_examples import Example
from LabelConditionedSegmentationLib.core.inference.devices import found_devices, why_no_gpu
from LabelConditionedSegmentationLib.core.inference.segmenter import EXAMPLE_BUDGET, FEATURE_BUDGET, Segmenter
from LabelConditionedSegmentationLib.core.inference.winners import Winners
from LabelConditionedSegmentationLib.core.package.model_package import save_package
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.worker.client import ProcessWorker
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker
from LabelConditionedSegmentationLib.worker.protocol import Event, Worker, from_line, to_line
from LabelConditionedSegmentationLib.worker.request import Call, Request
from LabelConditionedSegmentationLib.worker.requests import (
    DevicesRequest,
    ExampleRequest,
    ExamplesRequest,
    InstallRequest,
    PointRequest,
    StatusRequest,
)
from LabelConditionedSegmentationLib.worker.serving import Server
from LabelConditionedSegmentationLib.worker.stroke_request import StrokesRequest

from Testing import samples
from Testing.worker.helpers import answer, ends, run_of, wait

SOURCE = Path(__file__).resolve().parents[2] / "LabelConditionedSegmentation"
OBLIQUE = np.array([[1.2, -0.5, 0.1, -10], [0.45, 0.8, 0.2, 4], [-0.1, -0.2, 1.9, -3], [0, 0, 0, 1.0]])
SCAN = samples.scan((20, 36, 32), OBLIQUE)
KNOWN = {"age": 31, "sex": "F"}
X, Y, Z = (OBLIQUE @ [16, 18, 10, 1])[:3].tolist()
POINT = (X, Y, Z)
CROOKED = Volume(SCAN.array, SCAN.affine)
object.__setattr__(CROOKED, "affine", np.eye(2))  # as no volume can be made


@pytest.fixture(scope="module", params=["process", "in process"])
def either(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker of each kind, warm from one test to the next."""
    worker: Worker = (
        ProcessWorker(tmp_path_factory.mktemp("log") / "worker.log")
        if request.param == "process"
        else InProcessWorker()
    )
    yield worker
    worker.close()


def label_map(event: Event, package: Path) -> Any:
    """The winners of a run, painted on the whole grid with the ids of the labels."""
    tree = Segmenter.from_package(package, "cpu").package.labels
    (k, j, i), stop = event.values["region"]
    (classes,) = event.arrays["winners"]
    assert classes.shape == tuple(b - a for a, b in zip((k, j, i), stop, strict=True))
    winners = Winners(tree, classes, (k, j, i), SCAN.shape)
    out = np.zeros(SCAN.shape, np.uint8)
    for leaf in tree.leaves:
        found = winners.mask(leaf)
        if found:
            mask, (k, j, i) = found
            out[k : k + mask.shape[0], j : j + mask.shape[1], i : i + mask.shape[2]][mask == 1] = leaf.id
    return out


def test_run_gives_the_segmenters_voxels_and_report(either: Worker, tiny_package: Path) -> None:
    expected = Segmenter.from_package(tiny_package, "cpu").segment(SCAN, metadata=KNOWN)
    event = answer(either, run_of(tiny_package, SCAN, metadata=KNOWN))
    assert (event.kind, event.fraction, event.values["can_rank"]) == ("done", 1.0, True)
    assert len(np.unique(expected.label_map.array)) > 3
    assert np.array_equal(label_map(event, tiny_package), expected.label_map.array[0])
    measured = {"timings_s", "peak_memory_mb"}
    wanted = expected.report.to_json()
    assert event.values["report"].keys() == wanted.keys()
    assert {k: v for k, v in event.values["report"].items() if k not in measured} == {
        k: v for k, v in wanted.items() if k not in measured
    }


def test_run_gives_the_winner_map_of_every_protocol(either: Worker, tmp_path: Path) -> None:
    tree = samples.rival_protocols()
    package = samples.package(tmp_path, tree=tree, made=samples.network(tree=tree, seed=25)).path
    number, fractions = either.send(run_of(package, SCAN)), []
    event: Event | None = None
    while event is None or event.kind == "progress":
        for event in (told for told in either.poll() if told.request == number):
            fractions.append(event.fraction)
    parts = Segmenter.from_package(package, "cpu").features(SCAN).parts
    assert list(parts) == ["Fine", "Coarse"]
    for classes, part in zip(event.arrays["winners"], parts.values(), strict=True):
        np.testing.assert_array_equal(classes, part.winner_map())
    assert fractions == sorted(fractions)
    ranked = answer(either, PointRequest(number, POINT, 4)).values["ranked"]
    assert {tree.protocol_of(tree[label]).name for label, _ in ranked} == set(parts)


def test_progress_rises_from_the_network_to_the_labels(either: Worker, tiny_package: Path) -> None:
    request = either.send(run_of(tiny_package, SCAN))
    events: list[Event] = []
    while either.busy or not events:
        events += either.poll()
    assert {event.request for event in events} == {request}
    assert [event.kind for event in events] == ["progress"] * (len(events) - 1) + ["done"]
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    network = [event.fraction for event in events if "patch" in event.text]
    deciding = [event.fraction for event in events if event.text == "deciding labels"]
    assert network
    assert deciding
    assert max(network) <= 0.9 <= min(deciding)


def test_what_is_said_of_the_skull_reaches_the_stage_before_the_run(either: Worker, tmp_path: Path) -> None:
    samples.bright_finder(tmp_path)
    inside = Inside("outer", samples.label_tree().roots[0].name)
    inner = samples.package(tmp_path, name="inner", spec=InputSpec(inside=inside)).path
    distance = np.linalg.norm(np.indices((36, 44, 40)) - np.array([17.5, 21.5, 19.5])[:, None, None, None], axis=0)
    voxels = np.random.default_rng(1).uniform(20, 60, distance.shape) + np.where(distance < 10, 500, 0)
    head = Volume(voxels[None].astype(np.int16), np.eye(4))
    told, done = [], None
    request = either.send(run_of(inner, head))
    while done is None:
        for event in either.poll():
            told += [event.text] if event.kind == "progress" else []
            done = event if event.kind != "progress" else done
    assert (done.request, done.kind) == (request, "done")
    assert done.values["report"]["inside"]["stripped"] == "no"
    assert "finding the deep gray matter" in told
    said = answer(either, run_of(inner, head, stripped="yes")).values["report"]["inside"]
    assert (said["stripped"], said["because"]) == ("yes", "the user says so")
    shutil.rmtree(tmp_path / "outer")
    refused = answer(either, run_of(inner, head, device="auto"))
    assert refused.kind == "failed"
    assert 'needs the model "outer"' in refused.text


def test_second_run_loads_nothing_and_questions_about_points_make_no_pass(either: Worker, tiny_package: Path) -> None:
    first = answer(either, run_of(tiny_package, SCAN))
    before = answer(either, StatusRequest()).values
    request = either.send(run_of(tiny_package, SCAN))
    second = wait(either, request)
    after = answer(either, StatusRequest()).values
    assert after == {**before, "trunk_passes": before["trunk_passes"] + second.values["report"]["trunk_passes"]}
    assert (after["model"], after["device"], after["loads"] >= 1) == (str(tiny_package), "cpu", True)
    assert np.array_equal(first.arrays["winners"], second.arrays["winners"])
    answer(either, PointRequest(request, POINT, 3))
    assert answer(either, StatusRequest()).values == after


def test_labels_under_a_point_are_those_of_the_features(either: Worker, tiny_package: Path) -> None:
    request = either.send(run_of(tiny_package, SCAN))
    wait(either, request)
    ranked = answer(either, PointRequest(request, POINT, 3)).values["ranked"]
    expected = Segmenter.from_package(tiny_package, "cpu").features(SCAN).at(np.array(POINT), 3)
    assert [label for label, _ in ranked] == [found.label.id for found in expected]
    np.testing.assert_allclose([p for _, p in ranked], [found.probability for found in expected], atol=1e-6)
    assert answer(either, PointRequest(request, (1e4, 0, 0), 3)).values["ranked"] == []


def test_points_of_an_older_run_are_refused_and_those_of_the_last_good_run_are_kept(
    either: Worker, tiny_package: Path
) -> None:
    old, new = (either.send(run_of(tiny_package, SCAN)) for _ in range(2))
    wait(either, new)
    bad = answer(either, run_of(tiny_package, SCAN.with_array(np.zeros_like(SCAN.array))))
    assert (bad.kind, bad.values["error"]) == ("failed", "InputError")
    refused = answer(either, PointRequest(old, POINT, 3))
    assert refused.kind == "failed"
    assert (
        refused.text
        == "What the network found in that run is not kept any more; press Apply again to ask for single points."
    )
    assert answer(either, PointRequest(new, POINT, 3)).kind == "done"


def test_other_weights_in_the_same_place_are_loaded(either: Worker, tmp_path: Path) -> None:
    path = samples.package(tmp_path).path
    first = answer(either, run_of(path, SCAN))
    loads = answer(either, StatusRequest()).values["loads"]
    save_package(
        path,
        samples.network(seed=1),
        "tiny",
        InputSpec(),
        samples.label_tree(),
        samples.SCHEMA,
        (32, 32, 32),
        "# Tiny\n",
        {"title": "Tiny"},
    )
    second = answer(either, run_of(path, SCAN))
    assert answer(either, StatusRequest()).values["loads"] == loads + 1
    assert not np.array_equal(first.arrays["winners"], second.arrays["winners"])


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"metadata": {"height": 3}}, "MetadataError", "height"),
        ({"device": "toaster"}, "DeviceError", "toaster"),
        ({"model": "/no/model/here"}, "PackageNotFoundError", "/no/model/here"),
        (
            {"volume": CROOKED},
            "ValueError",
            "Something unexpected went wrong in the segmentation (ValueError: a volume's affine is 4x4",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence_and_the_next_run_works(
    changes: dict[str, Any], error: str, text: str, either: Worker, tiny_package: Path
) -> None:
    event = answer(either, run_of(tiny_package, SCAN, **changes))
    assert (event.kind, event.values, event.arrays) == ("failed", {"error": error}, {})
    assert text in event.text
    assert event.text.endswith(".")
    assert f"{error}: " in event.details
    assert answer(either, run_of(tiny_package, SCAN)).kind == "done"


def test_model_that_was_removed_between_runs_is_told(either: Worker, tmp_path: Path) -> None:
    path = samples.package(tmp_path).path
    assert answer(either, run_of(path, SCAN)).kind == "done"
    shutil.rmtree(path)
    event = answer(either, run_of(path, SCAN))
    assert event.values == {"error": "PackageNotFoundError"}
    assert str(path) in event.text


def test_devices_are_told_as_core_finds_them(either: Worker) -> None:
    names = [name for name, _ in answer(either, DevicesRequest()).values["devices"]]
    assert names == [name for name, _ in found_devices()]
    assert answer(either, DevicesRequest()).values["note"] == why_no_gpu()


def test_model_is_installed_once(either: Worker, tiny_package: Path, tmp_path: Path) -> None:
    request = InstallRequest(str(tiny_package), str(tmp_path / "Models"))
    assert answer(either, request).values == {"path": str(tmp_path / "Models" / "tiny"), "name": "tiny"}
    assert answer(either, run_of(tmp_path / "Models" / "tiny", SCAN)).kind == "done"
    assert answer(either, request).values == {"error": "PackageInstallError"}


def test_model_that_cannot_be_written_is_told(either: Worker, tiny_package: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    event = answer(either, InstallRequest(str(tiny_package), str(tmp_path / "file")))
    assert event.values == {"error": "OutputError"}
    assert event.text.startswith("The model cannot be installed in ")


def test_request_that_waits_is_cancelled_and_the_others_are_not(either: Worker, tiny_package: Path) -> None:
    requests = [either.send(run_of(tiny_package, SCAN)) for _ in range(3)]
    either.cancel(requests[1])
    either.cancel(requests[1])
    ended = ends(either)
    assert [ended[request].kind for request in requests] == ["done", "cancelled", "done"]
    assert ended[requests[1]].text == "Cancelled; nothing was changed."


def test_cancelling_what_has_ended_does_nothing(either: Worker) -> None:
    request = either.send(StatusRequest())
    wait(either, request)
    either.cancel(request)
    either.cancel(10**6)
    assert either.poll() == []
    assert answer(either, StatusRequest()).kind == "done"


def test_scan_with_a_channel_too_many_is_refused(either: Worker, tiny_package: Path) -> None:
    two = Volume(np.concatenate([SCAN.array, SCAN.array]), SCAN.affine)
    event = answer(either, run_of(tiny_package, two))
    assert event.values == {"error": "InputError"}
    assert "1 channel" in event.text


@pytest.mark.parametrize("module", ["client", "in_process"])
def test_a_worker_is_at_hand_without_torch(module: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.modules['torch'] = None; import"
        f" LabelConditionedSegmentationLib.worker.{module}"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr == ""


# labels by example


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that learns from examples."""
    return samples.package(
        tmp_path_factory.mktemp("packages"), replace(samples.TINY, examples=True), name="learner"
    ).path


MASK = np.zeros(SCAN.shape, dtype=bool)
MASK[7:12, 10:24, 8:20] = True


def example_of(package: Path, volume: Volume = SCAN) -> ExampleRequest:
    """A structure that the model is shown on a scan."""
    return ExampleRequest(str(package), "cpu", {}, volume, False, "auto", "Lesion", MASK)


def test_an_example_becomes_the_prompt_that_the_segmenter_makes(either: Worker, learner: Path) -> None:
    (expected,) = Segmenter.from_package(learner, "cpu").examples(SCAN, [Example("Lesion", MASK)])
    event = answer(either, example_of(learner))
    assert event.kind == "done"
    assert ExamplePrompt.from_json(event.values["prompt"]) == expected


def test_what_looks_like_a_label_map_is_used_where_the_request_says_that_it_is_a_scan(
    either: Worker, learner: Path
) -> None:
    greys = SCAN.with_array(SCAN.array // 300 * 300)
    for request in (run_of(learner, greys), example_of(learner, greys)):
        refused = answer(either, request)
        assert refused.values == {"error": "InputError"}
        assert "label map or mask" in refused.text
        assert answer(either, replace(request, not_a_label_map=True)).kind == "done"


def test_prompts_are_asked_of_the_features_of_the_last_run(either: Worker, learner: Path) -> None:
    prompt = ExamplePrompt.from_json(answer(either, example_of(learner)).values["prompt"])
    found = Segmenter.from_package(learner, "cpu").features(SCAN)
    middle = float(
        np.dot(prompt.vector, found.kept("look at them").float().mean((0, 1, 2)).numpy())
    )  # half of the voxels lie above it
    opposite = tuple(-v for v in prompt.vector)
    prompts = [
        replace(prompt, bias=-middle),
        replace(prompt, name="Other", vector=opposite, bias=middle, parent="Deep gray matter"),
    ]
    run = either.send(run_of(learner, SCAN))
    wait(either, run)
    passes = answer(either, StatusRequest()).values["trunk_passes"]
    event = answer(either, ExamplesRequest(run, tuple(prompts), (901, 900)))
    expected = found.by_example(prompts, [901, 900]).winner_map()
    assert set(np.unique(expected)) >= {1, 2}
    np.testing.assert_array_equal(event.arrays["winners"], expected)
    assert answer(either, StatusRequest()).values["trunk_passes"] == passes
    assert answer(either, PointRequest(run, POINT, 3)).kind == "done"  # what classes are asked stays


def test_prompts_of_an_older_run_or_of_another_model_are_told(either: Worker, learner: Path) -> None:
    prompt = ExamplePrompt.from_json(answer(either, example_of(learner)).values["prompt"])
    run = either.send(run_of(learner, SCAN))
    wait(either, run)
    old = answer(either, ExamplesRequest(run - 1, (prompt,), (900,)))
    assert old.values == {"error": "NotKeptError"}
    assert (
        old.text
        == "What the network found in that run is not kept any more; press Apply again to ask for labels by example."
    )
    other = answer(either, ExamplesRequest(run, (replace(prompt, weights_sha256="0"),), (900,)))
    assert "was made with another model" in other.text


def test_a_model_that_does_not_learn_from_examples_says_so(either: Worker, tmp_path: Path) -> None:
    event = answer(either, example_of(samples.package(tmp_path, replace(samples.TINY, conditioning="decoder")).path))
    assert event.values == {"error": "InputError"}
    assert "was not trained to learn labels from examples" in event.text


def test_an_example_leaves_the_answers_of_the_last_run(either: Worker, learner: Path) -> None:
    run = either.send(run_of(learner, SCAN))
    wait(either, run)
    waiting = either.send(example_of(learner))
    either.cancel(waiting)
    assert ends(either)[waiting].kind == "cancelled"
    answer(either, example_of(learner))
    assert answer(either, PointRequest(run, POINT, 3)).kind == "done"


@pytest.mark.parametrize(("conditioning", "budget"), [("head", EXAMPLE_BUDGET), ("decoder", FEATURE_BUDGET)])
def test_as_many_features_are_kept_as_the_command_line_keeps_for_labels_by_example(
    tmp_path: Path, conditioning: str, budget: int
) -> None:
    package = samples.package(tmp_path, replace(samples.TINY, conditioning=conditioning)).path
    worker = InProcessWorker()
    assert answer(worker, run_of(package, SCAN)).kind == "done"
    segmenter = worker._server.model._segmenter
    assert segmenter is not None
    assert segmenter.feature_budget == budget


# on their way

PROMPT = ExamplePrompt("Lesion", (0.5, -0.25), 0.125, "tiny", "0")
REQUESTS: tuple[Request, ...] = (
    DevicesRequest(),
    run_of(Path("models/tiny"), SCAN, metadata=KNOWN, not_a_label_map=True),
    PointRequest(3, POINT, 2),
    example_of(Path("models/tiny")),
    ExamplesRequest(3, (PROMPT, replace(PROMPT, name="Other")), (900, 901)),
    InstallRequest("tiny.zip", "models"),
    StatusRequest(),
    StrokesRequest(3, SCAN, np.ones(SCAN.shape, dtype=np.uint16), ("Left Hippocampus",), mend=True),
)


def assert_equal(one: Any, other: Any) -> None:
    """Field for field, through volumes and arrays."""
    assert type(one) is type(other)
    for part in fields(one):
        a, b = getattr(one, part.name), getattr(other, part.name)
        if isinstance(a, Volume):
            assert_equal(a, b)
        elif isinstance(a, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert a == (tuple(b) if isinstance(a, tuple) else b), part.name


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.name)
def test_a_request_arrives_as_it_was_sent(request_: Request) -> None:
    sent = Call.of(7, request_)
    line = to_line({"number": sent.number, "name": sent.name, "values": sent.values})
    arrived = Call(**from_line(line), arrays=sent.arrays)
    assert arrived.number == 7
    assert_equal(request_, arrived.request)


def test_every_request_is_tested_on_its_way() -> None:
    of_the_product = {name for name, kind in Request.by_name.items() if kind.__module__.startswith("LabelConditioned")}
    assert of_the_product == {request.name for request in REQUESTS}


def test_two_requests_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match="'status'"):
        type("OtherStatus", (StatusRequest,), {}, name="status")
    assert Request.by_name["status"] is StatusRequest


@pytest.mark.parametrize(
    ("call", "error"),
    [(Call(1, "dance", {}, {}), "KeyError"), (Call(1, "install", {"from": "tiny.zip"}, {}), "TypeError")],
)
def test_what_is_no_request_of_ours_fails_and_the_next_one_is_answered(call: Call, error: str) -> None:
    server, events = Server(), list[Event]()
    server.serve(call, events.append, CancelToken())
    assert [(event.kind, event.values) for event in events] == [("failed", {"error": error})]
    server.serve(Call.of(2, StatusRequest()), events.append, CancelToken())
    assert events[-1].kind == "done"
