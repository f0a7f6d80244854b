"""Which runs a batch has, what it keeps of them, and how two results are compared: plain decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.inference.winners import Winners
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.panel.result_comparison import comparison_columns, overlap, shared_labels
from LabelConditionedSegmentationLib.panel.scan_batch import Batch, batch_items, frames_of
from LabelConditionedSegmentationLib.panel.volume_rows import VolumeRow, volume_rows
from LabelConditionedSegmentationLib.scene.scans_in_scene import SceneScan

from Testing import samples

TREE = samples.label_tree()


class Named:
    """As much of a node as a batch asks for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def GetName(self) -> str:  # noqa: N802
        return self._name


@pytest.fixture
def package(tiny_package: Path) -> ModelPackage:
    return ModelPackage.load(tiny_package)


def batch_of(package: ModelPackage, *names: str) -> Batch:
    return Batch(batch_items([SceneScan(Named(name)) for name in names], "", [package]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", [0, 1, 2, 3]), ("2", [1]), ("1-3", [0, 1, 2]), (" 4, 1 - 2 ,2", [0, 1, 3]), (",", [0, 1, 2, 3])],
)
def test_frames_are_numbers_and_ranges(text: str, expected: list[int]) -> None:
    assert frames_of(text, 4) == expected


@pytest.mark.parametrize("text", ["0", "5", "3-2", "two", "1-", "1;2"])
def test_what_names_no_frames_is_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="names no frames"):
        frames_of(text, 4)


def test_each_scan_is_run_by_every_model_before_the_next_one_comes(package: ModelPackage) -> None:
    scans = [SceneScan(Named("A")), SceneScan(Named("B"), frames=2)]
    titles = [item.title for item in batch_items(scans, "", [package, package])]
    assert titles == ["A", "A", "B, frame 1", "B, frame 1", "B, frame 2", "B, frame 2"]


def test_a_batch_says_where_it_is_and_what_became_of_it(package: ModelPackage) -> None:
    batch = batch_of(package, "A", "B", "C")
    places = []
    while batch.take():
        places.append(batch.place)
        batch.note(*((None, "It is gone.") if len(places) == 2 else ({"Putamen": 1.5},)))
    assert places == [(1, 3), (2, 3), (3, 3)]
    assert batch.sentences(False) == ["2 of 3 runs were done.", "1 did not work: B: It is gone."]
    columns = batch.columns()
    assert columns["Scan"] == ["A", "B", "C"]
    assert columns["Putamen (ml)"] == [1.5, None, 1.5]
    assert columns["Remark"] == ["", "It is gone.", ""]


def test_a_cancelled_batch_says_what_is_kept(package: ModelPackage) -> None:
    batch = batch_of(package, *"ABCDEFGHIJKL")
    for _ in range(2):
        batch.take()
        batch.note({})
    batch.take()
    assert batch.sentences(True) == ["Cancelled in run 3 of 12; what was done before is kept (2)."]


def winners(*boxes: tuple[int, tuple[slice, slice, slice]], start: tuple[int, int, int] = (0, 0, 0)) -> Winners:
    classes = np.zeros((10, 10, 10), np.uint8)
    for number, box in boxes:
        classes[box] = number
    return Winners(TREE, classes, start, (12, 12, 12))


def cube(first: int, last: int) -> tuple[slice, slice, slice]:
    return slice(first, last), slice(0, 4), slice(0, 4)


def test_the_overlap_is_the_dice_coefficient_whatever_the_boxes_are() -> None:
    label: Any = TREE.leaves[0]
    one = winners((1, cube(0, 4)))
    for other, expected in (
        (winners((1, cube(0, 4))), 1.0),
        (winners((1, cube(2, 6))), 0.5),
        (winners((1, cube(1, 5)), start=(1, 0, 0)), 0.5),  # the same voxels in another region
        (winners((1, cube(5, 9))), 0.0),
        (winners(), 0.0),
    ):
        assert overlap((one, label), (other, label)) == pytest.approx(expected)
    assert overlap((winners(), label), (winners(), label)) is None


def test_two_results_stand_side_by_side() -> None:
    label = TREE.leaves[0]
    maps = winners((1, cube(0, 4))), winners((1, cube(2, 6)))
    pairs = shared_labels([(maps[0], [label])], [maps[1]], TREE)
    columns = comparison_columns(("a", "b"), pairs, 0.001)
    assert columns == {
        "Structure": [label.name],
        "a (ml)": [pytest.approx(0.064)],
        "b (ml)": [pytest.approx(0.064)],
        "Dice": [pytest.approx(0.5)],
    }


def test_a_model_of_several_protocols_is_compared_by_the_label_that_is_called_the_same() -> None:
    tree = samples.two_protocols()
    maps = [Winners(part, np.zeros((2, 2, 2), np.uint8), (0, 0, 0), (2, 2, 2)) for part in tree.parts.values()]
    labels = [TREE.find("Left Putamen"), TREE.find("Left Hippocampus")]
    pairs = shared_labels([(winners(), labels)], maps, tree)
    assert [(one[1], other[0].labels.protocols[0].name, other[1]) for one, other in pairs] == [
        (labels[0], "rest", labels[0]),
        (labels[1], "deep", labels[1]),
    ]


def test_a_row_of_volumes_knows_its_asymmetry() -> None:
    assert VolumeRow("x", left=1.1, right=0.9).asymmetry == pytest.approx(20)
    assert VolumeRow("x", left=1.1).asymmetry is None
    assert VolumeRow("x", left=0.0, right=0.0).asymmetry is None
    assert VolumeRow("x", left=1.0, right=1.0001).cells()[-1] == "+0.0 %"
    assert VolumeRow("x", whole=2.0).cells() == ["x", "2.00", "", "", ""]


def test_sides_are_put_together_and_what_has_none_stands_alone() -> None:
    left, right = TREE.find("Left Putamen"), TREE.find("Right Putamen")
    group = TREE.find("Deep gray matter")
    rows = volume_rows([(left, 2.0), (group, 5.0), (right, 3.0)], {left.id: right.id, right.id: left.id})
    assert rows == [VolumeRow("Putamen", left=2.0, right=3.0), VolumeRow("Deep gray matter", whole=5.0)]
