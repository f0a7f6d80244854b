"""Standard output and error that are closed, full or left: no traceback, results are written, and the exit status says
what became of the answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree

from Testing import samples
from Testing.cli.command import ENVIRONMENT, LCS, contents, one_sentence, write_scan

FULL = Path("/dev/full")

BUFFERED = {name: value for name, value in ENVIRONMENT.items() if name != "PYTHONUNBUFFERED"}
"""As on most machines: what could not be written waits for the end of the process, and fails there again."""


def run(
    words: list[str], stdout: str = "", stderr: str = "", before: Callable[[], None] | None = None
) -> tuple[int, str, str]:
    """Exit status, output and errors of a command whose streams lead to these files; those that are not named are read
    here.
    """
    streams = [open(path, "w") if path else subprocess.PIPE for path in (stdout, stderr)]  # noqa: SIM115
    done = subprocess.run(
        [*LCS, *words], stdout=streams[0], stderr=streams[1], env=BUFFERED, preexec_fn=before, timeout=120, text=True
    )
    for stream in streams:
        if not isinstance(stream, int):
            stream.close()
    return done.returncode, done.stdout or "", done.stderr or ""


def closing(*descriptors: int) -> Callable[[], None]:
    def close() -> None:
        for number in descriptors:
            os.close(number)

    return close


@pytest.fixture
def words(tiny_package: Path, tmp_path: Path) -> list[str]:
    scan = write_scan(tmp_path / "scan.nii.gz", samples.scan((16, 18, 20)))
    return ["segment", str(scan), "-o", str(tmp_path / "out" / "result.mha"), "--model", str(tiny_package)]


@pytest.mark.slow
@pytest.mark.parametrize("closed", [(2,), (1,), (0, 1, 2)], ids=str)
def test_results_are_written_though_streams_are_closed(
    closed: tuple[int, ...], words: list[str], tmp_path: Path
) -> None:
    assert run(words)[0] == 0
    whole = contents(tmp_path / "out")
    status, _, stderr = run([*words, "--overwrite"], before=closing(*closed))
    assert status == 0
    assert "Traceback" not in stderr
    assert contents(tmp_path / "out") == whole  # and no message of a library is in them


def test_no_file_is_opened_under_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """Else libraries would write their messages into it."""
    code = """
import os, sys
from LabelConditionedSegmentationLib.cli.terminal import forgiving
with forgiving(), open(sys.argv[1], "w") as file:
    os.write(2, b"a message of a library")
    file.write(str(file.fileno()))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "file")]
    subprocess.run(command, env=BUFFERED, preexec_fn=closing(0, 1, 2), timeout=60, check=True)
    assert int((tmp_path / "file").read_text()) > 2


@pytest.mark.slow
@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
def test_results_are_written_though_standard_error_is_full(words: list[str], tmp_path: Path) -> None:
    assert run(words, stderr="/dev/full")[0] == 0
    assert {path.name for path in contents(tmp_path / "out")} == {"result.mha", "result.json"}


def test_a_refusal_that_nobody_can_read_keeps_its_status(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").unlink()
    assert run(words, before=closing(2))[0] == 2
    assert run([*words, "--nonsense"], before=closing(1, 2))[0] == 2


@pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("command", [["labels"], ["models"], ["--help"], ["segment", "--help"]], ids=" ".join)
def test_an_answer_that_cannot_be_written_is_a_failure_in_one_sentence(command: list[str]) -> None:
    status, _, stderr = run(command, stdout="/dev/full")
    assert status == 2
    assert "No space left on device" in one_sentence(stderr)
    status, _, stderr = run(command, before=closing(1))
    assert status == 2
    assert "standard output is closed" in one_sentence(stderr)
    assert run(command, stdout="/dev/full", stderr="/dev/full")[0] == 2


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    process = subprocess.Popen([*LCS, "labels"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=BUFFERED)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before anything was written
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


def test_letters_that_standard_output_does_not_know_are_written_with_backslashes(tmp_path: Path) -> None:
    package = samples.package(tmp_path, tree=LabelTree((Label(1, "Körner 層"), Label(2, "other")))).path
    done = subprocess.run(
        [*LCS, "labels", "--model", str(package)],
        capture_output=True,
        env={**BUFFERED, "PYTHONIOENCODING": "ascii"},
        timeout=60,
        check=True,
    )
    assert b"K\\xf6rner \\u5c64" in done.stdout
