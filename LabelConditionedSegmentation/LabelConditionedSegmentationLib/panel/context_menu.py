"""What the entry in the subject hierarchy's context menu does, and how it comes there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
import slicer.util

MODULE = "LabelConditionedSegmentation"
PLUGIN = Path(__file__).with_name(f"{MODULE}SubjectHierarchyPlugin.py")


def register() -> None:
    """Let the application run the plugin's file; it registers itself."""
    plugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
    plugin.setPythonSource(str(PLUGIN))


def scan_of_item(item: int) -> Any:
    """The volume node of an item of the subject hierarchy that can be segmented; None for other items."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    node = hierarchy.GetItemDataNode(item) if item else None
    return node if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" else None


def open_with(volume: Any) -> None:
    """Show the module with a volume chosen."""
    slicer.util.selectModule(MODULE)
    slicer.util.getModuleWidget(MODULE).panel.choose_volume(volume)
