"""The shipped model on the scan of the demo, and on a labelled scan where those are at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.cli import demo
from LabelConditionedSegmentationLib.cli.model_choice import resolve_model
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.resources import DEFAULT_MODEL, sample_scan
from PIL import Image

from Training.evaluation.scan_evaluation import evaluate


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    demo.run(folder)
    return folder


@pytest.mark.slow
def test_the_demo_writes_what_it_says(demo_folder: Path) -> None:
    assert sorted(f.name for f in demo_folder.iterdir()) == [
        "colin27.json",
        "colin27.nii.gz",
        "colin27.png",
        "colin27.seg.nrrd",
        "volumes.csv",
    ]


def test_the_demo_finds_every_structure_at_a_plausible_size_and_side(demo_folder: Path) -> None:
    rows = {row["label"]: float(row["millilitres"]) for row in csv.DictReader((demo_folder / "volumes.csv").open())}
    assert len(rows) == 134
    assert all(volume > 0 for volume in rows.values())
    for side in ("Left", "Right"):
        assert 2.5 < rows[f"{side} Hippocampus"] < 6.5
        assert 5 < rows[f"{side} Thalamus Proper"] < 14
        assert 150 < rows[f"{side} Cerebral White Matter"] < 450
    labels, scan = (
        sitk.ReadImage(str(demo_folder / "colin27.nii.gz")),
        sitk.ReadImage(str(sample_scan("colin27_t1_head.nii.gz"))),
    )
    assert labels.GetSize() == scan.GetSize()
    assert labels.GetOrigin() == pytest.approx(scan.GetOrigin())
    volume = read_volume(demo_folder / "colin27.nii.gz")
    tree = ModelPackage.load(resolve_model(None)).labels
    right_of = {
        side: _mean_right(volume.array[0] == tree.find(f"{side} Hippocampus").id, volume.affine)
        for side in ("Left", "Right")
    }
    assert right_of["Left"] < -15 < 15 < right_of["Right"]


def test_the_demo_picture_shows_the_scan_in_grey_and_the_labels_in_colour(demo_folder: Path) -> None:
    pixels = np.asarray(Image.open(demo_folder / "colin27.png")).astype(int)
    colourful = np.ptp(pixels, axis=2) > 40
    height = pixels.shape[0] // 2
    assert colourful[:height].mean() < 0.01
    assert colourful[height:].mean() > 0.1


def test_the_shipped_model_says_what_it_may_be_used_for() -> None:
    package = ModelPackage.load(resolve_model(None))
    assert package.name == DEFAULT_MODEL
    assert "non-commercial" in package.about["licence"].lower()
    assert package.about["intended_use"]
    assert package.about["not_for"]
    assert len(package.about["provenance"]["training_cases"]) >= 12
    assert package.size_bytes <= 20e6
    card = (package.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert " ".join(package.about["not_for"].split()) in " ".join(card.split())


@pytest.mark.slow
def test_the_shipped_model_segments_a_labelled_scan(malc2012: Path) -> None:
    segmenter = Segmenter.from_package(resolve_model(None), "cpu")
    found = evaluate(segmenter, malc2012, ["malc_1009"])
    assert np.mean([scores.dice for scores in found.scores("malc_1009").values()]) > 0.75


@pytest.mark.slow
def test_the_shipped_model_does_not_guess_what_was_cut_away(malc2012: Path) -> None:
    """Without the lower half of the head there is no cerebellum and no brain stem to be found."""
    scan = read_volume(malc2012 / "imagesTr" / "malc_1009_0000.nii.gz")
    truth = read_volume(malc2012 / "labelsTr" / "malc_1009.nii.gz").array[0]
    segmenter = Segmenter.from_package(resolve_model(None), "cpu")
    gone = [
        leaf.id
        for name in ("Cerebellum", "Brain Stem")
        for leaf in segmenter.package.labels.leaves_under(segmenter.package.labels.find(name))
    ]
    top = np.nonzero(np.isin(truth, gone))[0].max() + 1
    kept = scan.array.copy()
    kept[:, :top] = 0
    found = segmenter.segment(scan.with_array(kept)).label_map.array[0]
    assert np.isin(found, gone).sum() < 0.01 * np.isin(truth, gone).sum()


def _mean_right(mask: np.ndarray, affine: np.ndarray) -> float:
    k, j, i = (axis.mean() for axis in np.nonzero(mask))
    return float((affine @ [i, j, k, 1])[0])
