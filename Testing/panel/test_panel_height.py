"""What a run needs is seen at once on a laptop: input, model, structures, Apply and what is said below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from Testing.host.application import Host
from Testing.panel.module_panel import ModulePanel
from Testing.panel.pictures import WIDTH
from Testing.panel.user import User, describe

LAPTOP = 700
"""Pixels that a screen of 768 leaves a module below the title, the menu and the tool bar."""

LEAST_TREE = 140
"""Pixels of the structure tree in which its header and six structures are seen."""

LONG = "Segmentation of scans of healthy adults, made with a magnetic field of 1.5 or 3 tesla. " * 3


@pytest.fixture
def user(host: Host, models: Path, points: int) -> User:
    """A user with a scan, and a model of which a lot is said."""
    describe(models / "tiny", intended_use=LONG, not_for=LONG, licence="CC-BY-4.0")
    made = User(host)
    made.choose(made.add_volume())
    return made


def test_what_a_run_needs_fits_a_laptop_with_the_defaults(user: User) -> None:
    with ModulePanel(user.widget.parent, WIDTH, LAPTOP) as place:
        for needed in (user.ui.inputSection, user.ui.modelSection, user.ui.labelTree, user.ui.applyButton):
            assert 0 < place.bottom(needed) <= LAPTOP
        assert place.bottom(user.ui.statusLabel) <= LAPTOP
        assert place.height(user.ui.labelTree) >= LEAST_TREE


def test_a_higher_panel_gives_what_is_left_over_to_the_tree(user: User) -> None:
    with ModulePanel(user.widget.parent, WIDTH, LAPTOP) as place:
        low, needs = place.height(user.ui.labelTree), LAPTOP + place.scrolls_by
        place.area.setFixedHeight(needs + 300)
        place.settle()
        assert place.scrolls_by == 0
        assert place.height(user.ui.labelTree) >= low + 270  # a few pixels go to lines that are not shrunk any more


def test_apply_stays_in_sight_whatever_is_open_below_it(user: User) -> None:
    with ModulePanel(user.widget.parent, WIDTH, LAPTOP) as place:
        for section in user.ui.__dict__.values():
            if section.inherits("ctkCollapsibleButton"):
                section.collapsed = False
        place.settle()
        assert place.scrolls_by > 0
        assert place.bottom(user.ui.applyButton) <= LAPTOP


def test_during_and_after_a_run_what_is_said_is_in_sight(user: User) -> None:
    with ModulePanel(user.widget.parent, WIDTH, LAPTOP) as place:
        user.tick("Left Putamen")
        user.ui.applyButton.click()
        place.settle()
        assert place.bottom(user.ui.progressBar) <= LAPTOP
        user.wait()
        place.settle()
        assert "Done in" in user.said
        assert place.bottom(user.ui.statusLabel) <= LAPTOP + 30  # what was found out may take a few lines


def test_what_is_known_is_closed_until_something_is(user: User) -> None:
    import slicer

    assert user.ui.metadataSection.collapsed
    slicer.dicomDatabase["1.2.3", "0010,0040"] = "F"
    volume = user.add_volume("Of somebody")
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    user.choose(volume)
    assert not user.ui.metadataSection.collapsed


def test_the_output_is_closed_until_something_of_it_was_chosen(user: User) -> None:
    assert user.ui.outputSection.collapsed
    user.tick("Left Putamen")
    user.apply()
    assert user.ui.outputSection.collapsed
    user.ui.outputSection.collapsed = True
    user.panel.copy.parameters.volumesTable = True
    user.widget.enter()
    assert not user.ui.outputSection.collapsed


def test_my_labels_is_a_menu(user: User) -> None:
    menu = user.panel.mine._menu
    assert [str(action.text) for action in menu.actions()] == [
        "Add label by example...",
        "Import label...",
        "Export label...",
        "Rename label...",
        "Remove label",
    ]
