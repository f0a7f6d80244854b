"""Volume nodes as input: what is refused and why, where their voxels lie, and when a new run is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.scene.volumes import check_nodes, fingerprint, volume_of

from Testing import samples

from .made_nodes import SHAPE, bent, moved, oblique, transform, volume


@pytest.fixture(scope="module")
def package(tiny_package: Path) -> ModelPackage:
    return ModelPackage.load(tiny_package)


@pytest.fixture(scope="module")
def two_channels(package: ModelPackage) -> ModelPackage:
    return replace(package, input=InputSpec(channels=("T1", "T2")))


def errors(nodes: list[Any], package: ModelPackage) -> list[str]:
    return [str(finding) for finding in check_nodes(nodes, package) if finding.level == "error"]


def test_a_good_scan_has_no_findings(scene: Any, package: ModelPackage) -> None:
    assert check_nodes([volume(scene)], package) == []


def test_nothing_chosen_says_which_channel(scene: Any, package: ModelPackage, two_channels: ModelPackage) -> None:
    assert errors([None], package) == ["No volume is chosen. Choose the scan to segment."]
    assert errors([volume(scene), None], two_channels) == ["T2: No volume is chosen. Choose the scan to segment."]


def test_a_deleted_volume_is_refused(scene: Any, package: ModelPackage) -> None:
    node = volume(scene)
    scene.RemoveNode(node)
    assert errors([node], package) == ["The volume is no longer in the scene. Choose another one."]
    with pytest.raises(InputError, match="no longer in the scene"):
        volume_of([node])
    assert fingerprint([node]) == ""


def no_voxels(scene: Any) -> Any:
    return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")


def colour(scene: Any) -> Any:
    return volume(scene, array=np.zeros((*SHAPE, 3), np.uint8), class_name="vtkMRMLVectorVolumeNode")


def many_values(scene: Any) -> Any:
    return volume(scene, array=np.zeros((*SHAPE, 7), np.uint8), class_name="vtkMRMLVectorVolumeNode")


def label_map(scene: Any) -> Any:
    return volume(scene, class_name="vtkMRMLLabelMapVolumeNode")


def a_sequence(scene: Any) -> Any:
    return scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Frames")


def single_slice(scene: Any) -> Any:
    return volume(scene, array=samples.scan(SHAPE).array[0, :1].copy())


def under_nonlinear(scene: Any) -> Any:
    node = volume(scene)
    node.SetAndObserveTransformNodeID(bent(scene).GetID())
    return node


def under_nonlinear_above_linear(scene: Any) -> Any:
    node, above = volume(scene), transform(scene, moved())
    above.SetAndObserveTransformNodeID(bent(scene).GetID())
    node.SetAndObserveTransformNodeID(above.GetID())
    return node


def flattened(scene: Any) -> Any:
    node = volume(scene)
    node.SetAndObserveTransformNodeID(transform(scene, np.diag([1, 0, 1, 1])).GetID())
    return node


def no_volume(scene: Any) -> Any:
    return transform(scene, np.eye(4))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (no_voxels, "This volume has no voxels"),
        (
            colour,
            (
                "This volume is in colour: choose a grey-value scan, or convert it with the Vector to Scalar Volume"
                " module."
            ),
        ),
        (many_values, "This volume is 4D, 7 values a voxel: choose a frame with the Sequences module."),
        (label_map, "This volume is a label map"),
        (a_sequence, "This volume is 4D: choose a frame with the Sequences module."),
        (single_slice, "This volume is a single slice"),
        (under_nonlinear, "under a non-linear transform: harden or remove it with the Transforms module."),
        (under_nonlinear_above_linear, "under a non-linear transform: harden or remove it with the Transforms module."),
        (flattened, "flattens it to nothing"),
        (no_volume, "is no volume"),
    ],
)
def test_what_is_no_scan_is_refused_with_the_reason(
    scene: Any, package: ModelPackage, make: Any, sentence: str
) -> None:
    node = make(scene)
    (text,) = errors([node], package)
    assert sentence in text
    with pytest.raises(InputError) as raised:
        volume_of([node])
    assert str(raised.value) == text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda voxels: np.where(voxels > 800, np.nan, voxels.astype(np.float32)), "NaN"),
        (np.zeros_like, "empty"),
        (np.ones_like, "constant"),
        (lambda voxels: (voxels > 300).astype(np.uint8) + (voxels > 500), "label map"),
    ],
)
def test_voxels_without_a_scan_in_them_are_refused(
    scene: Any, package: ModelPackage, change: Any, sentence: str
) -> None:
    (text,) = errors([volume(scene, array=change(samples.scan(SHAPE).array[0]))], package)
    assert sentence in text


def test_the_frame_of_a_sequence_that_is_shown_is_a_scan(scene: Any, package: ModelPackage) -> None:
    frames = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Frames")
    first, second = (
        volume(scene, name="one"),
        volume(scene, array=samples.scan(SHAPE, seed=1).array[0].copy(), name="two"),
    )
    for n, node in enumerate((first, second)):
        frames.SetDataNodeAtValue(node, str(n))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.AddSynchronizedSequenceNode(frames)
    slicer.modules.sequences.logic().UpdateAllProxyNodes()
    proxy = browser.GetProxyNode(frames)
    before = fingerprint([proxy])
    browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateAllProxyNodes()
    (finding,) = check_nodes([proxy], package)
    assert (finding.level, "its frame 2," in finding.text) == ("note", True)
    assert np.array_equal(volume_of([proxy]).array[0], slicer.util.arrayFromVolume(second))
    assert fingerprint([proxy]) != before


def test_channels_have_to_lie_on_one_grid(scene: Any, two_channels: ModelPackage) -> None:
    first, second = volume(scene, name="A"), volume(scene, name="B", array=samples.scan(SHAPE, seed=1).array[0].copy())
    assert check_nodes([first, second], two_channels) == []
    assert volume_of([first, second]).array.shape == (2, *SHAPE)
    second.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())
    (text,) = errors([first, second], two_channels)
    assert (
        text
        == '"B" and "A" lie on different grids. Resample "B" to "A" with the Resample Scalar/Vector/DWI Volume module.'
    )
    with pytest.raises(InputError, match="different grids"):
        volume_of([first, second])


def test_the_same_volume_for_two_channels_is_a_warning(scene: Any, two_channels: ModelPackage) -> None:
    node = volume(scene)
    (finding,) = check_nodes([node, node], two_channels)
    assert (finding.level, finding.text) == ("warning", "The same volume is chosen for more than one channel.")


def test_one_channel_is_read_without_a_copy_in_world_ras(scene: Any) -> None:
    node = volume(scene)
    inner, outer = transform(scene, moved()), transform(scene, np.diag([2, 1, 1, 1]))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    read = volume_of([node])
    assert np.shares_memory(read.array, slicer.util.arrayFromVolume(node))
    assert np.allclose(read.affine, np.diag([2, 1, 1, 1]) @ moved() @ oblique())


def changed_voxels(node: Any, parent: Any, scene: Any) -> None:
    slicer.util.arrayFromVolume(node)[3, 4, 5] += 1
    slicer.util.arrayFromVolumeModified(node)


def changed_spacing(node: Any, parent: Any, scene: Any) -> None:
    node.SetSpacing(1, 1, 1)


def changed_parent(node: Any, parent: Any, scene: Any) -> None:
    parent.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moved()))


def changed_grandparent(node: Any, parent: Any, scene: Any) -> None:
    parent.SetAndObserveTransformNodeID(transform(scene, moved()).GetID())


@pytest.mark.parametrize("change", [changed_voxels, changed_spacing, changed_parent, changed_grandparent])
def test_the_fingerprint_changes_with_voxels_and_place(scene: Any, change: Any) -> None:
    node, parent = volume(scene), transform(scene, np.eye(4))
    node.SetAndObserveTransformNodeID(parent.GetID())
    before = fingerprint([node])
    change(node, parent, scene)
    assert fingerprint([node]) != before


def test_the_fingerprint_changes_with_the_choice(scene: Any) -> None:
    first, second = volume(scene), volume(scene)
    assert len({fingerprint(nodes) for nodes in ([first], [second], [first, second], [second, first], [None])}) == 5


def test_name_and_display_do_not_change_the_fingerprint(scene: Any) -> None:
    node = volume(scene)
    node.CreateDefaultDisplayNodes()
    before = fingerprint([node])
    node.SetName("renamed")
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(100, 50)
    node.Modified()
    node.SetAndObserveTransformNodeID(transform(scene, np.eye(4)).GetID())  # where it lies stays the same
    assert fingerprint([node]) == before
