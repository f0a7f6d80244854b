"""Metadata entries: what the user entered against what was pre-filled, and what is told about both."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.scan.facts import Fact
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema
from LabelConditionedSegmentationLib.panel.metadata_entries import MetadataEntries, hint, title

from Testing.samples import SCHEMA

FROM_DICOM = "from DICOM: PatientAge"
AGE = Fact(31.0, FROM_DICOM, "")
ODD_AGE = Fact(None, FROM_DICOM, 'DICOM PatientAge is "ABC", which is no age; left unknown.')
SEX = Fact("F", "from DICOM: PatientSex", "")

ENTERED = st.dictionaries(
    st.sampled_from(["age", "sex"]), st.sampled_from(["", "unknown", "F", "31", "45.5", "-3", "nan", "<b>", "x" * 50])
)
FACTS = st.dictionaries(
    st.sampled_from(["age", "sex", "weight"]), st.sampled_from([AGE, ODD_AGE, SEX, Fact(None, "", "")])
)


def entries(entered: dict[str, str], facts: dict[str, Fact] | None = None) -> MetadataEntries:
    made = MetadataEntries(SCHEMA)
    made.prefill(facts or {})
    for name, text in entered.items():
        made.enter(name, text)
    return made


def test_everything_is_unknown_at_first() -> None:
    made = entries({})
    assert made.values() == {}
    assert made.problems() == made.notes() == []
    assert [made.text("age"), made.source("age"), made.text("sex")] == ["", "", ""]


def test_entries_become_the_values_of_the_run() -> None:
    made = entries({"age": " 31.5 ", "sex": "f"})
    assert made.values() == {"age": 31.5, "sex": "F"}
    assert made.source("age") == "entered"


@pytest.mark.parametrize("unknown", ["", "unknown", " Unknown "])
def test_unknown_entries_are_left_out(unknown: str) -> None:
    assert entries({"age": unknown, "sex": unknown}).values() == {}


def test_a_prefilled_fact_holds_and_says_where_it_comes_from() -> None:
    made = entries({}, {"age": AGE, "sex": SEX})
    assert made.values() == {"age": 31.0, "sex": "F"}
    assert [made.text("age"), made.source("age")] == ["31", FROM_DICOM]


def test_a_prefill_never_overwrites_what_was_entered() -> None:
    made = entries({"age": "20", "sex": ""})
    made.prefill({"age": AGE, "sex": SEX})
    assert made.values() == {"age": 20.0}
    assert made.text("age") == "20"
    assert made.text("sex") == ""


def test_an_entry_that_contradicts_the_scan_says_so() -> None:
    made = entries({"age": "20"}, {"age": AGE, "sex": SEX})
    assert made.source("age") == "entered (31 from DICOM: PatientAge)"
    made.enter("age", "31")
    assert made.source("age") == "entered"
    made.enter("sex", "")
    assert made.source("sex") == "entered (F from DICOM: PatientSex)"


def test_a_new_volume_replaces_earlier_prefills() -> None:
    made = entries({"sex": "M"}, {"age": AGE})
    made.prefill({"sex": SEX})
    assert made.values() == {"sex": "M"}
    made.prefill({})
    assert made.source("sex") == "entered"


@pytest.mark.parametrize(
    ("name", "text"), [("age", "abc"), ("age", "500"), ("age", "-1"), ("age", "31 years"), ("sex", "X")]
)
def test_an_impossible_entry_is_a_problem_and_no_value(name: str, text: str) -> None:
    made = entries({name: text})
    assert made.values() == {}
    assert made.problems() == [made.problem(name)]
    assert f'"{name}"' in made.problem(name)
    assert text in made.problem(name)
    assert "allowed" in made.problem(name)


@pytest.mark.parametrize("text", ["nan", "n/a", "unknown"])
def test_what_a_table_calls_unknown_is_no_problem(text: str) -> None:
    made = entries({"age": text})
    assert made.problems() == []
    assert made.values().get("age") is None


def test_a_value_outside_the_trained_range_is_kept_and_noted() -> None:
    made = entries({"age": "70"})
    assert made.values() == {"age": 70.0}
    assert made.problems() == []
    assert made.notes() == [
        "age = 70 lies outside what the model was trained on (19 to 34 years); it is treated as unknown."
    ]


def test_an_odd_dicom_value_is_told_until_the_user_enters_one() -> None:
    made = entries({}, {"age": ODD_AGE})
    assert made.values() == {}
    assert made.notes() == [ODD_AGE.problem]
    assert made.source("age") == ""
    made.enter("age", "30")
    assert made.notes() == []
    assert made.source("age") == "entered"


def test_facts_of_fields_that_the_model_does_not_use_are_passed_over() -> None:
    assert entries({}, {"weight": Fact(70.0, "from DICOM: PatientWeight", "")}).values() == {}


def test_a_field_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(KeyError):
        entries({"weight": "70"})


@settings(max_examples=80, deadline=None)
@given(ENTERED, FACTS)
def test_entries_survive_text(entered: dict[str, str], facts: dict[str, Fact]) -> None:
    made = entries(entered, facts)
    again = MetadataEntries.from_text(SCHEMA, made.to_text())
    assert again.to_text() == made.to_text()
    assert again.values() == made.values()
    assert (again.problems(), again.notes()) == (made.problems(), made.notes())
    assert [again.source(field.name) for field in SCHEMA.fields] == [made.source(field.name) for field in SCHEMA.fields]


@settings(max_examples=80, deadline=None)
@given(ENTERED, FACTS)
def test_a_field_is_known_impossible_or_unknown_and_the_run_gets_only_what_the_schema_takes(
    entered: dict[str, str], facts: dict[str, Fact]
) -> None:
    made = entries(entered, facts)
    for field in SCHEMA.fields:
        assert not (made.problem(field.name) and field.name in made.values())
    SCHEMA.parse(made.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[1]",
        '{"entered": 3, "facts": []}',
        '{"entered": {"weight": "70", "age": 31}, "facts": {"age": [31], "sex": "F"}}',
        '{"entered": {"age": null}, "facts": {"age": [["31"], "a", "b"], "sex": ["F", 1, 2]}}',
    ],
)
def test_text_that_cannot_be_read_gives_an_empty_form(text: str) -> None:
    made = MetadataEntries.from_text(SCHEMA, text)
    assert json.loads(made.to_text()) == {"entered": {}, "facts": {}}


def test_entries_move_to_another_model_as_far_as_it_has_the_fields() -> None:
    other = MetadataSchema(
        (
            Field("age", "number", unit="years", possible=(0, 120), trained=(50, 90)),
            Field("site", "choice", choices=("A", "B")),
        )
    )
    made = MetadataEntries.from_text(other, entries({"age": "31"}, {"sex": SEX}).to_text())
    assert made.values() == {"age": 31.0}
    assert "(50 to 90 years)" in made.notes()[0]


def test_titles_and_hints_say_unit_and_ranges() -> None:
    sex, age = SCHEMA.fields
    assert title(age) == "Age (years)"
    assert (
        title(Field("field_strength", "number", unit="T", possible=(0, 20), trained=(1.5, 3))) == "Field strength (T)"
    )
    assert hint(age) == "0 to 120 years or unknown; the model was trained on 19 to 34."
    assert title(sex) == "Sex"
    assert hint(sex) == "F, M or unknown."
    assert (
        hint(Field("sex", "choice", "sex of the person", choices=("F", "M"))) == "Sex of the person: F, M or unknown."
    )
