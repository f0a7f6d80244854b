"""Parcels: coarse labels divided on a template, carried to other scans by registration, written as a data set that a
network learns from.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.itk import image_of
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume

from Testing import samples
from Testing.training.engine.test_train import config_of, losses
from Testing.training.studies.conftest import SPACING
from Testing.training.studies.test_registration import (
    agreement,
    bent,
    moved,
    turned,
)
from Training.data.data_checks import check_data_set
from Training.data.datasets import read_data_set
from Training.engine.loop import train
from Training.studies.parcels import FEWEST, carry, divide, main

UPPER, LOWER = 1, 2


def halves(volume: Volume) -> Array:
    """Coarse labels (k, j, i) of the tissue: below and above the middle."""
    inside = volume.array[0] > 0
    k = np.indices(volume.shape)[0]
    return np.where(inside, np.where(k < volume.shape[0] // 2, LOWER, UPPER), 0).astype(np.int16)


def mirrored_scan() -> Volume:
    """A scan whose right half is the mirror image of its left one, in a grid whose middle is not the origin."""
    volume = samples.scan(affine=np.diag([SPACING, SPACING, SPACING, 1.0]))
    array = volume.array.copy()
    half = array.shape[3] // 2
    array[..., -half:] = array[..., :half][..., ::-1]
    return volume.with_array(array)


@pytest.mark.usefixtures("quick")
def test_parcels_lie_in_their_coarse_label_alike_on_both_sides_and_each_on_its_own() -> None:
    volume = mirrored_scan()
    targets = halves(volume)
    parcels = divide(volume, targets, millilitres=15.0, seed=0)
    numbers = carry(parcels, volume, targets, is_template=True)
    assert ((numbers > 0) == (targets > 0)).all()
    upper, lower = (set(np.unique(numbers[targets == half]).tolist()) for half in (UPPER, LOWER))
    assert upper.isdisjoint(lower)
    assert len(parcels.centres[0]) == max(
        FEWEST, round(np.count_nonzero(targets == UPPER) * volume.voxel_millilitres / 2 / 15.0)
    )
    i = np.indices(volume.shape)[2]
    middle = (volume.shape[2] - 1) / 2
    at_sides = np.abs(i - middle) > 2
    right = (numbers > 0) & (numbers % 2 == 1)
    assert ((i > middle) == right)[at_sides & (numbers > 0)].mean() > 0.99  # x grows to the right
    partner = np.where(numbers > 0, ((numbers - 1) ^ 1) + 1, 0)
    assert agreement(partner[:, :, ::-1], numbers) > 0.9
    sizes = np.bincount(numbers.ravel())[1:] * volume.voxel_millilitres
    assert np.median(sizes) == pytest.approx(
        numbers.astype(bool).sum() * volume.voxel_millilitres / len(sizes), rel=0.3
    )


@pytest.mark.parametrize("way", ["turned", "bent"])
def test_parcels_follow_the_anatomy_into_a_moved_scan(atlas: Volume, quick: None, way: str) -> None:
    transform = turned(atlas) if way == "turned" else bent(atlas)
    targets = halves(atlas)
    parcels = divide(atlas, targets, millilitres=15.0, seed=0)
    own = carry(parcels, atlas, targets, is_template=True)
    scan = moved(atlas, transform)
    its_targets = moved(atlas.with_array(targets[None]), transform, nearest=True).array[0]
    expected = moved(atlas.with_array(own[None].astype(np.int16)), transform, nearest=True).array[0]
    carried = carry(parcels, scan, its_targets)
    assert ((carried > 0) == (its_targets > 0)).all()
    assert agreement(carried, expected) > 0.85
    assert agreement(own, expected) < 0.6  # which registration has to make good


def test_a_voxel_gets_a_parcel_of_its_own_coarse_label_whatever_lies_nearer(atlas: Volume, quick: None) -> None:
    parcels = divide(atlas, halves(atlas), millilitres=15.0, seed=0)
    exchanged = np.where(halves(atlas) == UPPER, LOWER, np.where(halves(atlas) == LOWER, UPPER, 0))
    numbers = carry(parcels, atlas, exchanged, is_template=True)
    of_upper = 2 * len(parcels.centres[0])
    assert numbers[exchanged == UPPER].max() <= of_upper < numbers[exchanged == LOWER].min()


TABLE = "id,name,parent,scored\n1,Upper outer,Upper,1\n2,Upper inner,Upper,1\n3,Lower,,1\n4,Smudge,,0\n"


@pytest.fixture
def data(tmp_path: Path, atlas: Volume) -> Path:
    """Two scans, the second one bent, with a divided upper half and a smudge that hides some of the lower one; in the
    second one nobody looked for the lower half.
    """
    folder = tmp_path / "data"
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    for name, volume in (("first", atlas), ("second", moved(atlas, bent(atlas)))):
        targets = halves(volume)
        labels = np.where(targets == LOWER, 3, targets)
        labels[targets == UPPER] += (np.indices(volume.shape)[1] % 3 == 0)[targets == UPPER]
        labels[:4][labels[:4] > 0] = 4
        sitk.WriteImage(image_of(volume), str(folder / "imagesTr" / f"{name}_0000.nii.gz"))
        sitk.WriteImage(
            image_of(volume.with_array(labels[None].astype(np.uint8))), str(folder / "labelsTr" / f"{name}.nii.gz")
        )
    (folder / "labels.csv").write_text(TABLE)
    (folder / "participants.tsv").write_text("participant_id\tsex\tannotated\nfirst\tF\t\nsecond\tn/a\tUpper\n")
    return folder


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> None:
    monkeypatch.setattr("sys.argv", ["parcels.py", *map(str, words)])
    main()


@pytest.fixture
def made(data: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = data.parent / "made"
    call(monkeypatch, data, "--labels", "Upper", "Lower", "--template", "first", "--millilitres", "15", "-o", folder)
    return folder


def test_what_is_written_is_a_data_set_whose_labels_have_sides_and_lie_below_the_coarse_ones(made: Path) -> None:
    data_set = read_data_set(made / "datalist.json")
    assert check_data_set(data_set, 1, samples.SCHEMA, progress=False) == []
    assert [case.name for case in data_set.cases] == ["first", "second"]
    assert data_set.cases[0].metadata["sex"] == "F"
    assert "sex" not in data_set.cases[1].metadata
    leaf = data_set.table.find("Upper, part 1, left")
    assert data_set.table.mirrored(leaf).name == "Upper, part 1, right"
    assert [above.name for above in data_set.table.ancestors(leaf)] == ["Upper"]
    assert {label.name for label in data_set.table.labels if label not in data_set.table.leaves} == {"Upper", "Lower"}


def test_what_is_unknown_stays_unknown_and_what_nobody_looked_for_is_said(made: Path, data: Path) -> None:
    data_set = read_data_set(made / "datalist.json")
    before, after = (read_volume(folder / "first.nii.gz").array[0] for folder in (data / "labelsTr", made / "labels"))
    unknown = np.unique(after[before == 4])
    assert len(unknown) == 1
    assert int(unknown[0]) in data_set.ignored_ids
    assert ((after == unknown) == (before == 4)).all()
    assert ((after == 0) == (before == 0)).all()
    assert [case.annotated for case in data_set.cases] == [None, ("Upper",)]


def test_a_network_learns_parcels_with_flips(made: Path, tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        made / "datalist.json",
        "data.validation=[]",
        "metadata=[]",
        "optimizer.steps=3",
        "optimizer.warmup=1",
        "optimizer.decay=1",
    )
    train(config)
    assert len(losses(tmp_path)) == 3
    assert (tmp_path / "run" / "package" / "model.json").is_file()


def test_an_interrupted_call_goes_on_and_another_question_is_refused(
    made: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (made / "labels" / "second.nii.gz").read_bytes()
    (made / "labels" / "first.nii.gz").unlink()
    (made / "datalist.json").unlink()
    monkeypatch.setattr("Training.studies.parcels.demons", None)  # the scan that was registered is not registered again
    words = ("--labels", "Upper", "Lower", "--template", "first", "-o", made)
    call(monkeypatch, data, *words, "--millilitres", "15")
    assert (made / "labels" / "second.nii.gz").read_bytes() == before
    assert [entry["name"] for entry in json.loads((made / "datalist.json").read_text())["training"]] == [
        "first",
        "second",
    ]
    with pytest.raises(SystemExit, match=r"keeps parcels of another question \(other millilitres\)"):
        call(monkeypatch, data, *words, "--millilitres", "30")


def test_a_full_disk_is_told_and_leaves_no_half_a_file(
    data: Path,
    tmp_path: Path,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_image: sitk.Image, path: str, **_: bool) -> None:
        Path(path).write_bytes(b"half")
        raise RuntimeError("no space left")

    monkeypatch.setattr("Training.studies.parcels.sitk.WriteImage", fail)
    with pytest.raises(SystemExit, match=r"first\.nii\.gz\" could not be written; the disk may be full"):
        call(
            monkeypatch,
            data,
            "--labels",
            "Upper",
            "Lower",
            "--template",
            "first",
            "--cases",
            "first",
            "-o",
            tmp_path / "out",
        )
    assert list((tmp_path / "out" / "labels").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--template", "third"), "has no case called third"),
        (("--template", "first", "--labels", "Middle"), "Middle"),
        (("--template", "first", "--millilitres", "0"), "Parcels of 0 ml are impossible"),
        (("--template", "first", "--threads", "0"), "At least one thread"),
        (("--template", "first", "--labels", "Upper", "Upper inner"), "lies under"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        call(monkeypatch, data, *words, "-o", tmp_path / "out")
    assert not (tmp_path / "out" / "labels.csv").exists()


def test_a_template_without_one_of_the_labels_is_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = data / "labelsTr" / "first.nii.gz"
    volume = read_volume(path)
    sitk.WriteImage(image_of(volume.with_array(np.where(volume.array == 3, 0, volume.array))), str(path))
    with pytest.raises(SystemExit, match="The template first has no Lower; choose another one"):
        call(monkeypatch, data, "--labels", "Upper", "Lower", "--template", "first", "-o", tmp_path / "out")


def test_the_table_numbers_the_sides_as_the_voxels_do(made: Path) -> None:
    with (made / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    numbers = read_volume(made / "labels" / "first.nii.gz")
    i = np.indices(numbers.shape)[2]
    middle = (i[numbers.array[0] > 0]).mean()
    for side, sign in (("right", 1), ("left", -1)):
        ids = [int(row["id"]) for row in rows if row["hemisphere"] == side]
        assert np.sign(i[np.isin(numbers.array[0], ids)].mean() - middle) == sign
