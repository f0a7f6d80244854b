"""Off-screen slice and 3D views of the scene, written as PNG through the real displayable managers."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

MANAGERS_3D = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)
MANAGERS_2D = (
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)


def need_egl() -> None:
    """Skip the test where the machine cannot draw off screen."""
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        pytest.skip("drawing off screen needs Mesa's EGL (Debian: libegl1 libgl1-mesa-dri)")


class SliceView:
    """A slice of a volume with the segmentations that lie on it, open until `close`. offset is in mm along the slice
    normal.
    """

    def __init__(
        self,
        host: Any,
        volume: Any,
        orientation: str = "Axial",
        offset: float | None = None,
        size: tuple[int, int] = (500, 400),
    ) -> None:
        need_egl()
        self._host = host
        self.window, renderer, self._interactor = _window(size)
        renderer.GetActiveCamera().ParallelProjectionOn()
        self._group = _managers(slicer.vtkMRMLSliceViewDisplayableManagerFactory, MANAGERS_2D, renderer)
        logic = self._logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(host.mrml.application)
        host.mrml.application.GetSliceLogics().AddItem(logic)
        logic.SetMRMLScene(host.scene)
        self._node = logic.AddSliceNode("Red")
        self._group.SetMRMLDisplayableNode(self._node)
        self._node.SetOrientation(orientation)
        logic.ResizeSliceNode(*size)
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        logic.FitSliceToBackground()
        logic.SnapSliceOffsetToIJK()
        if offset is not None:
            logic.SetSliceOffset(offset)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(logic.GetImageDataConnection())
        image = vtk.vtkActor2D()
        image.SetMapper(mapper)
        image.GetProperty().SetDisplayLocationToBackground()
        renderer.AddViewProp(image)

    def write(self, path: Path) -> Any:
        """Write a PNG. Returns its pixels (row, column, 3), the lowest row first."""
        return _write(self.window, path)

    def close(self) -> None:
        """Leave the scene as it was."""
        self._host.mrml.application.GetSliceLogics().RemoveItem(self._logic)
        for known in (self._node, self._logic.GetSliceCompositeNode()):
            self._host.scene.RemoveNode(known)
        self._logic.SetMRMLScene(None)
        self._interactor.GetRenderWindow().Finalize()


def slice_view(
    host: Any,
    volume: Any,
    path: Path,
    orientation: str = "Axial",
    offset: float | None = None,
    size: tuple[int, int] = (500, 400),
) -> Any:
    """Write one slice, as SliceView shows it. Returns its pixels (row, column, 3), the lowest row first."""
    view = SliceView(host, volume, orientation, offset, size)
    pixels = view.write(path)
    view.close()
    return pixels


def view_3d(host: Any, path: Path, size: tuple[int, int] = (500, 400)) -> Any:
    """Write what the 3D view shows, seen from the front. Returns its pixels (row, column, 3), the lowest row first."""
    need_egl()
    window, renderer, interactor = _window(size)
    group = _managers(slicer.vtkMRMLThreeDViewDisplayableManagerFactory, MANAGERS_3D, renderer)
    logic = slicer.vtkMRMLViewLogic()
    logic.SetMRMLApplicationLogic(host.mrml.application)
    host.mrml.application.GetViewLogics().AddItem(logic)
    logic.SetMRMLScene(host.scene)
    node = logic.AddViewNode("1")
    node.SetBoxVisible(False)
    node.SetAxisLabelsVisible(False)
    group.SetMRMLDisplayableNode(node)
    window.Render()
    renderer.ResetCamera()
    pixels = _write(window, path)
    host.mrml.application.GetViewLogics().RemoveItem(logic)
    host.scene.RemoveNode(node)
    logic.SetMRMLScene(None)
    interactor.GetRenderWindow().Finalize()
    return pixels


def _window(size: tuple[int, int]) -> tuple[Any, Any, Any]:
    window = vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    renderer = vtk.vtkRenderer()
    window.AddRenderer(renderer)
    interactor = vtk.vtkRenderWindowInteractor()
    interactor.SetRenderWindow(window)
    interactor.Initialize()
    return window, renderer, interactor


def _managers(factory_class: Any, names: tuple[str, ...], renderer: Any) -> Any:
    factory = factory_class.GetInstance()
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    group.Initialize(factory, renderer)
    return group


def _write(window: Any, path: Path) -> Any:
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(grab.GetOutputPort())
    writer.Write()
    columns, rows, _ = grab.GetOutput().GetDimensions()
    return vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars()).reshape(rows, columns, 3).copy()
