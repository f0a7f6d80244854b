"""Volume nodes as the model's input: what is wrong with them, their voxels and place in world RAS, and whether they
have changed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk

from ..core.errors import InputError
from ..core.findings import Finding
from ..core.package.model_package import ModelPackage
from ..core.scan.scan_checks import check_volume
from ..core.scan.volume import Affine, Volume
from .nodes import is_present, to_world
from .volume_files import check_file

TOLERANCE_MM = 0.01
"""Channels whose corners lie closer than this to each other are on the same grid."""


NOT_A_LABEL_MAP = "LabelConditionedSegmentation.NotALabelMap"
"""The attribute of a volume node that the user calls a scan, whatever it looks like; a saved scene keeps it."""


def declare_scan(node: Any) -> None:
    """Remember with a volume node that it is a scan, though it looks like a label map."""
    node.SetAttribute(NOT_A_LABEL_MAP, "1")


def is_declared_scan(node: Any) -> bool:
    """Whether `declare_scan` was called for a volume node."""
    return node is not None and node.GetAttribute(NOT_A_LABEL_MAP) == "1"


def check_nodes(nodes: Sequence[Any], package: ModelPackage) -> list[Finding]:
    """Everything noticed about the volume nodes chosen for the model's channels, one entry a channel, None where
    nothing is chosen.

    Errors among the findings mean that the volumes cannot be segmented.
    """
    findings = []
    for node, channel in zip(nodes, package.input.channels, strict=True):
        problem = _problem(node)
        if problem:
            findings.append(Finding.error(_for_channel(problem.text, channel, len(nodes)), problem.fix))
    if findings:
        return findings
    different = _different_geometry(nodes)
    if different:
        return [different]
    if len({node.GetID() for node in nodes}) < len(nodes):
        findings.append(
            Finding.warning(
                "The same volume is chosen for more than one channel.", "Choose the volume of each channel."
            )
        )
    for node, channel in zip(nodes, package.input.channels, strict=True):
        for found in check_volume(volume_of([node]), package.input, is_declared_scan(node)):
            findings.append(Finding(found.level, _for_channel(found.text, channel, len(nodes)), found.fix))
        findings += [Finding(f.level, _for_channel(f.text, channel, len(nodes)), f.fix) for f in check_file(node)]
        frame = _frame(node)
        if frame is not None:
            findings.append(
                Finding.note(
                    _for_channel(
                        f"This volume is a sequence: its frame {frame + 1}, the one that is shown, is segmented.",
                        channel,
                        len(nodes),
                    )
                )
            )
    return list(dict.fromkeys(findings))


def volume_of(nodes: Sequence[Any]) -> Volume:
    """The voxels (channel, k, j, i) and the IJK-to-world-RAS affine of volume nodes, one a channel.

    One channel is a view, no copy. Raises InputError.
    """
    for node in nodes:
        problem = _problem(node)
        if problem:
            raise InputError(str(problem))
    different = _different_geometry(nodes)
    if different:
        raise InputError(str(different))
    arrays = [slicer.util.arrayFromVolume(node) for node in nodes]
    return Volume(arrays[0][None] if len(arrays) == 1 else np.stack(arrays), _world_affine(nodes[0]))


def fingerprint(nodes: Sequence[Any]) -> str:
    """A text that changes with the choice of volumes, their voxels and their place in the world, and with
    nothing else.
    """
    return "\n".join(_fingerprint(node) for node in nodes)


def _fingerprint(node: Any) -> str:
    if not is_present(node):
        return ""
    image = node.GetImageData()
    world = to_world(node)
    parent = "non-linear" if world is None else world.tolist()
    return f"{node.GetID()} {image.GetMTime() if image else 0} {_own_affine(node).tolist()} {parent}"


def _for_channel(text: str, channel: str, channels: int) -> str:
    return text if channels == 1 else f"{channel}: {text}"


def _problem(node: Any) -> Finding | None:
    """Why one node cannot be an input at all."""
    if node is None:
        return Finding.error("No volume is chosen.", "Choose the scan to segment.")
    if not is_present(node):
        return Finding.error("The volume is no longer in the scene.", "Choose another one.")
    return _problem_of_kind(node) or _problem_of_grid(node) or _problem_of_transform(node)


def _problem_of_kind(node: Any) -> Finding | None:
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        return Finding.error("This volume is a label map, not a scan.", "Choose the scan that it was drawn on.")
    if node.IsA("vtkMRMLSequenceNode") or node.IsA("vtkMRMLMultiVolumeNode"):
        return Finding.error("This volume is 4D: choose a frame with the Sequences module.")
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        return Finding.error(f'"{node.GetName()}" is no volume.', "Choose the scan to segment.")
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or min(image.GetDimensions()) < 1:
        return Finding.error("This volume has no voxels.", "Load it again.")
    components = image.GetNumberOfScalarComponents()
    if components in (3, 4):
        return Finding.error(
            "This volume is in colour: choose a grey-value scan, or convert it with the Vector to Scalar Volume module."
        )
    if components > 1:
        return Finding.error(
            f"This volume is 4D, {components} values a voxel: choose a frame with the Sequences module."
        )
    return None


def _problem_of_grid(node: Any) -> Finding | None:
    if min(node.GetImageData().GetDimensions()) == 1:
        return Finding.error("This volume is a single slice; a 3D scan is needed.", "Choose the whole scan.")
    affine = _own_affine(node)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine)) < 1e-9:
        return Finding.error(
            "This volume has an impossible voxel spacing or position.", "Correct it in the Volumes module."
        )
    return None


def _problem_of_transform(node: Any) -> Finding | None:
    world = to_world(node)
    if world is None:
        return Finding.error(
            "This volume lies under a non-linear transform: harden or remove it with the Transforms module."
        )
    if not np.isfinite(world).all() or abs(np.linalg.det(world)) < 1e-9:
        return Finding.error(
            "The transform above this volume flattens it to nothing: correct or remove it with the Transforms module."
        )
    return None


def _different_geometry(nodes: Sequence[Any]) -> Finding | None:
    """Whether volumes of several channels do not lie on one grid."""
    first = nodes[0]
    shape = first.GetImageData().GetDimensions()
    corners = np.array([[i, j, k, 1] for i in (0, shape[0]) for j in (0, shape[1]) for k in (0, shape[2])]).T
    for node in nodes[1:]:
        if (
            node.GetImageData().GetDimensions() != shape
            or np.abs((_world_affine(node) - _world_affine(first)) @ corners).max() > TOLERANCE_MM
        ):
            return Finding.error(
                f'"{node.GetName()}" and "{first.GetName()}" lie on different grids.',
                f'Resample "{node.GetName()}" to "{first.GetName()}" with the Resample Scalar/Vector/DWI Volume'
                " module.",
            )
    return None


def _frame(node: Any) -> int | None:
    """The number of the frame that a node shows of a sequence; None where it belongs to none."""
    scene = node.GetScene()
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        browser = scene.GetNthNodeByClass(n, "vtkMRMLSequenceBrowserNode")
        if browser.IsProxyNodeID(node.GetID()):
            return int(browser.GetSelectedItemNumber())
    return None


def _own_affine(node: Any) -> Affine:
    """(4, 4) IJK to the node's own RAS, transforms left aside."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine: Affine = slicer.util.arrayFromVTKMatrix(matrix)
    return affine


def _world_affine(node: Any) -> Affine:
    world = to_world(node)
    assert world is not None, "volumes under non-linear transforms are refused before"
    affine: Affine = world @ _own_affine(node)
    return affine
