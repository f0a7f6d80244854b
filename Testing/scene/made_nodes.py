"""Nodes that tests are made with: a scan on an oblique grid, its winner map, a parent transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from LabelConditionedSegmentationLib.core.inference.winners import Winners
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree

from Testing import samples

PACKAGE = "brain"
SHAPE = (20, 26, 24)


def oblique() -> Any:
    """An affine (4, 4) with anisotropic voxels and turned axes."""
    c, s = np.cos(0.3), np.sin(0.3)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([0.8, 0.9, 2.5])
    affine[:3, 3] = (-11.5, 7.25, 30.0)
    return affine


def volume(
    scene: Any, affine: Any = None, array: Any = None, class_name: str = "vtkMRMLScalarVolumeNode", name: str = "Scan"
) -> Any:
    """A volume node with a scan in it."""
    node = scene.AddNewNodeByClass(class_name, name)
    slicer.util.updateVolumeFromArray(node, samples.scan(SHAPE).array[0].copy() if array is None else array)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(oblique() if affine is None else affine))
    return node


def transform(scene: Any, matrix: Any) -> Any:
    """A linear transform node."""
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Transform")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix, float)))
    return node


def moved() -> Any:
    """A matrix (4, 4) that turns, stretches and shifts."""
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -1.2, 0], [1.2, 0, 0], [0, 0, 1.1]]
    matrix[:3, 3] = (5, -7, 11)
    return matrix


def bent(scene: Any) -> Any:
    """A non-linear transform node."""
    spline = vtk.vtkThinPlateSplineTransform()
    here, there = vtk.vtkPoints(), vtk.vtkPoints()
    for n, point in enumerate([(0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (30, 30, 30)]):
        here.InsertNextPoint(point)
        there.InsertNextPoint([c + (5 if n == 4 else 0) for c in point])
    spline.SetSourceLandmarks(here)
    spline.SetTargetLandmarks(there)
    spline.SetBasisToR()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "Bent")
    node.SetAndObserveTransformToParent(spline)
    return node


def winners(tree: LabelTree | None = None, seed: int = 0) -> Winners:
    """A winner map of blocks on a region inside the scan; the last leaf wins nowhere."""
    tree = tree or samples.label_tree()
    blocks = np.random.default_rng(seed).integers(0, len(tree.leaves), (4, 5, 4))
    classes = blocks.repeat(4, 0).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    return Winners(tree, classes, (2, 3, 4), SHAPE)


def full_mask(found: Winners, label: Any) -> Any:
    """The mask of a label on the whole grid, (k, j, i) bool, straight from its definition."""
    mask = np.zeros(found.shape, bool)
    region = tuple(slice(a, a + n) for a, n in zip(found.start, found.classes.shape, strict=True))
    mask[region] = np.isin(found.classes, found.labels.classes_under(label))
    return mask


def segment_mask(segmentation: Any, segment_id: str, volume_node: Any) -> Any:
    """The voxels of a segment on the volume's grid, (k, j, i) bool, as Slicer exports them."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume_node) != 0
