"""Batches of `lcs segment`: tables that grow, nothing kept of a scan that is done, and going on after Ctrl-C, kill -9
or a full disk.
"""

from __future__ import annotations

import csv
import gc
import json
import signal
import subprocess
import time
import weakref
from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib.cli import scan_steps
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.core.inference.result import Result
from LabelConditionedSegmentationLib.core.scan import whole_files

from Testing import samples
from Testing.cli.command import ENVIRONMENT, LCS, contents, one_sentence, write_scan


class Batch:
    """A folder of scans, and the command that segments them into tables and files."""

    def __init__(self, folder: Path, package: Path, names: str) -> None:
        self.folder, self.package = folder, package
        self.volumes, self.report = folder / "v.csv", folder / "r.json"
        for n, name in enumerate(names):
            write_scan(self.scan(name), samples.scan((16, 18, 20), seed=n))

    def scan(self, name: str) -> Path:
        return self.folder / "scans" / f"{name}.nii.gz"

    def result(self, name: str) -> Path:
        return self.folder / "out" / f"{name}.mha"

    def words(self, *more: str) -> list[str]:
        scans = ["segment", f"{self.folder}/scans", "-r", "-o", f"{self.folder}/out/{{name}}.mha"]
        tables = ["--volumes", str(self.volumes), "--report", str(self.report)]
        return [*scans, "--model", str(self.package), *tables, *more]

    def rows(self) -> list[dict[str, str]]:
        with self.volumes.open(newline="") as file:
            return list(csv.DictReader(file))

    def in_volumes(self) -> list[str]:
        """Names of the scans in the table, in order, each once; every one has a row a label."""
        names = [Path(row["scan"]).name.partition(".")[0] for row in self.rows()]
        assert all(names.count(name) == len(samples.label_tree().leaves) for name in names)
        return list(dict.fromkeys(names))

    def in_report(self) -> list[str]:
        runs = json.loads(self.report.read_text())["runs"]
        return [Path(run["scan"]).name.partition(".")[0] for run in runs]


@pytest.fixture
def batch(tiny_package: Path, tmp_path: Path) -> Batch:
    return Batch(tmp_path, tiny_package, "abcd")


def test_tables_hold_every_scan_as_soon_as_it_is_written(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    write_all = whole_files.write_all

    def watched(files: dict[Path, Any]) -> None:
        write_all(files)
        assert batch.in_volumes() == batch.in_report()
        seen.append(batch.in_volumes())
        assert all(batch.result(name).exists() for name in seen[-1])

    monkeypatch.setattr(scan_steps, "write_all", watched)
    assert main(batch.words()) == 0
    assert seen == [["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"]]


@pytest.mark.slow
def test_nothing_is_kept_of_a_scan_that_is_done(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[weakref.ref[Result]] = []
    files = Result.files

    def watched(result: Result, path: Path) -> dict[Path, whole_files.Writer]:
        gc.collect()
        assert [earlier() for earlier in results] == [None] * len(results)
        results.append(weakref.ref(result))
        return files(result, path)

    monkeypatch.setattr(Result, "files", watched)
    assert main(batch.words()) == 0
    assert len(results) == 4


@pytest.mark.slow
def test_what_was_finished_before_kill_9_is_whole_and_the_batch_goes_on_from_there(
    tiny_package: Path, tmp_path: Path
) -> None:
    names = "abcdefghijklmnopqrst"
    batch = Batch(tmp_path, tiny_package, names)
    process = subprocess.Popen([*LCS, *batch.words()], stderr=subprocess.DEVNULL, env=ENVIRONMENT)
    began = time.monotonic()
    while not batch.report.exists() and time.monotonic() - began < 60:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    finished = set(batch.in_report())
    assert 0 < len(finished) < len(names)
    assert len(finished ^ set(batch.in_volumes())) <= 1  # each of them is replaced in its turn
    written = {name: batch.result(name).stat().st_mtime_ns for name in finished if batch.result(name).exists()}
    assert len(written) >= len(finished) - 1
    assert main(batch.words("--skip-existing")) == 0
    assert {name: batch.result(name).stat().st_mtime_ns for name in written} == written
    assert sorted(batch.in_report()) == sorted(batch.in_volumes()) == list(names)
    rows = sorted(map(str, batch.rows()))
    assert main(batch.words("--overwrite")) == 0
    assert sorted(map(str, batch.rows())) == rows


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all = whole_files.write_all

    def interrupted(files: dict[Path, Any]) -> None:
        write_all(files)
        if len(batch.in_report()) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(scan_steps, "write_all", interrupted)
    assert main(batch.words()) == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert "2 of 4 scans are done" in last
    assert "--skip-existing" in last
    assert batch.in_volumes() == batch.in_report() == ["a", "b"]
    assert {path.stem for path in contents(batch.folder / "out")} == {"a", "b"}


def test_scans_whose_results_exist_are_left_out_with_one_line(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(batch.words()) == 0
    before = contents(batch.folder)
    capsys.readouterr()
    assert main(batch.words("--skip-existing")) == 0
    assert capsys.readouterr().err == "4 of 4 scans are left out: their results exist\n"
    assert contents(batch.folder) == before


def test_a_scan_with_some_of_its_results_is_done_again(batch: Batch) -> None:
    assert main(batch.words("--preview", f"{batch.folder}/pictures/{{name}}.png")) == 0
    (batch.folder / "pictures" / "b.png").unlink()
    batch.result("c").unlink()
    write_scan(batch.scan("e"), samples.scan((16, 18, 20), seed=9))
    kept = {name: batch.result(name).stat().st_mtime_ns for name in "ad"}
    assert main(batch.words("--preview", f"{batch.folder}/pictures/{{name}}.png", "--skip-existing")) == 0
    assert {name: batch.result(name).stat().st_mtime_ns for name in "ad"} == kept
    assert {path.stem for path in (batch.folder / "pictures").iterdir()} == set("abcde")
    assert batch.in_volumes() == batch.in_report() == ["a", "d", "b", "c", "e"]


def test_a_scan_that_a_table_lacks_is_done_again(batch: Batch) -> None:
    """Killed between the result and the table, or started without one."""
    assert main([word for word in batch.words() if word not in ("--report", str(batch.report))]) == 0
    assert batch.in_volumes() == list("abcd")
    assert main(batch.words("--skip-existing")) == 0
    assert batch.in_volumes() == batch.in_report() == list("abcd")


def test_tables_begin_anew_without_skip_existing(batch: Batch) -> None:
    assert main(batch.words()) == 0
    batch.scan("b").unlink()
    assert main(batch.words("--overwrite")) == 0
    assert batch.in_volumes() == batch.in_report() == ["a", "c", "d"]


def test_a_file_that_is_no_such_table_is_not_gone_on_with(batch: Batch, capsys: pytest.CaptureFixture[str]) -> None:
    for path, text in ((batch.volumes, "name,age\nx,3\n"), (batch.report, '{"a": 1}'), (batch.report, "no JSON")):
        path.write_text(text)
        assert main(batch.words("--skip-existing")) == 2
        assert str(path) in one_sentence(capsys.readouterr().err)
        assert path.read_text() == text
        path.unlink()


def test_a_table_that_cannot_be_written_fails_the_scan_and_stays_whole(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = whole_files.write_all

    def full(files: dict[Path, Any]) -> None:
        def fail(path: Path) -> None:
            raise OSError(28, "No space left on device")

        write_all(files | ({batch.volumes: fail} if batch.result("c") in files else {}))

    monkeypatch.setattr(scan_steps, "write_all", full)
    assert main(batch.words()) == 1
    assert batch.in_volumes() == batch.in_report() == ["a", "b", "d"]
    assert {path.stem for path in contents(batch.folder / "out")} == {"a", "b", "d"}


def test_a_single_scan_is_left_out_too(tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scan = write_scan(tmp_path / "scan.nii.gz", samples.scan((16, 18, 20)))
    words = ["segment", str(scan), "-o", str(tmp_path / "r.seg.nrrd"), "--report", str(tmp_path / "r.json")]
    assert main([*words, "--model", str(tiny_package)]) == 0
    capsys.readouterr()
    before = contents(tmp_path)
    assert main([*words, "--model", str(tiny_package), "--skip-existing"]) == 0
    assert "1 of 1 scans are left out" in capsys.readouterr().err
    assert contents(tmp_path) == before
    (tmp_path / "r.seg.nrrd").unlink()
    assert main([*words, "--model", str(tiny_package), "--skip-existing"]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["scan"] == str(scan)


def test_the_labels_that_were_shown_are_saved_with_the_first_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = samples.package(tmp_path, samples.SEEING, patch=(32, 32, 32), made=samples.seeing_network()).path
    batch = Batch(tmp_path / "batch", package, "ab")
    atlas, masks = samples.scan_of_parts((16, 18, 20))
    write_scan(tmp_path / "atlas.nii.gz", atlas)
    write_scan(tmp_path / "mask.nii.gz", atlas.with_array(masks["bright"].astype("uint8")))
    label = tmp_path / "x.lcs-label.json"
    shown = [
        "--example",
        f"{tmp_path}/atlas.nii.gz",
        f"{tmp_path}/mask.nii.gz",
        "--name",
        "x",
        "--save-label",
        str(label),
    ]
    write_all = whole_files.write_all

    def watched(files: dict[Path, Any]) -> None:
        write_all(files)
        assert label.exists()
        if batch.result("b") in files:
            raise OutputError("full")

    monkeypatch.setattr(scan_steps, "write_all", watched)
    assert main(batch.words(*shown)) == 1
    saved = label.stat().st_mtime_ns
    monkeypatch.undo()
    batch.result("b").unlink()
    assert main(batch.words(*shown, "--skip-existing")) == 0
    assert batch.result("b").exists()
    assert label.stat().st_mtime_ns == saved


def test_a_table_of_before_there_were_findings_is_gone_on_with(batch: Batch) -> None:
    assert main(batch.words()) == 0
    assert {row["findings"] for row in batch.rows()} == {"none"}
    earlier = [line.rpartition(",")[0] for line in batch.volumes.read_text().splitlines()]
    batch.volumes.write_text("\n".join(earlier) + "\n")
    batch.result("b").unlink()
    assert main(batch.words("--skip-existing")) == 0
    assert sorted(batch.in_volumes()) == ["a", "b", "c", "d"]
    levels = {Path(row["scan"]).name.partition(".")[0]: row["findings"] for row in batch.rows()}
    assert levels == {"a": "", "b": "none", "c": "", "d": ""}
