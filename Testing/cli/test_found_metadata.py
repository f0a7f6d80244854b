"""`lcs segment` gets to know scans from DICOM headers and the files of data sets: what the report and the terminal say,
what the user overrules, and files that are damaged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.examples.example_prompt import read_prompt
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema

from Testing import samples
from Testing.cli.command import one_sentence, read_back, write_scan
from Testing.dicom_files import write_series

PEOPLE = "participant_id\tage\tsex\nsub-01\t31\tF\nsub-02\t20\tM\ncase_7\t90\tX\n"
UNKNOWN = {"sex": "unknown", "age": "unknown"}


@dataclass(frozen=True)
class Study:
    """A data set with a participants.tsv, and a command that segments scans of it."""

    folder: Path
    package: Path

    def scan(self, way: str) -> Path:
        return write_scan(self.folder / "data" / way, samples.scan((16, 18, 20)))

    def write(self, way: str, text: str) -> Path:
        path = self.folder / "data" / way
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def output(self) -> Path:
        return self.folder / "out" / "result.mha"

    def words(self, scan: Path, *more: str) -> list[str]:
        report = ["--report", str(self.folder / "report.json"), "--overwrite"]
        return ["segment", str(scan), "-o", str(self.output), "--model", str(self.package), *report, *more]

    def report(self, scan: Path, *more: str) -> dict[str, Any]:
        """Of a run that succeeds."""
        assert main(self.words(scan, *more)) == 0
        report: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return report


@pytest.fixture
def study(tiny_package: Path, tmp_path: Path) -> Study:
    made = Study(tmp_path, tiny_package)
    made.write("participants.tsv", PEOPLE)
    return made


def texts(report: dict[str, Any]) -> list[str]:
    """Findings that are about metadata."""
    told = (f"{finding['level']}: {finding['text']}" for finding in report["findings"])
    return [text for text in told if any(word in text for word in ("age", "sex", "participants", "json"))]


def lines(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("metadata: ")]


def test_a_bids_scan_is_known_from_its_data_set(study: Study, capfd: pytest.CaptureFixture[str]) -> None:
    report = study.report(study.scan("sub-01/anat/sub-01_T1w.nii.gz"))
    assert report["metadata"] == {"sex": "F", "age": 31}
    assert report["metadata_sources"] == {"sex": "participants.tsv", "age": "participants.tsv"}
    assert lines(capfd.readouterr().err) == ["metadata: sex F (participants.tsv), age 31 (participants.tsv)"]


def test_what_is_found_changes_the_result_as_if_it_were_said(study: Study) -> None:
    scan = study.scan("sub-01/anat/sub-01_T1w.nii.gz")
    results = []
    for more in ([], ["--ignore-file-metadata"], ["--ignore-file-metadata", "--metadata", "age=31", "sex=F"]):
        study.report(scan, *more)
        results.append(read_back(study.output)[0])
    assert not np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_a_dicom_series_is_known_from_its_header(study: Study, capfd: pytest.CaptureFixture[str]) -> None:
    folder = study.folder / "data" / "sub-02" / "dicom"
    array = samples.scan((16, 18, 20)).array[0]
    write_series(folder, array, uid="1.2.1", PatientAge="033Y")
    write_series(folder, array, uid="1.2.2", prefix="S", SeriesNumber=2, PatientAge="022Y", PatientSex="M")
    report = study.report(folder, "--series", "1")
    assert report["metadata"] == {"sex": "M", "age": 33}
    assert report["metadata_sources"] == {"sex": "participants.tsv", "age": "DICOM PatientAge"}
    assert lines(capfd.readouterr().err) == ["metadata: sex M (participants.tsv), age 33 (DICOM PatientAge)"]
    report = study.report(folder, "--series", "2")
    assert report["metadata"] == {"sex": "M", "age": 22}
    assert texts(report) == []


def test_every_scan_of_a_batch_has_its_own_and_what_is_said_holds_for_all(
    study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("01", "02", "03"):
        study.scan(f"sub-{name}/anat/sub-{name}_T1w.nii.gz")
    array = samples.scan((16, 18, 20)).array[0]
    write_series(study.folder / "data" / "sub-04", array, PatientAge="025Y", PatientSex="F")

    def runs(*more: str) -> list[dict[str, Any]]:
        words = ["segment", str(study.folder / "data"), "-r", "-o", f"{study.folder}/out/", "--model"]
        report = study.folder / "report.json"
        assert main([*words, str(study.package), "--report", str(report), "--overwrite", *more]) == 0
        found: list[dict[str, Any]] = json.loads(report.read_text())["runs"]
        return found

    known = [{"sex": "F", "age": 31}, {"sex": "M", "age": 20}, UNKNOWN, {"sex": "F", "age": 25}]
    assert [run["metadata"] for run in runs()] == known
    assert len(lines(capfd.readouterr().err)) == 3
    told = runs("--metadata", "age=30")
    assert [run["metadata"]["age"] for run in told] == [30] * 4
    assert [run["metadata"]["sex"] for run in told] == ["F", "M", "unknown", "F"]
    assert told[0]["metadata_sources"] == {"sex": "participants.tsv", "age": "--metadata"}


@pytest.mark.parametrize(
    ("words", "expected", "sources"),
    [
        (["--metadata", "sex=male"], {"sex": "M", "age": 31}, {"sex": "--metadata", "age": "participants.tsv"}),
        (
            ["--metadata", "age=unknown"],
            {"sex": "F", "age": "unknown"},
            {"sex": "participants.tsv", "age": "--metadata"},
        ),
        (["--ignore-file-metadata"], UNKNOWN, {}),
        (["--ignore-file-metadata", "--metadata", "age=22"], {"sex": "unknown", "age": 22}, {"age": "--metadata"}),
    ],
)
def test_what_the_user_says_wins(
    study: Study, words: Sequence[str], expected: dict[str, Any], sources: dict[str, str]
) -> None:
    report = study.report(study.scan("sub-01/sub-01_T1w.nii.gz"), *words)
    assert (report["metadata"], report["metadata_sources"]) == (expected, sources)
    assert texts(report) == []


def test_what_is_withheld_is_said_on_the_terminal(study: Study, capfd: pytest.CaptureFixture[str]) -> None:
    study.report(study.scan("sub-01/sub-01_T1w.nii.gz"), "--metadata", "age=unknown")
    assert lines(capfd.readouterr().err) == ["metadata: sex F (participants.tsv), age unknown (--metadata)"]


def test_nothing_known_is_no_line(study: Study, capfd: pytest.CaptureFixture[str]) -> None:
    study.report(study.scan("sub-01/sub-01_T1w.nii.gz"), "--ignore-file-metadata")
    assert lines(capfd.readouterr().err) == []


def test_odd_values_and_such_that_were_never_trained_stay_unknown_with_a_warning(study: Study) -> None:
    report = study.report(study.scan("imagesTr/case_7_0000.nii.gz"))
    assert report["metadata"] == UNKNOWN
    odd, outside = texts(report)
    assert odd == (
        'warning: participants.tsv: sex is "X", which the model does not know (allowed: F, M or unknown); left unknown.'
    )
    assert outside.startswith("warning: age = 90 lies outside what the model was trained on (19 to 34 years)")
    assert report["metadata_sources"] == {"age": "participants.tsv"}
    assert texts(study.report(study.scan("imagesTr/case_7_0000.nii.gz"), "--metadata", "age=30", "sex=F")) == []


def test_an_age_that_is_hidden_is_taken_as_the_least_with_a_warning(study: Study) -> None:
    study.write("participants.tsv", "participant_id\tage\nsub-01\t33+\n")
    report = study.report(study.scan("sub-01/sub-01_T1w.nii.gz"))
    assert report["metadata"]["age"] == 33
    assert texts(report) == ["warning: age = 33+ means at least 33; it is taken as 33."]


def test_files_that_do_not_agree_are_told(study: Study) -> None:
    study.write("sub-01/sub-01_T1w.json", '{"PatientSex": "M", "PatientAge": "030Y"}')
    report = study.report(study.scan("sub-01/sub-01_T1w.nii.gz"))
    assert report["metadata"] == {"sex": "M", "age": 30}
    (text,) = texts(report)
    assert text == (
        "warning: The files do not agree about the sex of the scan: M (sub-01_T1w.json PatientSex), F"
        " (participants.tsv); M is taken."
    )


@pytest.mark.parametrize("way", ["participants.tsv", "sub-01/sub-01_T1w.json"])
def test_a_damaged_file_is_told_and_the_scan_is_segmented(
    way: str, study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = study.write(way, "\0{")
    report = study.report(study.scan("sub-01/sub-01_T1w.nii.gz"))
    (text,) = texts(report)
    assert text.startswith(f'warning: "{damaged}"')
    assert text in capfd.readouterr().err
    assert report["metadata"] == (UNKNOWN if way == "participants.tsv" else {"sex": "F", "age": 31})
    assert texts(study.report(study.scan("sub-01/sub-01_T1w.nii.gz"), "--ignore-file-metadata")) == []


def test_the_atlas_of_a_label_by_example_is_known_as_well(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study = Study(
        tmp_path,
        samples.package(
            tmp_path, samples.SEEING, patch=(64, 64, 64), name="seeing", made=samples.seeing_network()
        ).path,
    )
    study.write("participants.tsv", PEOPLE)
    volume, balls = samples.scan_of_parts((30, 32, 34))
    atlas = write_scan(tmp_path / "data/sub-02/atlas.nii.gz", volume)
    mask = write_scan(tmp_path / "mask.nii.gz", volume.with_array(balls["bright"].astype(np.uint8)[None]))
    label = tmp_path / "ball.lcs-label.json"
    shown = ["--example", str(atlas), str(mask), "--name", "ball", "--save-label", str(label)]
    for more, expected in (
        ([], {"sex": "M", "age": 20}),
        (["--example-metadata", "age=21"], {"sex": "M", "age": 21}),
        (["--ignore-file-metadata"], {}),
    ):
        study.report(atlas, *shown, *more)
        assert [known["metadata"] for known in read_prompt(label).examples] == [expected]
    assert f"{atlas}: metadata: sex M (participants.tsv), age 21 (--example-metadata)" in capfd.readouterr().err


def test_a_sidecar_is_never_replaced_by_the_names_of_a_label_map(
    study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    scan = study.scan("sub-01/sub-01_T1w.nii.gz")
    sidecar = study.write("sub-01/sub-01_T1w.json", '{"EchoTime": 0.003}')
    words = ["segment", str(scan), "-o", str(sidecar.with_suffix(".mha")), "--model", str(study.package), "--overwrite"]
    assert main(words) == 2
    assert f'would replace "{sidecar}", which is read' in one_sentence(capfd.readouterr().err)
    sidecar.unlink()
    assert [main(words), main(words)] == [0, 0]  # what the first run left is no sidecar


def test_a_report_beside_the_scan_is_no_sidecar(study: Study) -> None:
    scan = study.scan("sub-01/sub-01_T1w.nii.gz")
    words = [*study.words(scan), "--report", str(scan.with_name("sub-01_T1w.json"))]
    assert [main(words), main(words)] == [0, 0]


def test_a_model_without_metadata_asks_no_file(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SCHEMA", MetadataSchema())
    plain = Study(study.folder, samples.package(tmp_path / "packages", name="plain").path)
    study.write("participants.tsv", "\0")
    report = plain.report(study.scan("sub-01/sub-01_T1w.nii.gz"))
    assert (report["metadata"], report["metadata_sources"], texts(report)) == ({}, {}, [])


# The contrast


@pytest.fixture
def by_contrast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """With a model that is told the contrast."""
    field = Field("contrast", "choice", choices=("T1", "T2", "FLAIR", "PD", "other"), dicom=("AcquisitionContrast",))
    monkeypatch.setattr(samples, "SCHEMA", MetadataSchema((field,)))
    return Study(tmp_path, samples.package(tmp_path / "packages", name="told").path)


def test_the_contrast_is_known_from_the_name_and_the_sidecar_of_a_data_set(
    by_contrast: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    by_contrast.write("sub-01/anat/sub-01_FLAIR.json", '{"EchoTime": 0.12, "InversionTime": 2.5}')
    report = by_contrast.report(by_contrast.scan("sub-01/anat/sub-01_FLAIR.nii.gz"))
    assert report["metadata"] == {"contrast": "FLAIR"}
    source = "file name _FLAIR, sub-01_FLAIR.json EchoTime, InversionTime"
    assert report["metadata_sources"] == {"contrast": source}
    assert lines(capfd.readouterr().err) == [f"metadata: contrast FLAIR ({source})"]
    report = by_contrast.report(by_contrast.scan("FLAIR_T1w.nii.gz"))
    assert (report["metadata"], report["metadata_sources"]) == ({"contrast": "unknown"}, {})


def test_the_contrast_is_known_from_the_header_of_dicom_unless_it_is_said(by_contrast: Study, tmp_path: Path) -> None:
    times: dict[str, Any] = {"EchoTime": 100, "RepetitionTime": 5000, "ScanningSequence": "SE"}
    folder = write_series(tmp_path / "dicom", SeriesDescription="Ax T2", **times)
    report = by_contrast.report(folder)
    assert report["metadata"] == {"contrast": "T2"}
    assert report["metadata_sources"] == {"contrast": "DICOM SeriesDescription, EchoTime, RepetitionTime"}
    assert by_contrast.report(folder, "--metadata", "contrast=other")["metadata"] == {"contrast": "other"}
    assert by_contrast.report(folder, "--ignore-file-metadata")["metadata"] == {"contrast": "unknown"}


def test_a_contrast_that_contradicts_itself_is_unknown_with_a_warning(by_contrast: Study) -> None:
    by_contrast.write("sub-01/sub-01_T2w.json", '{"EchoTime": 0.003, "InversionTime": 0.9}')
    report = by_contrast.report(by_contrast.scan("sub-01/sub-01_T2w.nii.gz"))
    assert report["metadata"] == {"contrast": "unknown"}
    (text,) = [finding["text"] for finding in report["findings"] if "contrast is left unknown" in finding["text"]]
    assert text.startswith('sub-01_T2w: the file name "_T2w" says T2, but EchoTime 3 ms, InversionTime 900 ms says T1;')
