"""The Slicer module: mounts the panel, and offers its logic to scripts."""

from __future__ import annotations

import shutil
import sys
import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
import slicer.util
from LabelConditionedSegmentationLib.panel import context_menu, sample_data
from LabelConditionedSegmentationLib.panel.panel import Panel
from LabelConditionedSegmentationLib.panel.parameters import PanelParameters, parameters_of
from LabelConditionedSegmentationLib.panel.runner import Runner
from LabelConditionedSegmentationLib.panel.scene_copy import LAST
from LabelConditionedSegmentationLib.panel.script import process
from LabelConditionedSegmentationLib.resources import resources_folder, user_models_folder
from LabelConditionedSegmentationLib.worker.client import ProcessWorker
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class LabelConditionedSegmentation(ScriptedLoadableModule):
    """What the application shows of the module before it is opened."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        parent.title = _("Label Conditioned Segmentation")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["LabelConditionedSegmentation contributors"]
        parent.helpText = _(
            "Segmentation by a network that is told which structures to find and what is known about the scan. Choose a"
            " volume, tick structures, press Apply. See the <a"
            ' href="https://github.com/LabelConditionedSegmentation/LabelConditionedSegmentation">tutorial</a>.'
        )
        parent.acknowledgementText = _(
            "Label conditioned segmentation (MIDL 2022), context label learning (TMI 2023), FiLM metadata conditioning"
            " (MIDL 2021)."
        )
        parent.icon = qt.QIcon(str(resources_folder() / "Icons" / "LabelConditionedSegmentation.png"))
        slicer.app.connect(
            "startupCompleted()", sample_data.register
        )  # not before: the module SampleData may be loaded after this one
        slicer.app.connect("startupCompleted()", context_menu.register)


class LabelConditionedSegmentationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Mounts the panel and tells it what happens to the scene."""

    def __init__(self, parent: Any = None) -> None:
        VTKObservationMixin.__init__(self)  # first: without a parent the other one calls setup()
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        super().setup()
        widget = slicer.util.loadUI(str(resources_folder() / "UI" / "LabelConditionedSegmentation.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = LabelConditionedSegmentationLogic()
        self.panel = Panel(self.ui, self.logic.runner, self.logic.logFile)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.enterIfShown)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.enterIfShown, priority=LAST)
        self.enterIfShown()

    def exit(self) -> None:
        """The user goes to another module."""
        self.panel.leave()

    def enter(self) -> None:
        """The user opens the module."""
        self.panel.leave(False)
        self.panel.show(self.logic.getParameterNode())
        self.panel.choose_first_volume()
        self.panel.keys.focus()

    def cleanup(self) -> None:
        """The module is reloaded, or the application ends."""
        self.removeObservers()
        self.panel.close()

    def onSceneStartClose(self, _caller: Any, _event: Any) -> None:
        self.panel.scene_closes()

    def enterIfShown(self, *_: Any) -> None:
        """The module was reloaded, the scene was closed, or another one was loaded into it."""
        if getattr(self.parent, "isEntered", False):  # a widget of its own, outside the module panel, does not have it
            self.enter()


class LabelConditionedSegmentationLogic(ScriptedLoadableModuleLogic):
    """Segmentation for scripts: `LabelConditionedSegmentationLogic().process(volume, segmentation, labels=["Left
    Hippocampus"], metadata={"age": 31})`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._parameters: PanelParameters | None = None
        self.logFile = user_models_folder().parent / "log.txt"
        python = (
            shutil.which("PythonSlicer") or sys.executable
        )  # inside the application sys.executable may be Slicer itself
        self.runner = Runner(ProcessWorker(self.logFile, [python]))

    def getParameterNode(self) -> PanelParameters:
        """The state of the panel in the scene."""
        self._parameters = parameters_of(super().getParameterNode(), self._parameters)
        return self._parameters

    def process(
        self,
        inputVolume: Any,
        outputSegmentation: Any = None,
        labels: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        model: str | Path | None = None,
        device: str = "auto",
        progress: Callable[[float, str], None] | None = None,
        examples: Sequence[str | Path] = (),
        notALabelMap: bool = False,
        stripped: str = "auto",
        force: bool = False,
    ) -> Any:
        """Segment a volume node, or a sequence of them (one a channel), and return the segmentation node; a new one
        where none is given.

        labels: names, synonyms or ids; None is every leaf. metadata: field -> value; the rest is unknown. model: name
        or path of a package; None is the shipped one.
        progress: called with the fraction done and what is being done. examples: files of labels by example
        (.lcs-label.json) of the model, which are found beside the labels; alone where labels is empty. notALabelMap:
        the volume is a scan, even where it looks like a label map. stripped: whether it is skull-stripped: auto (which
        finds out), yes or no. force: a result that was found to be wrong is wanted too. Raises LCSError with a sentence
        that says what is wrong.
        """
        choices = labels, metadata, model, device, progress, examples, notALabelMap, stripped, force
        return process(self.runner, inputVolume, outputSegmentation, *choices)

    def close(self) -> None:
        """End the process that holds the model."""
        self.runner.close()


class LabelConditionedSegmentationTest(ScriptedLoadableModuleTest):
    """The self-test that runs inside the application."""

    def runTest(self) -> None:
        from LabelConditionedSegmentationLib.panel.self_test import PanelTest

        result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(PanelTest))
        self.assertTrue(result.wasSuccessful())
