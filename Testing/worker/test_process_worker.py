"""A worker in a process of its own: cancelled, killed, deaf, talking nonsense, orphaned, on a full disk; every time a
sentence, and the next request works.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.worker import launch
from LabelConditionedSegmentationLib.worker.client import ProcessWorker
from LabelConditionedSegmentationLib.worker.protocol import Event
from LabelConditionedSegmentationLib.worker.requests import DevicesRequest, StatusRequest

from Testing import samples
from Testing.host.launcher import python_slicer
from Testing.worker.helpers import WeighRequest, all_gone, answer, children, ends, largest_file, run_of, wait

TOP = Path(__file__).resolve().parents[2]
SMALL = samples.scan((20, 36, 32))
LONG = samples.scan((150, 150, 150))
"""A scan that keeps the tiny model busy for several seconds: hundreds of windows."""

DEAF = "Cancelled; the model will be loaded again at the next run."


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A model in a folder with a space and letters beyond ASCII."""
    return samples.package(tmp_path / "Modelle für alle 日本").path


@pytest.fixture
def running(worker: ProcessWorker, package: Path) -> int:
    """A long run that is in the middle of the network."""
    request = worker.send(run_of(package, LONG))
    assert wait(worker, request, "patch 3 of").kind == "progress"
    return request


def is_one_sentence(event: Event) -> bool:
    return event.text.endswith(".") and "\n" not in event.text and "Traceback" not in event.text


# alive and cancelled


@pytest.mark.slow
def test_polls_return_while_the_network_runs_without_a_thread(worker: ProcessWorker, package: Path) -> None:
    before = threading.active_count()
    request = worker.send(run_of(package, samples.scan((90, 90, 90))))
    wait(worker, request, "patch")
    empty = 0
    events: list[Event] = []
    while not any(event.kind == "done" for event in events):
        new = worker.poll()
        empty += not new
        events += new
        time.sleep(0.002)  # as the application does between polls: a loop that does not takes a core from the network
    assert threading.active_count() <= before  # threads starve inside the application
    assert empty > 20
    assert len({event.text for event in events if "patch" in event.text}) > 20


@pytest.mark.slow
def test_run_is_cancelled_in_the_middle_and_the_model_stays_loaded(
    worker: ProcessWorker, package: Path, running: int
) -> None:
    processes = children()
    worker.cancel(running)
    event = wait(worker, running)
    assert (event.kind, event.text) == ("cancelled", "Cancelled; nothing was changed.")
    assert answer(worker, run_of(package, SMALL)).kind == "done"
    assert answer(worker, StatusRequest()).values["loads"] == 1
    assert children() == processes


@pytest.mark.slow
def test_deaf_process_is_ended_by_cancel_and_what_waited_fails(
    worker: ProcessWorker, package: Path, running: int, places: list[Path]
) -> None:
    waiting = worker.send(run_of(package, SMALL))
    processes = children()
    processes[0].suspend()
    worker.cancel(running)
    ended = ends(worker)
    assert (ended[running].kind, ended[running].text) == ("cancelled", DEAF)
    assert ended[waiting].kind == "failed"
    assert is_one_sentence(ended[waiting])
    assert all_gone(processes)
    assert [list(place.iterdir()) for place in places] == [[], []]
    assert answer(worker, run_of(package, SMALL)).kind == "done"


@pytest.mark.slow
def test_cancel_while_torch_is_loaded_ends_at_once_or_with_the_process(worker: ProcessWorker, package: Path) -> None:
    request = worker.send(run_of(package, LONG))
    wait(worker, request, "loading the model")
    worker.cancel(request)
    assert wait(worker, request).kind == "cancelled"
    assert answer(worker, run_of(package, SMALL)).kind == "done"


def test_what_is_done_too_late_to_be_cancelled_ends_as_cancelled(worker: ProcessWorker) -> None:
    answer(worker, StatusRequest())
    process = children()[0]
    process.suspend()
    request = worker.send(StatusRequest())
    worker.cancel(request)
    process.resume()
    assert wait(worker, request).kind == "cancelled"


@pytest.mark.slow
def test_request_cancelled_while_it_waits_leaves_no_file(
    worker: ProcessWorker, running: int, package: Path, places: list[Path]
) -> None:
    def waiting_files() -> int:
        return sum(path.is_file() for place in places for path in place.rglob("*"))

    assert waiting_files() == 0
    request = worker.send(run_of(package, SMALL))
    assert waiting_files() == 1
    worker.cancel(request)
    assert waiting_files() == 0
    assert [event.kind for event in worker.poll() if event.request == request] == ["cancelled"]


# killed and orphaned


@pytest.mark.slow
def test_killed_process_is_told_and_the_next_run_starts_a_new_one(
    worker: ProcessWorker, package: Path, running: int
) -> None:
    waiting = worker.send(StatusRequest())
    children()[0].kill()
    ended = ends(worker)
    assert [ended[request].kind for request in (running, waiting)] == ["failed", "failed"]
    assert (
        ended[running].text
        == "The segmentation process ended unexpectedly (killed by signal 9: often too little memory). The next run"
        " starts a new one."
    )
    assert ended[running].values == {"error": "ChildProcessError"}
    assert "a segmentation process is started" in ended[running].details
    assert answer(worker, run_of(package, SMALL)).kind == "done"


def test_process_that_died_while_idle_is_replaced(worker: ProcessWorker) -> None:
    answer(worker, StatusRequest())
    old = children()
    old[0].kill()
    os.waitid(os.P_PID, old[0].pid, os.WEXITED | os.WNOWAIT)
    assert answer(worker, StatusRequest()).kind == "done"
    assert children() != old


@pytest.mark.slow
def test_crash_leaves_its_place_in_the_details(worker: ProcessWorker, running: int) -> None:
    children()[0].send_signal(signal.SIGSEGV)
    event = wait(worker, running)
    assert "killed by signal 11" in event.text
    assert "Segmentation fault" in event.details


def test_nothing_is_promised_of_a_process_that_was_killed_below_its_launcher(tmp_path: Path) -> None:
    launched = ProcessWorker(tmp_path / "log", python_slicer(tmp_path))
    assert answer(launched, StatusRequest()).kind == "done"
    request = launched.send(DevicesRequest())
    children()[0].children()[0].kill()
    event = wait(launched, request)
    assert (
        event.text
        == "The segmentation process ended unexpectedly (exit status 1: its log says why, or there was too little"
        " memory). The next run starts a new one."
    )
    assert answer(launched, StatusRequest()).kind == "done"
    launched.close()


def test_process_tree_is_ended_with_the_process(tmp_path: Path, worker: ProcessWorker) -> None:
    launched = ProcessWorker(tmp_path / "log", python_slicer(tmp_path))
    assert answer(launched, StatusRequest()).kind == "done"
    tree = [p for child in children() for p in (child, *child.children(recursive=True))]
    assert len(tree) == 2
    launched.close()
    assert all_gone(tree)


ORPHAN = """
import sys, tempfile
from pathlib import Path
import numpy as np
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.worker import exchange
from LabelConditionedSegmentationLib.worker.client import ProcessWorker
from LabelConditionedSegmentationLib.worker.requests import StatusRequest
from Testing.worker.helpers import answer, children, run_of, wait
folder, package, ending = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
exchange.SHARED_MEMORY, tempfile.tempdir = folder / "shared", str(folder / "temporary")
worker = ProcessWorker(folder / "log")
scan = Volume(np.random.default_rng(0).integers(1, 1000, (1, 150, 150, 150), np.int16), np.eye(4))
answer(worker, StatusRequest())
first = worker.send(run_of(package, scan))
if ending == "kill":
    wait(worker, first, "patch 3 of")
worker.send(run_of(package, scan))
print(children()[0].pid, flush=True)
sys.stdin.readline()
if ending == "forget":
    del worker
    print(len(children()), flush=True)
    sys.stdin.readline()
"""
"""Two runs, the second of which waits and keeps its file; the process ends with its input, so that nothing ends before
it was looked at.
"""


@pytest.mark.parametrize("ending", ["kill", "exit", "forget"])
def test_process_ends_with_its_parent_and_leaves_nothing(ending: str, tmp_path: Path, package: Path) -> None:
    for name in ("shared", "temporary"):
        (tmp_path / name).mkdir()
    path = os.pathsep.join([str(TOP), str(TOP / "LabelConditionedSegmentation")])
    command = [sys.executable, "-c", ORPHAN, str(tmp_path), str(package), ending]
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert any(path.is_file() for path in (tmp_path / "shared").rglob("*"))
        if ending == "kill":
            parent.kill()
        elif ending == "forget":
            print(file=parent.stdin, flush=True)
            assert parent.stdout.readline() == "0\n"
    assert all_gone([child])
    assert [list((tmp_path / name).iterdir()) for name in ("shared", "temporary")] == [[], []]


def test_process_whose_answers_nobody_takes_ends_and_leaves_nothing(tmp_path: Path, places: list[Path]) -> None:
    worker = ProcessWorker(tmp_path / "log")
    answer(worker, StatusRequest())
    processes, child = children(), worker._child
    assert child is not None
    assert child._process.stdout is not None
    child._process.stdout.close()
    worker.send(StatusRequest())
    assert all_gone(processes)
    assert [list(place.iterdir()) for place in places] == [[], []]
    worker.close()


@pytest.mark.slow
def test_close_ends_a_run_and_may_be_called_twice(worker: ProcessWorker, running: int, places: list[Path]) -> None:
    processes = children()
    worker.close()
    worker.close()
    assert all_gone(processes)
    assert not worker.busy
    assert worker.poll() == []
    assert [list(place.iterdir()) for place in places] == [[], []]
    assert answer(worker, StatusRequest()).kind == "done"


@pytest.mark.slow
def test_result_outlives_the_process(worker: ProcessWorker, package: Path) -> None:
    winners = answer(worker, run_of(package, SMALL)).arrays["winners"]
    before = winners.copy()
    worker.close()
    assert len(np.unique(winners)) > 3
    assert np.array_equal(winners, before)


# nonsense

GOOD = {"request": 1, "kind": "done", "fraction": 1.0, "text": "", "values": {}, "arrays": {}, "details": ""}
CLAIM = {"file": "/etc/hostname", "dtype": "|u1", "shape": [1]}

NONSENSE: dict[str, str] = {
    "no JSON": "say('Intel MKL WARNING')",
    "no text": "sys.stdout.buffer.write(b'\\xff\\xfe\\n')",
    "no object": "say('[1, 2]')",
    "nested without end": "say('[' * 100000)",
    "a huge number": "say('9' * 100000)",
    "no event": "say('{}')",
    "unknown request": "tell(request=2)",
    "unknown kind": "tell(kind='finished')",
    "fraction beyond 1": "tell(kind='progress', fraction=2.5)",
    "not a fraction": "tell(kind='progress', fraction=float('nan'))",
    "text that is a number": "tell(text=3)",
    "values that are a list": "tell(values=[])",
    "one part too many": "tell(more=1)",
    "a file that is none of ours": f"tell(arrays={{'winners': {CLAIM}}})",
    "an array that is a word": "tell(arrays={'winners': 'here'})",
    "two ends": "tell(); tell()",
    "a line without end": "while True: sys.stdout.write('x' * 65536)",
    "lines without end": "while True: say('{')",
}

TALKER = """#!{python}
import json, os, sys
def say(line): print(line, flush=True)
def tell(**changes): say(json.dumps({{**{good}, **changes}}))
if os.path.exists({flag!r}):
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
open({flag!r}, "w").close()
sys.stdin.readline()
{nonsense}
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_ends_the_process_with_a_sentence_and_the_next_request_works(
    kind: str, tmp_path: Path, places: list[Path]
) -> None:
    script = tmp_path / "talker.py"
    script.write_text(
        TALKER.format(python=sys.executable, good=GOOD, flag=str(tmp_path / "flag"), nonsense=NONSENSE[kind])
    )
    worker = ProcessWorker(tmp_path / "log", [sys.executable, str(script)])
    first, second = worker.send(StatusRequest()), worker.send(StatusRequest())
    talkers = children()
    ended = ends(worker)
    if kind == "two ends":  # of which the first is fine
        assert ended.pop(first).kind == "done"
    for event in ended.values():
        assert (event.kind, event.values) == ("failed", {"error": "ProtocolError"})
        assert (
            event.text
            == "The segmentation process sent something that cannot be understood and was ended; the next run starts a"
            " new one."
        )
    assert second in ended
    assert all_gone(talkers)
    assert answer(worker, StatusRequest()).kind == "done"
    worker.close()
    assert [list(place.iterdir()) for place in places] == [[], []]


@pytest.mark.parametrize("python", [["/no/such/python"], [sys.executable, "/no/such/script.py"], ["/bin/false"]])
def test_interpreter_that_does_not_work_is_told(python: list[str], tmp_path: Path, places: list[Path]) -> None:
    worker = ProcessWorker(tmp_path / "log", python)
    event = answer(worker, StatusRequest())
    assert event.kind == "failed"
    assert is_one_sentence(event)
    assert not worker.busy
    assert [list(place.iterdir()) for place in places] == [[], []]


OTHER_PROCESS = """
import os, sys
sys.path.insert(0, {source!r})
from LabelConditionedSegmentationLib.worker import process, serving
{change}
process.main(sys.argv[6:])
"""

LOUD = """
class LoudServer(serving.Server):
    def serve(self, *arguments):
        print("printed by Python", repr(sys.stdin.read()))
        os.system("echo printed by a shell")
        super().serve(*arguments)
process.Server = LoudServer
"""


def other_worker(folder: Path, change: str) -> ProcessWorker:
    """A worker whose process is changed by some lines of Python."""
    script = folder / "process.py"
    script.write_text(OTHER_PROCESS.format(source=str(TOP / "LabelConditionedSegmentation"), change=change))
    return ProcessWorker(folder / "log", [sys.executable, str(script)])


def test_what_libraries_print_goes_to_the_log_and_what_they_read_is_empty(tmp_path: Path, places: list[Path]) -> None:
    worker = other_worker(tmp_path, LOUD)
    assert answer(worker, StatusRequest()).kind == "done"
    worker.close()
    text = worker.log_file.read_text()
    assert "printed by Python ''" in text
    assert "printed by a shell" in text


def test_missing_torch_is_a_sentence(tmp_path: Path, places: list[Path]) -> None:
    worker = other_worker(tmp_path, "sys.modules['torch'] = None")
    assert answer(worker, StatusRequest()).kind == "done"
    event = answer(worker, DevicesRequest())
    assert event.kind == "failed"
    assert event.text.startswith("PyTorch, or something it needs, cannot be loaded (")
    assert is_one_sentence(event)
    worker.close()


# requests larger than a pipe

LARGE = WeighRequest("".join(map(str, range(200_000))))
"""1 MiB."""

WEIGHING = f"sys.path.append({str(TOP)!r}); import Testing.worker.helpers"


@pytest.fixture
def weighing(tmp_path: Path, places: list[Path]) -> Iterator[ProcessWorker]:
    """A worker that knows the request of the tests."""
    worker = other_worker(tmp_path, WEIGHING)
    yield worker
    worker.close()
    assert [list(place.iterdir()) for place in places] == [[], []]


def unsent(worker: ProcessWorker) -> int:
    """Bytes that wait to be sent."""
    assert worker._child is not None
    return len(worker._child._unsent)


def test_request_of_a_megabyte_arrives_whole(weighing: ProcessWorker) -> None:
    assert len(LARGE.text) > 2**20
    for _ in range(3):
        assert answer(weighing, LARGE).values["read"] == LARGE.weight


def test_large_requests_wait_for_a_busy_process_without_blocking(weighing: ProcessWorker) -> None:
    answer(weighing, StatusRequest())
    (process,) = children()
    process.suspend()
    sent = [WeighRequest(LARGE.text + mark) for mark in "ab"]
    requests = [weighing.send(request) for request in sent]
    for _ in range(20):
        assert weighing.poll() == []  # it comes back while the process stands still
    assert 2**19 < unsent(weighing) < 2**21  # of the first alone
    process.resume()
    events = [wait(weighing, request) for request in requests]
    assert [event.values["read"] for event in events] == [request.weight for request in sent]
    assert unsent(weighing) == 0


def test_cancel_of_a_request_that_is_half_sent_leaves_the_process_whole(weighing: ProcessWorker) -> None:
    answer(weighing, StatusRequest())
    (process,) = children()
    process.suspend()
    request = weighing.send(LARGE)
    weighing.poll()
    assert unsent(weighing) > 2**19
    weighing.cancel(request)
    process.resume()
    assert (wait(weighing, request).kind, children()) == ("cancelled", [process])
    assert answer(weighing, LARGE).values["read"] == LARGE.weight


def test_process_that_never_reads_is_cancelled_and_closed_at_once(tmp_path: Path, places: list[Path]) -> None:
    deaf = ProcessWorker(tmp_path / "log", [sys.executable, "-c", "import time; time.sleep(600)"])
    request = deaf.send(LARGE)
    processes = children()
    for _ in range(20):
        assert deaf.poll() == []  # it comes back though nobody reads
    waiting = [deaf.send(LARGE) for _ in range(20)]
    deaf.cancel(waiting.pop())
    assert unsent(deaf) < 1.1 * len(LARGE.text)
    deaf.cancel(request)
    ended = ends(deaf)
    assert (ended[request].kind, ended[request].text) == ("cancelled", DEAF)
    assert [ended[n].kind for n in waiting] == ["failed"] * 19
    assert all_gone(processes)
    deaf.send(LARGE)
    (other,) = children()
    deaf.close()  # without waiting for the ten minutes that it sleeps
    assert all_gone([other])
    assert [list(place.iterdir()) for place in places] == [[], []]


def test_end_of_a_request_that_was_not_read_is_nonsense(tmp_path: Path, places: list[Path]) -> None:
    """Else a process that answers without reading would make what waits to be sent grow without end."""
    script = f"import json, time; print(json.dumps({GOOD}), flush=True); time.sleep(600)"
    liar = ProcessWorker(tmp_path / "log", [sys.executable, "-c", script])
    event = answer(liar, LARGE)
    assert (event.kind, event.values) == ("failed", {"error": "ProtocolError"})
    assert not liar.busy
    liar.close()


# full disk and log


@pytest.mark.slow
def test_scan_that_does_not_fit_the_disk_is_refused_and_the_next_one_works(
    worker: ProcessWorker, package: Path
) -> None:
    with largest_file(1_000_000):
        with pytest.raises(OutputError, match=r"free disk space in .*\.$"):
            worker.send(run_of(package, LONG))
        assert not worker.busy
        assert answer(worker, run_of(package, SMALL)).kind == "done"


@pytest.mark.slow
def test_result_that_does_not_fit_the_disk_is_told(worker: ProcessWorker, package: Path) -> None:
    with largest_file(5_000):
        assert answer(worker, StatusRequest()).kind == "done"  # the process is started with a full disk
    event = answer(worker, run_of(package, SMALL))
    assert (event.kind, event.values, event.arrays) == ("failed", {"error": "OutputError"}, {})
    assert "free disk space in" in event.text
    assert answer(worker, StatusRequest()).kind == "done"


def test_log_is_kept_and_starts_anew_when_it_has_grown_large(
    worker: ProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        answer(worker, StatusRequest())
        worker.close()
    assert worker.log_file.read_text().count("a segmentation process is started") == 2
    monkeypatch.setattr(launch, "LARGEST_LOG", worker.log_file.stat().st_size - 1)
    answer(worker, StatusRequest())
    assert worker.log_file.read_text().count("a segmentation process is started") == 1
