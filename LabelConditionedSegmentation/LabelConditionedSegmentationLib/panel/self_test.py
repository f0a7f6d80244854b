"""The module's self-test: drives the real panel as a user does.

It runs inside the application, and wherever the module runs.
"""

from __future__ import annotations

import time
import unittest
from collections.abc import Callable
from typing import Any

import numpy as np
import qt
import slicer

from ..worker.requests import StatusRequest

NAME = "LabelConditionedSegmentation"
PATIENCE_SECONDS = 300


class PanelTest(unittest.TestCase):
    """Each test begins with an empty scene, a made-up scan, and the model that is found first."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.widget = slicer.util.getModuleWidget(NAME)
        self.panel = self.widget.panel
        self.ui = self.panel.ui
        self.panel.memory.acknowledge(self.panel.package)
        self.volume = made_up_scan()
        self.widget.enter()
        self.wait(lambda: not self.panel.runner.is_waiting)

    def tearDown(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.wait(lambda: not self.panel.runner.is_waiting)

    def test_the_first_volume_of_the_scene_is_chosen(self) -> None:
        self.assertEqual([node.GetID() for node in self.panel.inputs.nodes], [self.volume.GetID()])
        self.assertIn("✔", self.ui.findingsLabel.text)

    def test_searching_shows_what_matches_and_its_parents(self) -> None:
        leaf = self.leaves()[0]
        self.ui.searchBox.text = leaf.name
        shown = {label.id for label in self.panel.ticks.tree.labels if not self.panel.tree.item(label.id).isHidden()}
        self.assertIn(leaf.id, shown)
        self.assertLess(len(shown), len(self.panel.ticks.tree))
        self.ui.searchBox.text = ""
        self.assertFalse(any(self.panel.tree.item(label.id).isHidden() for label in self.panel.ticks.tree.labels))

    def test_apply_writes_what_is_ticked_while_the_application_stays_alive(self) -> None:
        beats = []
        timer = qt.QTimer()
        timer.setInterval(10)
        timer.connect("timeout()", lambda: beats.append(time.monotonic()))
        self.tick(*self.leaves()[:2])
        timer.start()
        node = self.apply()
        timer.stop()
        self.assertGreater(len(beats), 5)
        self.assertEqual(segment_names(node), [label.name for label in self.panel.ticks.wanted()])
        self.assertTrue(self.ui.reportButton.enabled)
        self.assertIs(self.ui.outputSelector.currentNode(), node)

    def test_further_ticks_need_no_network_and_give_what_a_run_gives(self) -> None:
        self.tick(*self.leaves()[:1])
        node = self.apply()
        passes = self.status()["trunk_passes"]
        for leaf in self.leaves()[1:4]:
            self.tick(leaf)
        self.assertEqual(self.status()["trunk_passes"], passes)
        self.assertEqual(segment_names(node), [label.name for label in self.panel.ticks.wanted()])
        live = masks(node, self.volume)
        self.panel.runner.forget()
        self.ui.outputSelector.setCurrentNode(None)
        fresh = masks(self.apply(), self.volume)
        self.assertGreater(self.status()["trunk_passes"], passes)
        self.assertEqual(live.keys(), fresh.keys())
        for name in live:
            np.testing.assert_array_equal(live[name], fresh[name])

    def test_unticking_removes_a_segment(self) -> None:
        self.tick(*self.leaves()[:2])
        node = self.apply()
        self.panel.tree.item(self.leaves()[0].id).setCheckState(0, qt.Qt.Unchecked)
        self.assertEqual(segment_names(node), [label.name for label in self.panel.ticks.wanted()])

    def test_a_second_run_finds_the_model_loaded(self) -> None:
        self.tick(*self.leaves()[:1])
        self.apply()
        loads = self.status()["loads"]
        array = slicer.util.arrayFromVolume(self.volume)
        array[array > 0] += 1
        slicer.util.arrayFromVolumeModified(self.volume)
        self.assertIn("new run", self.ui.statusLabel.text)
        self.apply()
        self.assertEqual(self.status()["loads"], loads)

    def test_cancel_leaves_the_scene_as_it_was(self) -> None:
        self.tick(*self.leaves()[:1])
        self.ui.applyButton.click()
        self.assertTrue(self.ui.cancelButton.enabled)
        began = time.monotonic()
        self.ui.cancelButton.click()
        self.wait(lambda: not self.panel.runner.running)
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), 0)
        self.assertIn("Cancelled", self.ui.statusLabel.text)
        self.assertEqual(
            len(segment_names(self.apply())),
            1 if not self.panel.ticks.sides_together else len(self.panel.ticks.wanted()),
        )

    def test_undo_takes_the_last_apply_back(self) -> None:
        self.tick(*self.leaves()[:1])
        node = self.apply()
        before = masks(node, self.volume)
        self.ui.outputSelector.setCurrentNode(None)
        self.ui.outputSelector.setCurrentNode(node)
        self.panel.ticks.clear()
        self.tick(*self.leaves()[2:4])
        self.ui.applyButton.click()
        self.assertGreater(len(segment_names(node)), len(before))
        self.ui.undoButton.click()
        after = masks(node, self.volume)
        self.assertEqual(after.keys(), before.keys())
        for name in before:
            np.testing.assert_array_equal(after[name], before[name])

    def test_apply_segments_the_ticked_scans_and_undo_takes_them_back_one_by_one(self) -> None:
        made_up_scan().SetName("Another scan")
        self.tick(*self.leaves()[:1])
        self.ui.scansSection.collapsed = False
        self.addCleanup(setattr, self.ui.scansSection, "collapsed", True)
        self.ui.allScansButton.click()
        self.ui.applyButton.click()
        self.wait(lambda: not self.panel.batch.is_going_on)
        if self.panel.batch.has_refused:
            self.ui.anywayButton.click()
            self.wait(lambda: not self.panel.batch.is_going_on)
        for left in (2, 1, 0):
            self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), left)
            self.assertEqual(self.ui.undoButton.enabled, left > 0)
            self.ui.undoButton.click()

    def test_strokes_become_a_structure_and_accept_is_taken_back(self) -> None:
        self.ui.strokesSection.collapsed = False
        self.ui.newStrokesButton.click()
        strokes = self.ui.strokesSelector.currentNode()
        scan = slicer.util.arrayFromVolume(self.volume)
        middle, rim = (np.zeros(scan.shape, dtype=np.uint8) for _ in range(2))
        k, j, i = (n // 2 for n in scan.shape)
        middle[k, j, i - 4 : i + 4] = 1
        rim[k, 1, i - 4 : i + 4] = 1
        for mask, ident in zip((middle, rim), strokes.GetSegmentation().GetSegmentIDs(), strict=True):
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask, strokes, ident, self.volume)
        self.wait(lambda: self.ui.acceptStrokesButton.enabled)
        self.ui.acceptStrokesButton.click()
        node = self.ui.outputSelector.currentNode()
        (found,) = masks(node, self.volume).values()
        self.assertTrue(found[middle == 1].all())
        self.assertFalse(found[rim == 1].any())
        self.ui.undoStrokesButton.click()
        self.assertFalse(slicer.mrmlScene.IsNodePresent(node))

    def test_impossible_metadata_hold_apply_back(self) -> None:
        numbers = [field for field in self.panel.entries.schema.fields if field.kind == "number"]
        if not numbers:
            self.skipTest("this model uses no numbers")
        self.tick(*self.leaves()[:1])
        editor = slicer.util.findChild(self.ui.metadataForm, f"metadata_{numbers[0].name}")
        editor.text = "a lot"
        self.assertFalse(self.ui.applyButton.enabled)
        self.assertIn("a lot", self.ui.applyButton.toolTip)
        editor.text = ""
        self.assertTrue(self.ui.applyButton.enabled)

    def test_a_scene_brings_the_panel_back(self) -> None:
        self.tick(*self.leaves()[:2])
        self.ui.tableBox.checked = True
        ticked = [label.name for label in self.panel.ticks.wanted()]
        scene = slicer.mrmlScene
        scene.SetSaveToXMLString(1)
        scene.Commit()
        stored = scene.GetSceneXMLString()
        scene.SetSaveToXMLString(0)
        scene.Clear(0)
        self.widget.enter()
        self.assertEqual(self.panel.ticks.wanted(), [])
        scene.SetLoadFromXMLString(1)
        scene.SetSceneXMLString(stored)
        scene.Import()
        scene.SetLoadFromXMLString(0)
        self.assertEqual([label.name for label in self.panel.ticks.wanted()], ticked)
        self.assertTrue(self.ui.tableBox.checked)
        self.assertEqual([node.GetName() for node in self.panel.inputs.nodes], [self.volume.GetName()])

    def test_a_segment_becomes_a_label_by_example_that_is_found_again(self) -> None:
        self.ui.allButton.click()
        node = self.apply()
        painted = masks(node, self.volume)
        name = max(painted, key=lambda found: painted[found].sum())
        self.ui.addExampleAction.trigger()
        slicer.util.findChildren(self.ui.atlasForm, className="qMRMLNodeComboBox")[0].setCurrentNode(self.volume)
        self.ui.exampleSelector.setCurrentNode(node)
        self.ui.exampleSelector.setCurrentSegmentID(node.GetSegmentation().GetSegmentIdBySegmentName(name))
        self.ui.exampleName.text = "Shown by a segment"
        self.assertTrue(self.ui.makeLabelButton.enabled, self.ui.makeLabelButton.toolTip)
        self.ui.makeLabelButton.click()
        self.wait(lambda: not self.panel.runner.running)
        self.tick(self.panel.ticks.tree.find("Shown by a segment"))
        self.wait(lambda: not self.panel.runner.running)
        found = masks(node, self.volume)["Shown by a segment"]
        self.assertTrue((found * painted[name]).any(), self.ui.statusLabel.text)

    # What the tests are made with

    def wait(self, condition: Callable[[], Any]) -> None:
        """Let the application run until the condition holds."""
        began = time.monotonic()
        while not condition():
            self.assertLess(time.monotonic() - began, PATIENCE_SECONDS, self.ui.statusLabel.text)
            slicer.app.processEvents()
            time.sleep(0.005)

    def leaves(self) -> list[Any]:
        """The leaves of the model, in tree order, one of each side only."""
        tree = self.panel.ticks.tree
        return [leaf for leaf in tree.leaves if leaf.laterality != "right"] or list(tree.leaves)

    def tick(self, *labels: Any) -> None:
        """Click the boxes of labels in the tree."""
        for label in labels:
            self.panel.tree.item(label.id).setCheckState(0, qt.Qt.Checked)

    def apply(self) -> Any:
        """Press Apply and wait; the segmentation. A model may find rightly that the made-up scan shows nothing."""
        self.assertTrue(self.ui.applyButton.enabled, self.ui.applyButton.toolTip)
        self.ui.applyButton.click()
        self.wait(lambda: not self.panel.runner.running)
        if self.panel.runner.answer is not None and self.panel.runner.answer.refusal:
            self.ui.anywayButton.click()
            self.wait(lambda: not self.panel.runner.running)
        self.assertIsNotNone(self.panel.segment.live.node, self.ui.statusLabel.text)
        return self.panel.segment.live.node

    def status(self) -> dict[str, Any]:
        """What the worker has counted."""
        worker = self.panel.runner.worker
        number = worker.send(StatusRequest())
        events: list[Any] = []

        def has_answered() -> bool:
            events.extend(event for event in worker.poll() if event.request == number)
            return bool(events)

        self.wait(has_answered)
        return dict(events[-1].values)


def made_up_scan() -> Any:
    """A volume node of a scan-like ellipsoid of noise, 0 outside."""
    k, j, i = np.mgrid[-1:1:36j, -1:1:44j, -1:1:40j]
    noise = np.random.default_rng(0).normal(0, 40, k.shape)
    voxels = np.where(k**2 + j**2 + i**2 < 0.8, 500 + 200 * np.cos(5 * k + 4 * j + 3 * i) + noise, 0).astype(np.int16)
    node = slicer.util.addVolumeFromArray(voxels, name="Made-up scan")
    node.SetSpacing(1.5, 1.5, 1.5)
    return node


def segment_names(node: Any) -> list[str]:
    """Names of the segments of a segmentation, in their order."""
    segments = node.GetSegmentation()
    return [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())]


def masks(node: Any, volume: Any) -> dict[str, Any]:
    """Segment name -> mask (k, j, i) on the volume's grid."""
    segments = node.GetSegmentation()
    return {
        segments.GetSegment(segment_id).GetName(): slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)
        for segment_id in segments.GetSegmentIDs()
    }
