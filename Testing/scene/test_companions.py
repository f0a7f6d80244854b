"""What lies beside a segmentation: the run report and the table of volumes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.scene.run_report import attach_report, report_of
from LabelConditionedSegmentationLib.scene.segmentations import new_segmentation
from LabelConditionedSegmentationLib.scene.volumes_table import put_volumes

from .made_nodes import full_mask, moved, oblique, transform, volume, winners


def test_the_report_of_the_next_run_replaces_that_of_the_last(scene: Any) -> None:
    segmentation = new_segmentation(volume(scene), "Result")
    assert report_of(segmentation) is None
    first = attach_report(segmentation, {"model": "a"})
    second = attach_report(segmentation, {"model": "b", "name": "Zoë"})
    assert first is second
    assert json.loads(report_of(segmentation) or "") == {"model": "b", "name": "Zoë"}
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(first)) == hierarchy.GetItemParent(
        hierarchy.GetItemByDataNode(segmentation)
    )


def test_a_deleted_report_or_segmentation_is_no_report(scene: Any) -> None:
    segmentation = new_segmentation(volume(scene), "Result")
    scene.RemoveNode(attach_report(segmentation, {}))
    assert report_of(segmentation) is None
    attach_report(segmentation, {"again": True})
    scene.RemoveNode(segmentation)
    assert report_of(segmentation) is None
    with pytest.raises(InputError, match="no longer in the scene"):
        attach_report(segmentation, {})


def test_volumes_are_those_of_the_masks_in_the_world(scene: Any) -> None:
    node, found = volume(scene), winners()
    node.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())
    segmentation = new_segmentation(node, "Result")
    labels = found.labels.labels
    put_volumes(segmentation, node, [(found, labels[:1])])
    table = put_volumes(segmentation, node, [(found, labels[:2]), (found, labels[2:])])
    assert scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 1
    assert [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == ["Label", "Voxels", "Millilitres"]
    voxel = abs(np.linalg.det(moved() @ oblique())) / 1000
    for row, label in enumerate(labels):
        voxels = int(full_mask(found, label).sum())
        assert table.GetCellText(row, 0) == label.name
        assert int(table.GetCellText(row, 1)) == voxels
        assert float(table.GetCellText(row, 2)) == pytest.approx(voxels * voxel, abs=1e-3)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(table)) == hierarchy.GetItemParent(
        hierarchy.GetItemByDataNode(segmentation)
    )


def test_volumes_of_deleted_nodes_are_refused(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    scene.RemoveNode(node)
    with pytest.raises(InputError, match="The volume is no longer in the scene"):
        put_volumes(segmentation, node, [(found, found.labels.labels)])
