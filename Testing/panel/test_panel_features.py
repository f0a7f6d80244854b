"""Picking in the views, what DICOM says of a scan, and the choice of structures, as the user of the panel sees them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema

from Testing import samples
from Testing.host.application import Host
from Testing.panel.user import INSIDE, PLACE, User, assert_same_masks, entries, masks, segment_names

UID = "1.2.3"
AGE, SEX, BIRTH, STUDY = "0010,1010", "0010,0040", "0010,0030", "0008,0020"
DESCRIPTION, ECHO = "0008,103e", "0018,0081"


@pytest.fixture
def user(host: Host, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user who has chosen a scan."""
    monkeypatch.setenv("LCS_MODELS", str(tiny_package.parent))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user = User(host)
    user.choose(user.add_volume())
    return user


def interaction(user: User) -> Any:
    """The node that holds the mode of the views."""
    return user.host.scene.GetFirstNodeByClass("vtkMRMLInteractionNode")


def scan(user: User) -> Any:
    """The chosen volume."""
    return user.panel.inputs.nodes[0]


def offered(user: User) -> list[str]:
    """The lines of the list of structures under the point."""
    return [str(user.ui.pickList.item(n).text()) for n in range(user.ui.pickList.count)]


def of_dicom(user: User, name: str = "DICOM scan", **values: str) -> Any:
    """A volume of a DICOM instance with these values, chosen."""
    tags = {"age": AGE, "sex": SEX, "birth": BIRTH, "study": STUDY, "description": DESCRIPTION, "echo": ECHO}
    uid = f"{UID}.{len(name)}"
    for what, value in values.items():
        slicer.dicomDatabase[uid, tags[what]] = value
    volume = user.add_volume(name)
    volume.SetAttribute("DICOM.instanceUIDs", f"{uid} {uid}.2")
    user.choose(volume)
    return volume


# Pick in view


def test_picking_runs_the_network_once_and_offers_what_lies_under_the_point(user: User) -> None:
    from LabelConditionedSegmentationLib.core.inference.devices import choose_device
    from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
    from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage

    user.press("pickButton")
    assert user.passes > 0
    assert "Click" in user.said
    passes = user.passes
    user.click_in_view(INSIDE)
    assert user.passes == passes
    package = ModelPackage.load(user.panel.package.path)
    features = Segmenter(package, package.build_network(), choose_device("cpu")).features(samples.scan(affine=PLACE))
    expected = features.at(INSIDE, 3)
    assert offered(user) == [f"{found.label.name}  {100 * found.probability:.0f} %" for found in expected]
    assert user.ui.pickList.isVisible()
    assert not user.ui.pickButton.checked
    assert not list(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"))


def test_a_click_on_an_offered_structure_ticks_it_and_shows_its_segment(user: User) -> None:
    user.ui.sidesBox.checked = False
    user.tick("Left Putamen")
    node = user.apply()
    passes = user.passes
    user.press("pickButton")
    user.click_in_view(INSIDE)
    picked = user.ui.pickList.item(0)
    user.ui.pickList.itemClicked(picked)
    name = offered(user)[0].rsplit("  ")[0]
    assert name in user.chosen
    assert set(segment_names(node)) == {"Left Putamen", name}
    i, j, k, _ = np.linalg.inv(PLACE) @ [*INSIDE, 1]
    assert masks(node, scan(user))[name][round(k), round(j), round(i)]
    assert user.passes == passes


def test_leaving_place_mode_lets_the_button_up(user: User) -> None:
    user.press("pickButton")
    assert user.ui.pickButton.checked
    interaction(user).SwitchToViewTransformMode()  # Escape, a right click, another tool
    user.host.run_until(lambda: not user.panel.pick.picker.is_active)
    assert not user.ui.pickButton.checked
    assert not user.ui.pickList.isVisible()
    user.press("pickButton")
    assert user.ui.pickButton.checked


def test_pressing_the_button_again_ends_picking(user: User) -> None:
    user.press("pickButton")
    user.press("pickButton")
    assert not user.panel.pick.picker.is_active
    assert interaction(user).GetCurrentInteractionMode() != interaction(user).Place
    assert "Click into" not in user.said


def test_a_point_outside_the_volume_offers_nothing_and_says_so(user: User) -> None:
    user.press("pickButton")
    user.click_in_view((500.0, 0.0, 0.0))
    assert offered(user) == []
    assert not user.ui.pickList.isVisible()
    assert "outside" in user.said


def test_what_was_offered_goes_with_the_volume_or_the_metadata_it_was_found_for(user: User) -> None:
    def another_volume() -> None:
        user.choose(user.add_volume("Other", seed=1))

    def another_age() -> None:
        user.editor("age").text = "30"

    for change in (another_volume, another_age):
        user.press("pickButton")
        user.click_in_view(INSIDE)
        assert user.ui.pickList.isVisible()
        change()
        assert not user.ui.pickList.isVisible()


def test_a_change_of_the_volume_while_a_point_is_waited_for_ends_picking(user: User) -> None:
    user.press("pickButton")
    user.choose(user.add_volume("Other", seed=1))
    assert not user.panel.pick.picker.is_active
    assert not user.ui.pickButton.checked


# What DICOM says


@pytest.mark.parametrize(
    ("values", "age", "sex", "remark"),
    [
        ({"age": "031Y", "sex": "F"}, "31", "F", "from DICOM: PatientAge"),
        ({"age": "006M", "sex": "M"}, "0.5", "M", "from DICOM: PatientAge"),
        ({"age": "045Y"}, "45", "unknown", "treated as unknown"),
        ({"age": "", "sex": ""}, "", "unknown", ""),
        ({"age": "ABC", "sex": "O"}, "", "unknown", '"ABC"'),
        ({"age": "250Y"}, "", "unknown", '"250Y"'),
        ({"birth": "19900101", "study": "20200101"}, "30", "unknown", "from DICOM: PatientBirthDate"),
    ],
)
def test_the_form_shows_what_dicom_says_and_where_it_comes_from(
    user: User, values: dict[str, str], age: str, sex: str, remark: str
) -> None:
    of_dicom(user, **values)
    assert (user.shown("age"), user.shown("sex")) == (age, sex)
    assert remark in user.remark("age")
    if values.get("sex") == "O":
        assert '"O"' in user.remark("sex")
    user.tick("Left Putamen")
    assert user.ui.applyButton.enabled


def test_what_was_entered_wins_over_dicom_and_says_what_dicom_has(user: User) -> None:
    of_dicom(user, age="031Y", sex="F")
    user.editor("age").text = "25"
    user.editor("sex").currentIndex = 0
    assert (user.shown("age"), user.shown("sex")) == ("25", "unknown")
    assert user.remark("age") == "entered (31 from DICOM: PatientAge)"
    of_dicom(user, "Second scan", age="028Y", sex="M")
    assert (user.shown("age"), user.shown("sex")) == ("25", "unknown")
    assert user.remark("age") == "entered (28 from DICOM: PatientAge)"


def test_another_volume_brings_its_own_facts(user: User) -> None:
    first = of_dicom(user, age="031Y", sex="F")
    of_dicom(user, "Second scan", sex="M")
    assert (user.shown("age"), user.shown("sex")) == ("", "M")
    user.choose(first)
    assert (user.shown("age"), user.shown("sex")) == ("31", "F")


def test_the_run_is_told_what_the_form_shows_and_changes_with_it(user: User) -> None:
    of_dicom(user, age="031Y", sex="F")
    user.tick("Left Putamen")
    node = user.apply()
    assert user.report["metadata"] == {"sex": "F", "age": 31.0}
    before = masks(node, scan(user))
    user.editor("age").text = "45"
    assert "new run" in user.said
    user.apply()
    assert user.report["metadata"] == {"sex": "F", "age": "unknown"}
    assert "treated as unknown" in user.said
    assert any((before[name] != mask).any() for name, mask in masks(node, scan(user)).items())


@pytest.mark.parametrize(
    ("description", "echo", "shown", "remark"),
    [
        ("Ax T2 FLAIR", "120", "FLAIR", "from DICOM: SeriesDescription, EchoTime"),
        ("Ax", "", "unknown", ""),
        ("Ax T1", "120", "unknown", 'DICOM SeriesDescription "Ax T1" says T1, but EchoTime 120 ms says FLAIR or T2'),
    ],
)
def test_the_form_shows_the_contrast_that_dicom_tells(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, description: str, echo: str, shown: str, remark: str
) -> None:
    field = Field("contrast", "choice", choices=("T1", "T2", "FLAIR", "other"), dicom=("AcquisitionContrast",))
    monkeypatch.setattr(samples, "SCHEMA", MetadataSchema((field,)))
    monkeypatch.setenv("LCS_MODELS", str(samples.package(tmp_path / "packages", name="told").path.parent))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user = User(host)
    of_dicom(user, description=description, echo=echo)
    assert user.shown("contrast") == shown
    assert user.remark("contrast").startswith(remark)
    assert bool(user.remark("contrast")) == bool(remark)
    user.tick("Left Putamen")
    user.apply()
    assert user.report["metadata"] == {"contrast": shown}


# Labels


def test_a_parent_as_one_is_one_segment_and_back_again(user: User) -> None:
    user.tick("Deep gray matter")
    parts = user.chosen
    assert len(parts) == 4
    assert user.ui.countLabel.text == "4 of 6 structures chosen"
    node = user.apply()
    in_parts, passes = masks(node, scan(user)), user.passes
    user.tick("Deep gray matter", as_one=True)
    assert segment_names(node) == ["Deep gray matter"]
    assert user.ui.countLabel.text == "4 of 6 structures chosen, as 1 segment"
    np.testing.assert_array_equal(masks(node, scan(user))["Deep gray matter"], np.any(list(in_parts.values()), axis=0))
    user.tick("Deep gray matter", on=False, as_one=True)
    assert_same_masks(masks(node, scan(user)), in_parts)
    assert user.passes == passes


def test_a_merged_parent_that_loses_a_leaf_falls_into_the_others(user: User) -> None:
    user.ui.sidesBox.checked = False
    user.tick("Deep gray matter")
    user.tick("Deep gray matter", as_one=True)
    node = user.apply()
    assert segment_names(node) == ["Deep gray matter"]
    user.tick("Left Amygdala", on=False)
    assert segment_names(node) == user.chosen == ["Left Hippocampus", "Right Hippocampus", "Right Amygdala"]


def test_all_and_none(user: User) -> None:
    assert not user.ui.applyButton.enabled
    user.press("allButton")
    assert user.ui.countLabel.text == "6 of 6 structures chosen"
    node = user.apply()
    assert len(segment_names(node)) == 6
    user.press("clearButton")
    assert user.ui.countLabel.text == "0 of 6 structures chosen"
    assert segment_names(node) == []
    assert "at least one structure" in user.ui.applyButton.toolTip


def test_both_sides_are_ticked_together_until_the_box_is_cleared(user: User) -> None:
    user.tick("Left Amygdala")
    assert user.chosen == ["Left Amygdala", "Right Amygdala"]
    user.ui.sidesBox.checked = False
    user.tick("Left Amygdala", on=False)
    assert user.chosen == ["Right Amygdala"]


def test_recent_sets_are_offered_and_applied_on_another_day(user: User) -> None:
    assert entries(user.ui.recentSelector) == ["No recent structures"]
    assert not user.ui.recentSelector.enabled
    user.tick("Left Putamen")
    user.apply()
    user.press("clearButton")
    user.tick("Left Amygdala")
    user.apply()
    user = user.again()
    assert entries(user.ui.recentSelector)[1:] == ["Left Amygdala, Right Amygdala", "Left Putamen, Right Putamen"]
    choose_recent(user, 2)
    assert user.chosen == ["Left Putamen", "Right Putamen"]
    user.choose(user.add_volume())
    node = user.apply()
    choose_recent(user, 2)  # the other one: the one just used has come first
    assert segment_names(node) == ["Left Amygdala", "Right Amygdala"]


def choose_recent(user: User, index: int) -> None:
    """Choose an entry of the recent sets with the mouse."""
    user.ui.recentSelector.currentIndex = index
    user.ui.recentSelector.activated(index)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("amygdala", {"Left Amygdala", "Right Amygdala"}),
        ("Putamen L", {"Left Putamen"}),  # a synonym
        ("5366008", {"Left Hippocampus", "Right Hippocampus"}),  # a SNOMED code
        ("no such thing", set()),
    ],
)
def test_search_by_name_synonym_and_code(user: User, text: str, found: set[str]) -> None:
    user.ui.searchBox.text = text
    tree = user.panel.package.labels
    leaves = {leaf.name for leaf in tree.leaves if not user.panel.tree.item(leaf.id).isHidden()}
    assert leaves == found
    parents = {
        label.name
        for label in tree.labels
        if label.id in tree.children and not user.panel.tree.item(label.id).isHidden()
    }
    assert parents == {above.name for name in found for above in tree.ancestors(tree.find(name))}


def test_a_filter_over_500_labels_shows_exactly_what_is_searched(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    package = samples.package(tmp_path / "models", tree=samples.label_tree(500))
    user = User(host)
    for text in ("structure 1", "structure 12", "left", "structure 249 r", ""):
        user.ui.searchBox.text = text
        shown = {label.name for label in package.labels.leaves if not user.panel.tree.item(label.id).isHidden()}
        known = {label.name: " ".join([label.name, *label.synonyms]).lower() for label in package.labels.leaves}
        assert shown == {name for name, words in known.items() if all(word in words for word in text.split())}, text
    user.press("allButton")
    assert user.ui.countLabel.text == "500 of 500 structures chosen"


def test_the_widget_works_in_a_window_of_its_own(
    host: Host, tiny_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LCS_MODELS", str(tiny_package.parent))
    host.open_module()
    widget = sys.modules["LabelConditionedSegmentation"].LabelConditionedSegmentationWidget()
    assert widget.panel.package.name == "tiny"
    widget.panel.show(widget.logic.getParameterNode())
    slicer.mrmlScene.Clear(0)
    assert widget.panel.copy.parameters is None  # it heard of the scene
    widget.cleanup()
    widget.parent.close()
