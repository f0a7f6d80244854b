"""The panel and a scene that changes under it: loaded, closed, its nodes removed, hidden and renamed.

What was chosen stays chosen, and nothing else ever is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer

from Testing import samples
from Testing.host.application import Host
from Testing.panel.test_panel_faults import assert_readable, contents
from Testing.panel.test_panel_output import read_scene, write_scene
from Testing.panel.user import User, segment_names
from Testing.scene import made_nodes as nodes


@pytest.fixture
def user(host: Host, models: Path) -> User:
    """A user with a scan, who has ticked a structure. There is a second model, which would be the first choice."""
    samples.package(models, name="another")
    made = User(host)
    made.ui.modelSelector.currentIndex = made.ui.modelSelector.findData("tiny")
    made.choose(made.add_volume())
    made.ui.sidesBox.checked = False
    made.tick("Left Putamen")
    return made


def output(user: User) -> Any:
    return user.ui.outputSelector.currentNode()


def segmentations() -> list[Any]:
    return list(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))


def segmentation(user: User, name: str) -> Any:
    """An empty segmentation that lies on the scan."""
    node = user.host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    return node


def load_into(scene: Any, path: Path) -> None:
    """Load a saved scene beside what is there."""
    if path.suffix == ".mrb":
        assert scene.ReadFromMRB(str(path), False)
    else:
        scene.SetURL(str(path))
        assert scene.Import()


# A scene is loaded


@pytest.mark.parametrize("ending", ["mrml", "mrb"])
@pytest.mark.parametrize("others", [0, 2])
def test_a_scene_that_is_loaded_into_the_open_panel_brings_it_back(
    user: User, tmp_path: Path, ending: str, others: int
) -> None:
    """others: volumes of the scene that it is loaded into, the first of which is chosen there."""
    user.editor("age").text = "31"
    user.apply()
    user.ui.tableBox.checked = True
    write_scene(user.host.scene, tmp_path / f"saved.{ending}")
    user = user.again()
    user.ui.modelSelector.currentIndex = user.ui.modelSelector.findData("another")
    for n in range(others):
        user.add_volume(f"Other {n}")
        segmentation(user, f"Other {n}")
    if others:
        user.choose(slicer.util.getNode("Other 0"))
        user.ui.outputSelector.setCurrentNode(segmentations()[0])
    (load_into if others else read_scene)(user.host.scene, tmp_path / f"saved.{ending}")
    user.wait()
    assert [node.GetName() for node in user.panel.inputs.nodes] == ["Scan"]
    assert output(user).GetName() == "Scan segmentation"
    assert user.panel.package.name == "tiny"
    assert (user.chosen, user.shown("age"), user.ui.tableBox.checked) == (["Left Putamen"], "31", True)
    user.tick("Right Putamen")
    assert user.panel.copy.node.GetNodeReference("Input0") is user.panel.inputs.nodes[0]
    assert user.panel.copy.node.GetNodeReference("output") is output(user)
    user.apply()
    assert segment_names(output(user)) == ["Left Putamen", "Right Putamen"]
    assert [segment_names(node) for node in segmentations() if node is not output(user)] == [[]] * others


def test_what_is_loaded_beside_leaves_the_choice_and_the_ticks_as_they_are(user: User, tmp_path: Path) -> None:
    node = user.apply()
    user.panel.example.form.atlas.set_nodes([user.panel.inputs.nodes[0]])
    other = slicer.vtkMRMLScene()
    nodes.volume(other, None, samples.scan().array[0].copy(), name="Beside")
    other.SetURL(str(tmp_path / "beside.mrml"))
    other.Commit()
    said, scan = user.said, user.panel.inputs.nodes
    user.host.scene.SetURL(str(tmp_path / "beside.mrml"))
    user.host.scene.Import()
    assert slicer.util.getNode("Beside") is not None
    assert (user.panel.inputs.nodes, output(user), user.panel.segment.live.node) == (scan, node, node)
    assert user.panel.example.form.atlas.nodes == scan
    assert user.said == said
    user.tick("Right Putamen")
    assert segment_names(node) == ["Left Putamen", "Right Putamen"]


def test_a_scene_that_is_loaded_while_another_module_is_open_is_not_written_over(user: User, tmp_path: Path) -> None:
    write_scene(user.host.scene, tmp_path / "saved.mrml")
    user = user.again()
    user.choose(user.add_volume("Other"))
    user.widget.parent.exit()
    load_into(user.host.scene, tmp_path / "saved.mrml")
    user.host.scene.RemoveNode(slicer.util.getNode("Other"))
    user.widget.parent.enter()
    assert user.chosen == ["Left Putamen"]
    assert [node.GetName() for node in user.panel.inputs.nodes] == ["Scan"]


# A node goes


def test_after_the_undo_of_a_new_segmentation_no_other_is_written_into(user: User) -> None:
    before, after = (segmentation(user, name) for name in ("Before", "After"))
    user.apply()
    user.host.scene.RemoveNode(after)
    user.host.scene.AddNode(after)
    kept = contents()
    user.press("undoButton")
    assert output(user) is None
    assert user.panel.copy.parameters.output is None
    assert "the next Apply makes a new one" in user.said
    assert_readable(user.said)
    user.tick("Right Putamen")
    user.apply()
    assert segment_names(before) == segment_names(after) == []
    assert contents()[0] - kept[0] != set()


def remove(node: Any) -> None:
    slicer.mrmlScene.RemoveNode(node)


def remove_in_batch(node: Any) -> None:
    scene = slicer.mrmlScene
    scene.StartState(scene.BatchProcessState)
    scene.RemoveNode(node)
    scene.EndState(scene.BatchProcessState)


def hide(node: Any) -> None:
    node.SetHideFromEditors(True)


@pytest.mark.parametrize("go", [remove, remove_in_batch, hide])
def test_where_the_output_goes_none_is_chosen_and_the_panel_says_so(user: User, go: Callable[[Any], None]) -> None:
    neighbours = [segmentation(user, "Before")]
    node = user.apply()
    neighbours.append(segmentation(user, "After"))
    go(node)
    assert output(user) is None
    assert user.panel.copy.parameters.output is None
    assert (
        user.said
        == 'The segmentation "Scan segmentation" is gone; the next Apply makes a new one, unless you choose another.'
    )
    user.tick("Right Putamen")
    assert user.apply() not in (node, *neighbours)
    assert [segment_names(node) for node in neighbours] == [[], []]


@pytest.mark.parametrize("go", [remove, remove_in_batch, hide])
def test_where_the_input_goes_none_is_chosen_and_the_panel_says_so(user: User, go: Callable[[Any], None]) -> None:
    user.add_volume("After")
    go(user.panel.inputs.nodes[0])
    assert user.panel.inputs.nodes == (None,)
    assert user.panel.copy.node.GetNodeReference("Input0") is None
    assert user.said == '"Scan" is gone; choose another one.'
    assert "No volume is chosen" in user.ui.findingsLabel.text
    assert not user.ui.applyButton.enabled


def test_a_node_that_nobody_chose_may_go(user: User) -> None:
    other = user.add_volume("Other")
    user.apply()
    said = user.said
    user.host.scene.RemoveNode(other)
    assert user.said == said
    assert user.panel.segment.live.node is output(user)


# Other changes


def test_the_first_choice_is_a_scan_that_can_be_seen(user: User) -> None:
    scene = user.host.scene
    scene.Clear(0)
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    slicer.util.updateVolumeFromArray(labels, np.ones((4, 4, 4), np.uint8))
    colour = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Colour")
    slicer.util.updateVolumeFromArray(colour, np.ones((4, 4, 4, 3), np.uint8))
    hide(user.add_volume("Hidden"))
    user.widget.enter()
    assert user.panel.inputs.nodes == (None,)
    scan = user.add_volume("Scan")
    user.widget.enter()
    assert user.panel.inputs.nodes == (scan,)


def test_another_name_of_the_input_is_shown_and_wipes_nothing(user: User) -> None:
    user.panel.say("As before.")
    user.panel.inputs.nodes[0].SetName("Renamed")
    assert user.ui.findingsLabel.text == "✔ Renamed can be segmented."
    assert user.said == "As before."
    user.apply()
    said = user.said
    assert "Done" in said
    user.panel.inputs.nodes[0].SetName("Again")
    assert (user.said, user.ui.findingsLabel.text) == (said, "✔ Again can be segmented.")


def test_visits_leave_no_observers_behind(user: User) -> None:
    def tick() -> int:
        """How often the parameter node is read for one tick."""
        reads: list[Any] = []
        node = user.panel.copy.node
        read = node.GetParameter

        def counted(*arguments: Any) -> Any:
            reads.append(arguments)
            return read(*arguments)

        node.GetParameter = counted
        user.tick("Right Putamen", on="Right Putamen" not in user.chosen)
        del node.GetParameter
        return len(reads)

    tick()
    before = tick()
    for _ in range(5):
        user.widget.parent.exit()
        user.widget.parent.enter()
    assert tick() == before > 0
    user.host.scene.Clear(0)
    user.choose(user.add_volume())
    user.tick("Left Putamen")
    assert tick() == before


def test_leaving_the_module_ends_picking(user: User) -> None:
    user.apply()
    user.press("pickButton")
    user.host.run_until(lambda: user.panel.pick.picker.is_active)
    interaction = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLInteractionNode")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    user.widget.parent.exit()
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    assert not user.ui.pickButton.checked
