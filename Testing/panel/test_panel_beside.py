"""Results of two models for one scan: both stay, either or both are shown, and their overlap is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from Testing import samples
from Testing.host.application import Host
from Testing.panel.test_panel_models import add_zebra, show_model
from Testing.panel.user import PLACE, User, assert_same_masks, entries, masks


@pytest.fixture
def user(host: Host, models: Path) -> User:
    """A user who has segmented two structures with the model "tiny"; there is a second one, "zebra"."""
    add_zebra(models)
    user = User(host)
    show_model(user, "Tiny")
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()
    return user


def scan(user: User) -> Any:
    return user.panel.inputs.nodes[0]


def by_zebra(user: User) -> tuple[Any, Any]:
    """Apply of the second model; the segmentations of both, in order."""
    first = user.panel.segment.live.node
    show_model(user, "Zebra")
    return first, user.apply()


def compare_with(user: User, node: Any) -> None:
    user.ui.besideSelector.currentIndex = user.ui.besideSelector.findData(node.GetID())


def rows(user: User) -> list[list[str]]:
    tree = user.ui.overlapTree
    return [[str(tree.topLevelItem(n).text(c)) for c in range(4)] for n in range(tree.topLevelItemCount)]


# Both stay


def test_a_second_model_adds_a_segmentation_that_is_named_after_it(user: User) -> None:
    before = masks(user.panel.segment.live.node, scan(user))
    first, second = by_zebra(user)
    assert first is not second
    assert [first.GetName(), second.GetName()] == ["Scan segmentation", "Scan segmentation by zebra"]
    assert_same_masks(masks(first, scan(user)), before)
    assert [node.GetDisplayNode().GetVisibility2DFill() for node in (first, second)] == [1, 0]
    assert user.ui.outputSelector.currentNode() is second


def test_each_model_goes_on_with_what_it_made(user: User) -> None:
    first, second = by_zebra(user)
    show_model(user, "Tiny")
    assert user.ui.outputSelector.currentNode() is first
    user.press("clearButton")
    user.tick("Left Amygdala")
    assert user.apply() is first
    show_model(user, "Zebra")
    assert user.ui.outputSelector.currentNode() is second
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 2


def test_the_model_before_goes_on_where_the_other_has_not_run(user: User) -> None:
    first = user.panel.segment.live.node
    show_model(user, "Zebra")
    assert user.ui.outputSelector.currentNode() is None
    show_model(user, "Tiny")
    assert user.ui.outputSelector.currentNode() is first


def test_a_segmentation_of_the_user_takes_both(user: User) -> None:
    own = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    own.CreateDefaultDisplayNodes()
    own.SetReferenceImageGeometryParameterFromVolumeNode(scan(user))
    user.ui.outputSelector.setCurrentNode(own)
    assert user.apply() is own
    show_model(user, "Zebra")
    assert user.apply() is own
    assert own.GetSegmentation().GetNumberOfSegments() == 4


def test_undo_takes_the_second_one_alone(user: User) -> None:
    first, second = by_zebra(user)
    user.press("undoButton")
    assert second.GetScene() is None
    assert first.GetScene() is not None


# What is shown


def test_there_is_nothing_to_compare_with_before_there_are_two(user: User) -> None:
    user.add_volume("Other")
    assert not user.ui.besideForm.isVisible()
    _first, second = by_zebra(user)
    assert user.ui.besideForm.isVisible()
    assert entries(user.ui.besideSelector) == ["Compare with...", "Scan segmentation"]
    assert not user.ui.shownSelector.isVisible()
    assert not user.ui.overlapTree.isVisible()
    user.host.scene.RemoveNode(second)
    user.panel.refresh()
    assert not user.ui.besideForm.isVisible()


def test_both_or_either_are_shown(user: User) -> None:
    first, second = by_zebra(user)
    compare_with(user, first)
    views = [node.GetDisplayNode() for node in (second, first)]
    for chosen, seen, filled in ((1, [1, 0], [1, 1]), (2, [0, 1], [1, 1]), (0, [1, 1], [1, 0])):
        user.ui.shownSelector.currentIndex = chosen
        user.ui.shownSelector.activated(chosen)
        assert [view.GetVisibility() for view in views] == seen
        assert [view.GetVisibility2DFill() for view in views] == filled
    views[0].SetVisibility(False)
    user.panel.refresh()
    assert user.ui.shownSelector.currentIndex == 2


# How they agree


def dice(one: Any, other: Any) -> float:
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else float("nan")


def test_the_overlap_is_the_dice_coefficient_of_structures_of_one_name(user: User) -> None:
    user.press("allButton")
    first, second = by_zebra(user)
    compare_with(user, first)
    voxel = abs(np.linalg.det(PLACE[:3, :3])) / 1000
    one, other = masks(second, scan(user)), masks(first, scan(user))
    assert [row[0] for row in rows(user)] == list(one)
    known = []
    for name, ml, other_ml, found in rows(user):
        assert [ml, other_ml] == [f"{float(mask[name].sum()) * voxel:.2f}" for mask in (one, other)]
        expected = dice(one[name], other[name])
        assert found == ("" if np.isnan(expected) else f"{expected:.3f}")
        known += [] if np.isnan(expected) else [expected]
    assert user.ui.overlapLabel.text == f"Mean Dice of {len(known)} structures: {np.mean(known):.3f}."


def test_the_overlap_follows_what_is_changed_by_hand_and_by_ticks(user: User) -> None:
    first, second = by_zebra(user)
    compare_with(user, first)
    assert [row[0] for row in rows(user)] == ["Left Putamen", "Right Putamen"]
    mask = masks(second, scan(user))["Left Putamen"].astype(np.uint8)
    ident = first.GetSegmentation().GetSegmentIdBySegmentName("Left Putamen")
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, first, ident, scan(user))
    user.panel.refresh()
    assert rows(user)[0][3] == ("1.000" if mask.any() else "")
    user.tick("Left Putamen", on=False)
    assert user.ui.overlapLabel.text == "The two have no structure of the same name."
    assert not user.ui.overlapTree.isVisible()


def test_segmentations_on_other_grids_are_a_sentence(user: User) -> None:
    node = user.panel.segment.live.node
    coarse = user.add_volume("Coarse", affine=PLACE * [[2, 2, 2, 1]])
    other = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Coarse one")
    other.CreateDefaultDisplayNodes()
    other.SetReferenceImageGeometryParameterFromVolumeNode(coarse)
    ident = other.GetSegmentation().AddEmptySegment("putamen", "Left Putamen")
    shape = slicer.util.arrayFromVolume(coarse).shape
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(shape, np.uint8), other, ident, coarse)
    other.SetReferenceImageGeometryParameterFromVolumeNode(scan(user))
    user.panel.refresh()
    compare_with(user, other)
    assert user.ui.overlapLabel.text == (
        f'"{node.GetName()}" and "Coarse one" lie on different grids, so they cannot be compared.'
    )


def test_a_protocol_of_the_same_name_is_a_model_of_its_own(user: User) -> None:
    """Three models: each has a segmentation of its own."""
    by_zebra(user)
    samples.package(Path(user.panel.package.path).parent, name="third")
    user.panel.choices.models.look_for_models()
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("third")
    user.apply()
    assert [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")] == [
        "Scan segmentation",
        "Scan segmentation by zebra",
        "Scan segmentation by third",
    ]
