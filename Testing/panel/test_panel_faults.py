"""What goes wrong while the panel is used: every time a sentence, the scene as it was, and a next run that works."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.worker import exchange
from LabelConditionedSegmentationLib.worker.client import PATIENCE, ProcessWorker
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker
from LabelConditionedSegmentationLib.worker.protocol import Event

from Testing import samples
from Testing.host.application import Host
from Testing.host.launcher import python_slicer
from Testing.panel.user import INSIDE, User, assert_same_masks, masks, segment_names
from Testing.scene import made_nodes as nodes
from Testing.worker.helpers import all_gone, children

TICKED = ("Right Hippocampus", "Left Putamen")

LONG = (110, 110, 110)
"""A scan that keeps the tiny model busy for some seconds."""


class HeldWorker(InProcessWorker):
    """Stays in the middle of a run for as long as it is held."""

    is_held = True

    def poll(self) -> list[Event]:
        return (
            [Event(number, "progress", 0.5, "patch 3 of 6") for number in self._pending]
            if self.is_held
            else super().poll()
        )


@pytest.fixture
def user(host: Host, models: Path) -> Iterator[User]:
    """A user with a scan, who has ticked two structures. After the test no process is left."""
    made = User(host)
    made.choose(made.add_volume())
    made.tick(*TICKED)
    yield made
    made.panel.runner.close()
    assert children() == []


def with_process(user: User, tmp_path: Path, python: list[str] | None = None) -> None:
    """The network runs in a process of its own, as it does for users."""
    user.panel.runner.worker = ProcessWorker(tmp_path / "log.txt", python)


def begin(user: User) -> HeldWorker:
    """Press Apply; the run stands still in its middle until `finish`."""
    user.panel.runner.worker = worker = HeldWorker()
    user.ui.applyButton.click()
    user.host.run_until(lambda: user.panel.runner.fraction > 0)
    return worker


def finish(user: User, worker: HeldWorker) -> None:
    """Let a run go on, and wait for its end."""
    worker.is_held = False
    user.wait()


def contents() -> tuple[set[str], dict[str, bytes]]:
    """What the scene holds: the ids of its nodes, and every segment of every segmentation with its voxels."""
    segments = {}
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        for ident in node.GetSegmentation().GetSegmentIDs():
            layer = slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, ident)
            segments[f"{node.GetID()} {ident}"] = (
                layer == node.GetSegmentation().GetSegment(ident).GetLabelValue()
            ).tobytes()
    return {slicer.mrmlScene.GetNthNode(n).GetID() for n in range(slicer.mrmlScene.GetNumberOfNodes())}, segments


def assert_readable(text: str) -> None:
    """For the user: ends as a sentence does, on one line, without words of the program."""
    assert re.fullmatch(r"[A-Z0-9\"].*[.]", text), text
    assert not re.search(r"Error|Exception|Traceback|None|vtk", text), text


def assert_works(user: User) -> None:
    """The next run gives the segments that a panel without faults gives."""
    if not any(user.panel.inputs.nodes):
        user.choose(user.add_volume())
    if not user.chosen:
        user.tick(*TICKED)
    node = user.apply()
    assert "Done" in user.said
    found = masks(node, user.panel.inputs.nodes[0])
    assert set(user.chosen) <= found.keys()
    assert any(found[name].any() for name in user.chosen)


# the scene changes during a run


def test_scene_closed_during_a_run(user: User) -> None:
    worker = begin(user)
    user.host.scene.Clear(0)
    finish(user, worker)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    assert not user.ui.progressBar.visible
    assert_readable(user.said)
    assert_works(user)


def test_input_deleted_during_a_run(user: User) -> None:
    worker = begin(user)
    user.host.scene.RemoveNode(user.panel.inputs.nodes[0])
    before = contents()
    finish(user, worker)
    assert contents() == before
    assert "removed" in user.said
    assert_readable(user.said)
    assert not user.ui.applyButton.enabled
    assert_works(user)


def test_output_deleted_during_a_run(user: User) -> None:
    output = user.apply()
    user.editor("age").text = "30"
    worker = begin(user)
    user.host.scene.RemoveNode(output)
    before = contents()
    finish(user, worker)
    assert contents() == before
    assert "no longer in the scene" in user.said
    assert_readable(user.said)
    passes = user.passes
    assert_works(user)
    assert user.passes == passes


def test_output_deleted_while_ticks_follow(user: User) -> None:
    output = user.apply()
    user.host.scene.RemoveNode(output)
    before = contents()
    assert not user.ui.undoButton.enabled
    assert_readable(user.said)
    user.tick("Right Putamen")
    assert contents() == before
    assert_readable(user.said)
    passes = user.passes
    assert_works(user)
    assert user.passes == passes


def test_undo_after_the_output_was_deleted_in_the_meantime(user: User) -> None:
    output = user.apply()
    user.host.scene.RemoveNode(output)
    before = contents()
    user.panel.segment.undo(False)  # the button is grey already; a click that was on its way
    assert contents() == before
    assert_readable(user.said)
    assert_works(user)


def test_undo_of_a_first_apply_leaves_the_scene_as_it_was(user: User) -> None:
    user.ui.tableBox.checked = True
    before = contents()
    user.apply()
    user.press("undoButton")
    assert contents() == before
    assert_works(user)


def change_voxels(volume: Any) -> None:
    slicer.util.arrayFromVolume(volume)[10] += 7
    slicer.util.arrayFromVolumeModified(volume)


def change_transform(volume: Any) -> None:
    volume.SetAndObserveTransformNodeID(nodes.transform(volume.GetScene(), nodes.moved()).GetID())


def change_size(volume: Any) -> None:
    slicer.util.updateVolumeFromArray(volume, samples.scan((40, 30, 30)).array[0].copy())


@pytest.mark.parametrize("change", [change_voxels, change_transform, change_size])
def test_volume_changed_during_a_run(change: Callable[[Any], None], user: User) -> None:
    worker = begin(user)
    change(user.panel.inputs.nodes[0])
    before = contents()
    finish(user, worker)
    assert contents() == before
    assert "changed" in user.said
    assert_readable(user.said)
    passes = user.passes
    assert_works(user)
    assert user.passes > passes


def test_metadata_entered_during_a_run_ask_for_a_new_one(user: User) -> None:
    worker = begin(user)
    user.editor("age").text = "30"
    finish(user, worker)
    assert "new run" in user.said
    assert_readable(user.said)
    passes = user.passes
    assert_works(user)
    assert user.passes > passes


def test_scene_saved_during_a_run(user: User, tmp_path: Path) -> None:
    worker = begin(user)
    assert user.host.scene.WriteToMRB(str(tmp_path / "scene.mrb"))
    finish(user, worker)
    assert "Done" in user.said
    assert segment_names(user.panel.segment.live.node) == user.chosen


@pytest.mark.slow
def test_module_reloaded_during_a_run(user: User, tmp_path: Path) -> None:
    with_process(user, tmp_path)
    user.choose(nodes.volume(user.host.scene, None, samples.scan(LONG).array[0].copy()))
    user.ui.applyButton.click()
    user.host.run_until(lambda: user.panel.runner.fraction > 0)
    before, processes = contents(), children()
    assert processes
    old, ticked = user.panel, user.chosen
    slicer.util.reloadScriptedModule(user.widget.moduleName)
    assert all_gone(processes)
    assert contents() == before
    user.widget = slicer.modules.LabelConditionedSegmentationWidget
    user.panel, user.ui = user.widget.panel, user.widget.panel.ui
    assert user.panel is not old
    assert user.chosen == ticked
    user.choose(user.add_volume())
    assert_works(user)


# two at once


def test_second_apply_while_running_does_nothing(user: User) -> None:
    worker = begin(user)
    assert not user.ui.applyButton.enabled
    user.panel.segment.apply(False)  # the button is grey already; a click that was on its way
    assert len(worker._pending) == 1
    finish(user, worker)
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    assert segment_names(user.panel.segment.live.node) == user.chosen


def test_script_runs_while_the_panel_does(user: User) -> None:
    from LabelConditionedSegmentation import LabelConditionedSegmentationLogic

    worker = begin(user)
    logic = LabelConditionedSegmentationLogic()
    logic.runner.worker = InProcessWorker()
    node = logic.process(user.panel.inputs.nodes[0], labels=["Left Putamen"], model="tiny", device="cpu")
    assert segment_names(node) == ["Left Putamen"]
    assert user.panel.runner.running
    finish(user, worker)
    assert segment_names(user.panel.segment.live.node) == user.chosen
    assert segment_names(node) == ["Left Putamen"]


def test_script_cannot_begin_a_run_inside_that_of_the_panel(user: User) -> None:
    from LabelConditionedSegmentationLib.core.errors import InputError

    worker = begin(user)
    other = user.add_volume("Other", seed=1)
    with pytest.raises(InputError, match="A run is going on"):
        user.widget.logic.process(other, labels=["Left Putamen"], model="tiny", device="cpu")
    finish(user, worker)
    assert user.panel.runner.answer.task.nodes == user.panel.inputs.nodes
    assert segment_names(user.panel.segment.live.node) == user.chosen


def test_script_with_the_logic_of_the_panel_leaves_the_panel_its_answers(user: User) -> None:
    while user.ui.deviceSelector.count > 1:
        user.ui.deviceSelector.removeItem(1)
    user.panel._look_for_devices()
    assert user.panel.runner.is_waiting
    node = user.widget.logic.process(
        user.add_volume("Other", seed=1), labels=["Left Putamen"], model="tiny", device="cpu"
    )
    assert segment_names(node) == ["Left Putamen"]
    assert user.ui.deviceSelector.count > 1
    assert_works(user)


def test_script_is_told_of_a_volume_that_changes_and_of_an_output_that_cannot_take_the_result(user: User) -> None:
    from LabelConditionedSegmentationLib.core.errors import InputError, LCSError

    logic, volume = user.widget.logic, user.panel.inputs.nodes[0]
    logic.runner.worker = worker = HeldWorker()

    def remove(_fraction: float, _text: str) -> None:
        user.host.scene.RemoveNode(volume)
        worker.is_held = False

    with pytest.raises(LCSError, match="changed or removed during the run"):
        logic.process(volume, labels=["Left Putamen"], model="tiny", device="cpu", progress=remove)
    output = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    output.SetAndObserveTransformNodeID(nodes.transform(user.host.scene, nodes.moved()).GetID())
    passes = user.passes
    with pytest.raises(InputError, match="another transform"):
        logic.process(user.add_volume(), output, labels=["Left Putamen"], model="tiny", device="cpu")
    assert user.passes == passes


# the worker


@pytest.mark.slow
def test_worker_killed_during_a_run(user: User, tmp_path: Path) -> None:
    with_process(user, tmp_path)
    before = contents()
    user.ui.applyButton.click()
    children()[0].kill()
    user.wait()
    assert contents() == before
    assert "ended unexpectedly" in user.said
    assert_readable(user.said)
    assert_works(user)


@pytest.mark.slow
def test_python_killed_below_its_launcher_during_a_run(user: User, tmp_path: Path) -> None:
    """Inside the application the process is PythonSlicer, which ends with status 1 whatever became of its Python."""
    with_process(user, tmp_path, python_slicer(tmp_path))
    before = contents()
    user.ui.applyButton.click()
    user.host.run_until(lambda: bool(children()[0].children()))
    children()[0].children()[0].kill()
    user.wait()
    assert contents() == before
    assert "ended unexpectedly (exit status 1: its log says why, or there was too little memory)" in user.said
    assert_readable(user.said)
    assert_works(user)


def pick(user: User) -> None:
    """Press Pick in view, click a point of a view, and wait."""
    user.press("pickButton")
    user.host.run_until(lambda: user.panel.pick.picker.is_active)
    slicer.util.getNode("Picked point").AddControlPointWorld(INSIDE)
    user.host.run_until(lambda: not user.panel.pick.picker.is_active)
    user.wait()


@pytest.mark.slow
def test_worker_killed_between_runs(user: User, tmp_path: Path) -> None:
    with_process(user, tmp_path)
    node = user.apply()
    kill_idle()
    user.tick("Right Putamen")
    assert segment_names(node) == user.chosen
    before = contents()
    pick(user)
    assert contents() == before
    assert user.ui.pickList.count == 0
    assert "press Apply" in user.said
    assert_readable(user.said)
    assert_works(user)
    pick(user)
    assert user.ui.pickList.count == 3
    kill_idle()
    user.editor("age").text = "30"
    assert_works(user)


def kill_idle() -> None:
    """Kill the worker's process and wait until it has ended."""
    processes = children()
    processes[0].kill()
    os.waitid(os.P_PID, processes[0].pid, os.WEXITED | os.WNOWAIT)


TALKER = """#!{python}
import os, sys
if os.path.exists({flag!r}):
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
open({flag!r}, "w").close()
sys.stdin.readline()
print("WARNING: garbage", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_worker_that_speaks_garbage(user: User, tmp_path: Path) -> None:
    script = tmp_path / "talker.py"
    script.write_text(TALKER.format(python=sys.executable, flag=str(tmp_path / "flag")))
    with_process(user, tmp_path, [sys.executable, str(script)])
    before = contents()
    user.press("applyButton")
    assert contents() == before
    assert "cannot be understood" in user.said
    assert_readable(user.said)
    assert_works(user)


@pytest.mark.slow
def test_cancel_of_a_worker_that_does_not_listen(user: User, tmp_path: Path) -> None:
    with_process(user, tmp_path)
    before = contents()
    user.ui.applyButton.click()
    processes = children()
    processes[0].suspend()
    assert PATIENCE < 2  # seconds that a user waits for a process which will never end
    user.ui.cancelButton.click()
    assert user.said == "Cancelling..."
    assert not user.ui.cancelButton.enabled
    user.wait()
    assert all_gone(processes)
    assert contents() == before
    assert user.said == "Cancelled; the model will be loaded again at the next run."
    assert_works(user)


def test_cancel_twice(user: User) -> None:
    worker = begin(user)
    before = contents()
    user.ui.cancelButton.click()
    user.panel._cancel(False)  # the button is grey already; a click that was on its way
    finish(user, worker)
    assert contents() == before
    assert user.said == "Cancelled; nothing was changed."
    user.panel._cancel(False)
    assert_works(user)


# the model


def test_model_removed_between_two_runs(user: User, models: Path) -> None:
    user.apply()
    (models / "tiny").rename(models / "away")
    user.editor("age").text = "30"
    before = contents()
    user.press("applyButton")
    assert contents() == before
    assert "tiny" in user.said
    assert_readable(user.said)
    (models / "away").rename(models / "tiny")
    assert_works(user)


def test_model_removed_during_a_run(user: User, models: Path) -> None:
    worker = begin(user)
    before = contents()
    shutil.move(models / "tiny", models.parent / "away")
    finish(user, worker)
    assert contents() == before
    assert "tiny" in user.said
    assert_readable(user.said)
    shutil.move(models.parent / "away", models / "tiny")
    assert_works(user)


def test_damaged_weights(user: User, models: Path) -> None:
    (weights,) = models.glob("tiny/*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    before = contents()
    user.press("applyButton")
    assert contents() == before
    assert "tiny" in user.said
    assert_readable(user.said)
    weights.write_bytes(whole)
    assert_works(user)


def test_scene_made_with_a_model_that_is_not_installed(user: User, models: Path, tmp_path: Path) -> None:
    samples.package(models, name="other")
    user = user.again()
    user.choose(user.add_volume())
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("other")
    user.tick("Right Putamen")
    ticked = user.chosen
    user.apply()
    scene = user.host.scene
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()
    shutil.rmtree(models / "other")
    user = user.again()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Import()
    assert '"other"' in user.said
    assert_readable(user.said)
    assert (user.panel.copy.parameters.model, user.panel.package.name) == (
        "other",
        "tiny",
    )  # until the user goes on with another one
    assert user.chosen == ticked
    user.ui.outputSelector.setCurrentNode(None)
    user.choose(user.add_volume())
    user.apply()
    assert segment_names(user.panel.segment.live.node) == ticked


def test_scene_loaded_while_another_module_is_shown(user: User, tmp_path: Path) -> None:
    user.ui.sidesBox.checked = False
    ticked, scene = user.chosen, user.host.scene
    user.apply()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Commit()
    user = user.again()
    user.widget.parent.exit()
    scene.Clear(0)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Import()
    user.widget.parent.enter()
    assert user.chosen == ticked
    assert user.ui.outputSelector.currentNode() is slicer.util.getNode("vtkMRMLSegmentationNode*")


# the disk


@pytest.mark.slow
def test_disk_full_when_the_volume_is_handed_over(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_file: Path, _array: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with_process(user, tmp_path)
    before = contents()
    with monkeypatch.context() as full:
        full.setattr(exchange, "_write", write)
        user.press("applyButton")
    assert contents() == before
    assert "free disk space" in user.said
    assert_readable(user.said)
    assert_works(user)


# volumes that cannot be segmented


def bend(user: User, volume: Any) -> None:
    volume.SetAndObserveTransformNodeID(nodes.bent(user.host.scene).GetID())


def flatten(user: User, volume: Any) -> None:
    volume.SetAndObserveTransformNodeID(nodes.transform(user.host.scene, np.diag([1.0, 1, 0, 1])).GetID())


def other_voxels(voxels: Any) -> Callable[[User, Any], None]:
    def change(user: User, volume: Any) -> None:
        slicer.util.updateVolumeFromArray(volume, voxels)

    return change


def other_node(voxels: Any, class_name: str) -> Callable[[User, Any], None]:
    def choose(user: User, _volume: Any) -> None:
        node = user.host.scene.AddNewNodeByClass(class_name)
        slicer.util.updateVolumeFromArray(node, voxels)
        user.choose(node)

    return choose


def no_volume(user: User, _volume: Any) -> None:
    user.choose(None)


SCAN = samples.scan().array[0]
REFUSED: dict[str, tuple[Callable[[User, Any], None], str]] = {
    "non-linear transform": (bend, "Transforms module"),
    "singular transform": (flatten, "Transforms module"),
    "colour": (
        other_node(np.stack([SCAN.astype(np.uint8)] * 3, -1), "vtkMRMLVectorVolumeNode"),
        "Vector to Scalar Volume module",
    ),
    "4D": (other_node(np.stack([SCAN] * 5, -1), "vtkMRMLVectorVolumeNode"), "Sequences module"),
    "label map": (other_node((SCAN > 0).astype(np.uint8), "vtkMRMLLabelMapVolumeNode"), "label map"),
    "NaN": (other_voxels(np.where(SCAN > 500, np.nan, SCAN).astype(np.float32)), "NaN"),
    "constant": (other_voxels(np.full_like(SCAN, 5)), "constant"),
    "single slice": (other_voxels(SCAN[:1].copy()), "single slice"),
    "no volume": (no_volume, "No volume is chosen"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_volume_that_cannot_be_segmented(kind: str, user: User) -> None:
    change, words = REFUSED[kind]
    (volume,) = user.panel.inputs.nodes
    change(user, volume)
    before = contents()
    for button in (user.ui.applyButton, user.ui.pickButton):
        assert not button.enabled
        assert words in button.toolTip
    assert_readable(user.ui.applyButton.toolTip)
    assert words in user.ui.findingsLabel.text
    assert user.said == user.ui.applyButton.toolTip
    user.panel.segment.apply(False)
    user.wait()
    assert contents() == before
    user.choose(user.add_volume())
    assert "✔" in user.ui.findingsLabel.text
    assert_works(user)


def test_a_scan_that_was_taken_for_a_label_map_is_called_a_scan_once(user: User) -> None:
    assert not user.ui.scanButton.visible
    (volume,) = user.panel.inputs.nodes
    other_voxels(SCAN // 300 * 300)(user, volume)
    assert "label map or mask" in user.ui.applyButton.toolTip
    assert str(user.ui.scanButton.text) in user.ui.findingsLabel.text
    assert user.ui.scanButton.visible
    user.press("scanButton")
    assert not user.ui.scanButton.visible
    assert "✔" in user.ui.findingsLabel.text
    user.apply()
    other = user.add_volume()
    other_voxels(SCAN // 300 * 300)(user, other)
    user.choose(other)
    assert user.ui.scanButton.visible
    user.choose(volume)
    assert not user.ui.scanButton.visible
    assert_works(user)


def test_channels_on_different_grids(host: Host, models: Path) -> None:
    samples.package(models, replace(samples.TINY, in_channels=2), name="pair", spec=InputSpec(("T1", "T2")))
    user = User(host)
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("pair")
    first, second = user.add_volume("One"), user.add_volume("Two", seed=1)
    second.SetSpacing(1, 1, 1.1)
    user.choose(first, second)
    user.tick(*TICKED)
    assert not user.ui.applyButton.enabled
    assert "Resample Scalar/Vector/DWI Volume module" in user.ui.applyButton.toolTip
    assert "different grids" in user.ui.findingsLabel.text
    second.SetSpacing(1, 1, 1)
    assert user.ui.applyButton.enabled
    assert_works(user)
    user.choose(first, None)
    assert "T2" in user.ui.applyButton.toolTip


def centre_ras(user: User, name: str) -> Any:
    """The centroid of a segment in world RAS millimetres, from what the segmentation itself says of its place."""
    node = user.panel.segment.live.node
    node.CreateClosedSurfaceRepresentation()
    return np.array(node.GetSegmentCenterRAS(node.GetSegmentation().GetSegmentIdBySegmentName(name)))


def test_linear_transform_moves_the_segments_with_the_volume(user: User) -> None:
    name = "Right Hippocampus"
    shift = np.eye(4)
    shift[:3, 3] = (31, -17, 12)
    user.apply()
    plain, before = centre_ras(user, name), masks(user.panel.segment.live.node, user.panel.inputs.nodes[0])
    (volume,) = user.panel.inputs.nodes
    volume.SetAndObserveTransformNodeID(nodes.transform(user.host.scene, shift).GetID())
    user.ui.outputSelector.setCurrentNode(None)
    node = user.apply()
    assert node.GetParentTransformNode() is volume.GetParentTransformNode()
    assert centre_ras(user, name) == pytest.approx(plain + shift[:3, 3], abs=0.01)
    assert_same_masks(masks(node, user.panel.inputs.nodes[0]), before)


# outputs that cannot take the result


def test_output_under_another_transform(user: User) -> None:
    output = user.apply()
    output.SetAndObserveTransformNodeID(nodes.transform(user.host.scene, nodes.moved()).GetID())
    user.editor("age").text = "30"
    assert_refused_before_the_run(user, "another transform")
    output.SetAndObserveTransformNodeID(None)
    assert_works(user)


def test_output_kept_as_closed_surface(user: User) -> None:
    output = user.apply()
    output.CreateClosedSurfaceRepresentation()
    output.SetSourceRepresentationToClosedSurface()
    user.editor("age").text = "30"
    assert_refused_before_the_run(user, "make binary labelmap its source")
    user.ui.outputSelector.setCurrentNode(None)
    assert_works(user)


def assert_refused_before_the_run(user: User, words: str) -> None:
    """A user who waited for the network would have waited for nothing."""
    passes = user.passes
    before = segment_names(user.panel.copy.parameters.output)
    user.press("applyButton")
    assert user.passes == passes
    assert segment_names(user.panel.copy.parameters.output) == before
    assert words in user.said
    assert_readable(user.said)


# what was entered


def test_metadata_out_of_range(user: User) -> None:
    user.editor("age").text = "250"
    assert not user.ui.applyButton.enabled
    assert "250" in user.ui.applyButton.toolTip
    assert_readable(user.ui.applyButton.toolTip)
    user.editor("age").text = "30"
    assert_works(user)
