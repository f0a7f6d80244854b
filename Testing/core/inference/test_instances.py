"""The connected pieces of a label: numbers, volumes and places, and the files of `--instances`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib import Segmenter, Volume, read_volume
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.errors import LabelError, OutputError
from LabelConditionedSegmentationLib.core.inference.instances import instances_of
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree

from Testing import samples
from Testing.cli.command import write_scan
from Testing.core.inference.test_segmenter import OBLIQUE
from Training.data.catalogue import label_table

LESION = Label(7, "Lesion", instances=True)


@pytest.fixture
def mask() -> Volume:
    """Pieces of 1, 8 and 3 voxels, the last of which touch at corners alone."""
    inside = np.zeros((10, 12, 14), dtype=bool)
    inside[1, 1, 1] = True
    inside[4:6, 4:6, 10:12] = True
    for n in range(3):
        inside[7 + n, 8 + n, 2 + n] = True
    return Volume(inside[None], OBLIQUE)


def test_pieces_are_numbered_from_the_largest_one(mask: Volume) -> None:
    found = instances_of(mask, LESION)
    assert [piece.name for piece in found.pieces] == ["Lesion 1", "Lesion 2", "Lesion 3"]
    numbers = found.volume.to_numpy()
    assert numbers.dtype == np.uint8
    assert list(np.bincount(numbers.ravel())[1:]) == [8, 3, 1]
    assert np.array_equal(numbers > 0, mask.to_numpy())
    assert {numbers[7, 8, 2], numbers[8, 9, 3], numbers[9, 10, 4]} == {2}
    assert np.array_equal(found.volume.affine, OBLIQUE)


def test_a_piece_knows_its_volume_and_its_centre(mask: Volume) -> None:
    found = instances_of(mask, LESION)
    millilitres = abs(np.linalg.det(OBLIQUE[:3, :3])) / 1000
    for piece in found.pieces:
        k, j, i = np.nonzero(found.volume.to_numpy() == piece.number)
        assert piece.ml == pytest.approx(len(k) * millilitres)
        assert piece.centre == pytest.approx((OBLIQUE @ [i.mean(), j.mean(), k.mean(), 1])[:3])


def test_a_label_that_is_nowhere_has_no_pieces(mask: Volume) -> None:
    found = instances_of(mask.with_array(np.zeros_like(mask.array)), LESION)
    assert found.pieces == ()
    assert not found.volume.to_numpy().any()


def test_more_pieces_than_a_byte_holds_are_all_numbered() -> None:
    inside = np.zeros((14, 14, 14), dtype=bool)
    inside[::2, ::2, ::2] = True
    found = instances_of(Volume(inside[None], np.eye(4)), LESION)
    assert len(found.pieces) == 343
    assert found.volume.to_numpy().max() == 343


def test_the_files_hold_the_numbers_and_what_is_known_of_each(mask: Volume, tmp_path: Path) -> None:
    found = instances_of(mask, LESION)
    found.save(tmp_path / "lesions.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "lesions.nii.gz").to_numpy(), found.volume.to_numpy())
    names = json.loads((tmp_path / "lesions.json").read_text())
    assert names["instances_of"] == "Lesion"
    assert names["values"]["1"]["name"] == "Lesion 1"
    assert names["values"]["1"]["ml"] == pytest.approx(found.pieces[0].ml, abs=1e-6)
    with pytest.raises(OutputError, match="exists"):
        found.save(tmp_path / "lesions.nii.gz")
    with pytest.raises(OutputError, match="no image"):
        found.save(tmp_path / "lesions.seg.nrrd")


def test_a_tree_keeps_which_labels_have_pieces_of_their_own() -> None:
    tree = LabelTree((LESION, Label(8, "Brain")))
    again = LabelTree.from_json(tree.to_json())
    assert again == tree
    plain = Label(8, "Brain")
    assert "instances" not in plain.to_json()


def test_a_label_table_says_which_labels_have_pieces_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,name,instances\n1,Lesion,1\n2,Brain,0\n3,Skull,\n")
    tree, _ = label_table(tmp_path / "labels.csv")
    assert [label.name for label in tree.labels if label.instances] == ["Lesion"]


@pytest.fixture
def package(tiny_package: Path, tmp_path: Path) -> Path:
    """A model whose right hippocampus comes in pieces."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_package, folder)
    content = json.loads((folder / "model.json").read_text())
    next(label for label in content["labels"] if label["name"] == "Right Hippocampus")["instances"] = True
    (folder / "model.json").write_text(json.dumps(content))
    return folder


def test_a_result_numbers_pieces(package: Path) -> None:
    result = Segmenter.from_package(package, "cpu").segment(samples.scan())
    found = result.instances("Right Hippocampus")
    assert np.array_equal(found.volume.to_numpy() > 0, result.mask("Right Hippocampus").to_numpy())
    assert found.pieces
    with pytest.raises(LabelError, match='"Left Hippocampus" is a thing of its own; it says so of "Right Hippocampus"'):
        result.instances("Left Hippocampus")


def test_the_command_writes_the_numbers_beside_the_segmentation(package: Path, tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "scan.nii.gz")
    words = ["segment", str(scan), "--model", str(package), "-o", str(tmp_path / "out.nii.gz")]
    assert main([*words, "--instances", "Hippocampus R"]) == 0
    numbers = read_volume(tmp_path / "out_right_hippocampus_instances.nii.gz").to_numpy()
    assert np.array_equal(numbers > 0, read_volume(tmp_path / "out.nii.gz").to_numpy() == 46)
    values = json.loads((tmp_path / "out_right_hippocampus_instances.json").read_text())["values"]
    assert [int(number) for number in values] == list(range(1, int(numbers.max()) + 1))


@pytest.mark.parametrize(
    ("further", "sentence"),
    [
        (["--instances", "Left Hippocampus", "-o", "{}/o.seg.nrrd"], "a thing of its own"),
        (["--instances", "Hippocampos", "-o", "{}/o.seg.nrrd"], 'no label "Hippocampos"'),
        (["--instances", ",", "-o", "{}/o.seg.nrrd"], "names no label"),
        (["--instances", "46", "--labels", "Left Amygdala", "-o", "{}/o.seg.nrrd"], "name it in --labels"),
        (["--instances", "46", "--masked-scan", "{}/m.nii.gz"], "name a place for that with -o"),
    ],
)
def test_pieces_that_cannot_be_numbered_are_refused_before_anything_is_written(
    package: Path, tmp_path: Path, further: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    scan = write_scan(tmp_path / "scan.nii.gz")
    words = [word.replace("{}", str(out)) for word in further]
    assert main(["segment", str(scan), "--model", str(package), *words]) == 2
    assert sentence in capsys.readouterr().err
    assert not list(out.iterdir())
