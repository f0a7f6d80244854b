"""Volumes that the application loaded from NIfTI: told where their file says something else of left and right than was
taken, or nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.scene.volumes import check_nodes

from Testing import samples

from .made_nodes import SHAPE, volume

STRAIGHT = np.diag([-1.0, 1, 1, 1])


def loaded(scene: Any, path: Path, sform: Any, codes: tuple[int, int], qform: Any = STRAIGHT) -> Any:
    """A volume node whose storage node names a file with these forms and codes (sform, qform)."""
    image = nib.Nifti1Image(samples.scan(SHAPE).array[0].T, None)
    image.header.set_sform(sform, codes[0])
    image.header.set_qform(qform, codes[1])
    nib.save(image, path)
    node = volume(scene)
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node


@pytest.fixture(scope="module")
def package(tiny_package: Path) -> ModelPackage:
    return ModelPackage.load(tiny_package)


def told(node: Any, package: ModelPackage) -> str:
    return " ".join(f"{finding.level}: {finding}" for finding in check_nodes([node], package))


def test_forms_that_disagree_about_sides_are_told(scene: Any, package: ModelPackage, tmp_path: Path) -> None:
    mirrored = np.diag([1.0, 1, 1, 1])
    mirrored[0, 3] = -73
    said = told(loaded(scene, tmp_path / "s.nii.gz", mirrored, (2, 1)), package)
    assert "warning: The sform and the qform in the file of the scan disagree about left and right" in said
    assert "here the qform was taken" in said


def test_forms_that_lie_apart_are_told(scene: Any, package: ModelPackage, tmp_path: Path) -> None:
    apart = STRAIGHT.copy()
    apart[2, 3] = 12
    assert "lie apart; here the qform was taken" in told(loaded(scene, tmp_path / "s.nii", apart, (4, 1)), package)


def test_a_guess_is_told(scene: Any, package: ModelPackage, tmp_path: Path) -> None:
    said = told(loaded(scene, tmp_path / "s.nii.gz", STRAIGHT, (0, 0)), package)
    assert "left and right were guessed when it was loaded" in said


@pytest.mark.parametrize("codes", [(1, 1), (2, 1), (0, 1), (1, 0)])
def test_a_file_that_agrees_with_itself_is_not_told(
    scene: Any, package: ModelPackage, tmp_path: Path, codes: tuple[int, int]
) -> None:
    assert told(loaded(scene, tmp_path / "s.nii.gz", STRAIGHT, codes), package) == ""


def test_a_file_that_is_gone_or_of_another_format_is_not_told(
    scene: Any, package: ModelPackage, tmp_path: Path
) -> None:
    node = loaded(scene, tmp_path / "s.nii.gz", STRAIGHT, (0, 0))
    assert told(node, package) != ""
    (tmp_path / "s.nii.gz").unlink()
    assert told(node, package) == ""
    node.GetStorageNode().SetFileName(str(tmp_path / "s.nrrd"))
    assert told(node, package) == ""
