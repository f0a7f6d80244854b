"""The result as segments: voxels, names, places, batches, and what is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.labels.label_tree import Label, LabelTree
from LabelConditionedSegmentationLib.scene.nodes import to_world
from LabelConditionedSegmentationLib.scene.run_report import attach_report, report_of
from LabelConditionedSegmentationLib.scene.segmentations import (
    hand_over,
    new_segmentation,
    put_labels,
    remove_labels,
    segment_ids,
    terminology,
)

from Testing import samples

from .made_nodes import PACKAGE, bent, full_mask, moved, segment_mask, transform, volume, winners

TISSUE = "SCT^85756007^Tissue"


def wide_tree(leaves: int) -> LabelTree:
    """More labels than a byte can number."""
    return samples.label_tree(leaves)


def tag(segment: Any, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def assert_equal_to_masks(segmentation: Any, volume_node: Any, found: Any, labels: Any, package: str = PACKAGE) -> None:
    ids = segment_ids(segmentation, package)
    for label in labels:
        assert np.array_equal(segment_mask(segmentation, ids[label.id], volume_node), full_mask(found, label)), (
            label.name
        )


def test_segments_are_the_masks_voxel_for_voxel(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    labels = found.labels.leaves
    empty = put_labels(segmentation, node, found, labels[:2], PACKAGE)
    assert empty == []
    assert_equal_to_masks(segmentation, node, found, labels[:2])
    assert put_labels(segmentation, node, found, labels, PACKAGE) == [labels[-1]]
    assert_equal_to_masks(segmentation, node, found, labels)


def test_hundreds_of_labels_lie_in_one_layer(scene: Any) -> None:
    node, found = volume(scene), winners(wide_tree(300))
    segmentation = new_segmentation(node, "Result")
    put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 300
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
    assert_equal_to_masks(segmentation, node, found, found.labels.leaves)


def test_a_parent_and_its_children_keep_all_their_voxels(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    put_labels(segmentation, node, found, found.labels.labels, PACKAGE)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 2
    assert_equal_to_masks(segmentation, node, found, found.labels.labels)


def test_a_label_ticked_later_joins_the_layer_of_the_others(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    for label in found.labels.leaves:
        put_labels(segmentation, node, found, [label], PACKAGE)
    assert segmentation.GetSegmentation().GetNumberOfLayers() == 1
    assert_equal_to_masks(segmentation, node, found, found.labels.leaves)


def test_segments_carry_names_colours_codes_and_where_they_come_from(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    ids = segment_ids(segmentation, PACKAGE)
    coded = found.labels.find("Left Hippocampus")
    assert ids[coded.id] == f"label_{coded.id}"
    segment = segmentation.GetSegmentation().GetSegment(ids[coded.id])
    assert segment.GetName() == "Left Hippocampus"
    assert segment.GetColor() == pytest.approx(coded.color)
    entry = tag(segment, slicer.vtkSegment.GetTerminologyEntryTagName())
    assert entry == terminology(coded)
    assert entry.split("~")[1:4] == [
        "SCT^123037004^Anatomical Structure",
        "SCT^5366008^Hippocampus",
        "SCT^7771000^Left",
    ]


def test_slicer_understands_the_terminology_entry(scene: Any) -> None:
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.modules.terminologies.logic().DeserializeTerminologyEntry(
        terminology(winners().labels.find("Left Hippocampus")), entry
    )
    assert (entry.GetTypeObject().GetCodeValue(), entry.GetTypeModifierObject().GetCodeMeaning()) == ("5366008", "Left")


def test_labels_without_codes_stay_plain_tissue(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    label = found.labels.find("Left Putamen")
    assert terminology(label) == ""
    put_labels(segmentation, node, found, [label], PACKAGE)
    segment = segmentation.GetSegmentation().GetSegment(f"label_{label.id}")
    assert tag(segment, slicer.vtkSegment.GetTerminologyEntryTagName()).split("~")[2] == TISSUE


def test_the_segmentation_lies_where_the_volume_lies(scene: Any) -> None:
    node = volume(scene)
    node.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    study = hierarchy.CreateStudyItem(hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient"), "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), study)
    segmentation = new_segmentation(node, "Result")
    assert segmentation.GetTransformNodeID() == node.GetTransformNodeID()
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(segmentation)) == study
    assert (
        segmentation.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()) is node
    )
    assert segmentation.GetDisplayNode() is not None


def test_a_parent_transform_moves_the_segment_with_the_volume(scene: Any) -> None:
    node, found = volume(scene), winners()
    label = found.labels.leaves[0]
    centres = []
    for parent in (None, transform(scene, moved()).GetID()):
        node.SetAndObserveTransformNodeID(parent)
        segmentation = new_segmentation(node, "Result")
        put_labels(segmentation, node, found, [label], PACKAGE)
        segmentation.CreateClosedSurfaceRepresentation()
        world = np.zeros(6)
        segmentation.GetRASBounds(world)
        centres.append((world[::2] + world[1::2]) / 2)
        ijk = np.argwhere(full_mask(found, label))[:, ::-1]
        corners = np.array(
            [
                [a, b, c, 1]
                for a in (ijk[:, 0].min(), ijk[:, 0].max())
                for b in (ijk[:, 1].min(), ijk[:, 1].max())
                for c in (ijk[:, 2].min(), ijk[:, 2].max())
            ]
        )
        affine = vtk.vtkMatrix4x4()
        node.GetIJKToRASMatrix(affine)
        expected = (to_world(node) @ slicer.util.arrayFromVTKMatrix(affine) @ corners.T)[:3].T
        assert centres[-1] == pytest.approx((expected.min(0) + expected.max(0)) / 2, abs=1.5)
    assert np.linalg.norm(centres[0] - centres[1]) > 10


def test_the_same_label_is_replaced_and_what_the_user_made_of_it_stays(scene: Any) -> None:
    node, first, second = volume(scene), winners(seed=0), winners(seed=1)
    segmentation = new_segmentation(node, "Result")
    labels = first.labels.leaves
    put_labels(segmentation, node, first, labels, PACKAGE)
    segments = segmentation.GetSegmentation()
    segment_id = segment_ids(segmentation, PACKAGE)[labels[0].id]
    segments.GetSegment(segment_id).SetName("mine")
    segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, False)
    put_labels(segmentation, node, second, labels, PACKAGE)
    assert segments.GetNumberOfSegments() == len(labels)
    assert segments.GetNumberOfLayers() == 1
    assert_equal_to_masks(segmentation, node, second, labels)
    assert segments.GetSegment(segment_id).GetName() == "mine"
    assert not segmentation.GetDisplayNode().GetSegmentVisibility(segment_id)


def test_a_run_on_another_region_leaves_the_labels_that_were_not_asked_for(scene: Any) -> None:
    node, first = volume(scene), winners(seed=0)
    second = type(first)(first.labels, winners(seed=1).classes[1:, :, 2:], (1, 2, 3), first.shape)
    segmentation = new_segmentation(node, "Result")
    old, new = first.labels.leaves[0], first.labels.leaves[1]
    put_labels(segmentation, node, first, [old, new], PACKAGE)
    put_labels(segmentation, node, second, [new], PACKAGE)
    assert_equal_to_masks(segmentation, node, first, [old])
    assert_equal_to_masks(segmentation, node, second, [new])


@pytest.mark.parametrize("is_shared", [False, True])
def test_foreign_segments_are_untouched(scene: Any, is_shared: bool) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    labels = found.labels.leaves
    if is_shared:  # Slicer puts new segments into the first layer that there is
        put_labels(segmentation, node, found, labels[:1], PACKAGE)
    drawn = np.zeros(found.shape, np.uint8)
    drawn[5:9, 5:15, 6:16] = 1
    drawn[full_mask(found, labels[0])] = 0
    foreign = segmentation.GetSegmentation().AddEmptySegment(f"label_{labels[1].id}", "Tumour", (1, 0, 0))
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, segmentation, foreign, node)
    put_labels(segmentation, node, found, labels, PACKAGE)
    remove_labels(segmentation, labels[:1], PACKAGE)
    remove_labels(segmentation, labels[2:], PACKAGE)
    assert np.array_equal(segment_mask(segmentation, foreign, node), drawn != 0)
    assert segmentation.GetSegmentation().GetSegment(foreign).GetName() == "Tumour"
    assert_equal_to_masks(segmentation, node, found, labels[1:2])
    assert segment_ids(segmentation, PACKAGE) != {labels[1].id: foreign}


def test_another_models_segments_are_foreign(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    label = found.labels.leaves[0]
    put_labels(segmentation, node, found, [label], PACKAGE)
    put_labels(segmentation, node, winners(seed=1), [label], "other")
    remove_labels(segmentation, [label], "third")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
    assert_equal_to_masks(segmentation, node, found, [label])
    assert_equal_to_masks(segmentation, node, winners(seed=1), [label], "other")


def test_removing_a_label_leaves_the_others_and_their_surfaces_as_they_are(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    labels = found.labels.leaves[:-1]
    put_labels(segmentation, node, found, labels, PACKAGE)
    segmentation.CreateClosedSurfaceRepresentation()
    kept = segmentation.GetClosedSurfaceInternalRepresentation(f"label_{labels[1].id}")
    points = kept.GetNumberOfPoints()
    remove_labels(segmentation, labels[:1], PACKAGE)
    assert set(segment_ids(segmentation, PACKAGE)) == {label.id for label in labels[1:]}
    assert_equal_to_masks(segmentation, node, found, labels[1:])
    assert segmentation.GetClosedSurfaceInternalRepresentation(f"label_{labels[1].id}") is kept
    assert kept.GetNumberOfPoints() == points > 0
    image = segmentation.GetBinaryLabelmapInternalRepresentation(f"label_{labels[1].id}")
    voxels = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    assert len(np.unique(voxels[voxels != 0])) == len(labels) - 1


def test_segments_go_to_the_label_that_comes_in_the_place_of_theirs(scene: Any) -> None:
    node, found = volume(scene), winners()
    label, neighbour = found.labels.leaves[:2]
    other = Label(999, "Other")
    first, second, empty = (new_segmentation(node, name) for name in ("First", "Second", "Empty"))
    for segmentation in (first, second):
        put_labels(segmentation, node, found, [label, neighbour], PACKAGE)
    put_labels(empty, node, found, [label], "another model")
    ids = segment_ids(second, PACKAGE)
    second.GetSegmentation().GetSegment(ids[label.id]).SetName("As the user calls it")
    hand_over(scene, label, other, PACKAGE)
    for segmentation, name in ((first, "Other"), (second, "As the user calls it")):
        after = segment_ids(segmentation, PACKAGE)
        assert after == {other.id: ids[label.id], neighbour.id: ids[neighbour.id]}
        assert segmentation.GetSegmentation().GetSegment(after[other.id]).GetName() == name
        assert np.array_equal(segment_mask(segmentation, after[other.id], node), full_mask(found, label))
    assert list(segment_ids(empty, "another model")) == [label.id]


def test_surfaces_that_are_shown_are_made_for_new_labels_and_no_others(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    labels = found.labels.leaves
    put_labels(segmentation, node, found, labels[:2], PACKAGE)
    segmentation.CreateClosedSurfaceRepresentation()
    kept, replaced = (segmentation.GetClosedSurfaceInternalRepresentation(f"label_{label.id}") for label in labels[:2])
    put_labels(segmentation, node, found, labels[1:], PACKAGE)
    assert segmentation.GetClosedSurfaceInternalRepresentation(f"label_{labels[0].id}") is kept
    assert segmentation.GetClosedSurfaceInternalRepresentation(f"label_{labels[1].id}") is not replaced
    for label in labels:
        surface = segmentation.GetClosedSurfaceInternalRepresentation(f"label_{label.id}")
        assert (surface.GetNumberOfPoints() > 0) == bool(full_mask(found, label).any()), label.name


def test_views_hear_of_a_batch_once(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    heard: list[str] = []
    segmentation.AddObserver(slicer.vtkSegmentation.SegmentAdded, lambda *_: heard.append("added"))
    put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    assert heard == ["added"]


def test_another_transform_above_an_existing_segmentation_is_refused(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    node.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())
    with pytest.raises(InputError, match="under another transform than the volume"):
        put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    segmentation.SetAndObserveTransformNodeID(bent(scene).GetID())
    with pytest.raises(InputError, match="under another transform than the volume"):
        put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    segmentation.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())  # another node, the same place
    put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    assert_equal_to_masks(segmentation, node, found, found.labels.leaves)


def test_a_segmentation_made_of_surfaces_is_refused_untouched(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    put_labels(segmentation, node, found, found.labels.leaves[:1], PACKAGE)
    segmentation.CreateClosedSurfaceRepresentation()
    segmentation.SetSourceRepresentationToClosedSurface()
    with pytest.raises(InputError, match="kept as closed surface: make binary labelmap its source"):
        put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1


def test_a_volume_of_another_size_is_refused(scene: Any) -> None:
    node, found = volume(scene, array=samples.scan((21, 26, 24)).array[0].copy()), winners()
    with pytest.raises(InputError, match="run the model again"):
        put_labels(new_segmentation(node, "Result"), node, found, found.labels.leaves, PACKAGE)
    node.SetAndObserveImageData(None)
    with pytest.raises(InputError, match="run the model again"):
        put_labels(new_segmentation(node, "Result"), node, found, found.labels.leaves, PACKAGE)


def test_deleted_nodes_are_told_in_a_sentence(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    scene.RemoveNode(segmentation)
    with pytest.raises(InputError, match="The segmentation is no longer in the scene"):
        put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)
    with pytest.raises(InputError, match="The segmentation is no longer in the scene"):
        remove_labels(segmentation, found.labels.leaves, PACKAGE)
    segmentation = new_segmentation(node, "Result")
    scene.RemoveNode(node)
    with pytest.raises(InputError, match="The volume is no longer in the scene"):
        put_labels(segmentation, node, found, found.labels.leaves, PACKAGE)


def test_a_failure_in_the_middle_leaves_the_node_listening(scene: Any) -> None:
    node, found = volume(scene), winners()
    segmentation = new_segmentation(node, "Result")
    stranger = Label(9999, "stranger")
    with pytest.raises(KeyError):
        put_labels(segmentation, node, found, [found.labels.leaves[0], stranger], PACKAGE)
    assert not segmentation.GetDisableModifiedEvent()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 0


def saved_and_read(scene: Any, segmentation: Any, folder: Path, how: str) -> Any:
    """The segmentation after it went through a file."""
    if how == ".seg.nrrd":
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(folder / "result.seg.nrrd"))
        scene.AddNode(storage)
        assert storage.WriteData(segmentation)
        again = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Again")
        assert storage.ReadData(again)
        return again
    if how == ".mrb":
        assert scene.WriteToMRB(str(folder / "scene.mrb"), None)
        scene.Clear(False)
        assert scene.ReadFromMRB(str(folder / "scene.mrb"), True)
    else:
        scene.SetURL(str(folder / "scene.mrml"))
        for n in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
            node = scene.GetNthNodeByClass(n, "vtkMRMLStorableNode")
            if (
                node.GetSaveWithScene()
                and not node.IsA("vtkMRMLColorNode")
                and node.AddDefaultStorageNode()
                and node.GetStorageNode()
            ):
                storage = node.GetStorageNode()
                storage.SetFileName(str(folder / f"{node.GetID()}.{storage.GetDefaultWriteFileExtension()}"))
                assert storage.WriteData(node), node.GetName()
        assert scene.Commit()
        scene.Clear(False)
        assert scene.Connect()
    return scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")


@pytest.mark.parametrize("how", [".seg.nrrd", ".mrml", ".mrb"])
def test_a_saved_result_comes_back_whole(scene: Any, tmp_path: Path, how: str) -> None:
    node, found = volume(scene), winners()
    package = "brain: T1 | v2"  # signs that files use between tags
    segmentation = new_segmentation(node, "Result")
    labels = found.labels.labels
    put_labels(segmentation, node, found, labels, package)
    attach_report(segmentation, {"model": package, "timings_s": {"trunk": 1.5}})
    entries = {
        label.id: tag(
            segmentation.GetSegmentation().GetSegment(f"label_{label.id}"),
            slicer.vtkSegment.GetTerminologyEntryTagName(),
        )
        for label in labels
    }
    again = saved_and_read(scene, segmentation, tmp_path, how)
    node = scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    ids = segment_ids(again, package)
    assert set(ids) == {label.id for label in labels}
    assert_equal_to_masks(again, node, found, labels, package)
    for label in labels:
        segment = again.GetSegmentation().GetSegment(ids[label.id])
        assert segment.GetName() == label.name
        assert segment.GetColor() == pytest.approx(label.color, abs=0.02)
        assert tag(segment, slicer.vtkSegment.GetTerminologyEntryTagName()) == entries[label.id]
    if how != ".seg.nrrd":
        report = report_of(again)
        assert report is not None
        assert package in report
    put_labels(again, node, winners(seed=1), labels[2:4], package)
    assert_equal_to_masks(again, node, winners(seed=1), labels[2:4], package)
    assert_equal_to_masks(again, node, found, labels[4:], package)
