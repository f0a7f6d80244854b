"""No output of `lcs segment` is an input of it, by whatever name it is reached: refused before anything runs, with
--overwrite too.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.cli.inputs import refuse_inputs
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples
from Testing.cli.command import contents, one_sentence, write_scan


@dataclass(frozen=True)
class KeptPlace:
    """A scan, what can be said of it, and the words of a command that reads all of it."""

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def words(self, *more: str | Path) -> list[str]:
        shown = [
            "--example",
            self / "atlas.nii.gz",
            self / "mask.nii.gz",
            "--name",
            "x",
            "--labels-file",
            self / "l.txt",
        ]
        return ["segment", *map(str, [self / "scan.nii.gz", "--model", self / "tiny", *shown, "--overwrite", *more])]


@pytest.fixture
def place(tiny_package: Path, tmp_path: Path) -> KeptPlace:
    small = samples.scan((16, 18, 20))
    for name in ("scan", "atlas"):
        write_scan(tmp_path / f"{name}.nii.gz", small)
    write_scan(tmp_path / "mask.nii.gz", small.with_array((small.array > 500).astype(np.uint8)))
    shutil.copytree(tiny_package, tmp_path / "tiny")
    (tmp_path / "l.txt").write_text("Left Putamen\n")
    return KeptPlace(tmp_path)


Output = Callable[[KeptPlace], list[str | Path]]


def linked(place: KeptPlace) -> list[str | Path]:
    (place / "link.seg.nrrd").symlink_to(place / "scan.nii.gz")
    return ["-o", place / "link.seg.nrrd"]


def hard_linked(place: KeptPlace) -> list[str | Path]:
    os.link(place / "scan.nii.gz", place / "hard.seg.nrrd")
    return ["-o", place / "hard.seg.nrrd"]


def through_a_linked_folder(place: KeptPlace) -> list[str | Path]:
    (place / "here").symlink_to(place.folder)
    return ["-o", place / "here" / "scan.nii.gz"]


GOOD: list[str | Path] = ["-o", "result.seg.nrrd"]

OUTPUTS: dict[str, Output] = {
    "the scan": lambda p: ["-o", p / "scan.nii.gz"],
    "a link to the scan": linked,
    "a hard link to the scan": hard_linked,
    "the scan through a linked folder": through_a_linked_folder,
    "the scan through a folder that is not there yet": lambda p: ["-o", f"{p.folder}/new/../scan.nii.gz"],
    "the atlas": lambda p: ["-o", p / "atlas.nii.gz"],
    "the mask": lambda p: ["-o", p / "mask.nii.gz"],
    "a file of the model": lambda p: [*GOOD, "--report", p / "tiny" / "model.json"],
    "the names beside a label map": lambda p: ["-o", p / "tiny" / "model.nii.gz"],
    "the preview": lambda p: [*GOOD, "--preview", renamed(p, "scan.png")],
    "the report": lambda p: [*GOOD, "--report", p / "scan.nii.gz"],
    "the volumes": lambda p: [*GOOD, "--volumes", p / "l.txt"],
    "the saved label": lambda p: [*GOOD, "--save-label", renamed(p, "x.lcs-label.json")],
}


def renamed(place: KeptPlace, name: str) -> Path:
    """The scan under another name too."""
    os.link(place / "scan.nii.gz", place / name)
    return place / name


@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_that_is_an_input_is_refused(
    output: str, place: KeptPlace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place.folder)
    words = place.words(*OUTPUTS[output](place))
    before = contents(place.folder)
    assert main(words) == 2
    stderr = capfd.readouterr().err
    assert "would replace" in one_sentence(stderr)
    assert "model tiny" not in stderr
    assert contents(place.folder) == before


def test_a_batch_does_not_replace_its_own_scans(
    tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        write_scan(tmp_path / f"{name}.nii.gz", samples.scan((16, 18, 20)))
    before = contents(tmp_path)
    words = ["segment", str(tmp_path), "-r", "-o", f"{tmp_path}/{{name}}.nii.gz", "--model", str(tiny_package)]
    for more in ([], ["--overwrite"], ["--skip-existing"]):
        assert main([*words, *more]) == 2
        assert "would replace" in one_sentence(capsys.readouterr().err)
    assert contents(tmp_path) == before


def test_a_link_to_a_scan_that_is_not_there_is_kept_too(
    tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What git-annex leaves of a file whose content lies elsewhere."""
    write_scan(tmp_path / "a.nii.gz", samples.scan((16, 18, 20)))
    (tmp_path / "b.nii.gz").symlink_to(".git/annex/objects/b")
    words = ["segment", str(tmp_path), "-r", "-o", f"{tmp_path}/{{name}}.nii.gz", "--model", str(tiny_package)]
    assert main([*words, "--overwrite"]) == 2
    assert os.readlink(tmp_path / "b.nii.gz") == ".git/annex/objects/b"


def touched(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"precious")
    return [folder / name for name in names]


@pytest.mark.parametrize("name", ["series/1.dcm", "series/deep/er.json"])
def test_every_file_of_a_folder_that_is_read_is_an_input(name: str, tmp_path: Path) -> None:
    touched(tmp_path, "series/0.dcm", name)
    with pytest.raises(OutputError, match="would replace"):
        refuse_inputs([tmp_path / name], [tmp_path / "series"])


@pytest.mark.parametrize(
    ("header", "text", "voxels"),
    [
        ("a.img", "", "a.hdr"),
        ("a.hdr", "", "a.img"),
        ("a.nhdr", "NRRD0004\ndata file: a.raw.gz\n", "a.raw.gz"),
        ("a.nhdr", "NRRD0004\ndata file: LIST\nx.json\ny.json\n", "y.json"),
        ("a.mhd", "NDims = 3\nElementDataFile = a.zraw\n", "a.zraw"),
    ],
)
def test_voxels_beside_a_header_are_an_input(header: str, text: str, voxels: str, tmp_path: Path) -> None:
    touched(tmp_path, voxels, "other.json")
    (tmp_path / header).write_text(text)
    with pytest.raises(OutputError, match="would replace"):
        refuse_inputs([tmp_path / voxels], [tmp_path / header])
    refuse_inputs([tmp_path / "other.json"], [tmp_path / header])


def test_the_same_letters_in_another_case_are_the_same_file_where_the_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that does not tell cases apart, played by one that looks names up in small letters."""
    (scan,) = touched(tmp_path, "scan.nii.gz")
    refuse_inputs([tmp_path / "SCAN.NII.GZ"], [scan])  # two files, here
    stat, lstat = os.stat, os.lstat
    monkeypatch.setattr(os, "stat", lambda path: stat(str(path).replace("SCAN.NII.GZ", "scan.nii.gz")))
    monkeypatch.setattr(os, "lstat", lambda path: lstat(str(path).replace("SCAN.NII.GZ", "scan.nii.gz")))
    with pytest.raises(OutputError, match="would replace"):
        refuse_inputs([tmp_path / "SCAN.NII.GZ"], [scan])


def test_results_beside_their_scan_are_no_inputs(tiny_package: Path, tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "scan.nii.gz", Volume(samples.scan((16, 18, 20)).array, np.eye(4)))
    words = ["segment", str(scan), "-o", str(tmp_path / "scan_labels.nii.gz"), "--model", str(tiny_package)]
    assert main(words) == 0
    assert main([*words, "--overwrite"]) == 0
    assert set(contents(tmp_path)) == {scan, tmp_path / "scan_labels.nii.gz", tmp_path / "scan_labels.json"}
