"""Real MRML without the application: a scene, the application logic and the modules' logics, as the application would
have made them.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk

MODULE_LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
}


@dataclass(frozen=True)
class Mrml:
    """What has to stay alive as long as the scene is used: nothing in MRML holds the logics."""

    scene: Any
    application: Any
    logics: dict[str, Any]
    observers: list[int]


def boot(folder: Path | None = None) -> Mrml:
    """A fresh scene in `slicer.mrmlScene` and the logics in `slicer.modules.<name>.logic()`.

    The order matters: without colours first, display nodes have none.

    folder: for what the scene unpacks on the way; scenes of one file (.mrb) can be written and read only where there is
    one.
    """
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)  # makes the selection and the interaction node
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    remote = slicer.vtkMRMLRemoteIOLogic()
    if folder is not None:
        application.SetTemporaryPath(str(folder))
        remote.SetMRMLScene(scene)
        remote.GetCacheManager().SetRemoteCacheDirectory(str(folder))
        remote.AddDataIOToScene()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    for factory in (
        slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
        slicer.vtkMRMLSliceViewDisplayableManagerFactory,
    ):
        factory.GetInstance().SetMRMLApplicationLogic(application)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    logics = {"RemoteIO": remote, **_module_logics(scene, application)}
    observers = [
        scene.AddObserver(event, _list_in_subject_hierarchy)
        for event in (scene.NodeAddedEvent, scene.EndBatchProcessEvent, scene.EndImportEvent)
    ]
    observers.append(scene.AddObserver(scene.NodeRemovedEvent, _forget_in_subject_hierarchy))
    return Mrml(scene, application, logics, observers)


def _module_logics(scene: Any, application: Any) -> dict[str, Any]:
    """The logics of modules, by name, as `slicer.modules` gives them."""
    slicer.modules = types.SimpleNamespace()
    logics = {}
    for name, class_name in MODULE_LOGICS.items():
        logic = getattr(slicer, class_name)()
        _set_scene(logic, scene)
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        logics[name] = logic
        setattr(slicer.modules, name.lower(), types.SimpleNamespace(logic=lambda logic=logic: logic))
    return logics


def shut(mrml: Mrml) -> None:
    """Close the scene as the application does when it quits. Views have to be gone by then."""
    for observer in mrml.observers:
        mrml.scene.RemoveObserver(observer)
    mrml.scene.Clear(True)
    for factory in (
        slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
        slicer.vtkMRMLSliceViewDisplayableManagerFactory,
    ):
        factory.GetInstance().SetMRMLApplicationLogic(None)
    for name, logic in mrml.logics.items():
        mrml.application.SetModuleLogic(name, None)
        _set_scene(logic, None)
    mrml.application.SetMRMLScene(None)
    if slicer.mrmlScene is mrml.scene:
        del slicer.mrmlScene, slicer.modules


def _list_in_subject_hierarchy(scene: Any, event: str) -> None:
    """Give every node that users see its item in the subject hierarchy, as the application's plugins do when nodes
    appear.
    """
    if scene.IsBatchProcessing() or scene.IsImporting() or scene.IsClosing():
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLStorableNode")
        is_listed = hierarchy.GetItemByDataNode(node) != hierarchy.GetInvalidItemID()
        if not is_listed and not node.GetHideFromEditors() and not node.IsA("vtkMRMLColorNode"):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


@vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
def _forget_in_subject_hierarchy(scene: Any, event: str, node: Any) -> None:
    """Remove the item of a node that was removed."""
    if scene.IsClosing():
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    item = hierarchy.GetItemByDataNode(node)
    if item != hierarchy.GetInvalidItemID():
        hierarchy.RemoveItem(item, False, False)


def _set_scene(logic: Any, scene: Any) -> None:
    """Give a logic its scene without VTK's complaints: the terminology files come with the application alone, and a
    closing logic asks for its scene.
    """
    shown = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    try:
        logic.SetMRMLScene(scene)
    finally:
        vtk.vtkObject.SetGlobalWarningDisplay(shown)
