"""The layout of the panel, as it stands in the .ui file."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from LabelConditionedSegmentationLib.resources import resources_folder

ROOT = ElementTree.parse(resources_folder() / "UI" / "LabelConditionedSegmentation.ui").getroot()
WIDGETS = {widget.get("name"): widget for widget in ROOT.iter("widget")}
USED = (
    "QPushButton",
    "QComboBox",
    "QCheckBox",
    "QTreeWidget",
    "QListWidget",
    "QProgressBar",
    "QSlider",
    "QToolButton",
    "QLineEdit",
    "ctkSearchBox",
    "qMRMLNodeComboBox",
)
SAYS_WHAT_IT_WILL_DO = "applyButton"
"""Its tooltip changes with the situation."""


def text(name: str, wanted: str) -> str:
    """A property of a widget as text; "" where it has none."""
    return "".join(
        "".join(entry.itertext()) for entry in WIDGETS[name].findall("property") if entry.get("name") == wanted
    )


def test_the_top_widget_knows_the_scene() -> None:
    top = ROOT.find("widget")
    assert top is not None
    assert top.get("class") == "qMRMLWidget"


@pytest.mark.parametrize(
    "name", [name for name, widget in WIDGETS.items() if widget.get("class") in USED and name != SAYS_WHAT_IT_WILL_DO]
)
def test_everything_that_can_be_used_has_a_tooltip(name: str) -> None:
    assert len(text(name, "toolTip")) > 15


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, widget in WIDGETS.items()
        if widget.get("class") == "QLabel" and str(name).endswith("Label") and name != "outputLabel"
    ],
)
def test_sentences_wrap_instead_of_widening_the_panel(name: str) -> None:
    assert text(name, "wordWrap") == "true" or text(name, "text").endswith(":")


def test_names_of_widgets_are_not_given_twice() -> None:
    assert len(WIDGETS) == len(list(ROOT.iter("widget")))


@pytest.mark.parametrize(
    ("name", "parameter"),
    [("outputSelector", "output"), ("tableBox", "volumesTable"), ("strokesSelector", "strokes"), ("mendBox", "mend")],
)
def test_what_the_scene_keeps_of_a_widget_is_named_in_the_file(name: str, parameter: str) -> None:
    assert text(name, "SlicerParameterName") == parameter


def test_actions_of_menus_say_what_they_do() -> None:
    for action in ROOT.iter("action"):
        tips = [entry for entry in action.findall("property") if entry.get("name") == "toolTip"]
        assert len("".join("".join(entry.itertext()) for entry in tips)) > 15, action.get("name")
