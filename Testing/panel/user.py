"""User: the panel's driver with everything else that a user does: names structures, fills in the form, presses any button, picks, comes back another day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util

from Testing.host.application import Host
from Testing.panel.panel_driver import PanelDriver


class User(PanelDriver):
    """See PanelDriver."""

    def __init__(self, host: Host, package: Path, monkeypatch: pytest.MonkeyPatch, in_process: bool = True) -> None:
        super().__init__(host, package, monkeypatch, in_process)
        self._begin = host, package, monkeypatch, in_process

    def again(self) -> User:
        """Another day: the module is opened anew, over an empty scene with a new scan."""
        self.widget.cleanup()
        self.host.scene.Clear(0)
        return User(*self._begin)

    def tick_names(self, *names: str, on: bool = True, as_one: bool = False) -> None:
        """Click the boxes of labels; as_one: the box that makes a parent one segment."""
        import qt

        for name in names:
            item = self.panel.tree.item(self.panel.package.labels.find(name).id)
            item.setCheckState(1 if as_one else 0, qt.Qt.Checked if on else qt.Qt.Unchecked)

    @property
    def chosen(self) -> list[str]:
        """Names of the labels that are asked for."""
        return [label.name for label in self.panel.ticks.wanted()]

    def press(self, button: str) -> None:
        """Press a button that can be pressed, and wait until everything that it began has ended."""
        widget = getattr(self.ui, button)
        assert widget.enabled, f"{button} cannot be pressed: {widget.toolTip}"
        widget.click()
        self.wait()

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
        report: dict[str, Any] = json.loads(self.panel.live.node.GetNodeReference("LabelConditionedSegmentation.RunReport").GetText())
        return report

    @property
    def passes(self) -> int:
        """How often the network of this process has run."""
        return int(self.panel.runner.worker._server._trunk_passes)


def segment_names(segmentation: Any) -> list[str]:
    """In their order."""
    segments = segmentation.GetSegmentation()
    return [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())]


def segment(segmentation: Any, name: str) -> Any:
    """The vtkSegment of that name."""
    segments = segmentation.GetSegmentation()
    return segments.GetSegment(segments.GetSegmentIdBySegmentName(name))


def assert_same_masks(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Voxel for voxel."""
    assert list(one) == list(other)
    for name, mask in one.items():
        np.testing.assert_array_equal(mask, other[name], name)


def entries(selector: Any) -> list[str]:
    """The texts of a QComboBox."""
    return [str(selector.itemText(n)) for n in range(selector.count)]


def describe(package: Path, **about: str) -> None:
    """Change what a package says about itself."""
    file = package / "model.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | about), encoding="utf-8")
