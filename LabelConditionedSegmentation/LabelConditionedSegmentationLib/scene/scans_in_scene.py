"""The scans of a scene that may be segmented one after another: volumes, and sequences of them with their frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import slicer

from ..core.errors import InputError
from .nodes import is_present

VOLUME = "vtkMRMLScalarVolumeNode"
SEQUENCE = "vtkMRMLSequenceNode"


@dataclass(frozen=True)
class SceneScan:
    """A volume node, or a sequence node with its number of frames (0 for a volume)."""

    node: Any
    frames: int = 0

    @property
    def name(self) -> str:
        """As users know it."""
        return str(self.node.GetName())


def scans_in_scene(scene: Any) -> list[SceneScan]:
    """Every scan that users see, volumes first, in the scene's order: no label maps, colour volumes, or volumes that
    show a frame of a sequence which is listed itself.
    """
    sequences = [
        SceneScan(node, node.GetNumberOfDataNodes())
        for node in _nodes(scene, SEQUENCE)
        if node.GetNumberOfDataNodes() and node.GetNthDataNode(0).IsA(VOLUME)
    ]
    shown = {proxy.GetID() for scan in sequences if (proxy := _proxy(scan.node)[1]) is not None}
    volumes = [
        SceneScan(node)
        for node in _nodes(scene, VOLUME)
        if node.GetClassName() == VOLUME and not node.GetHideFromEditors() and node.GetID() not in shown
    ]
    return [*volumes, *sequences]


def show_frame(sequence: Any, frame: int) -> Any:
    """The volume node of the scene that shows a frame (from 0) of a sequence from now on; a sequence that nothing
    browses gets a browser. Raises InputError where the sequence, or the frame, is gone.
    """
    if not is_present(sequence) or not 0 <= frame < sequence.GetNumberOfDataNodes():
        raise InputError("This frame is no longer in the scene.")
    browser, volume = _proxy(sequence)
    logic = slicer.modules.sequences.logic()
    if browser is None:
        browser = sequence.GetScene().AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(frame)
    logic.UpdateProxyNodesFromSequences(browser)
    volume = browser.GetProxyNode(sequence)
    if volume is None:
        raise InputError("This frame cannot be shown; load the sequence again.")
    return volume


def _proxy(sequence: Any) -> tuple[Any, Any]:
    """The browser of a sequence, and the node that shows its current frame; None where there is none."""
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequence)
    return browser, browser.GetProxyNode(sequence) if browser is not None else None


def _nodes(scene: Any, class_name: str) -> list[Any]:
    found = scene.GetNodesByClass(class_name)
    found.UnRegister(None)
    return [found.GetItemAsObject(n) for n in range(found.GetNumberOfItems())]
