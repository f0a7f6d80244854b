"""After a run: the ways that lead on, volumes, the structure under the mouse, and the slices that go to a structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.host.application import Host
from Testing.host.result_modules import provide_other_modules
from Testing.panel.user import INSIDE, PLACE, User, masks


@pytest.fixture
def user(host: Host, models: Path) -> User:
    """A user who has segmented everything in a scan."""
    host.scene.AddNewNodeByClass("vtkMRMLCrosshairNode")  # which the views of the application bring
    user = User(host)
    user.choose(user.add_volume())
    user.press("allButton")
    user.apply()
    return user


def volume(user: User) -> Any:
    return user.panel.inputs.nodes[0]


def node(user: User) -> Any:
    return user.panel.segment.live.node


def point_at(user: User, position: tuple[float, float, float] | None) -> str:
    """Move the mouse to a point in a slice view, or out of it; what the panel says of it."""
    crosshair = user.host.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    if position is None:
        crosshair.SetCursorPositionInvalid()
    else:
        crosshair.SetCursorPositionRAS(position)
    return str(user.ui.pointerLabel.text)


def position_of(i: int, j: int, k: int) -> tuple[float, float, float]:
    """World position of a voxel."""
    x, y, z, _ = (float(n) for n in PLACE @ [i, j, k, 1])
    return x, y, z


def click_name(user: User, name: str) -> None:
    """Click the name of a structure in the tree."""
    item = user.panel.tree.item(user.panel.package.labels.find(name).id)
    user.ui.labelTree.itemPressed(item, 0)
    user.ui.labelTree.itemClicked(item, 0)


def table(user: User) -> list[list[str]]:
    tree = user.ui.volumesTree
    return [[str(tree.topLevelItem(n).text(c)) for c in range(5)] for n in range(tree.topLevelItemCount)]


# Ways that lead on


def test_there_is_nothing_about_a_result_before_the_first_one(host: Host, models: Path) -> None:
    user = User(host)
    assert not user.ui.resultSection.isVisible()
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()
    assert user.ui.resultSection.isVisible()
    user.press("undoButton")
    assert not user.ui.resultSection.isVisible()


def test_the_segment_editor_opens_with_the_result_and_its_volume(user: User) -> None:
    modules = provide_other_modules(user.host)
    user.press("editButton")
    assert modules.opened == ["SegmentEditor"]
    assert (modules.editor.segmentation, modules.editor.volume) == (node(user), volume(user))


def test_segment_statistics_opens_with_the_result_and_its_volume(user: User) -> None:
    modules = provide_other_modules(user.host)
    user.press("statisticsButton")
    assert modules.opened == ["SegmentStatistics"]
    chosen = modules.statistics.segmentationSelector.node, modules.statistics.scalarSelector.node
    assert chosen == (node(user), volume(user))


def test_3d_is_shown_and_taken_away_and_what_others_do_is_seen(user: User) -> None:
    assert not user.ui.show3DButton.checked
    user.press("show3DButton")
    assert node(user).GetSegmentation().ContainsRepresentation("Closed surface")
    assert node(user).GetDisplayNode().GetVisibility3D()
    user.press("show3DButton")
    assert not node(user).GetSegmentation().ContainsRepresentation("Closed surface")
    node(user).CreateClosedSurfaceRepresentation()
    user.panel.refresh()
    assert user.ui.show3DButton.checked


def test_opacity_and_outline(user: User) -> None:
    display = node(user).GetDisplayNode()
    user.ui.opacitySlider.value = 30
    assert display.GetOpacity2DFill() == pytest.approx(0.3)
    user.ui.outlineBox.click()
    assert display.GetVisibility2DOutline()
    assert not display.GetVisibility2DFill()
    assert not user.ui.opacitySlider.enabled or user.panel.refresh() is None
    user.panel.refresh()
    assert not user.ui.opacitySlider.enabled
    user.ui.outlineBox.click()
    assert display.GetVisibility2DFill()
    display.SetOpacity2DFill(0.8)
    user.panel.refresh()
    assert user.ui.opacitySlider.value == 80


# Volumes


def test_the_volumes_stand_side_by_side_with_their_asymmetry(user: User) -> None:
    found = masks(node(user), volume(user))
    voxel = abs(np.linalg.det(PLACE[:3, :3])) / 1000
    rows = {row[0]: row[1:] for row in table(user)}
    assert set(rows) == {"Hippocampus", "Amygdala", "Putamen"}
    for name, (total, left, right, asymmetry) in rows.items():
        sides = [float(found[f"{side} {name}"].sum()) * voxel for side in ("Left", "Right")]
        assert [left, right, total] == [f"{sides[0]:.2f}", f"{sides[1]:.2f}", f"{sum(sides):.2f}"]
        expected = 200 * (sides[0] - sides[1]) / sum(sides) if sum(sides) else None
        assert asymmetry == ("" if expected is None else f"{round(expected, 1) + 0.0:+.1f} %")


def test_the_volumes_follow_the_ticks_without_the_network(user: User) -> None:
    passes = user.passes
    user.ui.sidesBox.checked = False
    user.tick("Left Putamen", on=False)
    rows = {row[0]: row for row in table(user)}
    assert rows["Putamen"][2] == ""
    assert rows["Putamen"][4] == ""
    user.press("clearButton")
    assert table(user) == []
    assert not user.ui.volumesTree.isVisible()
    assert user.passes == passes


def test_volumes_of_another_scan_are_not_shown(user: User) -> None:
    user.choose(user.add_volume("Other", seed=1))
    assert table(user) == []


# Under the mouse


def test_the_structure_under_the_mouse_is_that_of_the_winner_map(user: User) -> None:
    passes = user.passes
    found = masks(node(user), volume(user))
    inside = np.linalg.inv(PLACE)
    seen = set()
    for n in range(-12, 13, 2):
        position = (INSIDE[0] + n, INSIDE[1] + n / 2, INSIDE[2] - n / 2)
        i, j, k, _ = np.rint(inside @ [*position, 1]).astype(int)
        shape = next(iter(found.values())).shape
        is_in = all(0 <= at < length for at, length in zip((k, j, i), shape, strict=True))
        there = [name for name, mask in found.items() if is_in and mask[k, j, i]]
        said = point_at(user, position)
        seen.update(there)
        assert (said == there[0]) if there else said.startswith("Point at")
    assert len(seen) > 1
    assert point_at(user, (900.0, 0.0, 0.0)).startswith("Point at")
    assert user.passes == passes


def test_nothing_is_said_of_a_point_in_no_view_or_in_another_scan(user: User) -> None:
    found = masks(node(user), volume(user))
    k, j, i = next(np.argwhere(mask)[0] for mask in found.values() if mask.any())
    there = position_of(i, j, k)
    assert point_at(user, there) in found
    assert point_at(user, None).startswith("Point at")
    point_at(user, there)
    user.choose(user.add_volume("Other", seed=1))
    assert point_at(user, there).startswith("Point at")


def test_a_volume_that_moves_is_not_pointed_at_where_it_was(user: User) -> None:
    found = masks(node(user), volume(user))
    k, j, i = next(np.argwhere(mask)[0] for mask in found.values() if mask.any())
    there = position_of(i, j, k)
    assert point_at(user, there) in found
    volume(user).SetOrigin(300, 0, 0)
    assert point_at(user, there).startswith("Point at")


# Going to a structure


def test_a_click_on_a_name_centres_the_slices_in_the_structure_and_flashes_it(user: User) -> None:
    scene = user.host.scene
    slices = [scene.AddNewNodeByClass("vtkMRMLSliceNode") for _ in range(3)]
    for view, orientation in zip(slices, ("Axial", "Sagittal", "Coronal"), strict=True):
        view.SetOrientation(orientation)
    segments, display = node(user).GetSegmentation(), node(user).GetDisplayNode()
    name, mask = next((name, mask) for name, mask in masks(node(user), volume(user)).items() if mask.any())
    ident = segments.GetSegmentIdBySegmentName(name)
    passes = user.passes
    click_name(user, name)
    at = [view.GetSliceToRAS().GetElement(axis, 3) for view, axis in zip(slices, (2, 0, 1), strict=True)]
    i, j, k, _ = np.rint(np.linalg.inv(PLACE) @ [at[1], at[2], at[0], 1]).astype(int)
    assert mask[k, j, i]
    user.host.run_until(lambda: not display.GetSegmentVisibility(ident), 5)
    user.host.run_until(lambda: not user.panel.result._flash.is_going_on, 5)
    assert display.GetSegmentVisibility(ident)
    assert user.passes == passes


def test_a_click_on_a_group_goes_to_what_lies_under_it(user: User) -> None:
    view = user.host.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    before = view.GetSliceToRAS().GetElement(2, 3)
    click_name(user, "Deep gray matter")
    assert view.GetSliceToRAS().GetElement(2, 3) != before


def test_a_tick_goes_nowhere(user: User) -> None:
    view = user.host.scene.AddNewNodeByClass("vtkMRMLSliceNode")
    before = view.GetSliceToRAS().GetElement(2, 3)
    item = user.panel.tree.item(user.panel.package.labels.find("Left Putamen").id)
    user.ui.labelTree.itemPressed(item, 0)
    user.tick("Left Putamen", on=False)
    user.ui.labelTree.itemClicked(item, 0)
    assert view.GetSliceToRAS().GetElement(2, 3) == before


def test_what_is_hidden_stays_hidden_and_a_segment_that_goes_stops_the_flashing(user: User) -> None:
    name = next(name for name, mask in masks(node(user), volume(user)).items() if mask.any())
    display = node(user).GetDisplayNode()
    ident = node(user).GetSegmentation().GetSegmentIdBySegmentName(name)
    display.SetSegmentVisibility(ident, False)
    click_name(user, name)
    assert not user.panel.result._flash.is_going_on
    assert not display.GetSegmentVisibility(ident)
    display.SetSegmentVisibility(ident, True)
    click_name(user, name)
    assert user.panel.result._flash.is_going_on
    user.host.scene.RemoveNode(node(user))
    user.host.run_until(lambda: not user.panel.result._flash.is_going_on, 5)


def test_before_a_run_a_click_on_a_name_does_nothing(host: Host, models: Path) -> None:
    user = User(host)
    user.choose(user.add_volume())
    said = user.said
    click_name(user, "Left Putamen")
    assert user.said == said
