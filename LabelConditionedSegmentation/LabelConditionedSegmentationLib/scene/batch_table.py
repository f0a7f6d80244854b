"""The volumes of structures in several scans as a table node: a row a scan, or a structure in two results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import vtk

from .nodes import is_present


def put_table(scene: Any, node: Any, name: str, columns: Mapping[str, Sequence[str | float | None]]) -> Any:
    """Write columns into a table node, or into a new one where it is not there; what is not known is NaN or empty."""
    if not is_present(node):
        node = scene.AddNewNodeByClass("vtkMRMLTableNode", scene.GenerateUniqueName(name))
    table = vtk.vtkTable()
    for title, values in columns.items():
        table.AddColumn(_column(title, values))
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def _column(title: str, values: Sequence[str | float | None]) -> Any:
    is_text = any(isinstance(value, str) for value in values)
    array = vtk.vtkStringArray() if is_text else vtk.vtkDoubleArray()
    array.SetName(title)
    for value in values:
        if is_text:
            array.InsertNextValue("" if value is None else str(value))
        else:
            array.InsertNextValue(math.nan if value is None else round(float(value), 4))
    return array
