"""The choice whether the volume is skull-stripped, of models that another one finds the brain for, and what is said of
that other one.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker

from Testing import samples
from Testing.host.application import Host
from Testing.panel.test_panel_output import read_scene, write_scene
from Testing.panel.user import PLACE, User, describe, entries, segment_names
from Testing.scene import made_nodes as nodes

SHAPE = (36, 44, 40)
AUTO, YES, NO = range(3)
LACK = f'The model "within" needs the model "outer", which finds "{samples.label_tree().roots[0].name}" for it'


@pytest.fixture
def folder(models: Path) -> Path:
    """The folder of models, with `within`, which looks inside of what `outer` finds."""
    samples.bright_finder(models)
    describe(samples.package(models, name="within", spec=InputSpec(inside=inside("outer"))).path, title="Within")
    return models


@pytest.fixture
def user(host: Host, folder: Path) -> User:
    made = User(host)
    made.panel.choices.models.choose("within")
    return made


def inside(package: str) -> Inside:
    return Inside(package, samples.label_tree().roots[0].name)


def add_head(user: User) -> Any:
    """A bright ball in a scan that goes on beyond its border."""
    distance = np.linalg.norm(np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2, axis=0)
    voxels = np.random.default_rng(1).uniform(20, 60, SHAPE) + np.where(distance < 10, 500, 0)
    return nodes.volume(user.host.scene, PLACE, voxels.astype(np.int16), name="Head")


def stripped_of(user: User) -> str:
    return str(user.panel.task().stripped)


def choose(user: User, index: int) -> None:
    user.ui.strippedSelector.currentIndex = index
    user.ui.strippedSelector.activated(index)


def test_only_a_model_that_looks_inside_asks_for_it(user: User) -> None:
    assert user.ui.strippedForm.visible
    assert entries(user.ui.strippedSelector) == ["Automatic", "Yes", "No"]
    user.panel.choices.models.choose("tiny")
    assert not user.ui.strippedForm.visible
    user.choose(user.add_volume())
    choose(user, NO)
    assert stripped_of(user) == "auto"


def test_the_choice_goes_into_the_task_and_into_the_scene(user: User) -> None:
    user.choose(user.add_volume())
    assert stripped_of(user) == "auto"
    before = user.panel.task().key
    choose(user, NO)
    assert stripped_of(user) == "no"
    assert user.panel.task().key != before
    assert user.panel.copy.parameters.stripped == "no"
    user.panel.copy.parameters.stripped = "yes"
    assert stripped_of(user) == "yes"
    user.panel.copy.parameters.stripped = "perhaps"
    assert stripped_of(user) == "auto"


def test_a_saved_scene_brings_the_choice_back(user: User, tmp_path: Path) -> None:
    user.choose(user.add_volume())
    choose(user, YES)
    write_scene(user.host.scene, tmp_path / "saved.mrml")
    user = user.again()
    assert user.ui.strippedSelector.currentText == "Automatic"
    read_scene(user.host.scene, tmp_path / "saved.mrml")
    assert user.ui.strippedSelector.currentText == "Yes"
    assert stripped_of(user) == "yes"


def test_what_was_found_first_is_said_and_another_choice_needs_another_run(user: User) -> None:
    user.choose(add_head(user))
    user.tick("Left Putamen")
    user.apply()
    assert "The deep gray matter was found first (4 ml)." in user.said
    assert (user.report["inside"]["model"], user.report["inside"]["stripped"]) == ("outer", "no")
    passes = user.passes
    choose(user, YES)
    assert user.said == "The volume, the model or what is known about the scan has changed: press Apply for a new run."
    user.apply()
    assert "The scan was taken for skull-stripped." in user.said
    assert user.passes > passes
    passes = user.passes
    user.apply()
    assert user.passes == passes


def test_the_choice_is_held_while_a_run_goes_on(user: User) -> None:
    user.choose(add_head(user))
    user.tick("Left Putamen")
    user.ui.applyButton.click()
    assert not user.ui.strippedSelector.enabled
    user.wait()
    assert user.ui.strippedSelector.enabled


def test_a_script_says_it_too_and_other_words_are_refused(user: User) -> None:
    from LabelConditionedSegmentation import LabelConditionedSegmentationLogic

    logic: Any = LabelConditionedSegmentationLogic()
    logic.runner.worker = InProcessWorker()
    told: list[str] = []
    asked: dict[str, Any] = {
        "labels": ["Left Putamen"],
        "model": "within",
        "progress": lambda _done, text: told.append(text),
    }
    volume = add_head(user)
    with pytest.raises(InputError, match='stripped has to be auto, yes, no, and is "maybe"'):
        logic.process(volume, stripped="maybe", **asked)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert segment_names(logic.process(volume, stripped="yes", **asked)) == ["Left Putamen"]
    assert logic.runner.answer.report["inside"]["because"] == "the user says so"
    logic.process(volume, **asked)
    assert logic.runner.answer.report["inside"]["stripped"] == "no"
    logic.close()


def test_a_model_that_is_needed_and_not_installed_is_said_before_apply(
    host: Host, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "downloads" / "outer"
    shutil.move(folder / "outer", away)
    user = User(host)
    user.panel.choices.models.choose("within")
    user.choose(add_head(user))
    user.tick("Left Putamen")
    assert not user.ui.applyButton.enabled
    assert user.said.startswith(LACK)
    assert user.ui.applyButton.toolTip == user.said
    with monkeypatch.context() as patch:
        patch.setattr(ModelPackage, "load", lambda path: pytest.fail(f"{path} is read by a refresh"))
        user.panel.refresh()
    user.panel.choices.models.choose("tiny")
    assert user.ui.applyButton.enabled
    host.answers.append(str(away / "model.json"))
    user.press("addModelButton")
    user.panel.choices.models.choose("within")
    user.apply()
    assert "was found first" in user.said


def test_a_needed_model_that_goes_away_later_is_said_by_the_run(user: User, folder: Path) -> None:
    user.choose(add_head(user))
    user.tick("Left Putamen")
    shutil.rmtree(folder / "outer")
    user.press("applyButton")
    assert user.said.startswith(LACK)
    assert user.panel.segment.live.node is None
