"""What the files of a data set say about a scan: which of them belong to it, what they say, and damaged ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib.core.scan.bids_facts import bids_facts, files_about
from LabelConditionedSegmentationLib.core.scan.facts import Fact, first_known
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema

SEX = Field("sex", "choice", choices=("F", "M"), dicom=("PatientSex",))
AGE = Field("age", "number", unit="years", possible=(0, 120), trained=(18, 90), dicom=("PatientAge",))
SCHEMA = MetadataSchema((SEX, AGE))


class DataSet:
    """A folder in which files are written by their ways."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, way: str, content: str | bytes | dict[str, Any] = "") -> Path:
        path = self.folder / way
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content) if isinstance(content, dict) else content
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def known(self, scan: str, schema: MetadataSchema = SCHEMA) -> dict[str, tuple[Any, str]]:
        """Field -> value and source; of what is known."""
        found = bids_facts(self.write(scan), schema)
        assert not [finding for finding in found.findings if finding.level != "note"], found.findings
        facts = {name: first_known(facts) for name, facts in found.facts.items()}
        return {name: (fact.value, fact.source) for name, fact in facts.items() if fact and fact.value is not None}

    def findings(self, scan: str) -> list[str]:
        """What is odd about the files of a scan; nothing may be known of it."""
        found = bids_facts(self.write(scan), SCHEMA)
        assert not any(found.facts.values())
        return [f"{finding.level}: {finding.text}" for finding in found.findings]


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    return DataSet(tmp_path / "data")


PEOPLE = "participant_id\tAge\tsex\tgroup\nsub-01\t31\tF\tn/a\nsub-02\tn/a\tmale\tx\ncase_7\t55\tM\tx\n"
TABLE = "participants.tsv"


@pytest.mark.parametrize(
    "scan",
    [
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/anat/brain.nii.gz",
        "sub-01_T1w.nii.gz",
        "scans/sub-01_T1w.mha",
        "derivatives/stripped/sub-01/anat/sub-01_desc-brain_T1w.nii.gz",
        "sourcedata/sub-01/scan.nrrd",
    ],
)
def test_the_line_of_the_subject_is_found(data: DataSet, scan: str) -> None:
    data.write(TABLE, PEOPLE)
    assert data.known(scan) == {"age": (31.0, TABLE), "sex": ("F", TABLE)}


@pytest.mark.parametrize("scan", ["case_7.nii.gz", "imagesTr/case_7_0000.nii.gz", "imagesTs/case_7.nrrd"])
def test_a_case_is_found_by_its_name_as_in_nnunet(data: DataSet, scan: str) -> None:
    data.write(TABLE, PEOPLE)
    assert data.known(scan) == {"age": (55.0, TABLE), "sex": ("M", TABLE)}


def test_a_folder_of_dicom_is_found_by_its_name_or_its_subject(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    for way in ("dicom/case_7", "sub-02/dicom"):
        data.write(f"{way}/slice")
        found = bids_facts(data.folder / way, MetadataSchema((SEX,)))
        assert found.facts == {"sex": [Fact("M", TABLE)]}


def test_unknown_cells_and_other_columns_say_nothing(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    assert data.known("sub-02/anat/sub-02_T1w.nii.gz") == {"sex": ("M", TABLE)}


@pytest.mark.parametrize("scan", ["sub-01/a/b/scan.nii.gz", "a/b/c/sub-01_T1w.nii.gz", "a/b/case_7.nii.gz"])
def test_tables_beyond_the_data_set_are_not_asked(data: DataSet, scan: str) -> None:
    data.write("../participants.tsv", PEOPLE)
    assert data.known(scan) == {}


def test_the_nearest_table_that_has_the_line_is_taken(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    data.write("derivatives/s/participants.tsv", "participant_id\tage\nsub-02\t44\n")
    assert data.known("derivatives/s/sub-02/x.nii.gz") == {"age": (44.0, TABLE)}
    assert data.known("derivatives/s/sub-01/x.nii.gz")["age"] == (31.0, TABLE)


def test_the_session_says_more_than_the_subject(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    data.write("sub-01/sub-01_sessions.tsv", "session_id\tage\nses-1\t31\nses-2\t33.5\n")
    scan = "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"
    assert data.known(scan) == {"age": (33.5, "sub-01_sessions.tsv"), "sex": ("F", TABLE)}
    assert data.known("derivatives/s/sub-01/ses-2/brain.nii.gz")["age"][0] == 33.5
    assert data.known("sub-01/anat/sub-01_T1w.nii.gz")["age"] == (31.0, TABLE)


def test_the_sidecar_says_most(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    data.write("sub-01/sub-01_T1w.json", {"PatientSex": "M", "PatientAge": "032Y", "MagneticFieldStrength": 3})
    known = data.known("sub-01/sub-01_T1w.nii.gz")
    assert known == {"sex": ("M", "sub-01_T1w.json PatientSex"), "age": (32.0, "sub-01_T1w.json PatientAge")}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"age": 40, "Sex": "female"}, {"age": (40.0, "scan.json age"), "sex": ("F", "scan.json Sex")}),
        ({"age": "40.5"}, {"age": (40.5, "scan.json age")}),
        ({"age": None, "sex": "n/a"}, {}),
        ({"age": 40, "PatientAge": "041Y"}, {"age": (40.0, "scan.json age")}),
        (
            {"PatientBirthDate": "1980-06-15", "AcquisitionDateTime": "2025-06-15T10:11:12"},
            {"age": (45.0, "scan.json PatientBirthDate")},
        ),
        ({"EchoTime": 0.03, "Manufacturer": "GE"}, {}),
        ({}, {}),
    ],
)
def test_a_sidecar_speaks_in_words_of_dicom_or_of_the_model(
    data: DataSet, content: dict[str, Any], expected: dict[str, Any]
) -> None:
    data.write("scan.json", content)
    assert data.known("scan.nii.gz") == expected


def test_other_words_of_dicom_have_other_units_in_a_sidecar_and_are_passed_over(data: DataSet) -> None:
    field = Field("echo time", "number", unit="ms", possible=(0, 500), trained=(0, 500), dicom=("EchoTime",))
    data.write("scan.json", {"EchoTime": 0.03, "PatientSex": "F"})
    assert data.known("scan.nii.gz", MetadataSchema((field,))) == {}


def test_what_a_segmentation_left_beside_a_scan_is_no_sidecar(data: DataSet) -> None:
    results: list[dict[str, Any]] = [
        {"model": "m", "label_map": "scan.mha", "background": 0, "values": {}, "age": 3},
        {"package_sha256": "x", "findings": [], "sex": "F"},
        {"runs": [], "age": 3},
    ]
    for content in results:
        data.write("scan.json", content)
        assert data.known("scan.nii.gz") == {}
        assert files_about(data.folder / "scan.nii.gz") == []


def test_all_files_that_are_read_are_listed(data: DataSet) -> None:
    ways = ["sub-01/sub-01_ses-1_T1w.json", "sub-01/sub-01_sessions.tsv", TABLE, "participants.json"]
    files = {data.write(way, "{}" if way.endswith("json") else "x") for way in ways}
    assert set(files_about(data.write("sub-01/sub-01_ses-1_T1w.nii.gz"))) == files


def test_links_are_not_followed(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    (data.folder / "sub-01").mkdir()
    os.symlink(data.write("store/annexed-content"), data.folder / "sub-01" / "sub-01_T1w.nii.gz")
    assert data.known("sub-01/sub-01_T1w.nii.gz")["sex"] == ("F", TABLE)


@pytest.mark.parametrize(
    ("cell", "units", "unit", "expected"),
    [
        ("24", "months", "years", 2.0),
        ("24", "Month", "years", 2.0),
        ("2", "years", "weeks", 104.36),
        ("24", "years", "years", 24.0),
        ("24", None, "weeks", 24.0),
        ("89+", "years", "years", "89+"),
        ("n/a", "furlongs", "years", None),
        ("24", "furlongs", "years", 'is "24", which is in "furlongs" and cannot be told in "years"'),
        ("89+", "months", "years", 'is "89+", which is in "months" and cannot be told in "years"'),
        ("5", "months", "kg", 'is "5", which cannot be told in "kg"'),
    ],
)
def test_numbers_are_told_in_the_unit_of_the_field(
    data: DataSet, cell: str, units: str | None, unit: str, expected: Any
) -> None:
    field = Field("age", "number", unit=unit, possible=(0, 2000), trained=(0, 2000))
    data.write(TABLE, f"participant_id\tage\nsub-01\t{cell}\n")
    data.write("participants.json", {"age": {"Units": units} if units else {}, "sex": "of the person"})
    found = bids_facts(data.write("sub-01/x.nii.gz"), MetadataSchema((field,)))
    (fact,) = found.facts["age"]
    assert not found.findings
    if isinstance(expected, str) and expected.startswith("is"):
        assert fact == Fact(None, TABLE, f"participants.tsv: age {expected}; left unknown.")
    else:
        assert fact == Fact(expected, TABLE)


@pytest.mark.parametrize(
    ("row", "field", "sentence"),
    [
        ("31\tX", "sex", 'sex is "X", which the model does not know (allowed: F, M or unknown)'),
        ("old\tF", "age", 'age is "old", which cannot be (allowed: 0 to 120 years or unknown)'),
        ("-3\tF", "age", 'age is "-3", which cannot be (allowed: 0 to 120 years or unknown)'),
    ],
)
def test_odd_values_stay_unknown_with_a_sentence(data: DataSet, row: str, field: str, sentence: str) -> None:
    data.write(TABLE, f"participant_id\tage\tsex\nsub-01\t{row}\n")
    found = bids_facts(data.write("sub-01/x.nii.gz"), SCHEMA)
    assert found.facts[field] == [Fact(None, TABLE, f"participants.tsv: {sentence}; left unknown.")]


@pytest.mark.parametrize("value", [[31], {"years": 31}, True, "x", "031"])
def test_odd_values_of_a_sidecar_stay_unknown(data: DataSet, value: Any) -> None:
    data.write("scan.json", {"age": value} if value != "031" else {"PatientAge": value})
    (fact,) = bids_facts(data.write("scan.nii.gz"), SCHEMA).facts["age"]
    assert fact.value is None
    assert fact.problem.startswith("scan.json: ")
    assert fact.problem.endswith("; left unknown.")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is no table with tabs and a column participant_id"),
        ("participant_id,age\nsub-01,31\n", "is no table with tabs and a column participant_id"),
        ("participant_id\tage\nsub-01\t31\tF\n", "the line of sub-01 has 3 cells under 2 columns"),
        ("participant_id\tage\tsex\nsub-01\tF\n", "the line of sub-01 has 2 cells under 3 columns"),
        ("participant_id\tage\nsub-01\t31\nsub-01\t32\n", "has 2 lines for sub-01"),
        ("participant_id\tage\tAge\nsub-01\t31\t32\n", 'has several columns called "age"'),
        (b"participant_id\tage\nsub-01\t\xff\xfe\n", "is no text in UTF-8"),
        ("participant_id\tage\n" + "x" * 200_000, "is no table with tabs"),
    ],
)
def test_a_damaged_table_is_told_and_passed_over(data: DataSet, content: str | bytes, sentence: str) -> None:
    table = data.write(TABLE, content)
    (finding,) = data.findings("sub-01/x.nii.gz")
    assert finding.startswith(f'warning: "{table}"')
    assert sentence in finding
    assert finding.endswith("; nothing is taken from it.")


@pytest.mark.parametrize("content", ["", "{", "[1]", b"\xff", "3", "[" * 100_000])
def test_a_damaged_sidecar_is_told_and_protected(data: DataSet, content: str | bytes) -> None:
    sidecar = data.write("scan.json", content)
    (finding,) = data.findings("scan.nii.gz")
    assert finding.startswith(f'warning: "{sidecar}"')
    assert finding.endswith("; nothing is taken from it.")
    assert files_about(data.folder / "scan.nii.gz") == [sidecar]


def test_damaged_units_are_told(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    data.write("participants.json", "{")
    found = bids_facts(data.write("sub-01/x.nii.gz"), SCHEMA)
    assert ["participants.json" in finding.text for finding in found.findings] == [True]


def test_a_table_without_the_scan_is_noted(data: DataSet) -> None:
    table = data.write(TABLE, PEOPLE)
    assert data.findings("sub-03/sub-03_T1w.nii.gz") == [f'note: "{table}" has no line for sub-03_T1w or sub-03.']


def test_a_path_that_contradicts_itself_is_told(data: DataSet) -> None:
    data.write(TABLE, PEOPLE)
    (finding,) = data.findings("sub-01/sub-02_T1w.nii.gz")
    assert "names two of one subject, sub-02 and sub-01" in finding


def test_a_table_with_a_byte_order_mark_and_lines_of_windows_is_read(data: DataSet) -> None:
    data.write(TABLE, b"\xef\xbb\xbf" + PEOPLE.replace("\n", "\r\n").encode())
    assert data.known("sub-01/x.nii.gz") == {"age": (31.0, TABLE), "sex": ("F", TABLE)}
