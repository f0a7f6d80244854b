"""The choice whether the volume is skull-stripped, of models that another one finds the brain for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside

from Testing import samples
from Testing.host.application import Host


@pytest.fixture
def user(host: Host, models: Path) -> Any:
    from Testing.panel.user import User

    label = samples.label_tree().roots[0].name
    samples.package(models, name="within", spec=InputSpec(inside=Inside("tiny", label)))
    return User(host)


def stripped_of(user: Any) -> str:
    return str(user.panel.task().stripped)


def choose(user: Any, index: int) -> None:
    user.ui.strippedSelector.currentIndex = index
    user.ui.strippedSelector.activated(index)


def test_only_a_model_that_looks_inside_asks_for_it(user: Any) -> None:
    user.panel.choices.models.choose("tiny")
    assert not user.ui.strippedForm.visible
    user.panel.choices.models.choose("within")
    assert user.ui.strippedForm.visible


def test_the_choice_goes_into_the_task_and_into_the_scene(user: Any) -> None:
    user.panel.choices.models.choose("within")
    user.choose(user.add_volume())
    assert stripped_of(user) == "auto"
    before = user.panel.task().key
    choose(user, 2)
    assert stripped_of(user) == "no"
    assert user.panel.task().key != before
    assert user.panel.copy.parameters.stripped == "no"
    user.panel.copy.parameters.stripped = "yes"
    assert stripped_of(user) == "yes"
