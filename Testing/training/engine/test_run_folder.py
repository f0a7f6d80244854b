"""One run at a time writes to a folder, and what ended, however it ended, stands in nobody's way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.core.errors import OutputError

from Training.engine.run_folder import held_alone

HOLD = """
import os, sys, time
from pathlib import Path
from Training.engine.run_folder import held_alone
with held_alone(Path(sys.argv[1])):
    {inside}
    print(os.getpid(), flush=True)
    time.sleep(60)
"""

WITH_A_FORKED_CHILD = """
    lives = Path(sys.argv[1]) / "lives"
    if os.fork() == 0:
        lives.touch()
        time.sleep(60)
    while not lives.exists():
        time.sleep(0.01)
"""


@contextmanager
def holder(folder: Path, inside: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder."""
    command = [sys.executable, "-c", HOLD.format(inside=inside), str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_second_run_is_refused_while_the_first_lives_and_told_which_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with (
        holder(folder) as first,
        pytest.raises(OutputError, match=rf'process {first.pid} on .* is writing to "{folder}".*another output'),
        held_alone(folder),
    ):
        pytest.fail("two runs have one folder")
    assert folder.is_dir()


def test_a_run_that_was_killed_leaves_the_folder_to_the_next_at_once(tmp_path: Path) -> None:
    with holder(tmp_path / "run") as first:
        first.kill()
        first.wait()
        (tmp_path / "run" / "log.csv").touch()
        with held_alone(tmp_path / "run"):
            pass
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["log.csv"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_processes_that_outlive_a_killed_run_do_not_hold_its_folder(tmp_path: Path) -> None:
    with holder(tmp_path / "run", WITH_A_FORKED_CHILD) as first:
        first.kill()
        first.wait()
        os.killpg(first.pid, 0)  # the child lives
        with held_alone(tmp_path / "run"):
            pass


def test_a_run_that_ended_leaves_nothing_of_its_own(tmp_path: Path) -> None:
    with held_alone(tmp_path / "empty"):
        assert (tmp_path / "empty").is_dir()
    assert not (tmp_path / "empty").exists()
    (tmp_path / "kept").mkdir()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), held_alone(tmp_path / "kept"):
            1 / 0  # noqa: B018
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.slow
def test_of_many_that_come_at_once_one_has_the_folder(tmp_path: Path) -> None:
    """Each that gets it sees nobody else inside, also where the one before is just leaving."""
    program = """
import os, sys, time
from pathlib import Path
from LabelConditionedSegmentationLib.core.errors import OutputError
from Training.engine.run_folder import held_alone
folder, entered = Path(sys.argv[1]), 0
until = time.monotonic() + 3
while time.monotonic() < until:
    try:
        with held_alone(folder):
            os.mkdir(folder / "inside")
            os.rmdir(folder / "inside")
            entered += 1
    except OutputError:
        pass
print(entered)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "run")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    counts = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    assert sum(map(int, counts)) > 20
    assert min(map(int, counts)) > 0


@pytest.mark.skipif(sys.platform == "win32", reason="the error of another system")
def test_a_file_system_without_locks_is_told_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", without)
    with held_alone(tmp_path / "run"):
        pass
    assert "has no locks: see to it yourself" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match=r"file/run.* cannot be written to: Not a directory"),
        held_alone(tmp_path / "file" / "run"),
    ):
        pytest.fail("there is no folder")
