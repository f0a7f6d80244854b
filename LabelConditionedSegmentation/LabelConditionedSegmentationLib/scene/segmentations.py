"""The result as segments: made from the winner map, found again by a tag, added, replaced and removed in one batch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import slicer
import vtk

from ..core.errors import InputError
from ..core.inference.winners import Winners
from ..core.labels.label_tree import PROTOCOL_TAG, TERMINOLOGY, Code, Label
from .layers import BINARY_LABELMAP, Layers, erase
from .nodes import in_one_place, place_beside, require

MODEL_TAG = "LabelConditionedSegmentation.Model"
LABEL_TAG = "LabelConditionedSegmentation.Label"
CLOSED_SURFACE = "Closed surface"
MADE_BY = "LabelConditionedSegmentation.MadeBy"
"""The attribute of a segmentation node that was made for the result of a model: the model's name."""

NO_ANATOMIC_REGION = "Anatomic codes - DICOM master list~^^~^^"

NO_COLOR = (0.5, 0.5, 0.5)
"""What Slicer takes for a segment without a colour, which it gives another one when it reads the file."""


def new_segmentation(volume_node: Any, name: str) -> Any:
    """An empty segmentation node on the volume's grid, under its transform and beside it in the subject hierarchy.

    Raises InputError.
    """
    require(volume_node, "volume")
    node = volume_node.GetScene().AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(
        volume_node
    )  # after the transform: the geometry is given in the node's own RAS
    place_beside(node, volume_node)
    return node


def scan_of(segmentation: Any) -> Any:
    """The volume node whose geometry a segmentation refers to; None where it names none, or that one is gone."""
    return segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())


def segmentations_of(volume_node: Any) -> list[Any]:
    """The segmentations of a volume that users see, in the scene's order."""
    scene = volume_node.GetScene()
    number = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    nodes = [scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode") for n in range(number)]
    return [node for node in nodes if scan_of(node) is volume_node and not node.GetHideFromEditors()]


def maker_of(segmentation: Any) -> str:
    """The model whose result a segmentation was made for; "" where it was made otherwise."""
    return str(segmentation.GetAttribute(MADE_BY) or "")


def put_labels(
    segmentation: Any, volume_node: Any, winners: Winners, labels: Sequence[Label], package_name: str
) -> list[Label]:
    """Add or replace the segments of these labels, every other segment stays as it is; returns the labels without a
    voxel, whose segments are empty.

    The winners' grid is the volume node's. Raises InputError where a node was deleted or the segmentation cannot hold
    the result as it is.
    """
    require(volume_node, "volume")
    check_target(segmentation, volume_node)
    image = volume_node.GetImageData()
    if image is None or winners.shape != image.GetDimensions()[::-1]:
        raise InputError("The volume has changed since it was segmented; run the model again.")
    wanted = [(label, winners.mask(label)) for label in labels]
    with batch(segmentation) as segments:
        ids = segment_ids(segmentation, package_name)
        layers = Layers(
            segments, [segments.GetSegment(segment_id) for segment_id in ids.values()], winners, volume_node
        )
        erase([segments.GetSegment(ids[label.id]) for label in labels if label.id in ids])
        for label, found in wanted:
            layer, value = layers.put(found)
            if label.id in ids:
                _fill(segments.GetSegment(ids[label.id]), layer, value)
            else:
                segment = _segment(label, package_name, winners.labels.protocol_of(label).name)
                _fill(segment, layer, value)
                segments.AddSegment(segment, segments.GenerateUniqueSegmentID(f"label_{label.id}"))
    return [label for label, found in wanted if found is None]


def remove_labels(segmentation: Any, labels: Sequence[Label], package_name: str) -> None:
    """Remove the segments that were made for these labels, where there are any.

    Raises InputError where the segmentation was deleted.
    """
    ids = segment_ids(segmentation, package_name)
    with batch(segmentation) as segments:
        removed = [ids[label.id] for label in labels if label.id in ids]
        erase([segments.GetSegment(segment_id) for segment_id in removed])
        for segment_id in removed:
            segments.RemoveSegment(segment_id)


def hand_over(scene: Any, label: Label, other: Label, package_name: str) -> None:
    """Give the segments of a label, in every segmentation of the scene, to the label that came in its place: its id
    and, unless the user renamed them, its name.
    """
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        segmentation = scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode")
        segment_id = segment_ids(segmentation, package_name).get(label.id)
        if segment_id is not None:
            with batch(segmentation) as segments:
                segment = segments.GetSegment(segment_id)
                segment.SetTag(LABEL_TAG, str(other.id))
                if segment.GetName() == label.name:
                    segment.SetName(other.name)


def segment_ids(segmentation: Any, package_name: str) -> dict[int, str]:
    """Label id -> segment id of the segments that were made by this model.

    Raises InputError where the segmentation was deleted.
    """
    require(segmentation, "segmentation")
    segments = segmentation.GetSegmentation()
    found = {}
    for segment_id in segments.GetSegmentIDs():
        segment = segments.GetSegment(segment_id)
        label_id = _tag(segment, LABEL_TAG)
        if _tag(segment, MODEL_TAG) == _tag_value(package_name) and label_id.isdecimal():
            found[int(label_id)] = segment_id
    return found


def check_target(segmentation: Any, volume_node: Any) -> None:
    """Raise InputError where segments of this volume cannot be put into the segmentation without changing voxels or
    other segments.
    """
    require(segmentation, "segmentation")
    segments = segmentation.GetSegmentation()
    if segments.GetSourceRepresentationName() != BINARY_LABELMAP:
        raise InputError(
            f'The segmentation "{segmentation.GetName()}" is kept as {segments.GetSourceRepresentationName().lower()}: '
            "make binary labelmap its source in the Segmentations module, or choose a new segmentation."
        )
    if not in_one_place(segmentation, volume_node):
        raise InputError(
            "This segmentation lies under another transform than the volume: "
            "put both under the same transform with the Transforms module, or choose a new segmentation."
        )


def terminology(label: Label) -> str:
    """The label's codes as Slicer's terminology entry; "" where no cited table gives them."""
    if label.category is None or label.type is None:
        return ""
    return "~".join(
        [TERMINOLOGY, _triplet(label.category), _triplet(label.type), _triplet(label.modifier), NO_ANATOMIC_REGION]
    )


def _triplet(code: Code | None) -> str:
    return "^^" if code is None else f"{code.scheme}^{code.value}^{code.meaning}"


@contextmanager
def batch(segmentation: Any) -> Iterator[Any]:
    """The node's vtkSegmentation; views hear of all changes together, and closed surfaces that were there before are
    made for what is new.
    """
    segments = segmentation.GetSegmentation()
    has_surfaces = segments.ContainsRepresentation(CLOSED_SURFACE)
    before = segmentation.StartModify()
    try:
        yield segments
        if has_surfaces:
            segments.CreateRepresentation(CLOSED_SURFACE)
    finally:
        segmentation.EndModify(before)


def _tag(segment: Any, name: str) -> str:
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


def _tag_value(name: str) -> str:
    """The name of a package or protocol as a tag's value: files separate tags with signs of their own."""
    return re.sub(r"[^\w .+-]", "_", name)


def _segment(label: Label, package_name: str, protocol: str) -> Any:
    segment = slicer.vtkSegment()
    segment.SetName(label.name)
    segment.SetColor(label.color if label.color != NO_COLOR else (0.51, 0.51, 0.51))
    segment.SetNameAutoGenerated(False)
    segment.SetColorAutoGenerated(False)
    segment.SetTag(MODEL_TAG, _tag_value(package_name))
    segment.SetTag(LABEL_TAG, str(label.id))
    if protocol:
        segment.SetTag(PROTOCOL_TAG, _tag_value(protocol))
    if terminology(label):
        segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), terminology(label))
    return segment


def _fill(segment: Any, image: Any, value: int) -> None:
    """Other voxels for a segment; what the user made of its name, colour and display stays."""
    segment.RemoveRepresentation(CLOSED_SURFACE)
    segment.SetLabelValue(value)
    segment.AddRepresentation(BINARY_LABELMAP, image)
