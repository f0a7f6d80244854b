"""The cited table of codes: what stands in it can be a code, names its source, and reaches the label trees."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.core.labels.dicom_codes import dicom_codes
from LabelConditionedSegmentationLib.core.labels.label_tree import Code, Label, LabelTree
from LabelConditionedSegmentationLib.resources import resources_folder

from Training.data.catalogue import label_table

with (resources_folder() / "Labels" / "snomed.csv").open(encoding="utf-8", newline="") as stream:
    ROWS = list(csv.DictReader(stream))

DIHEDRAL = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 4, 0, 6, 7, 8, 9, 5], [2, 3, 4, 0, 1, 7, 8, 9, 5, 6]]
DIHEDRAL += [[3, 4, 0, 1, 2, 8, 9, 5, 6, 7], [4, 0, 1, 2, 3, 9, 5, 6, 7, 8], [5, 9, 8, 7, 6, 0, 4, 3, 2, 1]]
DIHEDRAL += [[6, 5, 9, 8, 7, 1, 0, 4, 3, 2], [7, 6, 5, 9, 8, 2, 1, 0, 4, 3], [8, 7, 6, 5, 9, 3, 2, 1, 0, 4]]
DIHEDRAL += [[9, 8, 7, 6, 5, 4, 3, 2, 1, 0]]


def is_snomed(code: str) -> bool:
    """Whether the last digit of an identifier of SNOMED CT is the one that the others ask for (Verhoeff, 1969)."""
    turn, check = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4], 0
    permutation = list(range(10))
    for digit in reversed(code):
        check = DIHEDRAL[check][permutation[int(digit)]]
        permutation = [permutation[turn[n]] for n in range(10)]
    return check == 0


def test_the_check_digit_tells_a_code_from_a_slip() -> None:
    assert is_snomed("12738006")
    assert not is_snomed("12738007")
    assert not is_snomed("12783006")


def test_every_code_is_one_and_names_its_source() -> None:
    coded = [row for row in ROWS if row["code"]]
    assert len([row for row in coded if row["kind"] == "label"]) == 52
    for row in coded:
        assert row["source"], row["structure"]
        assert row["meaning"], row["structure"]
        assert row["match"] in ("exact", "parent")
        assert row["scheme"] in ("SCT", "FMA", "DCM")
        assert bool(row["modifier_code"]) == (row["match"] == "parent"), row["structure"]
    numbers = [row["code"] for row in coded if row["scheme"] == "SCT"]
    numbers += [row[column] for row in ROWS for column in ("modifier_code", "category_code") if row[column]]
    assert [number for number in numbers if not is_snomed(number)] == []


def test_a_structure_without_a_code_says_why() -> None:
    assert [row["structure"] for row in ROWS if not row["code"] and not row["note"]] == []
    assert [row["structure"] for row in ROWS if not row["code"] and (row["match"] or row["scheme"])] == []


def test_no_two_structures_share_their_codes() -> None:
    told = [
        (row["scheme"], row["code"], row["modifier_code"]) for row in ROWS if row["kind"] == "label" and row["code"]
    ]
    assert len(set(told)) == len(told)


@pytest.fixture
def tree(tmp_path: Path) -> LabelTree:
    (tmp_path / "labels.csv").write_text(
        "id,name,structure,hemisphere\n"
        "1,Left AIns anterior insula,AIns anterior insula,left\n"
        "2,Right MPrG precentral gyrus medial segment,MPrG precentral gyrus medial segment,right\n"
        "3,Left AnG angular gyrus,AnG angular gyrus,left\n"
        "4,Left PT planum temporale,PT planum temporale,left\n"
    )
    tree, _ = label_table(tmp_path / "labels.csv")
    return tree


def test_a_part_of_a_coded_structure_has_its_code_narrowed(tree: LabelTree) -> None:
    insula, precentral, angular, planum = (tree[number] for number in (1, 2, 3, 4))
    assert insula.type is None  # else it would be called the whole insula
    codes = dicom_codes(insula, "m")
    assert (codes.type.value, [code.meaning for code in codes.modifiers]) == ("36169008", ["Anterior", "Left"])
    codes = dicom_codes(precentral, "m")
    assert (codes.type.scheme, [code.meaning for code in codes.modifiers]) == ("FMA", ["Medial", "Right"])
    assert dicom_codes(angular, "m").type == Code("SCT", "279186009", "Angular gyrus")
    assert [code.meaning for code in dicom_codes(angular, "m").modifiers] == ["Left"]
    assert dicom_codes(planum, "m").type == Code("99LCS", "m:4", "Left PT planum temporale")
    again = LabelTree.from_json(tree.to_json())
    assert [(label.broader, label.position) for label in again.labels] == [
        (label.broader, label.position) for label in tree.labels
    ]
    assert tree.search("insula anterior left") == [insula]


def test_a_label_of_an_earlier_package_is_read() -> None:
    assert Label.from_json({"id": 3, "name": "X"}).broader is None
