"""`lcs brain` and --masked-scan: a scan with nothing left outside of its labels; and answers that are refused."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.cli import scan_steps
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.cli.options import build_parser
from LabelConditionedSegmentationLib.core.findings import Finding
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec

from Testing import samples
from Testing.cli.command import contents, lcs, one_sentence, read_back, same_place, write_scan

LABEL = samples.label_tree().roots[0].name

HEAD = LabelTree(
    (
        Label(300, "Brain"),
        Label(1, "Left Cerebrum", 300, laterality="left"),
        Label(2, "Right Cerebrum", 300, laterality="right"),
        Label(301, "Head outside the Brain"),
    )
)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows a brain."""
    return samples.package(tmp_path_factory.mktemp("heads"), tree=HEAD, name="head").path


def judged_package(folder: Path, odd: float, failed: float) -> Path:
    """A model with a label Brain that judges what its answers have lost: a share of 0 to 1 against these limits."""
    path = samples.package(folder, tree=HEAD, name="judged").path
    entry = json.loads((path / "model.json").read_text())
    entry["answers"] = {"log_ml": [[0.0, 0.1]] * 3, "intensity": [1.0, 0.0, -1.0], "limits": {"lost": [odd, failed]}}
    (path / "model.json").write_text(json.dumps(entry))
    return path


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A model whose answers are always wrong."""
    return judged_package(tmp_path / "models", -2.0, -1.0)


def brain(package: Path, scan: Path, *further: str) -> list[str]:
    return ["brain", str(scan), "--model", str(package), *further]


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "scan.nii.gz"
    samples.scan().save(path)
    return path


def words(package: Path, scan: Path, *further: str) -> list[str]:
    return ["segment", str(scan), "--model", str(package), "--labels", LABEL, *further]


def test_the_masked_scan_is_the_scan_inside_and_0_outside(tiny_package: Path, scan: Path, tmp_path: Path) -> None:
    assert main(words(tiny_package, scan, "-o", f"{tmp_path}/m.nii.gz", "--masked-scan", f"{tmp_path}/b.nii.gz")) == 0
    mask = read_volume(tmp_path / "m.nii.gz").array[0] > 0
    masked, whole = read_volume(tmp_path / "b.nii.gz"), read_volume(scan)
    assert mask.any()
    assert not mask.all()
    assert masked.array.dtype == whole.array.dtype
    assert np.allclose(masked.affine, whole.affine)
    assert np.array_equal(masked.array[0], np.where(mask, whole.array[0], 0))


def test_the_masked_scan_may_be_all_that_is_written(tiny_package: Path, scan: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    places = ("--masked-scan", f"{tmp_path}/b.nii.gz", "--report", str(report))
    assert main(words(tiny_package, scan, *places)) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.nii.gz", "r.json", "scan.nii.gz"]
    assert json.loads(report.read_text())["output"] == f"{tmp_path}/b.nii.gz"


def test_without_any_place_for_a_result_the_command_is_refused(
    tiny_package: Path, scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tiny_package, scan)) == 2
    assert "name one with -o" in capsys.readouterr().err


def test_the_scan_itself_is_never_the_masked_scan(
    tiny_package: Path, scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = scan.read_bytes()
    assert main(words(tiny_package, scan, "--masked-scan", str(scan), "--overwrite")) == 2
    assert scan.read_bytes() == before


def test_outside_of_a_scan_with_values_below_0_is_its_lowest_value(tiny_package: Path) -> None:
    volume = samples.scan()
    volume = volume.with_array(volume.array.astype(np.int16) - 1000)
    with Segmenter.from_package(tiny_package, "cpu") as segmenter:
        result = segmenter.segment(volume, [LABEL])
    outside = result.masked(volume).array[0][~result.mask(LABEL).array[0]]
    assert set(outside.tolist()) == {int(volume.array.min())}


def test_lcs_brain_needs_a_model_that_knows_the_brain(
    tiny_package: Path, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["brain", str(scan), "-o", f"{tmp_path}/b.nii.gz", "--model", str(tiny_package)]) == 2
    assert '"Brain"' in capsys.readouterr().err
    assert not (tmp_path / "b.nii.gz").exists()


def test_an_answer_that_cannot_be_true_is_written_by_force_alone(
    tiny_package: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = scan_steps.Run._answer

    def judged(*arguments: object) -> object:
        result = answer(*arguments)  # type: ignore[arg-type]
        result.report.findings.append(Finding.error("The result is wrong: left is right.", "Turn it."))
        return result

    monkeypatch.setattr(scan_steps.Run, "_answer", judged)
    command = words(tiny_package, scan, "-o", f"{tmp_path}/out.nii.gz")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "The result is wrong: left is right. Turn it. Nothing was written; --force" in said
    assert not (tmp_path / "out.nii.gz").exists()
    assert main([*command, "--force"]) == 0
    assert "error: The result is wrong" in capsys.readouterr().err
    assert (tmp_path / "out.nii.gz").exists()


# lcs brain


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_the_brain_keeps_type_grid_and_values_of_its_scan(
    head: Path, tmp_path: Path, suffix: str, dtype: type[np.generic]
) -> None:
    oblique = np.array([[1.2, -0.5, 0.1, -10], [0.45, 0.8, 0.2, 4], [-0.1, -0.2, 1.9, -3], [0, 0, 0, 1.0]])
    volume = samples.scan((20, 24, 22), oblique if suffix in (".nrrd", ".nii.gz") else None)
    scan = write_scan(tmp_path / f"scan{suffix}", volume.with_array((volume.array / 6).astype(dtype)))
    out, mask = tmp_path / f"brain{suffix}", tmp_path / f"mask{suffix}"
    assert main(brain(head, scan, "-o", str(out), "--mask", str(mask))) == 0
    (found, _), (inside, _), (whole, _) = read_back(out), read_back(mask), read_back(scan)
    assert found.dtype == whole.dtype == dtype
    assert set(np.unique(inside)) == {0, 300}
    assert np.array_equal(found, np.where(inside > 0, whole, 0))
    assert (found > 0).any()
    assert ((whole > 0) & (inside == 0)).any()
    assert same_place(out, scan)
    assert same_place(mask, scan)


def test_outside_of_the_brain_in_ct_is_the_lowest_value_and_both_tables_tell_of_the_brain(
    tmp_path: Path, head: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    volume = samples.scan((20, 24, 22))
    scan = write_scan(tmp_path / "ct.nii.gz", volume.with_array(volume.array - 1024))
    out, mask, report = (tmp_path / name for name in ("brain.nii.gz", "mask.seg.nrrd", "report.json"))
    words = brain(head, scan, "-o", str(out), "--mask", str(mask), "--report", str(report))
    assert main([*words, "--preview", str(tmp_path / "p.png")]) == 0
    inside = read_back(mask)[0] > 0
    assert set(read_back(out)[0][~inside].tolist()) == {-1024}
    assert np.array_equal(read_back(out)[0][inside], read_back(scan)[0][inside])
    assert json.loads(report.read_text())["output"] == str(out)
    said = capfd.readouterr()
    assert said.out == ""
    assert f"{scan} -> {out}  (" in said.err
    assert (tmp_path / "p.png").exists()


def test_the_segmentation_is_what_is_told_of_where_both_were_asked_for(
    head: Path, scan: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    places = ("-o", f"{tmp_path}/m.nii.gz", "--masked-scan", f"{tmp_path}/b.nii.gz", "--report", f"{tmp_path}/r.json")
    assert main(["segment", str(scan), "--model", str(head), "--labels", "Brain", *places]) == 0
    assert f"{scan} -> {tmp_path}/m.nii.gz  (" in capfd.readouterr().err
    assert json.loads((tmp_path / "r.json").read_text())["output"] == f"{tmp_path}/m.nii.gz"


def test_several_labels_in_layers_leave_their_union(head: Path, scan: Path, tmp_path: Path) -> None:
    asked = ("--labels", "Brain,Left Cerebrum,301")
    places = ("-o", f"{tmp_path}/m.seg.nrrd", "--masked-scan", f"{tmp_path}/b.nii.gz")
    assert main(["segment", str(scan), "--model", str(head), *asked, *places]) == 0
    assert main(["segment", str(scan), "--model", str(head), "-o", f"{tmp_path}/all.nii.gz"]) == 0
    everything = read_back(tmp_path / "all.nii.gz")[0] > 0
    whole, masked = read_back(scan)[0], read_back(tmp_path / "b.nii.gz")[0]
    assert np.array_equal(masked, np.where(everything, whole, 0))


def test_a_scan_of_several_channels_is_masked_in_all_of_them(tmp_path: Path) -> None:
    made = Architecture(in_channels=2, widths=(4, 8), blocks=(1, 1), output_stride=2, feature_channels=8)
    package = samples.package(tmp_path, made, HEAD, spec=InputSpec(("T1", "T2"))).path
    files = [write_scan(tmp_path / f"{n}.nii.gz", samples.scan((20, 24, 22), seed=n)) for n in (0, 1)]
    words = ["--channel", f"T1={files[0]}", f"T2={files[1]}", "-o", f"{tmp_path}/b.nii.gz", "--mask"]
    assert main(["brain", "--model", str(package), *words, f"{tmp_path}/m.nii.gz"]) == 0
    inside = read_back(tmp_path / "m.nii.gz")[0] > 0
    masked = read_back(tmp_path / "b.nii.gz")[0]
    assert masked.shape[0] == 2
    for channel, file in zip(masked, files, strict=True):
        assert np.array_equal(channel, np.where(inside, read_back(file)[0], 0))


@pytest.mark.parametrize("place", ["brains/", "brains/{name}_brain.nii.gz"])
def test_a_batch_of_brains_goes_on_where_it_ended(
    head: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], place: str
) -> None:
    for n, name in enumerate("abc"):
        write_scan(tmp_path / f"scans/{name}.nii.gz", samples.scan((16, 18, 20), seed=n))
    called = "{name}_brain.nii.gz" if "{" in place else "{name}.nii.gz"
    brains = [tmp_path / "brains" / called.replace("{name}", name) for name in "abc"]
    command = brain(head, tmp_path / "scans", "-r", "-o", f"{tmp_path}/{place}", "--report", f"{tmp_path}/r.json")
    assert main(command) == 0
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert [run["output"] for run in runs] == [str(path) for path in brains]
    assert all((read_back(path)[0] > 0).any() for path in brains)
    capfd.readouterr()
    assert main(command) == 2
    assert "exists" in capfd.readouterr().err
    before, times = contents(tmp_path), [path.stat().st_mtime_ns for path in (brains[0], brains[2])]
    brains[1].unlink()
    assert main([*command, "--skip-existing"]) == 0
    assert "2 of 3 scans are left out" in capfd.readouterr().err
    assert [path.stat().st_mtime_ns for path in (brains[0], brains[2])] == times
    assert before[brains[1]] == contents(tmp_path)[brains[1]]


def test_a_mask_that_is_missing_is_no_finished_scan(head: Path, scan: Path, tmp_path: Path) -> None:
    out, mask = tmp_path / "b.nii.gz", tmp_path / "m.nii.gz"
    assert main(brain(head, scan, "-o", str(out))) == 0
    assert main(brain(head, scan, "-o", str(out), "--mask", str(mask), "--skip-existing")) == 0
    assert mask.exists()
    out.unlink()
    assert main(brain(head, scan, "-o", str(out), "--mask", str(mask), "--skip-existing")) == 0
    assert out.exists()


@pytest.mark.parametrize(
    ("further", "said"),
    [
        (("-o", "{there}/scan.nii.gz", "--overwrite"), "would replace"),
        (("-o", "{there}/link.nii.gz", "--overwrite"), "would replace"),
        (("-o", "{there}/b.nii.gz", "--mask", "{there}/scan.nii.gz", "--overwrite"), "would replace"),
        (("-o", "{there}/b.nii.gz", "--mask", "{there}/b.nii.gz"), "Two results would both"),
        (("-o", "{there}/b.png"), "b.png"),
        (("-o", "{there}/b.seg.nrrd"), "b.seg.nrrd"),
        (("-o", "{there}/b.nii.gz", "--mask", "{there}/m.txt"), "m.txt"),
    ],
)
def test_places_that_cannot_be_are_refused_in_a_sentence(
    head: Path, scan: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], further: tuple[str, ...], said: str
) -> None:
    (tmp_path / "link.nii.gz").symlink_to(scan)
    before = contents(tmp_path)
    assert main(brain(head, scan, *(word.format(there=tmp_path) for word in further))) == 2
    assert said in one_sentence(capfd.readouterr().err)
    assert contents(tmp_path) == before


def test_several_brains_cannot_be_one_file(head: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scans = [str(write_scan(tmp_path / f"{name}.nii.gz", samples.scan((16, 18, 20)))) for name in "ab"]
    assert main(["brain", *scans, "--model", str(head), "-o", f"{tmp_path}/brain.nii.gz"]) == 2
    assert "cannot all be written" in one_sentence(capfd.readouterr().err)


def test_the_brain_is_found_by_head_and_its_help_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = build_parser().parse_args(["brain", "scan.nii.gz", "-o", "brain.nii.gz"])
    assert (arguments.model, arguments.labels, arguments.masked_scan) == ("head", "Brain", "brain.nii.gz")
    assert arguments.output is None
    with pytest.raises(SystemExit) as ended:
        main(["brain", "--help"])
    assert ended.value.code == 0
    told = " ".join(capfd.readouterr().out.split())
    assert "Find the brain in a scan of a head and write the scan without its skull." in told
    for option in ("-o", "--mask", "--force", "--overwrite", "--skip-existing", "--model", "--preview", "--report"):
        assert option in told
    with pytest.raises(SystemExit) as ended:
        main(["brain", "scan.nii.gz"])
    assert ended.value.code == 2
    assert "-o" in capfd.readouterr().err


def test_what_brain_has_no_word_for_is_as_segment_has_it() -> None:
    segment, brain = (
        vars(build_parser().parse_args([command, "scan.nii.gz", "-o", "brain.nii.gz"]))
        for command in ("segment", "brain")
    )
    differing = {name for name in segment.keys() | brain.keys() if segment.get(name, ...) != brain.get(name, ...)}
    assert differing == {"command", "output", "masked_scan", "model", "labels", "ignore_file_metadata"}


def test_the_command_runs_as_a_program(head: Path, scan: Path, tmp_path: Path) -> None:
    done = lcs("brain", scan, "--model", head, "-o", tmp_path / "b.nii.gz", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["model", str(scan)]


# Answers that are judged


def test_a_wrong_answer_is_refused_and_nothing_is_written(
    wrong: Path, scan: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path)
    further = ("-o", f"{tmp_path}/b.nii.gz", "--report", f"{tmp_path}/r.json", "--mask", f"{tmp_path}/m.nii.gz")
    assert main(brain(wrong, scan, *further)) == 2
    said = one_sentence(capfd.readouterr().err)
    assert "of the structures that every scan has were not found." in said
    assert said.startswith("lcs: The result is wrong: ")
    assert said.endswith("Nothing was written; --force writes it nevertheless.")
    assert contents(tmp_path) == before
    assert main(brain(wrong, scan, *further, "--force")) == 0
    assert "error: The result is wrong" in capfd.readouterr().err
    (finding,) = json.loads((tmp_path / "r.json").read_text())["findings"]
    assert finding["level"] == "error"
    assert {path.name for path in set(contents(tmp_path)) - set(before)} == {"b.nii.gz", "m.nii.gz", "m.json", "r.json"}


def test_an_odd_answer_is_written_with_a_warning(scan: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    odd = judged_package(tmp_path / "models", -1.0, 1.0)
    assert main(brain(odd, scan, "-o", f"{tmp_path}/b.nii.gz")) == 0
    assert capfd.readouterr().err.count("warning: The result may be wrong: ") == 1
    assert (tmp_path / "b.nii.gz").exists()


def test_in_a_batch_wrong_answers_are_failures_and_the_others_are_written(
    head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for n, name in enumerate("abc"):
        write_scan(tmp_path / f"scans/{name}.nii.gz", samples.scan((16, 18, 20), seed=n))
    answer, asked = scan_steps.Run._answer, iter("abcb")

    def judged(*arguments: object) -> object:
        result = answer(*arguments)  # type: ignore[arg-type]
        wrong = [Finding.error("The result is wrong: it is b.")] if next(asked) == "b" else []
        return replace(result, report=replace(result.report, findings=[*result.report.findings, *wrong]))

    monkeypatch.setattr(scan_steps.Run, "_answer", judged)
    further = ("-r", "-o", f"{tmp_path}/out/{{name}}.nii.gz", "--report", f"{tmp_path}/r.json")
    assert main(brain(head, tmp_path / "scans", *further)) == 1
    said = capfd.readouterr().err
    assert f"FAILED {tmp_path}/scans/b.nii.gz: The result is wrong: it is b. Nothing was written" in said
    assert "lcs: 1 of 3 scans failed; the others are done." in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nii.gz", "c.nii.gz"]
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert [Path(run["scan"]).name for run in runs] == ["a.nii.gz", "c.nii.gz"]
    assert main(brain(head, tmp_path / "scans", *further, "--skip-existing", "--force")) == 0
    assert (tmp_path / "out/b.nii.gz").exists()


def test_whether_a_scan_is_stripped_is_a_choice_of_three(
    head: Path, scan: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["segment", str(scan), "--model", str(head), "-o", f"{tmp_path}/m.nii.gz", "--stripped", "maybe"])
    assert "--stripped" in capfd.readouterr().err
    for choice in ("auto", "yes", "no"):  # a model that sees whole scans looks for nothing
        place = f"{tmp_path}/{choice}.nii.gz"
        assert main(["segment", str(scan), "--model", str(head), "-o", place, "--stripped", choice]) == 0
    found = [sitk.GetArrayFromImage(sitk.ReadImage(f"{tmp_path}/{n}.nii.gz")) for n in ("auto", "yes", "no")]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_a_scan_that_is_said_to_show_more_has_its_brain_found_first(
    head: Path, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "none"))
    entry = {"package": "head", "label": "Brain", "margin_mm": 0.0}
    inner = samples.package(head.parent, name="inner").path
    about = json.loads((inner / "model.json").read_text())
    about["format"], about["input"]["inside"] = 2, entry
    (inner / "model.json").write_text(json.dumps(about))
    told = {}
    for choice in ("yes", "no"):
        report = tmp_path / f"{choice}_report.json"
        further = ("-o", f"{tmp_path}/{choice}.nii.gz", "--report", str(report), "--stripped", choice)
        assert main(["segment", str(scan), "--model", str(inner), *further]) == 0
        told[choice] = json.loads(report.read_text())["inside"]
    assert told["yes"] == {"stripped": "yes", "because": "the user says so"}
    assert (told["no"]["model"], told["no"]["label"], told["no"]["stripped"]) == ("head", "Brain", "no")
    assert told["no"]["ml"] > 0
    as_it_is, of_the_brain = (read_back(tmp_path / f"{choice}.nii.gz")[0] for choice in ("yes", "no"))
    assert not np.array_equal(as_it_is, of_the_brain)


@pytest.mark.parametrize(
    ("odd", "failed", "level"), [(-2.0, -1.0, "error"), (-1.0, 1.0, "warning"), (1.0, 1.0, "none")]
)
def test_the_table_of_volumes_says_how_the_answer_was_judged(
    odd: float, failed: float, level: str, scan: Path, tmp_path: Path
) -> None:
    model, table = judged_package(tmp_path / "models", odd, failed), tmp_path / "v.csv"
    words = ["segment", str(scan), "-o", f"{tmp_path}/s.nii.gz", "--model", str(model), "--force"]
    assert main([*words, "--volumes", str(table)]) == 0
    with table.open(newline="") as file:
        assert {row["findings"] for row in csv.DictReader(file)} == {level}
