"""What every node can answer: whether it is still in the scene, where it lies in space, and which nodes were made for
it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.scan.volume import Affine


def is_present(node: Any) -> bool:
    """Whether a node is in a scene; deleted nodes stay alive in Python, but outside of any."""
    return node is not None and node.GetScene() is not None


def first_scan(scene: Any) -> Any:
    """The first volume node that somebody may mean who has not chosen one yet; None where there is none.

    Label maps, volumes of several values a voxel and hidden ones are passed over.
    """
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(n, "vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors():
            return node
    return None


def require(node: Any, what: str) -> None:
    """Raise InputError where the node, such as "volume", is none or has been deleted."""
    if not is_present(node):
        raise InputError(f"The {what} is no longer in the scene; choose another one.")


def to_world(node: Any) -> Affine | None:
    """(4, 4) from the node's own RAS to world RAS, through all transforms above it; None where one of them is not
    linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        return None
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    affine: Affine = slicer.util.arrayFromVTKMatrix(matrix)
    return affine


def in_one_place(node: Any, other: Any) -> bool:
    """Whether the transforms above two nodes do the same, so that their own RAS are one."""
    if node.GetParentTransformNode() is other.GetParentTransformNode():
        return True
    here, there = to_world(node), to_world(other)
    return here is not None and there is not None and bool(np.allclose(here, there, rtol=0, atol=1e-6))


def place_beside(node: Any, other: Any) -> None:
    """Put a node under the same subject hierarchy item as another one."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(other.GetScene())
    hierarchy.SetItemParent(
        hierarchy.GetItemByDataNode(node), hierarchy.GetItemParent(hierarchy.GetItemByDataNode(other))
    )


def remove(node: Any) -> None:
    """Remove a node with its display and storage nodes, which the scene would keep."""
    scene = node.GetScene()
    displays = [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    storages = [node.GetNthStorageNode(n) for n in range(node.GetNumberOfStorageNodes())]
    for removed in filter(is_present, (node, *displays, *storages)):
        scene.RemoveNode(removed)


def companion(node: Any, role: str, class_name: str, name: str) -> Any:
    """The one node that belongs to another in a role: that of the last run, or a new one beside it in the subject
    hierarchy.
    """
    found = node.GetNodeReference(role)
    if not is_present(found):
        found = node.GetScene().AddNewNodeByClass(class_name, name)
        place_beside(found, node)
        node.SetNodeReferenceID(role, found.GetID())
    return found


def remove_companion(node: Any, role: str) -> None:
    """Remove the node that belongs to another in a role, where there is one."""
    found = node.GetNodeReference(role)
    if is_present(found):
        node.GetScene().RemoveNode(found)
