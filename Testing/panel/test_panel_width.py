"""The panel stays as narrow as the application's, whatever it shows: there is no horizontal scroll bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from Testing import samples
from Testing.host.application import Host
from Testing.panel.pictures import WIDTH, cut_off, least_width
from Testing.panel.test_panel_examples import add, mark, open_form, paint, tick
from Testing.panel.test_panel_faults import begin, finish
from Testing.panel.user import INSIDE, User, describe

NAME = "sub_01_" + "x" * 93
"""A hundred characters that cannot be broken into lines."""

WORDS = ("A rather long name of many words " * 4)[:100]


@pytest.fixture
def user(host: Host, points: int, learner_models: Path) -> User:
    """A user with a model that learns from examples, and a scan with a long name."""
    made = User(host)
    made.folder = learner_models  # type: ignore[attr-defined]
    made.choose(made.add_volume(NAME))
    return made


def no_state(_user: User) -> None:
    """As it was opened, with a scan of a long name."""


def first_steps(user: User) -> None:
    user.ui.helpSection.collapsed = False


def everything_open(user: User) -> None:
    for section in user.ui.__dict__.values():
        if section.inherits("ctkCollapsibleButton"):
            section.collapsed = False
    user.ui.tableBox.checked = True


def long_entry(user: User) -> None:
    user.editor("age").text = "x" * 100


def no_scan(user: User) -> None:
    user.choose(None)


def findings(user: User) -> None:
    volume = user.add_volume("Thick")
    volume.SetSpacing(1, 1, 9)
    volume.SetName(WORDS)
    user.choose(volume)


def running(user: User) -> None:
    user.tick("Left Putamen")
    user.worker = begin(user)  # type: ignore[attr-defined]


def done(user: User) -> None:
    user.tick("Left Putamen")
    user.apply().SetName(NAME)


def picked(user: User) -> None:
    user.press("pickButton")
    user.click_in_view(INSIDE)


def gone(user: User) -> None:
    user.host.scene.RemoveNode(user.panel.inputs.nodes[0])


def missing(user: User) -> None:
    user.panel.copy.parameters.model = NAME


def example_form(user: User) -> None:
    atlas, painted = paint(user)
    atlas.SetName(NAME)
    painted.SetName(NAME)
    painted.GetSegmentation().GetSegment("lesion").SetName(NAME)
    open_form(user)
    user.panel.example.form.atlas.set_nodes([atlas])
    user.ui.exampleSelector.setCurrentNode(painted)
    user.ui.exampleSelector.setCurrentSegmentID("lesion")


def my_labels(user: User) -> None:
    paint(user)
    add(user, name=NAME)
    tick(user, NAME)
    user.apply()
    mark(user, NAME)
    open_form(user)


def another_model(user: User) -> None:
    about = {"title": WORDS, "intended_use": WORDS * 2, "not_for": NAME, "licence": WORDS}
    describe(samples.package(user.folder, name="other").path, **about)  # type: ignore[attr-defined]
    user.panel.choices.models.look_for_models()
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("other")


def two_results(user: User) -> None:
    user.tick("Left Putamen")
    user.apply().SetName(NAME)
    another_model(user)
    first = user.panel.segment.live.node
    user.apply()
    user.ui.besideSelector.currentIndex = user.ui.besideSelector.findData(first.GetID())
    assert user.ui.overlapTree.isVisible()


def several_scans(user: User) -> None:
    for n in range(100):
        user.add_volume(f"{n} {NAME}")
    user.ui.scansSection.collapsed = False
    user.press("allScansButton")
    assert user.ui.applyButton.text == "Apply to 101 scans"


def strokes(user: User) -> None:
    user.tick("Left Putamen")
    user.apply()
    user.ui.strokesSection.collapsed = False
    user.ui.mendBox.checked = True
    user.press("newStrokesButton")
    segments = user.panel.strokes.form.strokes.GetSegmentation()
    segments.GetSegment(segments.GetNthSegmentID(0)).SetName(NAME)
    user.host.run_until(lambda: not user.panel.strokes.is_busy)


def not_installed(user: User) -> None:
    now = replace(user.panel.situation(), missing="PyTorch is not installed. " * 5)
    user.panel.situation = lambda: now


STATES: list[Callable[[User], None]] = [
    no_state,
    first_steps,
    everything_open,
    long_entry,
    no_scan,
    findings,
    running,
    done,
    picked,
    gone,
    missing,
    example_form,
    my_labels,
    another_model,
    two_results,
    several_scans,
    strokes,
    not_installed,
]


@pytest.mark.parametrize("state", STATES)
def test_the_panel_stays_narrow_and_nothing_is_cut_off(
    user: User, state: Callable[[User], Any], tmp_path: Path
) -> None:
    state(user)
    user.panel.refresh()
    place = user.widget.parent
    user.host.picture(place, tmp_path / "panel.png", WIDTH)
    assert least_width(place) <= WIDTH
    assert cut_off(place) == []
    if hasattr(user, "worker"):
        finish(user, user.worker)
