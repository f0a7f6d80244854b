"""The entry "Segment structures..." in the context menu of a volume in the subject hierarchy.

The application runs this file by itself, as a module of its own: it imports by whole names, and its class is called as
the file is.
"""

from __future__ import annotations

from typing import Any

import qt
import slicer
from AbstractScriptedSubjectHierarchyPlugin import AbstractScriptedSubjectHierarchyPlugin
from slicer.i18n import tr as _

from LabelConditionedSegmentationLib.panel import context_menu


class LabelConditionedSegmentationSubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
    """A plugin for one action; it owns no items."""

    filePath = __file__  # noqa: N815  as the application's own plugins have it

    def __init__(self, scriptedPlugin: Any) -> None:  # noqa: N803  as the application calls it
        scriptedPlugin.name = context_menu.MODULE
        AbstractScriptedSubjectHierarchyPlugin.__init__(self, scriptedPlugin)
        self.action = qt.QAction(_("Segment structures..."), scriptedPlugin)
        self.action.connect("triggered(bool)", lambda _checked: self.segment())

    def canAddNodeToSubjectHierarchy(self, _node: Any, _parent: int) -> float:  # noqa: N802
        return 0.0

    def canOwnSubjectHierarchyItem(self, _item: int) -> float:  # noqa: N802
        return 0.0

    def roleForPlugin(self) -> str:  # noqa: N802
        return "N/A"

    def itemContextMenuActions(self) -> list[Any]:  # noqa: N802
        return [self.action]

    def sceneContextMenuActions(self) -> list[Any]:  # noqa: N802
        return []

    def showContextMenuActionsForItem(self, item: int) -> None:  # noqa: N802
        """The application has hidden the action before."""
        if context_menu.scan_of_item(item) is not None:
            self.action.visible = True

    def segment(self) -> None:
        """Open the module with the volume of the current item."""
        handler = slicer.qSlicerSubjectHierarchyPluginHandler.instance()
        volume = context_menu.scan_of_item(handler.currentItem())
        if volume is not None:
            context_menu.open_with(volume)
