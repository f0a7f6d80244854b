"""The application of the stand-in: a scripted module is loaded, reloaded, stored in the scene and unloaded, and
everything is undone.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import slicer
import slicer.util

from Testing.host.application import Host

MODULE = """
import vtk
import slicer
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin
import qt


@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode | None = None
    threshold: float = 0.5
    count: int = 3
    merged: bool
    model: str = "brain"
    labels: list[str]
    metadata: dict[str, str]


class Small(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Small")
        parent.categories = ["Segmentation"]
        parent.dependencies = []


class SmallWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.calls = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = SmallLogic()
        self.button = qt.QPushButton("Run")
        self.layout.addWidget(self.button)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onClosed)

    def onClosed(self, caller, event):
        self.calls.append("closed")

    def enter(self):
        self.calls.append("enter")

    def cleanup(self):
        self.calls.append("cleanup")
        self.removeObservers()


class SmallLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return Parameters(super().getParameterNode())


class SmallTest(ScriptedLoadableModuleTest):
    def runTest(self):
        self.delayDisplay("ran")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "Small"
    place.mkdir()
    (place / "Small.py").write_text(MODULE, encoding="utf-8")
    return place


def test_a_module_is_loaded_and_shown(host: Host, folder: Path) -> None:
    import slicer

    widget = host.open_module(folder, "Small")
    assert widget.calls == ["enter"]
    assert widget.button.text == "Run"
    assert widget.resourcePath("UI/Small.ui") == str(folder / "Resources" / "UI" / "Small.ui")
    assert (slicer.modules.small.title, slicer.modules.small.categories) == ("Small", ("Segmentation",))
    assert slicer.util.modulePath("Small") == str(folder / "Small.py")
    host.scene.Clear(False)
    assert widget.calls == ["enter", "closed"]
    slicer.modules.SmallInstance.runTest(msec=0)


def test_a_module_is_reloaded(host: Host, folder: Path) -> None:
    import slicer

    before = host.open_module(folder, "Small")
    (folder / "Small.py").write_text(MODULE.replace('"Run"', '"Run now"'), encoding="utf-8")
    before.onReload()
    after = slicer.modules.SmallWidget
    assert before.calls[-1] == "cleanup"
    assert after is not before
    assert after.button.text == "Run now"
    host.scene.Clear(False)
    assert "closed" not in before.calls
    assert "closed" in after.calls


def test_parameters_are_typed_and_have_defaults(host: Host, folder: Path) -> None:
    parameters = host.open_module(folder, "Small").logic.getParameterNode()
    assert (parameters.volume, parameters.threshold, parameters.count, parameters.merged, parameters.model) == (
        None,
        0.5,
        3,
        False,
        "brain",
    )
    for name, wrong in (("count", "3"), ("model", None), ("volume", "CT"), ("merged", "yes")):
        with pytest.raises(TypeError, match=name):
            setattr(parameters, name, wrong)


def test_parameters_come_back_with_the_scene(host: Host, folder: Path, tmp_path: Path) -> None:
    logic = host.open_module(folder, "Small").logic
    parameters = logic.getParameterNode()
    parameters.volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    parameters.threshold, parameters.merged, parameters.model = 0.25, True, "knee; 3 = x"
    parameters.labels = ["Left", "Right", "Both"]
    parameters.labels.pop()
    parameters.metadata = {"age": "31"}
    parameters.metadata["sex"] = "F"
    host.scene.SetURL(str(tmp_path / "scene.mrml"))
    assert host.scene.Commit()
    host.scene.Clear(False)
    assert logic.getParameterNode().labels == []
    assert host.scene.Connect()
    again = logic.getParameterNode()
    assert again.volume.GetName() == "CT"
    assert (again.threshold, again.merged, again.model) == (0.25, True, "knee; 3 = x")
    assert again.labels == ["Left", "Right"]
    assert again.metadata == {"age": "31", "sex": "F"}


def test_a_stored_dictionary_has_no_default_for_get(host: Host, folder: Path) -> None:
    parameters = host.open_module(folder, "Small").logic.getParameterNode()
    assert parameters.metadata.get("age") is None
    with pytest.raises(TypeError):
        parameters.metadata.get("age", "")


def test_parameters_and_widgets_follow_each_other(host: Host, folder: Path) -> None:
    import qt

    parameters = host.open_module(folder, "Small").logic.getParameterNode()

    class Ui:
        pass

    ui = Ui()
    ui.merged, ui.model = qt.QCheckBox(), qt.QLineEdit()  # type: ignore[attr-defined]
    for name, widget in vars(ui).items():
        widget.setProperty("SlicerParameterName", name)
    connected = parameters.connectGui(ui)
    assert ui.model.text == "brain"  # type: ignore[attr-defined]
    ui.merged.click()  # type: ignore[attr-defined]
    parameters.model = "knee"
    assert parameters.merged
    assert ui.model.text == "knee"  # type: ignore[attr-defined]
    parameters.disconnectGui(connected)
    ui.model.text = "hip"  # type: ignore[attr-defined]
    assert parameters.model == "knee"


def test_an_observer_within_the_event_is_told_the_value_before_it(host: Host, folder: Path) -> None:
    """What is added first to an object is called last: here it is what keeps the first parameter."""
    import vtk

    node = host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Holder")
    host.open_module(folder, "Small")
    parameters = sys.modules["Small"].Parameters(node)
    seen: list[tuple[Any, int]] = []
    for priority in (0.0, -1.0):
        parameters.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append((parameters.volume, parameters.count)), priority
        )
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    with slicer.util.NodeModify(node):
        node.SetNodeReferenceID("volume", volume.GetID())
        node.SetParameter("count", "7")
    assert seen == [(None, 7), (volume, 7)]


def test_a_parameter_is_kept_until_the_node_is_modified(host: Host, folder: Path) -> None:
    parameters = host.open_module(folder, "Small").logic.getParameterNode()
    parameters.volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    held = parameters.parameterNode.StartModify()
    parameters.parameterNode.SetNodeReferenceID("volume", None)
    assert parameters.volume.GetName() == "CT"
    parameters.parameterNode.EndModify(held)
    assert parameters.volume is None


def test_widgets_that_are_let_go_of_leave_an_observer_behind(host: Host, folder: Path) -> None:
    import qt

    parameters = host.open_module(folder, "Small").logic.getParameterNode()

    class Ui:
        pass

    ui = Ui()
    ui.model = qt.QLineEdit()  # type: ignore[attr-defined]
    ui.model.setProperty("SlicerParameterName", "model")  # type: ignore[attr-defined]
    added: list[Any] = []
    parameters.AddObserver = lambda *arguments: added.append(arguments)
    for _ in range(3):
        parameters.disconnectGui(parameters.connectGui(ui))
    assert len(added) == 3


def test_messages_of_slicer_util_are_recorded(host: Host) -> None:
    import qt
    import slicer

    host.answers.extend([qt.QMessageBox.Yes, qt.QMessageBox.Cancel, qt.QMessageBox.Ok])
    assert slicer.util.confirmYesNoDisplay("Install torch?")
    assert not slicer.util.confirmOkCancelDisplay("Remove?")
    slicer.util.errorDisplay("The volume is 4D.")
    assert [question.text for question in host.asked] == ["Install torch?", "Remove?", "The volume is 4D."]
    assert {question.kind for question in host.asked} == {"ctkMessageBox"}


def test_torch_can_be_missing_refused_or_installed(host: Host) -> None:
    import PyTorchUtils

    logic = PyTorchUtils.PyTorchUtilsLogic()
    host.torch.state = "refused"
    assert not logic.torchInstalled()
    assert logic.installTorch(askConfirmation=True, torchVersionRequirement=">=2.6") is None
    host.torch.state = "missing"
    assert logic.installTorch() is not None
    assert logic.torchInstalled()
    assert host.torch.asked[0] == {"askConfirmation": True, "torchVersionRequirement": ">=2.6"}
    host.torch.state = "failed"
    with pytest.raises(ValueError, match="could not be installed"):
        logic.installTorch()
    host.without("PyTorchUtils")
    with pytest.raises(ImportError):
        import PyTorchUtils


def test_packaging_exists_when_it_is_asked_for(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ImportError):
        import slicer.packaging
    asked: list[Any] = []
    host.packaging(lambda requirements, requester: asked.append((requirements, requester)))
    import slicer.packaging

    (tmp_path / "requirements.txt").write_text("safetensors>=0.4\n", encoding="utf-8")
    slicer.packaging.pip_ensure(
        slicer.packaging.load_requirements(str(tmp_path / "requirements.txt")), requester="Small"
    )
    assert asked == [(["safetensors>=0.4"], "Small")]


def test_sample_data_and_dicom_values_are_kept(host: Host) -> None:
    import SampleData
    import slicer

    SampleData.SampleDataLogic.registerCustomSampleDataSource(sampleName="Brain", category="Small")
    assert host.sample_data.registered == [{"sampleName": "Brain", "category": "Small"}]
    slicer.dicomDatabase["1.2.3", "0010,1010"] = "045Y"
    assert slicer.dicomDatabase.instanceValue("1.2.3", "0010,1010") == "045Y"
    assert slicer.dicomDatabase.instanceValue("1.2.3", "0010,0040") == ""


def test_waiting_for_what_never_comes_fails(host: Host) -> None:
    with pytest.raises(AssertionError, match="not so within"):
        host.run_until(lambda: False, seconds=0.05)


def test_an_installed_module_uses_its_own_packages(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (tmp_path / "source", folder):
        (place / "SmallLib").mkdir(parents=True)
        (place / "SmallLib" / "__init__.py").write_text(f"PLACE = {place.name!r}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "source")
    source = importlib.import_module("SmallLib")
    (folder / "Small.py").write_text("import SmallLib\n" + MODULE, encoding="utf-8")
    running = Host(tmp_path)
    running.open_module(folder, "Small")
    assert (source.PLACE, sys.modules["SmallLib"].PLACE) == ("source", "Small")
    running.close()
    assert sys.modules.pop("SmallLib") is source


def test_everything_is_undone(tmp_path: Path, folder: Path) -> None:
    import slicer

    before, modules = (
        set(vars(slicer)),
        {name for name in sys.modules if name in ("qt", "ctk", "SampleData", "PyTorchUtils", "Small")},
    )
    path = list(sys.path)
    running = Host(tmp_path)
    running.open_module(folder, "Small")
    running.close()
    assert {name for name in vars(slicer) if name not in before} == set()
    assert {name for name in sys.modules if name in ("qt", "ctk", "SampleData", "PyTorchUtils", "Small")} == modules
    assert sys.path == path


def test_pictures_have_the_width_that_is_asked_for(host: Host, tmp_path: Path) -> None:
    import qt
    from PySide6 import QtGui

    label = qt.QLabel("A sentence that is long enough to be broken into lines at this width, as the panel does.")
    label.wordWrap = True
    for name, dark in (("light.png", False), ("dark.png", True)):
        host.picture(label, tmp_path / name, width=200, dark=dark)
    light, dark_one = (QtGui.QImage(str(tmp_path / name)) for name in ("light.png", "dark.png"))
    assert (light.width(), dark_one.width()) == (200, 200)
    assert light.height() > 30
    assert light.pixelColor(1, 1).lightness() > 150 > dark_one.pixelColor(1, 1).lightness()
