"""`lcs segment --scheduler` and `--workers`: a real scheduler of Dask and real worker processes, which die, get
lost and come back.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import dask_jobqueue
import pytest
import torch
from distributed import Client
from LabelConditionedSegmentationLib.cli import crew as crews
from LabelConditionedSegmentationLib.cli import warm_model
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.cli.options import build_parser

from Testing import samples
from Testing.cli.command import ENVIRONMENT, LCS, contents, one_sentence, write_scan
from Testing.cli.odd_workers import FOLDER
from Testing.cli.test_batches import Batch
from Testing.test_documentation import blocks

TOP = Path(__file__).resolve().parents[2]
PLACES = {"PYTHONPATH": os.pathsep.join([str(TOP), str(TOP / "LabelConditionedSegmentation")])}
"""Where new processes find the tests, and what is tested."""

LONG = 300
"""Seconds after which what is waited for will not come."""


class Crew:
    """A scheduler on this machine, and its worker processes, each with a watchman that starts it again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **PLACES,
            FOLDER: str(self.folder),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--no-dashboard"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        self.file.unlink(missing_ok=True)
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--scheduler-file", str(self.file)]
        process = self.start("scheduler", *place)
        until(self.file.exists)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        odd = ["--preload", "Testing.cli.odd_workers", "--local-directory", str(self.folder / "scratch")]
        size = ["--nthreads", "2", "--resources", "GPU=1", "--memory-limit", "0"]
        return self.start("worker", "--scheduler-file", str(self.file), *size, *odd)

    def odd(self, name: str, text: str = "") -> Path:
        """A file for `odd_workers`."""
        path = self.folder / name
        path.write_text(text)
        return path

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)


def until(happened: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < LONG
        time.sleep(0.02)


@pytest.fixture(scope="module")
def lasting_crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """A scheduler with two workers, which may be on their way."""
    crew = Crew(tmp_path_factory.mktemp("crew"))
    try:
        crew.start_scheduler()
        crew.start_worker()
        crew.start_worker()
        yield crew
    finally:
        crew.close()


@pytest.fixture
def crew(lasting_crew: Crew) -> Crew:
    """A scheduler with two workers that are there, also those in place of some that a test has killed."""
    with Client(f"tcp://127.0.0.1:{lasting_crew.port}", timeout=LONG) as client:
        client.wait_for_workers(2, LONG)
    return lasting_crew


@pytest.fixture
def batch(tiny_package: Path, tmp_path: Path) -> Batch:
    return Batch(tmp_path, tiny_package, "abcd")


def beside(work: Callable[[], None]) -> threading.Thread:
    """Start what happens while the command runs, in this process, whose main thread the signals go to."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_results_and_tables_are_those_of_one_process_wherever_the_workers_are(
    crew: Crew, batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.scan("bad").write_bytes(b"no image")
    monkeypatch.chdir(batch.folder)
    batch.package = Path(os.path.relpath(batch.package))
    words = ["segment", "scans", "-r", "-o", "out/{name}.mha", "--volumes", "v.csv", "--report", "r.json"]
    words += ["--model", f"./{batch.package}"]
    assert main(words) == 1
    alone = contents(batch.folder / "out")
    rows = batch.rows()
    runs = json.loads(batch.report.read_text())["runs"]
    shutil.rmtree("out")
    capsys.readouterr()
    assert main([*words, "--overwrite", "--scheduler", str(crew.file)]) == 1
    assert contents(batch.folder / "out") == alone
    assert sorted(map(str, batch.rows())) == sorted(map(str, rows))
    divided = json.loads(batch.report.read_text())["runs"]
    told = ("scan", "output", "findings", "metadata")
    assert sorted(str([run[key] for key in told]) for run in divided) == sorted(
        str([run[key] for key in told]) for run in runs
    )
    said = capsys.readouterr().err.splitlines()
    assert "scans/a.nii.gz -> out/a.mha" in "\n".join(said)
    assert len([line for line in said if line.startswith("FAILED scans/bad.nii.gz: ")]) == 1
    assert said[-1] == "lcs: 1 of 5 scans failed; the others are done."


def test_a_scan_whose_worker_is_killed_is_done_by_another_one(crew: Crew, batch: Batch) -> None:
    deaths = crew.odd("b.deaths", "1")
    assert main(batch.words("--scheduler", f"tcp://127.0.0.1:{crew.port}")) == 0
    assert deaths.read_text() == "0"
    assert sorted(batch.in_volumes()) == sorted(batch.in_report()) == list("abcd")
    assert {path.suffix for path in contents(batch.folder / "out")} == {".mha", ".json"}


def test_a_scan_that_kills_every_worker_is_told_and_no_other_one_suffers(
    crew: Crew, batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    deaths = crew.odd("c.deaths", "9")
    try:
        assert main(batch.words("--scheduler", str(crew.file))) == 1
        assert deaths.read_text() == "6"
    finally:
        deaths.unlink()
    said = capsys.readouterr().err.splitlines()
    assert "The workers that had it in hand died, 3 of them" in next(line for line in said if line.startswith("FAILED"))
    assert said[-1] == "lcs: 1 of 4 scans failed; the others are done."
    assert sorted(batch.in_volumes()) == sorted(batch.in_report()) == list("abd")
    assert main(batch.words("--scheduler", str(crew.file), "--skip-existing")) == 0
    assert batch.in_volumes()[-1] == batch.in_report()[-1] == "c"


def test_ctrl_c_keeps_what_is_done_and_leaves_the_workers_ready(
    crew: Crew, batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = [crew.odd("c.held"), crew.odd("d.held")]

    def interrupt() -> None:
        until(lambda: batch.report.exists() and len(batch.in_report()) == 2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = beside(interrupt)
    try:
        assert main(batch.words("--scheduler", str(crew.file))) == 130
    finally:
        thread.join()
        for file in held:
            file.unlink()
    last = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 4 scans are done" in last
    assert "--skip-existing" in last
    assert sorted(batch.in_volumes()) == sorted(batch.in_report()) == ["a", "b"]
    assert {path.stem for path in contents(batch.folder / "out")} == {"a", "b"}
    assert main(batch.words("--scheduler", str(crew.file), "--skip-existing")) == 0
    assert sorted(batch.in_volumes()) == list("abcd")


def test_a_label_that_is_shown_is_learned_once_and_known_to_the_workers(crew: Crew, tmp_path: Path) -> None:
    package = samples.package(tmp_path, samples.SEEING, patch=(32, 32, 32), made=samples.seeing_network()).path
    batch = Batch(tmp_path / "batch", package, "ab")
    atlas, masks = samples.scan_of_parts((16, 18, 20))
    write_scan(tmp_path / "atlas.nii.gz", atlas)
    write_scan(tmp_path / "mask.nii.gz", atlas.with_array(masks["bright"].astype("uint8")))
    shown = ["--example", f"{tmp_path}/atlas.nii.gz", f"{tmp_path}/mask.nii.gz", "--name", "x"]
    words = batch.words(*shown, "--save-label", f"{tmp_path}/x.lcs-label.json")
    assert main(words) == 0
    alone = contents(batch.folder / "out")
    shutil.rmtree(batch.folder / "out")
    (tmp_path / "x.lcs-label.json").unlink()
    assert main([*words, "--overwrite", "--scheduler", str(crew.file)]) == 0
    assert contents(batch.folder / "out") == alone
    assert (tmp_path / "x.lcs-label.json").exists()


def test_a_data_set_of_bids_is_divided_too(crew: Crew, tiny_package: Path, tmp_path: Path) -> None:
    for subject in ("01", "02"):
        write_scan(tmp_path / f"study/sub-{subject}/anat/sub-{subject}_T1w.nii.gz", samples.scan((16, 18, 20)))
    (tmp_path / "study" / "dataset_description.json").write_text('{"Name": "Study", "BIDSVersion": "1.10.0"}')
    results = {}
    for name, more in (("alone", []), ("divided", ["--scheduler", str(crew.file)])):
        words = ["bids", str(tmp_path / "study"), str(tmp_path / name), "participant", "--model", str(tiny_package)]
        assert main([*words, *more]) == 0
        found = contents(tmp_path / name)
        results[name] = {path.relative_to(tmp_path / name): text for path, text in found.items()}
    differ = {path for path in results["alone"] if results["alone"][path] != results["divided"].get(path)}
    assert results["alone"].keys() == results["divided"].keys()
    assert {path.name.rpartition("_")[2] for path in differ} == {"report.json"}  # which has times and places


def test_what_is_wrong_with_the_only_scan_is_a_refusal(
    crew: Crew, batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch.scan("a").write_bytes(b"no image")
    words = ["segment", str(batch.scan("a")), "-o", str(batch.result("a")), "--model", str(batch.package)]
    assert main([*words, "--scheduler", str(crew.file)]) == 2
    assert "cannot be read as an image" in one_sentence(capsys.readouterr().err)


def test_workers_of_another_version_are_refused(
    crew: Crew, batch: Batch, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_model, "__version__", "9.9")
    assert main(batch.words("--scheduler", str(crew.file))) == 2
    assert "need this package in the version 9.9, but have " in one_sentence(capsys.readouterr().err)


def test_a_model_that_workers_cannot_load_is_refused_once(
    crew: Crew, batch: Batch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = batch.package / "weights.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + b"oops")
    try:
        assert main(batch.words("--scheduler", str(crew.file))) == 2
    finally:
        weights.write_bytes(before)
    assert "cannot load the model: " in one_sentence(capsys.readouterr().err)
    assert not (batch.folder / "out").exists()


@pytest.mark.slow
def test_a_scheduler_that_is_started_anew_ends_the_run_with_a_sentence_and_it_goes_on(
    batch: Batch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crew = Crew(tmp_path)
    held = [crew.odd("c.held"), crew.odd("d.held")]

    def restart() -> None:
        until(lambda: batch.report.exists() and len(batch.in_report()) == 2)
        first.kill()
        first.wait()
        crew.start_scheduler()

    try:
        first = crew.start_scheduler()
        crew.start_worker()
        thread = beside(restart)
        assert main(batch.words("--scheduler", str(crew.file))) == 1
        thread.join()
        last = capsys.readouterr().err.splitlines()[-1]
        assert f"The scheduler tcp://127.0.0.1:{crew.port} ended, or was started anew" in last
        assert "2 of 4 scans are done" in last
        assert "--skip-existing" in last
        assert sorted(batch.in_volumes()) == ["a", "b"]
        for file in held:
            file.unlink()
        crew.start_worker()
        assert main(batch.words("--scheduler", str(crew.file), "--skip-existing")) == 0
        assert sorted(batch.in_volumes()) == sorted(batch.in_report()) == list("abcd")
    finally:
        crew.close()


def test_workers_of_this_machine_share_its_cores_and_one_that_is_killed_is_replaced(
    batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(crews, "CPU_COUNT", 4)
    (tmp_path / "a.deaths").write_text("1")
    with dask.config.set({"distributed.worker.preload": ["Testing.cli.odd_workers"]}):
        assert main(batch.words("--workers", "2", "--device", "cpu")) == 0
    assert (tmp_path / "a.deaths").read_text() == "0"
    assert sorted(batch.in_volumes()) == sorted(batch.in_report()) == list("abcd")
    assert {run["device"] for run in json.loads(batch.report.read_text())["runs"]} == {"CPU, 2 threads"}
    assert capsys.readouterr().err.startswith("workers: 2 of 2 threads, on cpu\n")


@pytest.mark.slow
def test_ctrl_c_at_the_terminal_ends_the_workers_of_this_machine_too(batch: Batch, tmp_path: Path) -> None:
    """It goes to every process of the terminal."""
    for name in ("c", "d"):
        (tmp_path / f"{name}.held").touch()
    odd = {FOLDER: str(tmp_path), "DASK_DISTRIBUTED__WORKER__PRELOAD": "Testing.cli.odd_workers"}
    process = subprocess.Popen(
        [*LCS, *batch.words("--workers", "2", "--device", "cpu")],
        env={**ENVIRONMENT, **PLACES, **odd},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: batch.report.exists() and len(batch.in_report()) == 2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=LONG)
    assert process.returncode == 130
    assert said.startswith("workers: 2 of ")
    assert len(said.splitlines()) == 4  # the workers, two scans, and how to go on
    assert "2 of 4 scans are done" in said.splitlines()[-1]
    assert sorted(batch.in_volumes()) == ["a", "b"]


@pytest.mark.slow
def test_nobody_else_can_give_work_to_the_workers_of_this_machine() -> None:
    with crews._processes(1, 1) as cluster:
        address = cluster.scheduler_address
        for other in (address, address.replace("tls://", "tcp://")):
            with pytest.raises((OSError, TypeError)):
                Client(other, timeout=5)
        with Client(cluster) as client:
            assert client.submit(sum, [1, 2]).result() == 3


@pytest.mark.parametrize("kind", ["SLURM", "PBS"])
def test_the_page_starts_jobs_of_a_queue_with_a_gpu_each(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the queue itself, which a test has not."""
    (block,) = (block for block in blocks(TOP / "Documentation" / "command_line.md", "python") if f"{kind}C" in block)
    cluster = getattr(dask_jobqueue, f"{kind}Cluster")
    scripts: list[tuple[int, str]] = []
    commands: list[list[str]] = []
    monkeypatch.setattr(cluster, "scale", lambda self, jobs: scripts.append((jobs, self.job_script())))
    monkeypatch.setattr(subprocess, "run", lambda words, check: commands.append(words))
    exec(compile(block, kind, "exec"), {})
    (count, script), *_ = scripts
    assert count == 8
    assert " --resources GPU=1" in script
    assert " --nthreads 4 " in script
    assert "gpu" in next(line for line in script.splitlines() if "gres" in line or "select" in line)
    arguments = build_parser().parse_args(commands[0][1:])
    assert arguments.scheduler.startswith("tcp://")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "0"], "ask for at least 1"),
        (["--scheduler", "nonsense"], "neither the address of a scheduler, such as tcp://10.0.0.1:8786, nor a"),
        (["--scheduler", "missing/scheduler.json"], "nor a scheduler file that is there"),
        (["--scheduler", "broken.json"], '"broken.json" is no scheduler file'),
        (["--scheduler", "tcp://127.0.0.1:1"], "No scheduler answers at tcp://127.0.0.1:1"),
        (["--scheduler", "old.json"], "No scheduler answers at tcp://127.0.0.1:1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_divide_scans_is_refused_with_a_sentence(
    words: list[str], said: str, batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(batch.folder)
    monkeypatch.setattr(crews, "PATIENCE", 1)
    Path("broken.json").write_text('{"workers": 3}')
    Path("old.json").write_text('{"address": "tcp://127.0.0.1:1"}')
    assert main(batch.words(*words)) == 2
    assert said in one_sentence(capsys.readouterr().err)


def test_where_dask_is_missing_the_command_that_installs_it_is_told(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "distributed" else find(name))
    assert main(batch.words("--workers", "2")) == 2
    assert "pip install distributed cryptography" in one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("workers", "device", "expected"),
    [
        (3, "cpu", ("cpu", "cpu", "cpu")),
        (1, "auto", ("cuda:0",)),
        (4, "cuda", ("cuda:0", "cuda:1")),
        (2, "cuda:1", ("cuda:1",)),
    ],
)
def test_a_gpu_gets_one_worker(
    workers: int,
    device: str,
    expected: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert crews.devices_for(workers, device) == expected
    assert ("A GPU holds one model" in capsys.readouterr().err) == (workers > len(expected))
