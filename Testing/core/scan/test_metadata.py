"""Metadata: what a user may say about a scan, what the network is given, and that everything may be unknown."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LabelConditionedSegmentationLib.core.errors import MetadataError
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema

from Testing.samples import SCHEMA

MODEST = settings(max_examples=60, deadline=None)
AGE = Field("age", "number", unit="years", possible=(0, 120), trained=(19, 34))
SEX = Field("sex", "choice", choices=("F", "M"))


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", "unknown", " Unknown ", "UNKNOWN", "n/a", "N/A", "NaN", "nan", math.nan, np.float32("nan")],
)
@pytest.mark.parametrize("field", [AGE, SEX], ids=["number", "choice"])
def test_everything_may_be_unknown(field: Field, value: Any) -> None:
    assert field.parse(value) is None
    assert math.isnan(field.encode(field.parse(value)))


@pytest.mark.parametrize(("value", "expected"), [("F", "F"), ("f", "F"), (" m ", "M")])
def test_a_choice_is_read_in_any_case(value: str, expected: str) -> None:
    assert SEX.parse(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("31", 31.0), (" 31.5 ", 31.5), (0, 0.0), (120, 120.0), (np.float32(20.5), 20.5), (np.int16(7), 7.0)],
)
def test_a_number_is_read_from_text_and_from_numbers(value: Any, expected: float) -> None:
    assert AGE.parse(value) == expected


@pytest.mark.parametrize(
    ("choices", "value", "expected"),
    [
        (("F", "M"), "female", "F"),
        (("F", "M"), " MALE ", "M"),
        (("Female", "Male"), "f", "Female"),
        (("female", "male", "other"), "O", "other"),
        (("m", "male"), "male", "male"),  # what is there itself comes first
    ],
)
def test_spellings_of_bids_are_one_choice(choices: tuple[str, ...], value: str, expected: str) -> None:
    assert Field("sex", "choice", choices=choices).parse(value) == expected


def test_spellings_of_one_field_mean_nothing_in_another() -> None:
    assert Field("handedness", "choice", choices=("R", "L")).parse("left") == "L"
    with pytest.raises(MetadataError, match='"size" cannot be "male"'):
        Field("size", "choice", choices=("S", "M")).parse("male")
    with pytest.raises(MetadataError, match='"sex" cannot be "other"'):
        SEX.parse("other")


def test_an_age_that_bids_hides_is_the_least_that_it_can_be_and_told() -> None:
    old = MetadataSchema((Field("age", "number", unit="years", possible=(0, 120), trained=(60, 95)),))
    parsed, findings = old.parse({"age": "89+"})
    assert parsed == {"age": 89.0}
    assert [(f.level, f.text) for f in findings] == [("warning", "age = 89+ means at least 89; it is taken as 89.")]
    parsed, findings = SCHEMA.parse({"age": "89+"})
    assert parsed["age"] is None
    assert ["treated as unknown" in f.text for f in findings] == [True]


@pytest.mark.parametrize("value", ["x", "F M", 1, 0.0, True, ["F"]])
def test_what_is_no_choice_is_refused_with_the_choices(value: Any) -> None:
    with pytest.raises(MetadataError, match=r'"sex".*F, M or unknown'):
        SEX.parse(value)


@pytest.mark.parametrize(
    "value",
    ["old", "34Y", "89++", "+", "-5+", "130+", "inf", math.inf, -math.inf, -1, 120.5, "1e9", [31], {}, "3 1", 1j],
)
def test_what_is_no_possible_number_is_refused_with_the_range(value: Any) -> None:
    with pytest.raises(MetadataError, match=r'"age".*0 to 120 years or unknown'):
        AGE.parse(value)


def test_truth_values_are_no_numbers() -> None:
    with pytest.raises(MetadataError, match="age"):
        AGE.parse(True)


def test_the_trained_range_becomes_minus_one_to_one_and_the_middle_zero() -> None:
    assert (AGE.encode(19.0), AGE.encode(34.0), AGE.encode(26.5)) == (-1.0, 1.0, 0.0)


def test_choices_are_encoded_by_their_place() -> None:
    assert [SEX.encode(SEX.parse(value)) for value in ("f", "m")] == [0.0, 1.0]


@MODEST
@given(st.floats(19, 34), st.floats(19, 34))
def test_the_code_of_a_number_rises_with_it_and_stays_within_one(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert -1 - 1e-9 <= AGE.encode(low) <= AGE.encode(high) <= 1 + 1e-9


def test_a_field_trained_on_one_value_only_is_encoded_finitely() -> None:
    field = Field("tesla", "number", possible=(0, 20), trained=(3, 3))
    assert math.isfinite(field.encode(3.0))
    parsed, findings = MetadataSchema((field,)).parse({"tesla": 3})
    assert parsed == {"tesla": 3.0}
    assert not findings


def test_a_schema_parses_what_was_said_and_leaves_the_rest_unknown() -> None:
    parsed, findings = SCHEMA.parse({"age": "31"})
    assert parsed == {"sex": None, "age": 31.0}
    assert findings == []
    encoded = SCHEMA.encode(parsed)
    assert encoded.dtype == np.float32
    assert math.isnan(encoded[0])
    assert encoded[1] == pytest.approx((31 - 26.5) / 7.5)


@pytest.mark.parametrize("values", [None, {}, {"sex": None}, {"sex": "unknown", "age": ""}])
def test_nothing_said_and_unknown_said_are_the_same(values: dict[str, Any] | None) -> None:
    parsed, findings = SCHEMA.parse(values)
    assert parsed == {"sex": None, "age": None}
    assert findings == []
    assert np.isnan(SCHEMA.encode(parsed)).all()


@pytest.mark.parametrize("age", [18.9, 35, 0, 120])
def test_a_number_outside_the_trained_range_becomes_unknown_with_a_warning(age: float) -> None:
    parsed, findings = SCHEMA.parse({"age": age, "sex": "M"})
    assert parsed == {"sex": "M", "age": None}
    assert [finding.level for finding in findings] == ["warning"]
    text = str(findings[0])
    assert all(part in text for part in ("age", f"{age:g}", "19 to 34 years", "unknown"))


@pytest.mark.parametrize("age", [19, 34])
def test_the_ends_of_the_trained_range_belong_to_it(age: float) -> None:
    parsed, findings = SCHEMA.parse({"age": age})
    assert parsed["age"] == age
    assert not findings


def test_a_mistyped_field_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(MetadataError, match=r'"agee".*Did you mean "age"'):
        SCHEMA.parse({"agee": 31})


def test_a_strange_field_is_answered_with_all_that_the_model_knows() -> None:
    with pytest.raises(MetadataError, match=r'"scanner".*sex, age'):
        SCHEMA.parse({"scanner": "x"})


def test_a_model_without_metadata_says_so() -> None:
    assert MetadataSchema().parse({}) == ({}, [])
    assert MetadataSchema().encode({}).shape == (0,)
    with pytest.raises(MetadataError, match="no metadata"):
        MetadataSchema().parse({"age": 31})


FIELDS = st.one_of(
    st.builds(
        lambda name, choices, dicom: Field(name, "choice", "What it is.", "", tuple(choices), dicom=tuple(dicom)),
        st.text("abcdef", min_size=1, max_size=6),
        st.lists(st.text("uvwxyz", min_size=1), min_size=1, max_size=4, unique=True),
        st.lists(st.sampled_from(["PatientSex", "Modality"]), max_size=2),
    ),
    st.builds(
        lambda name, ends: Field(name, "number", unit="mm", possible=(ends[0], ends[3]), trained=(ends[1], ends[2])),
        st.text("abcdef", min_size=1, max_size=6),
        st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4).map(sorted),
    ),
)


@MODEST
@given(st.lists(FIELDS, max_size=5, unique_by=lambda field: field.name))
def test_a_schema_survives_json(fields: list[Field]) -> None:
    schema = MetadataSchema(tuple(fields))
    assert MetadataSchema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "date"},
        {"kind": "choice"},
        {"kind": "number"},
        {"kind": "number", "possible": (0, 1)},
        {"kind": "number", "trained": (0, 1)},
        {"kind": "number", "possible": (1, 0), "trained": (0, 1)},
        {"kind": "number", "possible": (0, 10), "trained": (2, 1)},
        {"kind": "number", "possible": (0, 10), "trained": (5, 11)},
        {"kind": "number", "possible": (0, math.nan), "trained": (0, 1)},
        {"kind": "choice", "choices": ("F", "f")},
        {"kind": "choice", "choices": ("F", "unknown")},
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(entry: dict[str, Any]) -> None:
    with pytest.raises(MetadataError, match='"thing"'):
        Field(name="thing", **entry)


def test_two_fields_of_one_name_are_refused() -> None:
    with pytest.raises(MetadataError, match="same name"):
        MetadataSchema((AGE, AGE))
