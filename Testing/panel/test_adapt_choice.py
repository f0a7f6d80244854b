"""The choice whether the network is adapted to the scan, and what is said of it afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from LabelConditionedSegmentationLib.core.package.feature_statistics import LevelStatistics
from LabelConditionedSegmentationLib.core.package.model_package import add_feature_statistics

from Testing import samples
from Testing.host.application import Host
from Testing.panel.test_panel_output import read_scene, write_scene
from Testing.panel.user import User, describe


@pytest.fixture
def user(host: Host, models: Path) -> User:
    """With a model `adaptable`, whose statistics no scan comes near."""
    package = samples.package(models, name="adaptable")
    level = LevelStatistics(torch.full((4,), 1e6), torch.full((4,), 1.0))
    describe(add_feature_statistics(package, {"encoder.0": level}, {}).path, title="Adaptable")
    made = User(host)
    made.panel.choices.models.choose("adaptable")
    made.ui.outputSection.collapsed = False
    return made


def test_only_a_model_with_statistics_can_be_adapted(user: User) -> None:
    user.choose(user.add_volume())
    assert user.ui.adaptBox.visible
    user.ui.adaptBox.checked = True
    assert user.panel.task().adapt
    user.panel.choices.models.choose("tiny")
    assert not user.ui.adaptBox.visible
    assert not user.panel.task().adapt


def test_what_became_of_it_is_said_and_another_choice_needs_another_run(user: User) -> None:
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.ui.adaptBox.checked = True
    user.apply()
    assert "dapted to this scan" in user.said
    assert user.report["adaptation"]["adapter"] == "g2p-scale"
    passes = user.passes
    user.apply()
    assert user.passes == passes  # adapted features are kept like others
    user.ui.adaptBox.checked = False
    user.apply()
    assert user.passes > passes
    assert "adaptation" not in user.report


def test_a_saved_scene_brings_the_choice_back(user: User, tmp_path: Path) -> None:
    user.choose(user.add_volume())
    user.ui.adaptBox.checked = True
    write_scene(user.host.scene, tmp_path / "saved.mrml")
    user = user.again()
    assert not user.ui.adaptBox.checked
    read_scene(user.host.scene, tmp_path / "saved.mrml")
    assert user.ui.adaptBox.checked


def test_the_choice_is_held_while_a_run_goes_on(user: User) -> None:
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.ui.applyButton.click()
    assert not user.ui.adaptBox.enabled
    user.wait()
    assert user.ui.adaptBox.enabled
