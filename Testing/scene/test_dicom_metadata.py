"""What DICOM says about a scan: values, units, odd values, and where they come from."""

from __future__ import annotations

from typing import Any

import pytest
import slicer
from LabelConditionedSegmentationLib.core.scan.facts import Fact
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema
from LabelConditionedSegmentationLib.scene.dicom_metadata import known_facts

from .made_nodes import volume

UID = "1.2.3"
TAGS = {
    "PatientAge": "0010,1010",
    "PatientSex": "0010,0040",
    "PatientBirthDate": "0010,0030",
    "StudyDate": "0008,0020",
    "MagneticFieldStrength": "0018,0087",
    "PixelSpacing": "0028,0030",
    "Manufacturer": "0008,0070",
    "SeriesDescription": "0008,103e",
    "EchoTime": "0018,0081",
    "RepetitionTime": "0018,0080",
    "ScanningSequence": "0018,0020",
}
AGE = Field("age", "number", unit="years", possible=(0, 120), trained=(18, 90), dicom=("PatientAge",))
SEX = Field("sex", "choice", choices=("F", "M"), dicom=("PatientSex",))


class Database:
    """Answers as ctkDICOMDatabase does: by instance and tag, empty where there is nothing."""

    def __init__(self, **values: str) -> None:
        self._values = {TAGS[keyword]: value for keyword, value in values.items()}

    def instanceValue(self, instance: str, tag: str) -> str:  # noqa: N802  as CTK calls it
        return self._values.get(tag, "") if instance == UID else ""


def dicom_volume(scene: Any) -> Any:
    node = volume(scene)
    node.SetAttribute("DICOM.instanceUIDs", f"{UID} 1.2.4")
    return node


def fact(scene: Any, field: Field, **values: str) -> Fact | None:
    return known_facts(dicom_volume(scene), MetadataSchema((field,)), Database(**values)).get(field.name)


@pytest.mark.parametrize(
    ("text", "unit", "years"),
    [
        ("045Y", "years", 45),
        ("006M", "years", 0.5),
        ("010W", "weeks", 10),
        ("003D", "days", 3),
        ("014D", "weeks", 2),
        ("001Y", "months", 12),
        ("45Y ", "years", 45),
    ],
)
def test_ages_are_told_in_the_fields_unit(scene: Any, text: str, unit: str, years: float) -> None:
    field = Field("age", "number", unit=unit, possible=(0, 2000), trained=(0, 2000), dicom=("PatientAge",))
    found = fact(scene, field, PatientAge=text)
    assert found is not None
    assert found.value == pytest.approx(years)
    assert (found.source, found.problem) == ("from DICOM: PatientAge", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ABC", "which is no age"),
        ("045", "which is no age"),
        ("-45Y", "which is no age"),
        ("045Y\\046Y", "which is no age"),
        ("999Y", "which cannot be (allowed: 0 to 120 years or unknown)"),
    ],
)
def test_odd_ages_stay_unknown_with_a_sentence(scene: Any, text: str, why: str) -> None:
    assert fact(scene, AGE, PatientAge=text) == Fact(
        None, "from DICOM: PatientAge", f'DICOM PatientAge is "{text}", {why}; left unknown.'
    )


@pytest.mark.parametrize(
    ("text", "value"), [("F", "F"), ("F ", "F"), ("f", "F"), ("female", "F"), ("M", "M"), ("Male", "M")]
)
def test_the_sex_is_found_by_letter_or_word(scene: Any, text: str, value: str) -> None:
    found = fact(scene, SEX, PatientSex=text)
    assert found is not None
    assert found.value == value


def test_the_sex_is_found_where_the_model_uses_words(scene: Any) -> None:
    found = fact(scene, Field("sex", "choice", choices=("female", "male"), dicom=("PatientSex",)), PatientSex="M")
    assert found is not None
    assert found.value == "male"


def test_a_choice_that_is_not_offered_stays_unknown(scene: Any) -> None:
    found = fact(scene, SEX, PatientSex="O")
    assert found == Fact(
        None,
        "from DICOM: PatientSex",
        'DICOM PatientSex is "O", which the model does not know (allowed: F, M or unknown); left unknown.',
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.5", 1.5), (" 3 ", 3.0), ("3\\3", 3.0), ("1.5\\3", None), ("strong", None), ("inf", None), ("50", None)],
)
def test_numbers_may_be_multi_valued_but_not_contradictory(scene: Any, text: str, value: float | None) -> None:
    field = Field(
        "field strength", "number", unit="T", possible=(0, 20), trained=(1, 7), dicom=("MagneticFieldStrength",)
    )
    found = fact(scene, field, MagneticFieldStrength=text)
    assert found is not None
    assert (found.value, bool(found.problem)) == (value, value is None)


@pytest.mark.parametrize("values", [{}, {"PatientAge": ""}, {"PatientAge": "  "}])
def test_nothing_said_is_no_fact(scene: Any, values: dict[str, str]) -> None:
    assert fact(scene, AGE, **values) is None


def test_the_date_of_birth_tells_the_age_where_no_age_is_given(scene: Any) -> None:
    found = fact(scene, AGE, PatientBirthDate="19800615", StudyDate="20250615")
    assert found is not None
    assert found.value == pytest.approx(45, abs=0.01)
    assert found.source == "from DICOM: PatientBirthDate"
    wins = fact(scene, AGE, PatientAge="044Y", PatientBirthDate="19800615", StudyDate="20250615")
    assert wins is not None
    assert wins.value == 44


@pytest.mark.parametrize(
    ("birth", "study"), [("19800615", ""), ("19801315", "20250615"), ("sometime", "20250615"), ("20300101", "20250615")]
)
def test_impossible_dates_stay_unknown(scene: Any, birth: str, study: str) -> None:
    found = fact(scene, AGE, PatientBirthDate=birth, StudyDate=study)
    assert found is not None
    assert found.value is None
    assert found.problem.startswith(f'DICOM PatientBirthDate is "{birth}", ')


def test_an_odd_age_does_not_hide_a_good_date_of_birth(scene: Any) -> None:
    found = fact(scene, AGE, PatientAge="ABC", PatientBirthDate="19800615", StudyDate="20250615")
    assert found is not None
    assert found.value == pytest.approx(45, abs=0.01)


def in_study(scene: Any, node: Any, **attributes: str) -> None:
    """Put a volume under a patient and a study, as the DICOM module does."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), study)
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    names = {
        "sex": (patient, constants.GetDICOMPatientSexAttributeName()),
        "birth": (patient, constants.GetDICOMPatientBirthDateAttributeName()),
        "date": (study, constants.GetDICOMStudyDateAttributeName()),
    }
    for name, value in attributes.items():
        item, attribute = names[name]
        hierarchy.SetItemAttribute(item, attribute, value)


def test_the_subject_hierarchy_tells_what_no_database_does(scene: Any) -> None:
    node = dicom_volume(scene)
    in_study(scene, node, sex="F", birth="1980-06-15", date="20250615")
    facts = known_facts(node, MetadataSchema((SEX, AGE)))
    assert facts["sex"] == Fact("F", "from the subject: PatientSex")
    assert facts["age"].value == pytest.approx(45, abs=0.01)
    assert facts["age"].source == "from the subject: PatientBirthDate"


def test_the_instance_wins_over_the_subject(scene: Any) -> None:
    node = dicom_volume(scene)
    in_study(scene, node, sex="F")
    assert known_facts(node, MetadataSchema((SEX,)), Database(PatientSex="M"))["sex"] == Fact(
        "M", "from DICOM: PatientSex"
    )


def test_a_volume_without_dicom_tells_nothing(scene: Any) -> None:
    node = volume(scene)
    assert known_facts(node, MetadataSchema((SEX, AGE)), Database(PatientSex="M")) == {}
    scene.RemoveNode(node)
    assert known_facts(node, MetadataSchema((SEX,))) == {}
    assert known_facts(None, MetadataSchema((SEX,))) == {}


def test_keywords_that_dicom_does_not_have_are_passed_over(scene: Any) -> None:
    field = Field("maker", "choice", choices=("Siemens", "GE"), dicom=("NoSuchKeyword", "Manufacturer"))
    found = fact(scene, field, Manufacturer="SIEMENS ")
    assert found == Fact("Siemens", "from DICOM: Manufacturer")


def test_the_contrast_is_derived_from_the_instance(scene: Any) -> None:
    field = Field("contrast", "choice", choices=("T1", "T2"), dicom=("AcquisitionContrast",))
    times = {"EchoTime": "9", "RepetitionTime": "550", "ScanningSequence": "SE"}
    assert fact(scene, field, **times) == Fact("T1", "from DICOM: EchoTime, RepetitionTime")
    found = fact(scene, field, SeriesDescription="AX T2", **times)
    assert found is not None
    assert found.value is None
    assert found.problem.endswith("says T1; the contrast is left unknown.")
    assert fact(scene, field, SeriesDescription="AX") is None
