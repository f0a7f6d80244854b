"""An answer that was found to be wrong is not written, unless the user wants it nevertheless."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import slicer
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.panel.script import process

from Testing.core.inference.test_answer_checks import MILD, SEVERE, judging
from Testing.host.application import Host
from Testing.panel.test_panel_batch import listed, press_apply, table, wait
from Testing.panel.user import User, segment_names

WRONG = "The result is wrong: "


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models, with one in it that finds every answer wrong."""
    judging(tmp_path / "models", SEVERE)
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "models"


@pytest.fixture
def user(host: Host, models: Path) -> User:
    """A user who has pressed Apply, and was refused."""
    user = User(host)
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.press("applyButton")
    return user


def segmentations() -> list[Any]:
    return list(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))


def test_what_cannot_be_true_is_not_written_and_the_way_out_is_offered(user: User) -> None:
    assert user.said.startswith(WRONG)
    assert user.said.endswith('Nothing was written; "Segment anyway" writes it nevertheless.')
    assert segmentations() == []
    assert user.ui.anywayButton.isVisible()
    assert user.ui.anywayButton.enabled


def test_segment_anyway_writes_it_without_another_run_and_says_what_is_wrong(user: User) -> None:
    passes = user.passes
    user.press("anywayButton")
    (node,) = segmentations()
    assert segment_names(node) == ["Left Putamen", "Right Putamen"]
    assert user.passes == passes
    assert WRONG in user.said
    assert not user.ui.anywayButton.isVisible()
    user.tick("Left Amygdala")
    assert "Left Amygdala" in segment_names(node)
    user.press("undoButton")
    assert segmentations() == []


def test_apply_again_is_refused_again_and_ticks_write_nothing(user: User) -> None:
    passes = user.passes
    user.tick("Left Amygdala")
    user.press("applyButton")
    assert user.said.startswith(WRONG)
    assert (segmentations(), user.passes) == ([], passes)


def test_it_goes_to_the_output_that_was_chosen(user: User) -> None:
    own = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    own.CreateDefaultDisplayNodes()
    user.ui.outputSelector.setCurrentNode(own)
    user.press("applyButton")
    assert segment_names(own) == []
    user.press("anywayButton")
    assert segment_names(own) == ["Left Putamen", "Right Putamen"]


def test_what_was_refused_is_not_offered_for_another_scan(user: User) -> None:
    user.choose(user.add_volume("Other", seed=1))
    assert not user.ui.anywayButton.isVisible()


def test_what_follows_the_ticks_of_the_scan_before_is_left_alone(user: User) -> None:
    user.press("anywayButton")
    (node,) = segmentations()
    user.choose(user.add_volume("Other", seed=1))
    user.press("applyButton")
    assert user.said.startswith(WRONG)
    user.tick("Left Amygdala")
    assert segment_names(node) == ["Left Putamen", "Right Putamen"]
    assert not user.ui.volumesTree.isVisible()


def test_a_warning_holds_nothing_back(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judging(tmp_path / "models", MILD)
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user = User(host)
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    user.apply()
    assert "The result may be wrong: " in user.said
    assert not user.ui.anywayButton.isVisible()


# Several scans


def test_of_several_scans_what_was_refused_is_told_and_written_on_request(user: User) -> None:
    user.add_volume("B", seed=1)
    user.ui.scansSection.collapsed = False
    listed(user)
    user.press("allScansButton")
    press_apply(user)
    wait(user)
    assert segmentations() == []
    assert user.said.startswith(f"0 of 2 runs were done. 2 did not work; the first: Scan: {WRONG}")
    assert '"Segment anyway" writes what was found to be wrong.' in user.said
    assert all(remark.startswith(WRONG) for remark in table()["Remark"])
    user.ui.anywayButton.click()
    wait(user)
    assert [node.GetName() for node in segmentations()] == ["Scan segmentation", "B segmentation"]
    assert user.said.startswith("2 of 2 runs were done.")
    assert not user.ui.anywayButton.isVisible()
    assert "Remark" not in table()


# Scripts


def test_a_script_gets_it_on_request(user: User) -> None:
    runner, scan = user.panel.runner, user.panel.inputs.nodes[0]
    asked = runner, scan, None, ["Left Putamen"], None, "tiny", "cpu", None, ()
    with pytest.raises(InputError, match=r"The result is wrong: .* Nothing was written; force=True writes it"):
        process(*asked)
    assert segmentations() == []
    assert segment_names(process(*asked, force=True)) == ["Left Putamen"]


def test_an_answer_that_is_wanted_is_refused_no_more(user: User) -> None:
    answer = user.panel.runner.answer
    assert len(answer.refusal) == 1
    assert replace(answer, is_forced=True).refusal == []
