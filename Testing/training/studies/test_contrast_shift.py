"""Scans of another contrast, made of labelled ones: bright where they should be, on the same labels, the same again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Volume

from Training.data.datasets import read_data_set, read_image, read_labels
from Training.studies.contrast_shift import shift

WHITE, VENTRICLE, FRONTAL, OTHER = 45, 52, 101, 63
BRIGHTNESS = {WHITE: 200, VENTRICLE: 40, FRONTAL: 120}
"""Of the stored scans, which look like T1."""


@pytest.fixture
def brains(tmp_path: Path) -> Path:
    """Two brains of nested boxes: cortex around white matter around a ventricle; an id that is no label."""
    folder, generator = tmp_path / "brains", np.random.default_rng(0)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for n in range(2):
        labels = np.zeros((20, 22, 24), dtype=np.uint8)
        for ident, rim in ((FRONTAL, 2), (WHITE, 5), (VENTRICLE, 8)):
            labels[rim:-rim, rim:-rim, rim:-rim] = ident
        labels[0, 0, 0] = OTHER
        image = np.vectorize(lambda ident: BRIGHTNESS.get(ident, 0))(labels) + (labels > 0) * generator.normal(
            0, 3, labels.shape
        )
        for place, array in (("imagesTr", image.astype(np.float32)), ("labelsTr", labels)):
            suffix = "_0000" if place == "imagesTr" else ""
            volume = Volume(array[None], np.diag([1.0, 1.5, 1.0, 1.0]))
            sitk.WriteImage(image_of(volume), str(folder / place / f"brain_{n}{suffix}.nii.gz"))
    (folder / "labels.csv").write_text(
        "id,name,parent,scored\n"
        f"{WHITE},Left Cerebral White Matter,,1\n{VENTRICLE},Left Lateral Ventricle,,1\n"
        f"100,Cerebral cortex,,1\n{FRONTAL},Frontal cortex,Cerebral cortex,1\n{OTHER},vessel,,0\n"
    )
    return folder


def test_fluid_is_the_brightest_of_a_t2_and_all_else_stays(brains: Path, tmp_path: Path) -> None:
    before, after = (
        read_data_set(each) for each in (brains, shift(brains, "T2", ["Cerebral cortex"], 7, tmp_path / "T2"))
    )
    described = [[(label.id, label.name, label.parent) for label in each.table.labels] for each in (before, after)]
    assert described[0] == described[1]
    assert after.ignored_ids == before.ignored_ids
    for one, other in zip(before.cases, after.cases, strict=True):
        labels = read_labels(other)
        assert np.array_equal(labels.array, read_labels(one).array)
        assert np.allclose(labels.affine, read_labels(one).affine)
        scan, known = read_image(other), read_image(one).array[0] > 0
        means = [float(scan.array[0][labels.array[0] == ident].mean()) for ident in (VENTRICLE, FRONTAL, WHITE)]
        assert means[0] > max(means[1:])
        assert min(means) > 0
        assert (scan.array[0][known] > 0).all()
        assert not scan.array[0][~known & (labels.array[0] == 0)].any()


def test_the_same_command_makes_the_same_scans_once_and_another_one_is_refused(brains: Path, tmp_path: Path) -> None:
    folders = [shift(brains, "FLAIR", ["Cerebral cortex"], 7, tmp_path / name) for name in ("a", "b")]
    scans = [read_image(read_data_set(folder).cases[1]).array for folder in folders]
    assert np.array_equal(scans[0], scans[1])
    made = folders[0] / "imagesTr" / "brain_0_0000.nii.gz"
    time = made.stat().st_mtime_ns
    shift(brains, "FLAIR", ["Cerebral cortex"], 7, folders[0])
    assert made.stat().st_mtime_ns == time
    with pytest.raises(SystemExit, match=r"keeps scans of another question \(other seed\)"):
        shift(brains, "FLAIR", ["Cerebral cortex"], 8, folders[0])


@pytest.mark.parametrize(
    ("contrast", "alike", "words"),
    [
        ("CT", ["Cerebral cortex"], r'no contrast "CT" in "brain_contrasts.yaml", which has T1, T2, FLAIR, PD'),
        ("T2", ["Cortex of the cerebrum"], r"--alike: .*Cortex of the cerebrum"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_written(
    brains: Path, tmp_path: Path, contrast: str, alike: list[str], words: str
) -> None:
    with pytest.raises(SystemExit, match=words):
        shift(brains, contrast, alike, 7, tmp_path / "made")
    assert not (tmp_path / "made").exists()
