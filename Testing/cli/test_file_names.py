"""Names of files that libraries alter, do not take, or end the process over: results get exactly the name that was
asked for, or a sentence says why not.
"""

from __future__ import annotations

import csv
import errno
import gzip
import json
import os
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.errors import OutputError
from LabelConditionedSegmentationLib.core.scan.file_names import openable
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.core.scan.whole_files import write_all

from Testing import samples
from Testing.cli.command import contents, lcs, one_sentence, read_back, write_scan
from Testing.cli.test_bad_input import limit_files

LATIN = os.fsdecode(b"lat\xe9")
"""A name in Latin-1, as old archives hold them."""

not_for_all = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the system makes no such names")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return write_scan(tmp_path / "given" / "scan.nii.gz", samples.scan((16, 18, 20)))


def words(scan: Path, output: Path, package: Path) -> list[str]:
    return ["segment", str(scan), "-o", str(output), "--model", str(package)]


# Names that libraries alter


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("x.nii.nii.gz", "x.nii.json"),
        ("RES.NII.GZ", "RES.json"),
        ("pair.img.nii.gz", "pair.img.json"),
        ("a.hdr.nii", "a.hdr.json"),
        ("Upper.Nii.gz", "Upper.json"),
    ],
)
def test_a_result_has_exactly_the_name_that_was_asked_for(
    name: str, beside: str, scan: Path, tiny_package: Path, tmp_path: Path
) -> None:
    assert main(words(scan, tmp_path / "plain.nii", tiny_package)) == 0
    expected, _ = read_back(tmp_path / "plain.nii")
    assert main(words(scan, tmp_path / "out" / name, tiny_package)) == 0
    assert {path.name for path in contents(tmp_path / "out")} == {name, beside}
    data = (tmp_path / "out" / name).read_bytes()
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(data) if name.lower().endswith(".gz") else data)
    assert np.array_equal(np.asarray(image.dataobj).T, expected)
    assert len(np.unique(expected)) > 3
    assert json.loads((tmp_path / "out" / beside).read_text())["label_map"] == name


def test_a_batch_names_results_after_scans_of_any_format(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    write_scan(scan.parent / "pair.img", samples.scan((16, 18, 20)))
    output = str(tmp_path / "out" / "{name}.nii.gz")
    scans = [str(scan), str(scan.parent / "pair.img")]
    assert main(["segment", *scans, "-o", output, "--model", str(tiny_package)]) == 0
    assert {path.name for path in contents(tmp_path / "out")} == {
        "scan.nii.gz",
        "scan.json",
        "pair.nii.gz",
        "pair.json",
    }


# Names that are no UTF-8


@pytest.mark.slow
@not_for_all
def test_a_batch_takes_scans_whose_names_are_no_utf8(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    suffixes = (".nii.gz", ".nrrd", ".mha", ".nhdr", ".mhd")
    for n, suffix in enumerate(suffixes):
        plain = write_scan(scan.parent / f"plain{n}{suffix}", samples.scan((16, 18, 20)))
        plain.rename(scan.parent / f"{n}{LATIN}{suffix}")
    tables: list[str | Path] = ["--volumes", tmp_path / "v.csv", "--report", tmp_path / "r.json"]
    finished = lcs("segment", scan.parent, "-r", "-o", tmp_path / "out/{name}.mha", "--model", tiny_package, *tables)
    assert (finished.returncode, finished.stdout) == (0, "")
    assert "Traceback" not in finished.stderr
    assert "0lat\\udce9.nii.gz" in finished.stderr
    names = ["scan", *(f"{n}{LATIN}" for n in range(len(suffixes)))]
    made = {f"{name}{suffix}" for name in names for suffix in (".mha", ".json")}
    assert {path.name for path in contents(tmp_path / "out")} == made
    assert len({(tmp_path / "out" / f"{name}.mha").read_bytes() for name in names}) == 1
    with (tmp_path / "v.csv").open(newline="", encoding="utf-8") as file:
        titles = {row["scan"] for row in csv.DictReader(file)}
    assert titles == {str(scan), *(f"{scan.parent}/{n}lat\\udce9{suffix}" for n, suffix in enumerate(suffixes))}
    runs = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["runs"]
    given = {str(scan), *(f"{scan.parent}/{n}{LATIN}{suffix}" for n, suffix in enumerate(suffixes))}
    assert {run["scan"] for run in runs} == given


@pytest.mark.slow
@not_for_all
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".seg.nrrd"])
def test_a_result_is_written_under_a_name_that_is_no_utf8(
    suffix: str, scan: Path, tiny_package: Path, tmp_path: Path
) -> None:
    """In a folder whose name is none either."""
    folder = tmp_path / f"out{LATIN}"
    finished = lcs(*words(scan, folder / f"{LATIN}{suffix}", tiny_package), "--preview", folder / f"{LATIN}.png")
    assert finished.returncode == 0
    assert {path.name.removeprefix(LATIN) for path in contents(folder)} - {".json"} == {suffix, ".png"}
    assert main(words(scan, tmp_path / f"plain{suffix}", tiny_package)) == 0
    written, plain = (folder / f"{LATIN}{suffix}").read_bytes(), (tmp_path / f"plain{suffix}").read_bytes()
    assert written.partition(b"\n\n")[2] == plain.partition(b"\n\n")[2]  # the header of .nrrd tells the time
    assert len(written) == len(plain)


@pytest.mark.slow
@not_for_all
def test_masks_and_atlases_may_have_such_names(scan: Path, tiny_package: Path, tmp_path: Path) -> None:
    atlas = write_scan(tmp_path / "atlas.nrrd", samples.scan((16, 18, 20))).rename(tmp_path / f"{LATIN}.nrrd")
    mask = write_scan(tmp_path / "mask.nrrd", samples.scan((16, 18, 20))).rename(tmp_path / f"{LATIN}-mask.nrrd")
    label = tmp_path / "x.lcs-label.json"
    package = samples.package(tmp_path, samples.SEEING, patch=(32, 32, 32), made=samples.seeing_network()).path
    shown: list[str | Path] = ["--example", atlas, mask, "--name", "x", "--save-label", label]
    finished = lcs(*words(scan, tmp_path / "result.seg.nrrd", package), *shown)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(label.read_text(encoding="utf-8"))["examples"][0]["scan"] == f"{LATIN}.nrrd"


@not_for_all
def test_a_link_stands_for_a_name_that_is_no_utf8_only_while_it_is_needed(tmp_path: Path) -> None:
    for name in (f"{LATIN}.nii.gz", "plain.nii.gz"):
        (tmp_path / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    with openable(tmp_path / f"{LATIN}.nii.gz", tmp_path / "plain.nii.gz") as (link, plain):
        assert str(link).isascii()
        assert link.name.endswith(".nii.gz")
        assert link.read_bytes() == b"lat\xe9.nii.gz"
        assert plain == tmp_path / "plain.nii.gz"
    assert not link.parent.exists()
    assert (tmp_path / f"{LATIN}.nii.gz").exists()


# What cannot be written, and why


def write_half(path: Path) -> None:
    path.write_text("half")


def test_a_name_that_is_too_long_is_refused_before_the_run(
    scan: Path, tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output in (tmp_path / ("x" * 300 + ".nii.gz"), tmp_path / "new" / ("x" * 300) / "r.nii.gz"):
        assert main(words(scan, output, tiny_package)) == 2
        stderr = capsys.readouterr().err
        assert "File name too long" in one_sentence(stderr)
        assert "model tiny" not in stderr
    assert main(words(tmp_path / ("y" * 300 + ".nii.gz"), tmp_path / "r.nii.gz", tiny_package)) == 2
    assert "no file" in one_sentence(capsys.readouterr().err)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ENOENT, errno.EDQUOT, errno.EACCES])
def test_the_reason_of_the_system_is_told(number: int, tmp_path: Path) -> None:
    def write(path: Path) -> None:
        write_half(path)
        raise OSError(number, os.strerror(number))

    with pytest.raises(OutputError) as error:
        write_all({tmp_path / "a.nii.gz": write_half, tmp_path / "b.nii.gz": write})
    assert (
        str(error.value)
        == f'"{tmp_path}/b.nii.gz" could not be written ({os.strerror(number)}); nothing was left behind.'
    )
    assert contents(tmp_path) == {}


def test_a_library_that_gives_no_reason_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        raise RuntimeError("itk::ERROR: something else")

    with pytest.raises(OutputError) as error:
        write_all({tmp_path / "a.mha": write})
    assert "gives no reason" in str(error.value)
    assert not any(word in str(error.value) for word in ("disk", "space", "itk"))


@pytest.mark.slow
def test_the_reason_that_a_library_keeps_to_itself_is_found(tiny_package: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(1, 1000, (1, 48, 48, 48)).astype(np.int16)
    scan = write_scan(tmp_path / "scan.nii.gz", Volume(noise, np.eye(4)))
    finished = lcs(*words(scan, tmp_path / "result.nrrd", tiny_package), before=limit_files)
    assert "(File too large)" in one_sentence(finished.stderr)
    assert list(contents(tmp_path)) == [scan]


def test_a_file_that_cannot_get_its_name_takes_the_others_with_it(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz" / "folder").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"a\.nii\.gz"):
        write_all({tmp_path / name: write_half for name in ("a.nii.gz", "a.json")})
    assert set(contents(tmp_path)) == {tmp_path / "a.nii.gz", tmp_path / "a.nii.gz" / "folder"}
