"""A model that divides a scan in two ways, as the user of the panel sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vtk
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt
from LabelConditionedSegmentationLib.core.inference.result import Result
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import PROTOCOL_TAG
from LabelConditionedSegmentationLib.panel.label_ticks import LabelTicks
from LabelConditionedSegmentationLib.panel.my_labels import MyLabels
from LabelConditionedSegmentationLib.scene.segmentations import LABEL_TAG

from Testing import samples
from Testing.host.application import Host
from Testing.panel.test_panel_mending import STROKE, paint_label
from Testing.panel.user import INSIDE, PLACE, User, describe, masks

TREE = samples.rival_protocols()
FINE, COARSE = (set(part.labels) for part in TREE.parts.values())
HIPPOCAMPI = ("Left Hippocampus", "Left Hippocampus (Coarse)")


@pytest.fixture(scope="module")
def rivals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of two protocols that learns labels from examples."""
    architecture = replace(samples.TINY, examples=True)
    made = samples.network(architecture, TREE, seed=25)
    package = samples.package(tmp_path_factory.mktemp("packages"), architecture, TREE, name="rivals", made=made)
    return describe(package.path, title="Rivals")


@pytest.fixture(scope="module")
def expected(rivals: Path) -> Result:
    """All labels of the scan."""
    return Segmenter.from_package(rivals, "cpu").segment(samples.scan(affine=PLACE))


@pytest.fixture
def user(host: Host, rivals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "rivals").symlink_to(rivals)
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    host.scene.AddNewNodeByClass("vtkMRMLCrosshairNode")  # which the views of the application bring
    made = User(host)
    made.choose(made.add_volume())
    yield made
    made.panel.runner.close()


def scan_of(user: User) -> Any:
    return user.panel.inputs.nodes[0]


def top_of(user: User) -> list[str]:
    """The names of what stands at the top of the tree."""
    tree = user.ui.labelTree
    return [str(tree.topLevelItem(n).text(0)) for n in range(tree.topLevelItemCount)]


def set_box(item: Any, on: bool) -> None:
    import qt

    item.setCheckState(0, qt.Qt.Checked if on else qt.Qt.Unchecked)


def tag(segment: Any, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def assert_as_expected(found: dict[str, Any], expected: Result, names: list[str]) -> None:
    assert sorted(found) == sorted(names)
    for name in names:
        np.testing.assert_array_equal(found[name], expected.mask(name).to_numpy(), name)


def test_protocols_are_the_roots_of_the_tree_and_their_boxes_tick_all_below(user: User) -> None:
    assert top_of(user) == ["Fine", "Coarse"]
    heading = user.panel.tree.heading("Coarse")
    set_box(heading, True)
    assert user.chosen == [label.name for label in TREE.walk() if label in COARSE]
    user.tick("Remainder", on=False)
    import qt

    assert heading.checkState(0) == qt.Qt.PartiallyChecked
    set_box(heading, False)
    assert user.chosen == []


def test_a_click_on_the_name_of_a_protocol_chooses_no_structure(user: User) -> None:
    tree, heading = user.panel.tree, user.panel.tree.heading("Fine")
    user.tick(*HIPPOCAMPI)
    user.apply()
    user.ui.labelTree.setCurrentItem(heading)
    user.ui.labelTree.itemPressed(heading, 0)
    user.ui.labelTree.itemClicked(heading, 0)
    assert tree.current is None
    tree.mark_first()
    assert tree.current == TREE.find("Left Hippocampus").id


def test_a_search_finds_a_structure_of_one_protocol_by_the_name_of_that(user: User) -> None:
    user.ui.searchBox.text = "hippocampus"
    assert not user.panel.tree.heading("Fine").isHidden()
    user.ui.searchBox.text = "hippocampus coarse"
    shown = {label.name for label in TREE.labels if not user.panel.tree.item(label.id).isHidden()}
    assert shown == {"Left Hippocampus (Coarse)", "Right Hippocampus (Coarse)"}
    user.ui.searchBox.text = "remainder"
    assert user.panel.tree.heading("Fine").isHidden()
    user.ui.searchBox.text = ""


def test_labels_of_two_protocols_lie_beside_each_other_in_one_segmentation(user: User, expected: Result) -> None:
    user.press("allButton")
    node = user.apply()
    found = masks(node, scan_of(user))
    assert_as_expected(found, expected, [leaf.name for leaf in TREE.leaves])
    fine, coarse = (np.logical_or.reduce([found[leaf.name] for leaf in p.leaves]) for p in TREE.parts.values())
    assert (fine & coarse).any()
    segments = node.GetSegmentation()
    each = [segments.GetSegment(n) for n in segments.GetSegmentIDs()]
    told = {tag(segment, LABEL_TAG): tag(segment, PROTOCOL_TAG) for segment in each}
    assert told == {str(leaf.id): TREE.protocol_of(leaf).name for leaf in TREE.leaves}


def test_ticks_follow_in_both_protocols_without_another_pass(user: User, expected: Result) -> None:
    user.panel.ticks.sides_together = False
    user.tick("Left Hippocampus")
    node, passes = user.apply(), user.passes
    user.tick("Left Hippocampus (Coarse)", "Remainder")
    user.tick("Left Hippocampus", on=False)
    assert user.passes == passes
    assert_as_expected(masks(node, scan_of(user)), expected, ["Left Hippocampus (Coarse)", "Remainder"])
    user.tick("Left Hippocampus")
    names = ["Left Hippocampus", "Left Hippocampus (Coarse)", "Remainder"]
    assert_as_expected(masks(node, scan_of(user)), expected, names)


def test_the_pointer_tells_the_structure_of_every_protocol_and_a_pick_offers_them(user: User) -> None:
    user.press("allButton")
    found = masks(user.apply(), scan_of(user))
    (k, j, i), *_ = np.argwhere(found[HIPPOCAMPI[0]] & np.logical_or.reduce([found[x.name] for x in COARSE]))
    x, y, z, _ = (float(n) for n in PLACE @ [i, j, k, 1])
    user.host.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCursorPositionRAS((x, y, z))
    told = str(user.ui.pointerLabel.text).split(", ")
    assert told[0] == HIPPOCAMPI[0]
    assert [TREE.protocol_of(TREE.find(name)).name for name in told] == ["Fine", "Coarse"]
    user.press("pickButton")
    user.click_in_view(INSIDE)
    offered = [str(user.ui.pickList.item(n).text()) for n in range(user.ui.pickList.count)]
    assert len(offered) == 3
    assert {TREE.protocol_of(TREE.find(text.rpartition("  ")[0])).name for text in offered} == {"Fine", "Coarse"}


def test_mending_a_structure_of_one_protocol_leaves_the_other_as_it_is(user: User) -> None:
    user.ui.strokesSection.collapsed = False
    user.press("allButton")
    node = user.apply()
    before = masks(node, scan_of(user))
    user.press("newStrokesButton")
    user.ui.mendBox.click()
    wrong = next(name for name in ("Left Hippocampus (Coarse)", "Remainder") if not before[name][STROKE].all())
    paint_label(user, wrong, STROKE)
    user.press("acceptStrokesButton")
    after = masks(node, scan_of(user))
    assert after[wrong][STROKE].all()
    for leaf in TREE.parts["Fine"].leaves:
        np.testing.assert_array_equal(after[leaf.name], before[leaf.name], leaf.name)
    others = [after[leaf.name] for leaf in TREE.parts["Coarse"].leaves]
    assert sum(mask.astype(int) for mask in others).max() == 1


def test_strokes_of_two_protocols_mend_nothing_and_say_why(user: User) -> None:
    user.ui.strokesSection.collapsed = False
    user.tick("Remainder")
    user.apply()
    user.press("newStrokesButton")
    user.ui.mendBox.click()
    paint_label(user, "Remainder", STROKE)
    paint_label(user, "Left Putamen", np.roll(STROKE, 4, axis=1))
    assert "mend one of them at a time" in user.said
    assert user.panel.strokes.preview.node is None


def test_my_labels_stand_beside_the_protocols_and_are_kept_inside_of_theirs(rivals: Path, expected: Result) -> None:
    package = Segmenter.from_package(rivals, "cpu").package
    mine = MyLabels()
    parents = {"Spot": "Left Hippocampus", "Patch": "Remainder"}
    for n, (name, parent) in enumerate(parents.items(), start=1):
        vector = (0.0,) * package.architecture.feature_channels
        mine.add(ExamplePrompt(name, vector, float(n), package.name, package.weights_sha256, parent), package)
    tree = mine.tree(package)
    assert list(tree.parts) == ["Fine", "Coarse", "My labels"]
    assert [leaf.name for leaf in tree.parts["My labels"].leaves] == ["Spot", "Patch"]
    ticks = LabelTicks(tree)
    ticks.tick_protocol("Coarse", True)
    assert LabelTicks.from_text(tree, ticks.to_text()).wanted() == ticks.wanted()
    features = Segmenter.from_package(rivals, "cpu").features(samples.scan(affine=PLACE))
    found = features.by_example(mine.of(package)).segment()
    for name, parent in parents.items():
        assert not (found.mask(name).to_numpy() & ~expected.mask(parent).to_numpy()).any()
        assert found.mask(name).to_numpy().any()
