"""The volumes of labels as a table node beside the segmentation, replaced by the next run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import vtk

from ..core.inference.winners import Winners
from ..core.labels.label_tree import Label
from .nodes import companion, remove_companion, require
from .volumes import volume_of

ROLE = "LabelConditionedSegmentation.Volumes"


def put_volumes(segmentation: Any, volume_node: Any, parts: Sequence[tuple[Winners, Sequence[Label]]]) -> Any:
    """The table node with name, voxels and millilitres of labels, each with its competition; a parent is the sum of the
    leaves under it.

    Raises InputError where a node was deleted.
    """
    require(segmentation, "segmentation")
    require(volume_node, "volume")
    names, voxels = [], []
    for winners, labels in parts:
        counts = winners.counts()
        names += [label.name for label in labels]
        voxels += [int(counts[list(winners.labels.classes_under(label))].sum()) for label in labels]
    millilitres = np.array(voxels) * volume_of([volume_node]).voxel_millilitres
    node = companion(segmentation, ROLE, "vtkMRMLTableNode", f"{segmentation.GetName()} volumes")
    table = vtk.vtkTable()
    table.AddColumn(_column(vtk.vtkStringArray(), "Label", names))
    table.AddColumn(_column(vtk.vtkLongLongArray(), "Voxels", voxels))
    table.AddColumn(_column(vtk.vtkDoubleArray(), "Millilitres", [round(float(value), 4) for value in millilitres]))
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def remove_volumes(segmentation: Any) -> None:
    """Remove the table of a segmentation, where there is one."""
    remove_companion(segmentation, ROLE)


def _column(array: Any, name: str, values: Sequence[Any]) -> Any:
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array
