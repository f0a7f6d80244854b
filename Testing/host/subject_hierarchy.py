"""Stand-ins of what runs scripted plugins of the subject hierarchy, and shows their actions in its context menu."""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import slicer
from PySide6 import QtCore
from PySide6.QtCore import Slot

from Testing.host import qt as adaptor
from Testing.host.widgets import plain_property


class qSlicerSubjectHierarchyScriptedPlugin(QtCore.QObject):  # noqa: N801
    """Runs a Python file as a module of its own, and makes the class that is called as the file is."""

    name = plain_property(str, "name", "UnnamedScriptedPlugin")
    python: Any = None

    @Slot(str, result=bool)
    def setPythonSource(self, path: str) -> bool:  # noqa: N802
        name = Path(path).stem
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        finally:
            del sys.modules[name]
        self.python = getattr(module, name)(adaptor.wrap(self))
        return True


class qSlicerSubjectHierarchyPluginHandler(QtCore.QObject):  # noqa: N801
    """The one handler, with the plugins that were registered and the item whose menu is shown."""

    made: ClassVar[list[Any]] = []

    def __init__(self) -> None:
        super().__init__()
        self.plugins: list[Any] = []
        self.item = 0

    @staticmethod
    def instance() -> Any:
        return qSlicerSubjectHierarchyPluginHandler.made[-1]

    def registerPlugin(self, plugin: Any) -> bool:  # noqa: N802
        self.plugins.append(adaptor.unwrap(plugin))
        return True

    def currentItem(self) -> int:  # noqa: N802
        return self.item

    def context_menu(self, node: Any) -> dict[str, Any]:
        """The visible actions for the item of a node, by their texts."""
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        self.item = hierarchy.GetItemByDataNode(node)
        shown: dict[str, Any] = {}
        for plugin in self.plugins:
            actions = plugin.python.itemContextMenuActions()
            for action in actions:
                adaptor.unwrap(action).setVisible(False)
            plugin.python.showContextMenuActionsForItem(self.item)
            shown |= {str(action.text): action for action in actions if adaptor.unwrap(action).isVisible()}
        return shown


class AbstractScriptedSubjectHierarchyPlugin:
    """Registers the plugin when it is made, as the application's base class does."""

    def __init__(self, scripted_plugin: Any) -> None:
        self.scriptedPlugin = scripted_plugin
        slicer.qSlicerSubjectHierarchyPluginHandler.instance().registerPlugin(scripted_plugin)


SUBJECT_HIERARCHY: dict[str, type] = {
    cls.__name__: cls for cls in (qSlicerSubjectHierarchyScriptedPlugin, qSlicerSubjectHierarchyPluginHandler)
}


def abstract_plugin_module() -> types.ModuleType:
    """The module that scripted plugins import their base class from."""
    module = types.ModuleType("AbstractScriptedSubjectHierarchyPlugin")
    module.AbstractScriptedSubjectHierarchyPlugin = AbstractScriptedSubjectHierarchyPlugin  # type: ignore[attr-defined]
    return module
