"""Strokes beside a model, as the user sees them: over what it found, mending its answer, and shown as an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.strokes.mending import mend
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.core.strokes.propagation import propagate

from Testing import samples
from Testing.host.application import Host
from Testing.panel.test_panel_faults import assert_readable
from Testing.panel.test_panel_strokes import draw, hint, paint, preview, settle
from Testing.panel.user import PLACE, User, assert_same_masks, masks, segment_names

SCAN = samples.scan(affine=PLACE)


def line(k: int, j: int, start: int, stop: int) -> Any:
    mask = np.zeros(SCAN.shape, dtype=bool)
    mask[k, j, start:stop] = True
    return mask


STROKE, OTHER = line(18, 22, 16, 26), line(18, 30, 16, 26)


@pytest.fixture
def user(host: Host, learner_models: Path) -> Iterator[User]:
    """A user who has segmented every leaf of a scan, and has begun new strokes."""
    made = User(host)
    made.ui.strokesSection.collapsed = False
    made.choose(made.add_volume())
    made.press("allButton")
    made.apply()
    made.press("newStrokesButton")
    yield made
    made.panel.runner.close()


def scan_of(user: User) -> Any:
    return user.panel.inputs.nodes[0]


def output(user: User) -> Any:
    return user.panel.segment.live.node


def wrong_label(user: User) -> str:
    """A leaf that the answer does not have at the stroke."""
    there = masks(output(user), scan_of(user))
    name: str = next(leaf.name for leaf in user.panel.package.labels.leaves if not there[leaf.name][STROKE].any())
    return name


def paint_label(user: User, name: str, mask: Any) -> None:
    """Choose a label of the model for strokes, and draw."""
    user.ui.mendSelector.currentIndex = user.ui.mendSelector.findData(name)
    user.press("addMendButton")
    paint(user, name, mask)


def test_strokes_spread_over_what_the_network_found_in_the_scan(user: User, learner: Path) -> None:
    draw(user, "Structure", STROKE)
    paint(user, "Background", OTHER)
    assert "what the network found" in hint(user)
    passes = user.passes
    seeds = np.zeros(SCAN.shape, dtype=np.uint16)
    seeds[STROKE], seeds[OTHER] = 1, 2
    features = Segmenter.from_package(learner, "cpu").features(SCAN)
    wanted = propagate(Strokes(Grid.of(SCAN), seeds, ("Structure", "Background")), SCAN, features).label_map == 1
    np.testing.assert_array_equal(preview(user, scan_of(user))["Structure"], wanted)
    assert user.passes == passes


def test_a_mended_answer_is_that_of_core_and_nothing_is_left_over(user: User, learner: Path) -> None:
    before = masks(output(user), scan_of(user))
    name = wrong_label(user)
    user.ui.mendBox.checked = True
    paint_label(user, name, STROKE)
    features = Segmenter.from_package(learner, "cpu").features(SCAN)
    answer = features.segment().label_map.array[0]
    seeds = np.zeros(SCAN.shape, dtype=np.uint16)
    seeds[STROKE] = 1
    mended, _ = mend(Strokes(Grid.of(SCAN), seeds, (name,)), SCAN, features, answer)
    leaves = {leaf.name: leaf.id for leaf in features.labels.leaves}
    touched = {leaf for leaf, number in leaves.items() if ((answer == number) != (mended == number)).any()}
    shown = preview(user, scan_of(user))
    assert set(shown) == {name} | touched
    for leaf, mask in shown.items():
        np.testing.assert_array_equal(mask, mended == leaves[leaf])
    user.press("acceptStrokesButton")
    after = masks(output(user), scan_of(user))
    assert list(after) == list(before)
    for leaf, number in leaves.items():
        np.testing.assert_array_equal(after[leaf], mended == number)
    assert after[name][STROKE].all()
    user.tick(name, on=False)
    user.tick(name)
    np.testing.assert_array_equal(masks(output(user), scan_of(user))[name], after[name])  # ticks show what was mended
    user.press("undoStrokesButton")
    assert_same_masks(masks(output(user), scan_of(user)), before)
    user.tick(name, on=False)
    user.tick(name)
    np.testing.assert_array_equal(masks(output(user), scan_of(user))[name], before[name])


def volumes(user: User) -> dict[str, int]:
    """Voxels of each structure, as the table has them."""
    table = output(user).GetNodeReference("LabelConditionedSegmentation.Volumes").GetTable()
    labels, voxels = table.GetColumnByName("Label"), table.GetColumnByName("Voxels")
    return {labels.GetValue(n): voxels.GetValue(n) for n in range(table.GetNumberOfRows())}


def test_the_table_of_volumes_tells_of_the_mended_answer(user: User) -> None:
    user.ui.tableBox.checked = True
    user.apply()
    before = volumes(user)
    user.ui.mendBox.checked = True
    name = wrong_label(user)
    paint_label(user, name, STROKE)
    user.press("acceptStrokesButton")
    assert volumes(user) == {leaf: int(mask.sum()) for leaf, mask in masks(output(user), scan_of(user)).items()}
    assert volumes(user)[name] > before[name]
    user.press("undoStrokesButton")
    assert volumes(user) == before


def test_what_the_model_does_not_know_cannot_be_mended_and_the_answer_stays(user: User) -> None:
    user.ui.mendBox.checked = True
    paint(user, "Structure", STROKE)
    assert "knows no label" in user.said
    assert_readable(user.said)
    assert preview(user, scan_of(user)) == {}
    assert user.panel.runner.answers(user.panel.task())
    segments = user.panel.strokes.form.strokes.GetSegmentation()
    segments.GetSegment(segments.GetSegmentIdBySegmentName("Structure")).SetName("Deep gray matter")
    settle(user)
    assert "group of structures" in user.said
    assert_readable(user.said)


def test_mending_waits_for_an_answer_and_begins_when_it_is_there(user: User) -> None:
    user.ui.mendBox.checked = True
    name = wrong_label(user)
    paint_label(user, name, STROKE)
    user.editor("age").text = "31"
    paint(user, name, line(18, 23, 16, 26))
    assert "press Apply first" in hint(user)
    assert_readable(hint(user))
    assert preview(user, scan_of(user)) == {}
    user.apply()
    settle(user)
    assert preview(user, scan_of(user))[name][STROKE].all()


def test_an_answer_that_is_another_one_by_now_is_not_overwritten(user: User) -> None:
    user.ui.mendBox.checked = True
    paint_label(user, wrong_label(user), STROKE)
    user.panel.runner.answer = replace(user.panel.runner.answer)
    before = masks(output(user), scan_of(user))
    user.press("acceptStrokesButton")
    assert "another answer" in user.said
    assert_readable(user.said)
    assert_same_masks(masks(output(user), scan_of(user)), before)


def test_features_that_are_lost_are_told_and_the_next_stroke_spreads_over_intensities(user: User) -> None:
    user.panel.runner.worker._server.model._features = None
    draw(user, "Structure", STROKE)
    paint(user, "Background", OTHER)
    assert "not kept any more" in user.said
    assert_readable(user.said)
    assert not user.panel.runner.answers(user.panel.task())
    paint(user, "Structure", line(18, 23, 16, 26))
    assert "intensities" in hint(user)
    assert list(preview(user, scan_of(user))) == ["Structure"]


def test_an_accepted_structure_becomes_a_label_by_example(user: User) -> None:
    assert not user.ui.strokesLabelButton.enabled
    assert "Accept" in user.ui.strokesLabelButton.toolTip
    draw(user, "Structure", STROKE)
    paint(user, "Background", OTHER)
    user.press("acceptStrokesButton")
    user.press("strokesLabelButton")
    assert user.ui.exampleForm.visible
    assert user.ui.exampleName.text == "Structure"
    assert user.ui.makeLabelButton.enabled, user.ui.makeLabelButton.toolTip
    user.press("makeLabelButton")
    (prompt,) = user.panel.mine.labels.of(user.panel.package)
    assert prompt.name == "Structure"
    assert "Structure" in segment_names(output(user))
