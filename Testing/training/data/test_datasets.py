"""Labelled data sets in three layouts, their tables of labels, and all that is wrong with one said at once."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.resources import resources_folder

from Testing.samples import SCHEMA
from Testing.training.made_up_data import as_bids, as_datalist, write_data_set
from Training.data.catalogue import label_table
from Training.data.data_checks import check_data_set, metadata_notes, raise_problems
from Training.data.datasets import read_data_set, read_image, read_labels
from Training.evaluation.scan_evaluation import known_metadata


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("data") / "made_up")


@pytest.fixture
def copy(made_up: Path, tmp_path: Path) -> Path:
    """A data set that a test may spoil."""
    return Path(shutil.copytree(made_up, tmp_path / "copy"))


def table(folder: Path, text: str) -> tuple[LabelTree, frozenset[int]]:
    (folder / "labels.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    return label_table(folder / "labels.csv")


# ----------------------------------------------------------------------------------------------------------------------
# layouts


def test_the_raw_layout_of_nnunet_is_read_with_metadata(made_up: Path) -> None:
    data_set = read_data_set(made_up)
    assert [case.name for case in data_set.cases] == ["case_0", "case_1", "case_2"]
    first = data_set.cases[0]
    assert first.images == (made_up / "imagesTr" / "case_0000.nii.gz".replace("case_", "case_0_"),)
    assert first.label == made_up / "labelsTr" / "case_0.nii.gz"
    assert first.metadata == {"sex": "F", "age": "20"}
    assert first.annotated is None
    assert data_set.cases[2].metadata == {}  # n/a
    assert data_set.ignored_ids >= {63}
    assert read_image(first).array.shape[0] == 1
    assert set(np.unique(read_labels(first).array)) >= {4, 47, 65}


def test_channels_are_counted_by_the_description_or_by_what_is_there(copy: Path) -> None:
    for n in range(3):
        shutil.copy(copy / "imagesTr" / f"case_{n}_0000.nii.gz", copy / "imagesTr" / f"case_{n}_0001.nii.gz")
    assert [path.name for path in read_data_set(copy).cases[1].images] == ["case_1_0000.nii.gz", "case_1_0001.nii.gz"]
    assert read_image(read_data_set(copy).cases[1]).array.shape == (2, 32, 36, 34)
    (copy / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1"}}))
    assert [path.name for path in read_data_set(copy).cases[1].images] == ["case_1_0000.nii.gz"]


def test_another_file_ending_is_read_from_the_description(copy: Path) -> None:
    for path in [*copy.glob("labelsTr/*"), *copy.glob("imagesTr/*")]:
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path).replace(".nii.gz", ".mha"))
        path.unlink()
    (copy / "dataset.json").write_text(json.dumps({"file_ending": ".mha"}))
    assert [case.files[-1].name for case in read_data_set(copy).cases] == ["case_0.mha", "case_1.mha", "case_2.mha"]


def test_a_datalist_says_the_same_as_the_folder(made_up: Path, tmp_path: Path) -> None:
    folder, listed = read_data_set(made_up), read_data_set(as_datalist(made_up, tmp_path / "list.json"))
    assert [case.name for case in listed.cases] == ["case_0", "case_1", "case_2"]
    for one, other in zip(folder.cases, listed.cases, strict=True):
        assert one.metadata == other.metadata
        assert [path.resolve() for path in one.files] == [path.resolve() for path in other.files]
    assert {label.name for label in listed.table.labels} >= {"3rd Ventricle", "Left Insula", "Right vessel"}


def test_entries_of_a_datalist_carry_names_channels_and_what_was_annotated(made_up: Path, tmp_path: Path) -> None:
    image, label = str(made_up / "imagesTr" / "case_0_0000.nii.gz"), str(made_up / "labelsTr" / "case_0.nii.gz")
    entries = [
        {
            "name": "b",
            "image": [image, image],
            "label": label,
            "annotated": ["Left Hippocampus", "3rd Ventricle"],
            "dose": 1.5,
        },
        {"name": "a", "image": image, "label": label, "annotated": []},
    ]
    (tmp_path / "list.json").write_text(
        json.dumps({"labels": {"3rd Ventricle": 4, "Left Hippocampus": 48}, "training": entries})
    )
    first, second = read_data_set(tmp_path / "list.json").cases
    assert (first.name, first.annotated, len(first.images)) == ("a", (), 1)
    assert (second.name, second.annotated, len(second.images)) == ("b", ("Left Hippocampus", "3rd Ventricle"), 2)
    assert second.metadata == {"dose": "1.5"}


def test_files_of_one_name_in_a_datalist_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    entries = [{"image": f"{name}/t1.nii.gz", "label": f"{name}/seg.nii.gz"} for name in ("anna", "otto")]
    (tmp_path / "list.json").write_text(json.dumps({"labels": {"1": "Brain"}, "training": entries}))
    assert [case.name for case in read_data_set(tmp_path / "list.json").cases] == ["anna_seg", "otto_seg"]


def test_a_bids_folder_is_read_with_sessions_and_its_table(made_up: Path, tmp_path: Path) -> None:
    data_set = read_data_set(as_bids(made_up, tmp_path / "bids"))
    assert [case.name for case in data_set.cases] == ["sub-00_ses-0", "sub-00_ses-1", "sub-02"]
    assert [case.metadata for case in data_set.cases] == [
        {"sex": "F", "age": "20"},
        {"sex": "F", "age": "20"},
        {"sex": "F", "age": "22"},
    ]
    assert data_set.table.find("Left Hippocampus").id == 48
    assert data_set.table.find("Left Hippocampus").color == (1, 0, 0)
    for case, n in zip(data_set.cases, range(3), strict=True):
        assert np.array_equal(read_labels(case).array, read_volume(made_up / "labelsTr" / f"case_{n}.nii.gz").array)
        assert np.array_equal(read_image(case).array, read_volume(made_up / "imagesTr" / f"case_{n}_0000.nii.gz").array)


def test_the_channels_of_a_bids_folder_are_the_contrasts_that_every_case_has(made_up: Path, tmp_path: Path) -> None:
    folder = as_bids(made_up, tmp_path / "bids")
    for path in list(folder.glob("sub-*/**/*_T1w.nii.gz")):
        for contrast in ("FLAIR", "T2w", *(["angio"] if "sub-02" in path.name else [])):
            shutil.copy(path, path.with_name(path.name.replace("T1w", contrast)))
    assert [path.name.split("_")[-1] for path in read_data_set(folder).cases[2].images] == [
        "T1w.nii.gz",
        "T2w.nii.gz",
        "FLAIR.nii.gz",
    ]


def test_two_label_maps_of_one_bids_scan_are_refused(made_up: Path, tmp_path: Path) -> None:
    folder = as_bids(made_up, tmp_path / "bids")
    path = next(folder.glob("derivatives/*/sub-02/anat/*"))
    shutil.copy(path, path.with_name("sub-02_desc-other_dseg.nii.gz"))
    with pytest.raises(SystemExit, match=r"several files.*desc-other.*write a datalist"):
        read_data_set(folder)


def test_a_bids_folder_without_labels_or_without_a_common_contrast_is_refused(made_up: Path, tmp_path: Path) -> None:
    folder = as_bids(made_up, tmp_path / "bids")
    path = next(folder.glob("sub-02/anat/*_T1w.nii.gz"))
    path.rename(path.with_name("sub-02_T2w.nii.gz"))
    with pytest.raises(SystemExit, match="no contrast"):
        read_data_set(folder)
    for path in folder.glob("derivatives/manual/**/*_dseg.nii.gz"):
        path.unlink()
    with pytest.raises(SystemExit, match=r"no labelled case.*_dseg\.nii\.gz"):
        read_data_set(folder)


def test_a_table_beside_the_data_wins_over_the_layout(made_up: Path, tmp_path: Path) -> None:
    for root in (as_bids(made_up, tmp_path / "bids"), as_datalist(made_up, tmp_path / "list.json")):
        folder = root if root.is_dir() else root.parent
        (folder / "labels.csv").write_text("id,name\n48,Own name\n")
        assert [label.name for label in read_data_set(root).table.labels] == ["Own name"]


def test_labels_of_the_description_are_used_without_a_table_and_its_ignore_label_is_none(copy: Path) -> None:
    (copy / "labels.csv").unlink()
    (copy / "dataset.json").write_text(
        json.dumps({"labels": {"background": 0, "Left thing": 48, "Right thing": 47, "ignore": 65}})
    )
    data_set = read_data_set(copy)
    assert [(label.id, label.name, label.laterality) for label in data_set.table.labels] == [
        (48, "Left thing", "left"),
        (47, "Right thing", "right"),
    ]
    assert data_set.ignored_ids == {65}


def test_named_cases_alone_are_taken_and_missing_ones_are_named(made_up: Path) -> None:
    assert [case.name for case in read_data_set(made_up, ["case_2", "case_0"]).cases] == ["case_0", "case_2"]
    with pytest.raises(SystemExit, match=r"case_7, case_9"):
        read_data_set(made_up, ["case_0", "case_9", "case_7"])


def test_the_column_annotated_names_what_somebody_looked_for(copy: Path) -> None:
    (copy / "participants.tsv").write_text(
        "participant_id\tannotated\tage\ncase_0\tLeft Hippocampus; 3rd Ventricle\t\ncase_1\tn/a\t30\n"
    )
    cases = read_data_set(copy).cases
    assert [case.annotated for case in cases] == [("Left Hippocampus", "3rd Ventricle"), None, None]
    assert [case.metadata for case in cases] == [{}, {"age": "30"}, {}]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: shutil.rmtree(f / "labelsTr"), "no folder labelsTr.*MONAI.*BIDS"),
        (lambda f: [path.unlink() for path in f.glob("labelsTr/*")], "no labelled case"),
        (lambda f: (f / "labels.csv").unlink(), "neither a labels.csv nor"),
        (
            lambda f: (f / "participants.tsv").write_text("participant_id,age\ncase_0,20\n"),
            'no column "participant_id".*participant_id,age',
        ),
        (
            lambda f: (f / "participants.tsv").write_text("participant_id\tage\nCase-0\t20\n"),
            "says nothing about any case.*Case-0.*case_0",
        ),
        (
            lambda f: (f / "participants.tsv").write_text("participant_id\tage\ncase_0\t20\ncase_0\t21\n"),
            "more than one line for case_0",
        ),
        (lambda f: (f / "dataset.json").write_text("{"), "no valid JSON"),
        (lambda f: (f / "dataset.json").write_text("[]"), "no JSON object"),
    ],
)
def test_a_data_set_that_cannot_be_understood_is_refused_with_a_sentence(copy: Path, spoil: object, words: str) -> None:
    spoil(copy)  # type: ignore[operator]
    with pytest.raises(SystemExit, match=words):
        read_data_set(copy)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"training": [{"image": "a.nii.gz"}]}, 'lacks "image" or "label".*a.nii.gz'),
        ({"training": [{"image": [1], "label": "b.nii.gz"}]}, 'lacks "image" or "label"'),
        ({"train": []}, 'no list "training"'),
        ({"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}]}, "neither a labels.csv nor"),
        (
            {"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}], "labels": {"Tumour": [1, 2]}},
            '"Tumour" of several ids',
        ),
        (
            {"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}], "labels": {"Tumour": None}},
            '"Tumour" the id null',
        ),
        (
            {"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}], "labels": {"A": 1, "B": 1}},
            'the id 1 to both "A" and "B"',
        ),
    ],
)
def test_a_datalist_that_cannot_be_understood_is_refused_with_a_sentence(
    tmp_path: Path, content: object, words: str
) -> None:
    (tmp_path / "list.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match=words):
        read_data_set(tmp_path / "list.json")


# ----------------------------------------------------------------------------------------------------------------------
# tables of labels


def test_the_tree_of_the_whole_brain_table_is_that_of_the_shipped_package(malc2012: Path) -> None:
    tree, ignored_ids = label_table(malc2012 / "labels.csv")
    shipped = LabelTree.from_json(
        json.loads((resources_folder() / "Models" / "brain" / "model.json").read_text())["labels"]
    )
    assert tree.to_json() == shipped.to_json()  # colours are stored rounded
    assert LabelTree.from_json(tree.to_json()) == shipped
    made = {label.id for label in tree.labels if label.id >= 244}
    assert ignored_ids == {15, 42, 43, 63, 64, 74} | made


@pytest.mark.parametrize(("name", "labels", "sides"), [("hippocampus", 3, 0), ("mouse", 37, 37), ("fetal", 8, 0)])
def test_tables_of_other_data_sets_give_trees(malc2012: Path, name: str, labels: int, sides: int) -> None:
    data_set = read_data_set(malc2012.parent / name)
    assert len(data_set.table) == labels
    assert sum(label.laterality in ("left", "right") for label in data_set.table.labels) == sides
    assert all(
        not label.synonyms for label in data_set.table.labels
    )  # no words of a name are taken for an abbreviation


def test_a_parent_without_a_line_is_made_and_its_id_is_no_label(tmp_path: Path) -> None:
    tree, ignored_ids = table(
        tmp_path, "id,name,parent\n1,Anterior hippocampus,Hippocampus\n255,Posterior hippocampus,Hippocampus\n"
    )
    parent = tree.find("Hippocampus")
    assert [leaf.id for leaf in tree.leaves_under(parent)] == [1, 255]
    assert parent.id == 254
    assert ignored_ids == {254}


def test_sides_come_from_the_column_or_from_the_name_and_mirror(tmp_path: Path) -> None:
    tree, _ = table(tmp_path, "id,name\n2,left thalamus\n49,right thalamus\n16,Brain stem\n7,Lefty\n")
    assert [label.laterality for label in tree.labels] == ["left", "right", "", ""]
    assert tree.mirrored_classes == (0, 2, 1, 3, 4)
    assert tree[2].color == tree[49].color
    tree, _ = table(tmp_path, "id,name,hemisphere\n1,Heart,midline\n2,A,Right\n")
    assert [label.laterality for label in tree.labels] == ["midline", "right"]


def test_groups_synonyms_and_colours_are_read(tmp_path: Path) -> None:
    tree, ignored_ids = table(
        tmp_path,
        "id,name,compartment,group,synonyms,color\n5,Putamen,deep_gray,striatum,shell;"
        " P,#ff8000\n6,Pallidum,deep_gray,deep_gray,,\n7,Vessel,,,,\n",
    )
    assert [label.name for label in tree.ancestors(tree[5])] == ["striatum", "Deep gray matter"]
    assert [label.name for label in tree.ancestors(tree[6])] == ["Deep gray matter"]
    assert tree.ancestors(tree[7]) == ()
    assert tree[5].synonyms == ("shell", "P")
    assert tree[5].color == (1, 128 / 255, 0)
    assert ignored_ids == {254, 255}


def test_ignored_lines_are_no_labels_unless_they_contain_scored_ones(tmp_path: Path) -> None:
    tree, ignored_ids = table(
        tmp_path, "id,name,parent,scored\n1,Whole,,0\n2,Part,Whole,1\n3,Noise,,0\n4,Noise,,0\n5,Below noise,Noise,0\n"
    )
    assert [label.id for label in tree.labels] == [1, 2]
    assert ignored_ids == {3, 4, 5}


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("\ufeffid , name\r\n1, Thalamus \r\n,\r\n".encode())
    assert [label.name for label in label_table(tmp_path / "labels.csv")[0].labels] == ["Thalamus"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id;name\n1;A\n", 'separated by commas, has no column "id".*id;name'),
        ("id,name\n1.5,A\n", '"1.5, A" needs an id'),
        ("id,name\n1,\n", "needs an id, a whole number, and a name"),
        ("id,name\n1,A\n1,B\n", '2 of its lines have the id "1"'),
        ("id,name\n1,A\n2,a\n", '2 of its lines have the name "a"'),
        ("id,name,parent\n1,A,B\n2,B,A\n", "its own ancestor"),
        ("id,name,hemisphere\n1,A,L\n", 'hemisphere "L" of "A"'),
        ("id,name,color\n1,A,red\n", 'color "red" of "A"'),
        ("id,name\n", "at least one label"),
        ("", 'no column "id"'),
        ("id,name\n1,\udcff\n", "no UTF-8 text"),
    ],
)
def test_a_wrong_table_is_refused_with_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words):
        table(tmp_path, text)


# ----------------------------------------------------------------------------------------------------------------------
# checks


def problems_of(root: Path, channels: int = 1) -> list[str]:
    return check_data_set(read_data_set(root), channels, SCHEMA, progress=False)


def change_label(root: Path, case: str, change: object) -> None:
    path = root / "labelsTr" / f"{case}.nii.gz"
    volume = read_volume(path)
    sitk.WriteImage(image_of(change(volume)), str(path))  # type: ignore[operator]


def test_a_good_data_set_has_no_problems_in_any_layout(made_up: Path, tmp_path: Path) -> None:
    for root in (made_up, as_datalist(made_up, tmp_path / "list.json"), as_bids(made_up, tmp_path / "bids")):
        assert problems_of(root) == []
    raise_problems([])


def test_the_scans_at_hand_have_no_problems(malc2012: Path) -> None:
    data_set = read_data_set(malc2012, ["malc_1000"])
    assert check_data_set(data_set, 1, SCHEMA, progress=False) == []


def test_all_problems_are_told_at_once_each_with_its_case(copy: Path) -> None:
    (copy / "imagesTr" / "case_0_0000.nii.gz").unlink()
    truncated = copy / "imagesTr" / "case_1_0000.nii.gz"
    truncated.write_bytes(truncated.read_bytes()[:-2000])
    change_label(
        copy,
        "case_2",
        lambda v: Volume(np.where(v.array == 47, np.int16(300), v.array), v.affine @ np.diag([1, 1, 1.01, 1])),
    )
    (copy / "participants.tsv").write_text("participant_id\tannotated\ncase_2\tLeft Hipocampus\n")
    problems = problems_of(copy)
    assert len(problems) == 5
    for problem, words in zip(
        problems,
        (
            ("case_0: ", "no file", "case_0_0000.nii.gz"),
            ("case_1: ", "damaged or incomplete"),
            ("case_2: ", '"Left Hipocampus"', '"Left Hippocampus"'),
            ("case_2: ", "does not lie on the grid", "0.31 voxels"),
            ("case_2: ", "300 (", "voxels)", "labels.csv"),
        ),
        strict=True,
    ):
        assert all(word in problem for word in words), problem
    with pytest.raises(SystemExit) as ended:
        raise_problems(problems)
    assert all(problem in str(ended.value) for problem in problems)
    assert "5 problems" in str(ended.value)


def test_metadata_that_cannot_be_are_told_for_all_cases_beside_all_other_problems(copy: Path) -> None:
    (copy / "imagesTr" / "case_1_0000.nii.gz").unlink()
    (copy / "participants.tsv").write_text(
        "participant_id\tage\tsex\ncase_0\t34Y\tfemale\ncase_1\t130\tm\ncase_2\t89+\tboth\n"
    )
    problems = problems_of(copy)
    assert [problem[: problem.index(": ")] for problem in problems] == ["case_0", "case_1", "case_1", "case_2"]
    assert all('"age"' in problem for problem in problems[:2])
    assert '"34Y"' in problems[0]
    assert "no file" in problems[2]
    assert '"sex" cannot be "both"' in problems[3]


def test_spellings_of_bids_and_what_tables_call_unknown_are_no_problems(copy: Path) -> None:
    (copy / "participants.tsv").write_text(
        "participant_id\tage\tsex\ncase_0\t89+\tfemale\ncase_1\tNaN\tMALE\ncase_2\tn/a\t\n"
    )
    data_set = read_data_set(copy)
    assert problems_of(copy) == []
    assert metadata_notes(data_set.cases, SCHEMA) == [
        "age = 89 lies outside what the model was trained on (19 to 34 years); it is treated as unknown. (case_0)"
    ]
    told = [known_metadata(case, SCHEMA) for case in data_set.cases]
    assert [facts["sex"] for facts in told] == ["F", "M", None]
    assert [facts["age"] for facts in told] == [89.0, None, None]


def test_unknown_ids_are_counted_and_ids_of_made_parents_are_unknown(copy: Path) -> None:
    made = [label.id for label in read_data_set(copy).table.labels if label.id >= 250]
    assert made

    def paint(volume: Volume) -> Volume:
        array = volume.array.astype(np.int16)
        array[0, 0, 0, :3] = (made[0], made[0], 999)
        return volume.with_array(array)

    change_label(copy, "case_1", paint)
    (problem,) = problems_of(copy)
    assert f"{made[0]} (2 voxels), 999 (1 voxels)" in problem


def test_values_that_are_no_whole_numbers_are_told(copy: Path) -> None:
    change_label(copy, "case_1", lambda v: v.with_array(v.array.astype(np.float32) * 0.5))
    (problem,) = problems_of(copy)
    assert "no whole numbers" in problem
    change_label(copy, "case_1", lambda v: v.with_array((v.array * 2).astype(np.float32)))
    assert problems_of(copy) == []  # whole numbers stored as real ones are labels


def test_another_number_or_grid_of_channels_is_told(copy: Path) -> None:
    assert ["input.channels names 2" in problem for problem in problems_of(copy, channels=2)] == [True] * 3
    for n in range(3):
        volume = read_volume(copy / "imagesTr" / f"case_{n}_0000.nii.gz")
        array = volume.array[:, :-1] if n == 1 else volume.array
        sitk.WriteImage(image_of(Volume(array, volume.affine)), str(copy / "imagesTr" / f"case_{n}_0001.nii.gz"))
    (problem,) = problems_of(copy, channels=2)
    assert (
        '"case_1_0001.nii.gz" does not lie on the grid of "case_1_0000.nii.gz": 34x36x32 voxels here and 34x36x31 there'
        in problem
    )
    with pytest.raises(InputError, match="does not lie on the grid"):
        read_image(read_data_set(copy).cases[1])


def test_grids_that_differ_by_rounding_are_one(copy: Path) -> None:
    change_label(copy, "case_1", lambda v: Volume(v.array, v.affine + np.array([[0, 0, 0, 0.01]] * 3 + [[0, 0, 0, 0]])))
    assert problems_of(copy) == []
    change_label(copy, "case_1", lambda v: Volume(v.array, v.affine + np.array([[0, 0, 0, 0.1]] * 3 + [[0, 0, 0, 0]])))
    assert len(problems_of(copy)) == 1


def with_forms(path: Path, sform: int, qform: int, moved: float) -> None:
    """Give a NIfTI file these codes and a qform that lies apart from the sform by so many millimetres."""
    image = nib.load(path)
    header = image.header.copy()
    apart = image.affine.copy()
    apart[2, 3] += moved
    header.set_sform(image.affine, sform)
    header.set_qform(apart, qform)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, header), path)


def test_a_header_that_says_two_places_is_told_and_the_case_is_used(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_forms(copy / "imagesTr" / "case_1_0000.nii.gz", 2, 1, 7.0)
    assert problems_of(copy) == []
    said = capsys.readouterr().err
    assert "case_1_0000.nii.gz: The header says twice where the scan lies" in said
    assert "lie up to 7 mm apart" in said
    assert said.count("\n") == 1


def test_files_that_do_not_say_where_left_is_are_problems(copy: Path) -> None:
    with_forms(copy / "labelsTr" / "case_1.nii.gz", 0, 0, 0.0)
    (problem,) = problems_of(copy)
    assert problem.startswith("case_1: ")
    assert "left and right are not known" in problem


def test_a_file_that_is_no_image_is_told(copy: Path) -> None:
    (copy / "labelsTr" / "case_0.nii.gz").write_bytes(gzip.compress(b"not an image"))
    (problem,) = problems_of(copy)
    assert problem.startswith("case_0: ")


def test_cases_of_one_name_are_told(made_up: Path, tmp_path: Path) -> None:
    path = as_datalist(made_up, tmp_path / "list.json")
    content = json.loads(path.read_text())
    for entry in content["training"]:
        entry["name"] = "same"
    path.write_text(json.dumps(content))
    assert problems_of(path) == ["2 cases are called same; give each a name of its own."]
