"""Which scans `lcs segment` takes: folders with hidden things, links, results and DICOM in them, and the channels of
one scan.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.cli import reading
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.cli.options import build_parser
from LabelConditionedSegmentationLib.cli.scan import Scan
from LabelConditionedSegmentationLib.cli.scans import choose
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Testing import samples
from Testing.cli.command import contents, one_sentence, read_back, write_scan
from Testing.dicom_files import write_series

SMALL = (16, 18, 20)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def parsed(*words: str | Path) -> argparse.Namespace:
    return build_parser().parse_args(["segment", *map(str, words), "-o", "out"])


def chosen(package: Path, *words: str | Path) -> tuple[Scan, ...]:
    return choose(parsed(*words), ModelPackage.load(package)).scans


def relative(found: Sequence[Scan], top: Path) -> list[str]:
    return [str(scan.images[0].relative_to(top)) for scan in found]


# Folders


def test_hidden_things_are_no_scans(tiny_package: Path, tmp_path: Path) -> None:
    for name in ("sub/a.nii.gz", ".git/annex/objects/x.nii.gz", ".ipynb_checkpoints/b.nii.gz", "sub/.hidden.nii.gz"):
        touch(tmp_path / name)
    assert relative(chosen(tiny_package, tmp_path, "-r"), tmp_path) == ["sub/a.nii.gz"]
    assert relative(chosen(tiny_package, tmp_path / ".git", "-r"), tmp_path) == [".git/annex/objects/x.nii.gz"]


def test_a_linked_folder_is_followed_once_and_real_names_win(tiny_package: Path, tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere" / "c.nii.gz")
    top = tmp_path / "top"
    touch(top / "z" / "a.nii.gz")
    for link, target in (("a-link", "z"), ("linked", "../elsewhere"), ("again", "../elsewhere"), ("z/loop", "..")):
        (top / link).symlink_to(target)
    found = chosen(tiny_package, top, top / "z", tmp_path / "elsewhere", "-r")
    assert relative(found, top) == ["again/c.nii.gz", "z/a.nii.gz"]
    assert [scan.name for scan in found] == ["again/c", "z/a"]


def test_two_links_to_one_file_are_two_scans(tiny_package: Path, tmp_path: Path) -> None:
    """git-annex keeps the same content once, whosever it is."""
    touch(tmp_path / ".git" / "content.nii.gz")
    for name in "ab":
        (tmp_path / f"{name}.nii.gz").symlink_to(".git/content.nii.gz")
    assert relative(chosen(tiny_package, tmp_path, "-r"), tmp_path) == ["a.nii.gz", "b.nii.gz"]


def test_links_that_lead_nowhere_are_told_and_fail_while_the_others_go_on(
    tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scan(tmp_path / "scans" / "a.nii.gz", samples.scan(SMALL))
    for name in ("b.nii.gz", "sub-03", "README", "events.tsv"):
        (tmp_path / "scans" / name).symlink_to(f"../gone/{name}")
    words = ["segment", f"{tmp_path}/scans", "-r", "-o", f"{tmp_path}/out/", "--model", str(tiny_package)]
    assert main(words) == 1
    *_, first, second, summary = capsys.readouterr().err.splitlines()
    for line, name in ((first, "b.nii.gz"), (second, "sub-03")):
        assert f'scans/{name}" is a link to "../gone/{name}", which is not there' in line
    assert summary == "lcs: 2 of 3 scans failed; the others are done."
    assert [path.name for path in contents(tmp_path / "out")] == ["a.seg.nrrd"]


def test_a_folder_that_may_not_be_read_is_told(
    tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "a.nii.gz")
    touch(tmp_path / "secret" / "b.nii.gz")
    listdir = os.listdir

    def refused(path: Path) -> list[str]:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refused)
    first, second = chosen(tiny_package, tmp_path, "-r")
    assert (first.problem, second.title) == ("", f"{tmp_path}/secret")
    assert "Permission denied" in second.problem


def test_a_folder_of_scans_says_that_r_takes_them(
    tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path / "scans" / "deep" / "a.nii.gz")
    touch(tmp_path / "empty" / "notes.txt")
    for folder, says in (("scans", "add -r"), ("empty", "DICOM")):
        words = ["segment", f"{tmp_path}/{folder}", "-o", f"{tmp_path}/r.mha", "--model", str(tiny_package)]
        assert main(words) == 2
        stderr = one_sentence(capsys.readouterr().err)
        assert says in stderr
        assert ("-r" in stderr.split()) == (folder == "scans")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".seg.nrrd"])
def test_a_second_run_does_not_take_results_for_scans(
    suffix: str, tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.nii.gz", "sub/b.nii.gz"):
        write_scan(tmp_path / name, samples.scan(SMALL))
    words = ["segment", str(tmp_path), "-r", "-o", f"{tmp_path}/{{name}}_labels{suffix}", "--model", str(tiny_package)]
    words += ["--preview", f"{tmp_path}/{{name}}.png", "--report", f"{tmp_path}/r.json"]
    assert main(words) == 0
    made = set(contents(tmp_path))
    capsys.readouterr()
    assert main([*words, "--overwrite"]) == 0
    assert "results of earlier runs: 2 files" in capsys.readouterr().err
    assert set(contents(tmp_path)) == made
    assert len(json.loads((tmp_path / "r.json").read_text())["runs"]) == 2
    assert main([*words, "--skip-existing"]) == 0
    assert set(contents(tmp_path)) == made


@pytest.mark.parametrize(
    ("beside", "is_scan"),
    [
        (None, True),
        ({"EchoTime": 0.03, "model": "Prisma"}, True),
        ({"model": "tiny", "background": 0, "values": {}, "label_map": "a.nii.gz"}, False),
        ({"model": "tiny", "background": 0, "values": {}, "label_map": "a.nrrd"}, True),
        ({"model": "tiny", "background": 0, "values": {}}, False),  # of earlier versions
    ],
)
def test_what_lies_beside_an_image_says_whether_it_is_a_result(
    beside: object, is_scan: bool, tiny_package: Path, tmp_path: Path
) -> None:
    touch(tmp_path / "a.nii.gz")
    touch(tmp_path / "z.nii.gz")
    if beside is not None:
        (tmp_path / "a.json").write_text(json.dumps(beside))
    names = relative(chosen(tiny_package, tmp_path, "-r"), tmp_path)
    assert names == (["a.nii.gz", "z.nii.gz"] if is_scan else ["z.nii.gz"])


def test_of_two_images_beside_names_of_an_earlier_version_none_is_lost(tiny_package: Path, tmp_path: Path) -> None:
    for name in ("a.nii.gz", "a.nrrd"):
        touch(tmp_path / name)
    (tmp_path / "a.json").write_text(json.dumps({"model": "tiny", "background": 0, "values": {}}))
    assert relative(chosen(tiny_package, tmp_path, "-r"), tmp_path) == ["a.nii.gz", "a.nrrd"]


# DICOM


@pytest.mark.parametrize("suffix", [".dcm", "", ".IMA"])
def test_a_tree_of_series_gives_a_scan_a_series_whatever_its_files_are_called(
    tiny_package: Path, tmp_path: Path, suffix: str
) -> None:
    for folder in ("study/t1", "study/t2"):
        for file in list(write_series(tmp_path / folder, uid="1.2.0").iterdir()):
            file.rename(file.with_suffix(suffix))
    touch(tmp_path / "study" / "a.nii.gz")
    found = chosen(tiny_package, tmp_path, "-r")
    assert [(scan.name, scan.series) for scan in found] == [
        ("study/a", None),
        ("study/t1", "1.2.0"),
        ("study/t2", "1.2.0"),
    ]


def test_several_series_of_a_folder_are_told_apart(tiny_package: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "s", SeriesNumber=3, SeriesDescription="T1 mprage/sag")
    write_series(tmp_path / "s", prefix="B", SeriesNumber=4, SeriesDescription="")
    for echo, prefix in ((4.6, "C"), (9.2, "D")):
        write_series(tmp_path / "s", prefix=prefix, uid="1.2.5", SeriesNumber=5, SeriesDescription="GRE", EchoTime=echo)
    found = chosen(tiny_package, tmp_path, "-r")
    assert sorted((scan.name, scan.series) for scan in found) == [
        ("s_3_T1_mprage_sag", "3"),
        ("s_4", "4"),
        ("s_5_GRE__echo_time_4_6", "5.1"),
        ("s_5_GRE__echo_time_9_2", "5.2"),
    ]
    assert len({scan.title for scan in found}) == 4


def test_series_that_nothing_but_their_place_in_the_list_tells_apart_have_names_of_their_own(
    tiny_package: Path, tmp_path: Path
) -> None:
    for uid, prefix in (("1.2.1", "A"), ("1.2.2", "B")):
        write_series(tmp_path / "s", prefix=prefix, uid=uid, SeriesNumber=None, SeriesDescription="same")
    found = chosen(tiny_package, tmp_path, "-r")
    assert [(scan.name, scan.series) for scan in found] == [("s_0_same_1", "1"), ("s_0_same_2", "2")]


def test_a_folder_whose_slices_are_damaged_fails_alone(tiny_package: Path, tmp_path: Path) -> None:
    touch(tmp_path / "s" / "IM1.dcm").write_bytes(bytes(128) + b"DICM")
    touch(tmp_path / "a.nii.gz")
    good, bad = chosen(tiny_package, tmp_path, "-r")
    assert good.problem == ""
    assert "1 DICOM files that are damaged" in bad.problem


def test_slices_that_are_links_to_nowhere_fail_their_series(tiny_package: Path, tmp_path: Path) -> None:
    for file in list(write_series(tmp_path / "some").iterdir()):
        file.rename(file.with_suffix(""))
    for name in ("some/IM9", "all/IM0.dcm", "all/IM1.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to("../gone")
    found = chosen(tiny_package, tmp_path, "-r")
    assert [scan.name for scan in found] == ["all", "some"]
    assert "2 slices are links to files that are not there" in found[0].problem
    assert "1 slices" in found[1].problem
    assert "IM9" in found[1].problem


def test_series_of_a_tree_are_segmented(tiny_package: Path, tmp_path: Path) -> None:
    voxels = samples.scan(SMALL).array[0]
    for name in ("one", "two"):
        write_series(tmp_path / "study" / name, voxels, uid="1.2.3")
    words = ["segment", f"{tmp_path}/study", "-r", "-o", f"{tmp_path}/out/{{name}}.mha", "--model", str(tiny_package)]
    assert main([*words, "--report", f"{tmp_path}/r.json"]) == 0
    assert {path.name for path in contents(tmp_path / "out")} == {"one.mha", "one.json", "two.mha", "two.json"}
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert [run["series"] for run in runs] == ["1.2.3"] * 2
    alone = ["segment", f"{tmp_path}/study/one", "-o", f"{tmp_path}/s.mha", "--model", str(tiny_package)]
    assert main(alone) == 0
    assert np.array_equal(read_back(tmp_path / "s.mha")[0], read_back(tmp_path / "out" / "two.mha")[0])


# How files are read


def test_what_is_said_of_files_reaches_the_reader(
    tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []

    def read(path: Path, orientation: str | None, series: str | None, fill_gaps: bool) -> Volume:
        asked.append((path, orientation, series, fill_gaps))
        return samples.scan(SMALL)

    monkeypatch.setattr(reading, "read_volume", read)
    write_series(tmp_path / "s")
    words = ["segment", f"{tmp_path}/s", "-o", f"{tmp_path}/r.mha", "--model", str(tiny_package)]
    words.append("--ignore-file-metadata")  # which the reader has no part in
    assert main([*words, "--series", "3", "--assume-orientation", "RAS", "--fill-gaps"]) == 0
    assert main([*words, "--overwrite"]) == 0
    assert asked == [(tmp_path / "s", "RAS", "3", True), (tmp_path / "s", None, None, False)]


@pytest.mark.parametrize("word", ["LPX", "LRS", "LP", "LPSS", "LLP", ""])
def test_an_orientation_that_is_none_is_refused(
    word: str, tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan = touch(tmp_path / "a.nii.gz")
    words = ["segment", str(scan), "-o", f"{tmp_path}/r.mha", "--model", str(tiny_package)]
    assert main([*words, "--assume-orientation", word]) == 2
    assert "such as LPS" in one_sentence(capsys.readouterr().err)


def test_one_series_is_not_chosen_for_a_batch(
    tiny_package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(tmp_path / "a.nii.gz")
    words = ["segment", str(tmp_path), "-r", "-o", f"{tmp_path}/out/", "--model", str(tiny_package)]
    assert main([*words, "--series", "3"]) == 2
    assert "--series" in one_sentence(capsys.readouterr().err)


# Channels


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two channels, whose answer depends on both."""
    architecture = Architecture(in_channels=2, widths=(4, 8), blocks=(1, 1), output_stride=2, feature_channels=8)
    spec = InputSpec(channels=("T1", "T2"))
    return samples.package(tmp_path_factory.mktemp("two"), architecture, spec=spec, name="two").path


def channel_files(folder: Path, *names: str) -> list[Path]:
    return [write_scan(folder / f"{name}.nii.gz", samples.scan(SMALL, seed=n)) for n, name in enumerate(names)]


def test_channels_are_named_in_any_order_and_case(two: Path, tmp_path: Path) -> None:
    a, b = channel_files(tmp_path, "a", "b")
    voxels = {}
    orders = {"ab": [f"T1={a}", f"T2={b}"], "other case": [f"t2={b}", f"t1={a}"], "ba": [f"T1={b}", f"T2={a}"]}
    for name, words in orders.items():
        output = tmp_path / f"{name}.mha"
        assert main(["segment", "--channel", *words, "-o", str(output), "--model", str(two)]) == 0
        voxels[name], _ = read_back(output)
    assert np.array_equal(voxels["ab"], voxels["other case"])
    assert not np.array_equal(voxels["ab"], voxels["ba"])
    assert len(np.unique(voxels["ab"])) > 2


def test_channels_of_a_batch_are_told_by_their_suffixes(
    two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = (
        "x_0000",
        "x_0001",
        "sub/y_0000",
        "sub/y_0001",
        "half_0001",
        "other_0000",
        "more_0000",
        "more_0001",
        "more_0002",
        "alone",
    )
    files = channel_files(tmp_path / "scans", *names)
    words = ["segment", f"{tmp_path}/scans", "-r", "-o", f"{tmp_path}/out/{{name}}.mha", "--model", str(two)]
    assert main([*words, "--report", f"{tmp_path}/r.json"]) == 1
    stderr = capsys.readouterr().err
    assert '/half" lacks the channel "T1", which is the one called half_0000.' in stderr
    assert '/other" lacks the channel "T2", which is the one called other_0001.' in stderr
    assert '/more" has the channel _0002, which the model "two" does not take' in stderr
    assert '/alone.nii.gz" is one image, and the model "two" takes the channels T1 (_0000), T2 (_0001)' in stderr
    assert {path.name for path in (tmp_path / "out").rglob("*.mha")} == {"x.mha", "y.mha"}
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert runs[1]["channels"] == [str(files[0]), str(files[1])]
    assert runs[1]["scan"] == f"{tmp_path}/scans/x"
    single = [
        "segment",
        "--channel",
        f"T1={files[0]}",
        f"T2={files[1]}",
        "-o",
        f"{tmp_path}/x.mha",
        "--model",
        str(two),
    ]
    assert main(single) == 0
    assert np.array_equal(read_back(tmp_path / "x.mha")[0], read_back(tmp_path / "out" / "x.mha")[0])


def test_files_of_one_scan_may_be_named_one_by_one(two: Path, tmp_path: Path) -> None:
    files = channel_files(tmp_path, "x_0000", "x_0001")
    words = ["segment", *map(str, reversed(files)), "-o", f"{tmp_path}/x.mha", "--model", str(two)]
    assert main(words) == 0
    named = ["segment", "--channel", f"T1={files[0]}", f"T2={files[1]}", "-o", f"{tmp_path}/y.mha", "--model", str(two)]
    assert main(named) == 0
    assert np.array_equal(read_back(tmp_path / "x.mha")[0], read_back(tmp_path / "y.mha")[0])


def test_a_model_of_one_channel_leaves_numbered_files_as_they_are(tiny_package: Path, tmp_path: Path) -> None:
    for name in ("x_0000.nii.gz", "x_0001.nii.gz"):
        touch(tmp_path / name)
    assert [scan.name for scan in chosen(tiny_package, tmp_path, "-r")] == ["x_0000", "x_0001"]


CHANNEL_MISTAKES: dict[str, tuple[list[str], str]] = {
    "missing": (["--channel", "T1=A"], 'The channel "T2" is missing'),
    "twice": (["--channel", "T1=A", "t1=B"], 'The channel "T1" was given twice'),
    "unknown": (["--channel", "T1=A", "T3=B"], 'takes no channel "T3"'),
    "without a name": (["--channel", "A"], "NAME=FILE"),
    "no such file": (["--channel", "T1=A", "T2=nowhere.nii"], 'There is no file "nowhere.nii"'),
    "beside a scan": (["A", "--channel", "T1=A", "T2=B"], "leave SCAN"),
    "one image": (["A"], "give its channels with --channel"),
    "nothing": ([], "No scan was given"),
    "another grid": (["--channel", "T1=A", "T2=C"], "a corner lies"),
    "another shape": (["--channel", "T1=A", "T2=D"], "does not lie on the grid of"),
}


@pytest.mark.parametrize("mistake", CHANNEL_MISTAKES)
def test_channels_that_are_no_scan_are_refused(
    mistake: str, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    moved = np.diag([1.0, 1, 1, 1])
    moved[0, 3] = 0.2
    for name, volume in {
        "A": samples.scan(SMALL),
        "B": samples.scan(SMALL, seed=1),
        "C": samples.scan(SMALL, moved),
        "D": samples.scan((18, 18, 20)),
    }.items():
        write_scan(tmp_path / f"{name}.nii", volume)
    words, says = CHANNEL_MISTAKES[mistake]
    words = [word.replace("=A", "=A.nii") if "=" in word else word for word in words]
    words = [f"{word}.nii" if word[-2:-1] in ("=", "") and word[-1:] in "ABCD" else word for word in words]
    assert main(["segment", *words, "-o", "out.mha", "--model", str(two)]) == 2
    assert says in one_sentence(capsys.readouterr().err)
    assert not (tmp_path / "out.mha").exists()


def test_findings_of_several_channels_name_their_files() -> None:
    from dataclasses import replace

    from LabelConditionedSegmentationLib.core.findings import Finding
    from LabelConditionedSegmentationLib.core.scan.channel_stack import stacked

    first = replace(samples.scan(SMALL), findings=(Finding.warning("odd"),))
    both = stacked([first, samples.scan(SMALL, seed=1)], [Path("a.nii"), Path("b.nii")])
    assert both.array.shape == (2, *SMALL)
    assert both.findings == (Finding.warning("a.nii: odd"),)
    assert stacked([first], [Path("a.nii")]) is first
