"""What the headers of DICOM files say about a scan, read from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib.core.scan.dicom_facts import dicom_facts, lookup_in_series
from LabelConditionedSegmentationLib.core.scan.facts import Fact
from LabelConditionedSegmentationLib.core.scan.metadata import Field
from pydicom import dcmread

from Testing.dicom_files import voxels, write_enhanced, write_series

AGE = Field("age", "number", unit="years", possible=(0, 120), trained=(18, 90), dicom=("PatientAge",))
SEX = Field("sex", "choice", choices=("F", "M"), dicom=("PatientSex",))
STRENGTH = Field(
    "field strength", "number", unit="T", possible=(0, 20), trained=(1, 7), dicom=("MagneticFieldStrength",)
)


def facts(path: Path, field: Field, series: str | None = None) -> list[Fact]:
    return list(dicom_facts(field, lookup_in_series(path, series), "DICOM "))


def small(folder: Path, **fields: Any) -> Path:
    return write_series(folder, voxels((4, 8, 8)), **fields)


def test_age_sex_and_numbers_are_read(tmp_path: Path) -> None:
    small(tmp_path, PatientAge="031Y", PatientSex="F", MagneticFieldStrength=3)
    assert facts(tmp_path, AGE) == [Fact(31.0, "DICOM PatientAge")]
    assert facts(tmp_path, SEX) == [Fact("F", "DICOM PatientSex")]
    assert facts(tmp_path, STRENGTH) == [Fact(3.0, "DICOM MagneticFieldStrength")]


def test_the_date_of_birth_tells_the_age(tmp_path: Path) -> None:
    small(tmp_path, PatientBirthDate="19800615", StudyDate="20250615")
    assert facts(tmp_path, AGE) == [Fact(45.0, "DICOM PatientBirthDate")]


@pytest.mark.parametrize("fields", [{}, {"PatientAge": "", "PatientSex": ""}])
def test_nothing_said_is_no_fact(tmp_path: Path, fields: dict[str, str]) -> None:
    small(tmp_path, **fields)
    assert facts(tmp_path, AGE) == facts(tmp_path, SEX) == []


def test_each_series_of_a_folder_speaks_for_itself(tmp_path: Path) -> None:
    for number, age in ((1, "031Y"), (2, "062Y")):
        small(tmp_path, prefix=f"S{number}", uid=f"1.2.{number}", SeriesNumber=number, PatientAge=age)
    assert [facts(tmp_path, AGE, series)[0].value for series in ("1", "2", "1.2.2")] == [31, 62, 62]


def test_a_file_of_many_frames_is_read(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "scan.dcm", voxels((4, 8, 8)))
    header = dcmread(path)
    header.PatientAge, header.PatientSex = "006M", "M"
    header.save_as(path)
    assert facts(path, AGE) == [Fact(0.5, "DICOM PatientAge")]
    assert facts(path, SEX) == [Fact("M", "DICOM PatientSex")]


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [(b"3.0\\1.5 ", 'is "3.0\\1.5", which is more than one number'), (b"strong", 'is "strong", which is no number')],
)
def test_values_that_break_the_standard_are_told_as_they_stand(tmp_path: Path, stored: bytes, sentence: str) -> None:
    small(tmp_path, MagneticFieldStrength="1234.567"[: len(stored)].ljust(len(stored), "0"))
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        at = data.index(b"\x18\x00\x87\x00DS") + 8
        path.write_bytes(data[:at] + stored + data[at + len(stored) :])
    (fact,) = facts(tmp_path, STRENGTH)
    assert fact == Fact(None, "DICOM MagneticFieldStrength", f"DICOM MagneticFieldStrength {sentence}; left unknown.")


@pytest.mark.filterwarnings("error")
def test_an_odd_age_stays_unknown_with_a_sentence(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="VR AS"):  # when it is written; reading it is silent
        small(tmp_path, PatientAge="31")
    assert [fact.problem for fact in facts(tmp_path, AGE)] == [
        'DICOM PatientAge is "31", which is no age; left unknown.'
    ]
