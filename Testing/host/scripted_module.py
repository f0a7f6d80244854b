"""`slicer.ScriptedLoadableModule`: the base classes of a scripted module's module, widget, logic and test, as the
application has them.
"""

from __future__ import annotations

import importlib
import unittest
from pathlib import Path
from typing import Any

import slicer

from Testing.host import qt as adaptor
from Testing.host.selectors import qMRMLWidget


def _resource(module_file: str, name: str) -> str:
    return str(Path(module_file).parent / "Resources" / name)


class ScriptedLoadableModule:
    """What the module manager makes first: title, category, help, and the icon beside the module."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        icon = Path(self.resourcePath(f"Icons/{self.moduleName}.png"))
        if icon.is_file():
            parent.icon = adaptor.module.QIcon(str(icon))

    def resourcePath(self, filename: str) -> str:  # noqa: N802
        return _resource(self.parent.path, filename)

    def runTest(self, msec: int = 100, **keywords: Any) -> None:  # noqa: N802
        test = getattr(importlib.import_module(type(self).__module__), f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**keywords)


def _window() -> Any:
    """A window for a module's widget that has no place in the panel."""
    window = adaptor.proxy_class(qMRMLWidget)()
    window.setLayout(adaptor.module.QVBoxLayout())
    window.setMRMLScene(slicer.mrmlScene)
    return window


class ScriptedLoadableModuleWidget:
    """The module's widget; `parent` is the place in the panel and has a layout."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent if parent is not None else _window()
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:  # noqa: N802
        return _resource(slicer.util.modulePath(self.moduleName), filename)

    def setup(self) -> None:
        """Derived classes build their widgets here."""

    def cleanup(self) -> None:
        """Derived classes take their observers away here: before the widget goes, and before a reload."""

    def onReload(self) -> None:  # noqa: N802
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, module_name: str) -> None:  # noqa: N802
        if module_name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)


class ScriptedLoadableModuleLogic:
    """The module's logic, and its parameter node in the scene."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:  # noqa: N802
        """The module's vtkMRMLScriptedModuleNode of the scene, made where there is none."""
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            return slicer.mrmlScene.AddNode(self.createParameterNode())
        node.SetAttribute("ModuleName", self.moduleName)
        return node

    def createParameterNode(self) -> Any:  # noqa: N802
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """The module's self-test."""

    messageDelay = 50  # noqa: N815

    def delayDisplay(self, message: str, msec: int | None = None) -> None:  # noqa: N802
        slicer.util.delayDisplay(message, min(self.messageDelay, 50))

    def runTest(self) -> None:  # noqa: N802
        """Derived classes run their tests here."""
