"""The user of the panel, for tests: opens the module, chooses, ticks, fills in, presses, and waits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import slicer.util
from LabelConditionedSegmentationLib.worker.in_process import InProcessWorker

from Testing import samples
from Testing.host.application import Host
from Testing.scene import made_nodes as nodes

INSIDE = (20.0, -8.0, 44.0)
"""A point (world RAS, mm) inside `samples.scan` on `PLACE`."""

PLACE = np.array([[-1.0, 0, 0, 40], [0, -1, 0, 14], [0, 0, 1, 26], [0, 0, 0, 1]])
"""Where `User.add_volume` puts a scan: IJK to RAS of an axial scan as DICOM gives it."""


class User:
    """Opens the module with a worker in this process: what the user does is the same, and the tests are quicker.

    Before, LCS_MODELS and XDG_DATA_HOME have to be set to folders of the test.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.widget = host.open_module()
        self.panel = self.widget.panel
        self.ui = self.panel.ui
        self.panel.runner.worker = InProcessWorker()

    def again(self) -> User:
        """Another day: the module is opened anew, over an empty scene."""
        self.widget.cleanup()
        self.host.scene.Clear(0)
        return User(self.host)

    def add_volume(self, name: str = "Scan", affine: Any = PLACE, seed: int = 0) -> Any:
        """A scan in the scene, which is not chosen yet."""
        return nodes.volume(self.host.scene, affine, samples.scan(seed=seed).array[0].copy(), name=name)

    def choose(self, *volumes: Any) -> None:
        """Choose the volume of each channel."""
        for selector, volume in zip(self.input_selectors, volumes, strict=True):
            selector.setCurrentNode(volume)
        self.wait()

    @property
    def input_selectors(self) -> list[Any]:
        """The volume selectors, one for each channel."""
        import qt

        layout = self.ui.inputsForm.layout()
        return [layout.itemAt(row, qt.QFormLayout.FieldRole).widget() for row in range(layout.rowCount())]

    def tick(self, *names: str, on: bool = True, as_one: bool = False) -> None:
        """Click the boxes of labels; as_one: the box that makes a parent one segment."""
        import qt

        for name in names:
            item = self.panel.tree.item(self.panel.package.labels.find(name).id)
            item.setCheckState(1 if as_one else 0, qt.Qt.Checked if on else qt.Qt.Unchecked)

    @property
    def chosen(self) -> list[str]:
        """Names of what is asked for."""
        return [label.name for label in self.panel.ticks.wanted()]

    def press(self, button: str) -> None:
        """Press a button, or choose an action of a menu, and wait until everything that it began has ended."""
        widget = getattr(self.ui, button)
        assert widget.enabled, f"{button} cannot be pressed: {widget.toolTip}"
        (widget.trigger if widget.inherits("QAction") else widget.click)()
        self.wait()

    def apply(self) -> Any:
        """Press Apply; the segmentation."""
        self.press("applyButton")
        assert self.panel.segment.live.node is not None, self.said
        return self.panel.segment.live.node

    def wait(self) -> None:
        """Until nothing is under way."""
        self.host.run_until(lambda: not self.panel.runner.is_waiting, 60)

    def click_in_view(self, position_ras: tuple[float, float, float]) -> None:
        """Click into a view while a point is waited for: a control point of the active node, and the end
        of place mode.
        """
        scene = self.host.scene
        selection, interaction = (
            scene.GetFirstNodeByClass("vtkMRMLSelectionNode"),
            scene.GetFirstNodeByClass("vtkMRMLInteractionNode"),
        )
        assert interaction.GetCurrentInteractionMode() == interaction.Place
        scene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPointWorld(position_ras)
        interaction.SwitchToViewTransformMode()
        self.host.run_until(lambda: not self.panel.pick.picker.is_active)
        self.wait()

    @property
    def said(self) -> str:
        """The line below Apply."""
        return str(self.ui.statusLabel.text)

    def editor(self, field: str) -> Any:
        """The widget in which a metadata field is entered."""
        return slicer.util.findChild(self.ui.metadataForm, f"metadata_{field}")

    def shown(self, field: str) -> str:
        """What the form shows of a metadata field."""
        editor = self.editor(field)
        return str(editor.currentText if editor.inherits("QComboBox") else editor.text)

    def remark(self, field: str) -> str:
        """What is said below a metadata field."""
        return str(slicer.util.findChild(self.ui.metadataForm, f"metadata_{field}_remark").text)

    @property
    def report(self) -> dict[str, Any]:
        """The run report that lies beside the segmentation."""
        report: dict[str, Any] = json.loads(
            self.panel.segment.live.node.GetNodeReference("LabelConditionedSegmentation.RunReport").GetText()
        )
        return report

    @property
    def passes(self) -> int:
        """How often the network has run."""
        return int(self.panel.runner.worker._server.model.trunk_passes)


def segment_names(segmentation: Any) -> list[str]:
    """In their order."""
    segments = segmentation.GetSegmentation()
    return [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())]


def masks(segmentation: Any, volume: Any) -> dict[str, Any]:
    """Segment name -> mask (k, j, i), bool, on the volume's grid."""
    segments = segmentation.GetSegmentation()
    return {
        segments.GetSegment(ident).GetName(): nodes.segment_mask(segmentation, ident, volume)
        for ident in segments.GetSegmentIDs()
    }


def assert_same_masks(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Voxel for voxel, in the same order."""
    assert list(one) == list(other)
    for name, mask in one.items():
        np.testing.assert_array_equal(mask, other[name], name)


def entries(selector: Any) -> list[str]:
    """The texts of a QComboBox."""
    return [str(selector.itemText(n)) for n in range(selector.count)]


def describe(package: Path, **about: str) -> Path:
    """Change what a package says about itself."""
    file = package / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | about), encoding="utf-8")
    return package
