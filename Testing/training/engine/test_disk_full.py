"""A disk that is full: one sentence that names the folder, what was complete stays whole, and the run goes on when
there is room.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from safetensors import SafetensorError
from safetensors.torch import save_file

from Testing import samples
from Testing.training.engine.test_train import config_of, run_main, write_config
from Testing.training.made_up_data import write_data_set
from Training.engine import checkpoint
from Training.engine.checkpoint import read_facts
from Training.engine.config import read_config
from Training.engine.config import write_config as write_settings
from Training.engine.kept_files import written_whole
from Training.engine.loop import train
from Training.engine.preparation import prepare_data
from Training.engine.run_log import RunLog

FULL = "Error while serializing: I/O error: No space left on device (os error 28)"


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_from(call: int) -> Callable[..., None]:
    """A writer of checkpoints that finds the disk full at a call, half of the file written."""
    calls: list[object] = []

    def save(tensors: Any, path: Path, metadata: Any) -> None:
        calls.append(path)
        save_file(tensors, path, metadata)
        if len(calls) >= call:
            path.write_bytes(path.read_bytes()[:1000])
            raise SafetensorError(FULL)

    return save


def test_a_full_disk_at_a_checkpoint_leaves_the_last_one_whole_and_the_run_goes_on_later(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, run, words = write_config(tmp_path, data_set), tmp_path / "run", ("optimizer.steps=12", "optimizer.decay=1")
    monkeypatch.setattr(checkpoint, "save_file", full_from(2))
    said = run_main(monkeypatch, path, *words)
    assert said.startswith(f'The folder "{run}" cannot be written to: No space left on device')
    assert "run the same command again" in said
    assert read_facts(run / "last.safetensors")["step"] == 5
    assert sorted(entry.name for entry in run.iterdir()) == [
        "config.yaml",
        "last.safetensors",
        "log.csv",
        "tensorboard",
    ]
    monkeypatch.setattr(checkpoint, "save_file", save_file)
    train(read_config(path, words))
    assert read_facts(run / "last.safetensors")["step"] == 12
    ModelPackage.load(run / "package").build_network()


def test_a_full_disk_at_the_first_checkpoint_leaves_none(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "save_file", full_from(1))
    said = run_main(monkeypatch, write_config(tmp_path, data_set), "optimizer.steps=6")
    assert "No space left on device" in said
    assert not list((tmp_path / "run").glob("*safetensors*"))


def test_a_full_disk_at_a_package_leaves_the_one_of_before(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_config(tmp_path, data_set)
    train(read_config(path, ["optimizer.steps=2", "optimizer.decay=1"]))
    before = (tmp_path / "run" / "package" / "weights.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", no_space)
        said = run_main(monkeypatch, path, "optimizer.steps=4", "optimizer.decay=1")
    assert f'The folder "{tmp_path / "run"}" cannot be written to: No space left on device' in said
    assert (tmp_path / "run" / "package" / "weights.safetensors").read_bytes() == before
    assert not list((tmp_path / "run").glob(".package*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_at_a_line_of_the_log_is_told(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 3, samples.label_tree(4))
    log.file.close()
    log.file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115
    with pytest.raises(OutputError, match=rf'folder "{tmp_path}" cannot be written to: No space left'):
        log.step(0, 1.0, 0.1, 1.0, None)
    log.close()


def test_a_full_disk_at_the_curves_is_one_sentence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = RunLog(tmp_path, 0, 100_000, samples.label_tree(4))
    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", no_space)

    def run() -> None:
        for step in range(100_000):
            log.step(step, 1.0, 0.1, 1.0, None)

    with pytest.raises(OutputError, match="No space left on device"):
        run()
    with pytest.raises(OutputError):
        log.close()
    assert "Traceback" not in capfd.readouterr().err


def test_a_full_disk_at_the_configuration_is_told(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, data_set)
    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(OutputError, match="No space left on device"):
        write_settings(config, tmp_path / "config.yaml")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run.yaml"]


@pytest.mark.parametrize("writer", ["write_bytes", "write_text"])
def test_a_full_disk_where_cases_are_prepared_is_told_with_the_folder(
    data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    config = config_of(tmp_path, data_set, f"data.cache={tmp_path / 'cache'}")
    monkeypatch.setattr(Path, writer, no_space)
    with pytest.raises(SystemExit, match=rf'case_0: The folder "{tmp_path}/cache" cannot be written to: No space left'):
        prepare_data(config)
    assert not list((tmp_path / "cache").iterdir())
    monkeypatch.undo()
    assert prepare_data(config) == tmp_path / "cache"


def test_an_error_without_a_name_of_its_own_is_told_in_its_words(tmp_path: Path) -> None:
    def write() -> None:
        with written_whole(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise OSError("7 requested and 3 written")

    with pytest.raises(OutputError, match="cannot be written to: 7 requested and 3 written"):
        write()
    assert not list(tmp_path.iterdir())
