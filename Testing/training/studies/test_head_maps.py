"""Head maps: made of label maps with the ids of FreeSurfer, as a data set that training reads."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.scan.volume import Array

from Training.data.class_maps import generation_classes
from Training.data.datasets import read_data_set, read_labels
from Training.studies.head_maps import BRAIN, FLUID, FLUID_OUTSIDE, OUTSIDE, main

LEFT, RIGHT, LESION, SKULL = 3, 42, 25, 516
SHAPE = (44, 48, 52)
SPACING = 2.0
SULCUS = range(20, 24)
"""Planes k of fluid between two pieces of brain."""


def head() -> Array:
    """(k, j, i) int16: a skull, fluid within it, and in that a brain with its left where i is large, a sulcus through
    it and a lesion; there is air around it.
    """
    distance = np.linalg.norm((np.indices(SHAPE) - np.array([22, 24, 26])[:, None, None, None]), axis=0)
    side = np.where(np.indices(SHAPE)[2] > 26, LEFT, RIGHT)
    labels = np.select([distance < 11, distance < 16, distance < 18], [side, FLUID, SKULL], 0)
    labels[np.isin(np.indices(SHAPE)[0], SULCUS) & (distance < 11)] = FLUID
    labels[14:17, 24, 30:33] = LESION
    return labels.astype(np.int16)


def write(folder: Path, labels: Array, name: str = "a", orientation: str = "LPS", thickness: float = SPACING) -> Path:
    (folder / "labelsTr").mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing([SPACING, SPACING, thickness])
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(folder / "labelsTr" / f"{name}.nii.gz"))
    return folder


def make(root: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "argv", ["head_maps", str(root), str(output)])
    main()
    return output


def read(output: Path, name: str = "a") -> Array:
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(output / "labelsTr" / f"{name}.nii.gz"))))


def test_a_map_is_cropped_to_the_head_and_its_labels_stay_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(write(tmp_path / "given", head()), tmp_path / "made", monkeypatch)
    before, after = (sitk.ReadImage(str(path / "labelsTr" / "a.nii.gz")) for path in (tmp_path / "given", made))
    assert after.GetSize() == (35, 35, 35)
    assert after.GetSpacing() == before.GetSpacing()
    back = sitk.Resample(after, before, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    labels = sitk.GetArrayFromImage(back)
    labels[labels == FLUID_OUTSIDE] = FLUID
    assert np.array_equal(labels, head())


def test_fluid_in_a_sulcus_is_of_the_brain_and_fluid_around_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = read(make(write(tmp_path / "given", head()), tmp_path / "made", monkeypatch))
    middle = labels.shape[1] // 2
    assert (labels[SULCUS.start - 5 : SULCUS.stop - 5, middle, 9:-9] == FLUID).all()
    top = labels[:, middle, middle][labels[:, middle, middle] != SKULL]
    assert top[0] == top[-1] == FLUID_OUTSIDE
    assert {FLUID, FLUID_OUTSIDE, LEFT, RIGHT, LESION, SKULL} <= set(np.unique(labels).tolist())


def test_a_gap_is_closed_by_its_millimetres_however_thick_the_slices_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two planes of 4 mm between pieces of brain are a sulcus, five are none."""
    labels = np.full((30, 20, 20), FLUID, np.int16)
    for first, last in ((4, 8), (10, 14), (19, 23)):
        labels[first:last, 4:16, 4:16] = LEFT
    thick = read(make(write(tmp_path / "given", labels, thickness=4.0), tmp_path / "made", monkeypatch))
    assert (thick[8:10, 10, 10] == FLUID).all()
    assert (thick[14:19, 10, 10] == FLUID_OUTSIDE).all()


@pytest.mark.parametrize("orientation", ["RAS", "SPL", "PIR"])
def test_maps_of_any_axes_become_the_same(orientation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "given", head(), "a")
    write(tmp_path / "given", head(), "b", orientation)
    made = make(tmp_path / "given", tmp_path / "made", monkeypatch)
    assert np.array_equal(read(made, "a"), read(made, "b"))


def test_the_table_and_the_maps_are_a_data_set_with_sides_and_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read_data_set(make(write(tmp_path / "given", head()), tmp_path / "made", monkeypatch))
    (case,) = data.cases
    assert set(np.unique(read_labels(case).array).tolist()) - {0} <= {label.id for label in data.table.labels}
    left = data.table[LEFT]
    assert (left.name, data.table.mirrored(left).id) == ("Left Cerebral Cortex", RIGHT)
    roots = {
        number: data.table.ancestors(data.table[number])[-1].name
        for number in (LEFT, LESION, FLUID, SKULL, FLUID_OUTSIDE)
    }
    assert roots == {LEFT: BRAIN, LESION: BRAIN, FLUID: BRAIN, SKULL: OUTSIDE, FLUID_OUTSIDE: OUTSIDE}
    names, classes = generation_classes(read_labels(case).array[0], data.table)
    assert len(np.unique(classes)) == 6  # air, cortex, lesion, skull, and the fluids; left and right are one
    assert all(BRAIN in names[n] or OUTSIDE in names[n] for n in np.unique(classes)[1:])


@pytest.mark.parametrize(
    ("labels", "sentence"), [(None, "no label maps"), (np.full((6, 6, 6), SKULL, np.int16), "none of the ids")]
)
def test_what_is_no_map_of_a_head_is_told(
    labels: Array | None, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if labels is not None:
        write(tmp_path / "given", labels)
    with pytest.raises(SystemExit, match=sentence):
        make(tmp_path / "given", tmp_path / "made", monkeypatch)
