"""DICOM segmentations: every voxel where the scan has it, however the series lies, and what labels they name."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from LabelConditionedSegmentationLib import LCSError, Volume, read_volume
from LabelConditionedSegmentationLib.core.inference.dicom_report import write_structured_report
from LabelConditionedSegmentationLib.core.inference.dicom_segmentation import (
    DicomSegmentation,
    Origin,
    of_layers,
    of_maps,
)
from LabelConditionedSegmentationLib.core.labels.label_tree import Code, Label
from LabelConditionedSegmentationLib.core.scan.volume import Affine, Array

from Testing import dicom_files

hd = pytest.importorskip("highdicom", reason="highdicom is not installed")

ANATOMICAL = Code("SCT", "123037004", "Anatomical Structure")
LEFT = Code("SCT", "7771000", "Left")
HIPPOCAMPUS = Label(
    300, "Left Hippocampus", None, (), (1.0, 0.5, 0.0), "left", ANATOMICAL, Code("SCT", "5366008", "Hippocampus"), LEFT
)
OWN = Label(9, "海马\\rest of a name that is much longer than the sixty-four letters that DICOM takes")
EMPTY = Label(3, "Nothing of it")
LABELS = [(0, 300, HIPPOCAMPUS), (0, 9, OWN), (0, 3, EMPTY)]
ORIGIN = Origin("brain", "ab" * 32)

OBLIQUE = dicom_files.LPS.copy()
OBLIQUE[:3, :3] = (
    np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    @ np.array([[1, 0, 0], [0, 0.96, -0.28], [0, 0.28, 0.96]])
    @ dicom_files.LPS[:3, :3]
)
REVERSED = OBLIQUE.copy()
REVERSED[:3, 2] *= -1
TILTED = dicom_files.LPS.copy()
TILTED[:3, 2] = [0, 0.6, 1.9]

Maker = Callable[[Path], Volume]


def of_slices(lps: Affine, **fields: Any) -> Maker:
    named = {"FrameOfReferenceUID": "1.2.3.4", "PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 100"}
    return lambda folder: read_volume(dicom_files.write_series(folder / "series", lps=lps, **named | fields))


def of_frames(folder: Path) -> Volume:
    path = dicom_files.write_enhanced(
        folder / "enhanced.dcm", lps=OBLIQUE, order=[3, 0, 11, 5, 1, 2, 4, 6, 7, 8, 9, 10]
    )
    header = pydicom.dcmread(path)
    header.FrameOfReferenceUID = "1.2.3.4"
    header.save_as(path)
    return read_volume(path)


SERIES: dict[str, Maker] = {
    "plain": of_slices(dicom_files.LPS, SliceThickness=1.5, SpacingBetweenSlices=2),
    "oblique": of_slices(OBLIQUE),
    "reversed": of_slices(REVERSED),
    "tilted gantry": of_slices(TILTED),
    "multi-frame": of_frames,
}


def label_map(scan: Volume) -> Array:
    """(k, j, i): no symmetry that a wrong turn could hide behind."""
    out = np.zeros(scan.shape, dtype=np.uint16)
    out[1:8, 3:12, 4:10] = 300
    out[7, 3, 4] = 0
    out[5:9, 12:18, 2:7] = 9
    return out


def voxels_of(dataset: Any, scan: Volume, number: int) -> Array:
    """(k, j, i): what a file says of a segment in the voxels of a scan, by the positions of its pixels alone."""
    out = np.zeros(scan.shape, dtype=np.float64)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    to_index = np.linalg.inv(scan.affine) @ np.diag([-1.0, -1, 1, 1])
    for pixels, frame in zip(dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        of_segment = frame if "SegmentIdentificationSequence" in frame else shared
        if of_segment.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        directions = np.array(
            (frame if "PlaneOrientationSequence" in frame else shared)
            .PlaneOrientationSequence[0]
            .ImageOrientationPatient,
            dtype=float,
        )
        down, across = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, dtype=float)
        rows, columns = np.nonzero(pixels)
        points = np.ones((4, len(rows)))
        points[:3] = (
            np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)[:, None]
            + directions[:3, None] * across * columns
            + directions[3:, None] * down * rows
        )
        index = (to_index @ points)[:3]
        assert np.abs(index - np.rint(index)).max(initial=0) < 0.01
        i, j, k = np.rint(index).astype(int)
        out[k, j, i] = pixels[rows, columns]
    return out


@pytest.fixture
def written(tmp_path: Path) -> tuple[DicomSegmentation, Any]:
    """Of the oblique series, and as it is read again."""
    scan = SERIES["oblique"](tmp_path)
    made = of_layers([scan.with_array(label_map(scan))], LABELS, ORIGIN)
    made.write(tmp_path / "out.dcm")
    return made, hd.seg.segread(tmp_path / "out.dcm")


@pytest.mark.parametrize("series", SERIES)
def test_every_voxel_lies_where_the_scan_has_it(series: str, tmp_path: Path) -> None:
    scan = SERIES[series](tmp_path)
    labels = label_map(scan)
    of_layers([scan.with_array(labels)], LABELS, ORIGIN).write(tmp_path / "out.dcm")
    dataset = pydicom.dcmread(tmp_path / "out.dcm")
    assert dataset.SegmentationType == "BINARY"
    for number, (_, value, _) in enumerate(LABELS, start=1):
        assert np.array_equal(voxels_of(dataset, scan, number), labels == value)


@pytest.mark.parametrize("series", ["reversed", "multi-frame"])
def test_labels_that_overlap_and_probabilities_are_kept(series: str, tmp_path: Path) -> None:
    scan = SERIES[series](tmp_path)
    inner = label_map(scan) == 300
    outer = inner | (label_map(scan) == 9)
    layers = [scan.with_array(mask.astype(np.uint8)) for mask in (inner, outer)]
    of_layers(layers, [(0, 1, HIPPOCAMPUS), (1, 1, OWN)], ORIGIN).write(tmp_path / "both.dcm")
    both = pydicom.dcmread(tmp_path / "both.dcm")
    assert both.SegmentsOverlap == "YES"
    assert np.array_equal(voxels_of(both, scan, 1), inner)
    assert np.array_equal(voxels_of(both, scan, 2), outer)
    maps = np.random.default_rng(0).random((2, *scan.shape), dtype=np.float32)
    of_maps(scan.with_array(maps), [HIPPOCAMPUS, OWN], ORIGIN).write(tmp_path / "maps.dcm")
    fractional = pydicom.dcmread(tmp_path / "maps.dcm")
    assert (fractional.SegmentationType, fractional.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    for n in range(2):
        found = voxels_of(fractional, scan, n + 1) / fractional.MaximumFractionalValue
        assert np.abs(found - maps[n]).max() <= 0.5 / 255 + 1e-6


def test_segments_say_what_they_are_and_who_found_them(written: tuple[DicomSegmentation, Any]) -> None:
    made, seen = written
    first, second, third = seen.SegmentSequence
    kind = first.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodingSchemeDesignator, kind.CodeValue) == ("SCT", "5366008")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == LEFT.value
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == ANATOMICAL.value
    assert np.allclose(
        hd.color.CIELabColor.from_dicom_value(tuple(first.RecommendedDisplayCIELabValue)).to_rgb(),
        (255, 128, 0),
        atol=2,
    )
    own = second.SegmentedPropertyTypeCodeSequence[0]
    assert (own.CodingSchemeDesignator, own.CodeValue) == ("99LCS", "brain:9")
    assert seen.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99LCS"
    assert second.SegmentLabel.startswith("海马/rest of a name")
    assert third.SegmentLabel == "Nothing of it"
    for segment in (first, second, third):
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert "brain" in algorithm.AlgorithmName
        assert algorithm.AlgorithmVersion
        assert "ab" * 32 in algorithm.AlgorithmParameters
    assert [segment.TrackingUID for segment in seen.SegmentSequence] == [one.tracking_uid for one in made.segments]
    assert len({segment.TrackingUID for segment in seen.SegmentSequence}) == 3


def test_patient_study_and_series_are_those_of_the_scan(written: tuple[DicomSegmentation, Any]) -> None:
    made, seen = written
    assert made.scan.dicom_place is not None
    images = [pydicom.dcmread(file) for file in made.scan.dicom_place.files]
    assert seen.PatientName == "Müller^Jörg"
    assert (seen.StudyInstanceUID, seen.FrameOfReferenceUID) == (images[0].StudyInstanceUID, "1.2.3.4")
    (series,) = seen.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == images[0].SeriesInstanceUID
    referenced = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
    assert referenced == {image.SOPInstanceUID for image in images}
    frame = seen.PerFrameFunctionalGroupsSequence[0]
    source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
    place = next(image.ImagePositionPatient for image in images if source == image.SOPInstanceUID)
    assert np.allclose(frame.PlanePositionSequence[0].ImagePositionPatient, place, atol=1e-3)


def test_the_structured_report_tells_the_volume_of_every_segment(
    written: tuple[DicomSegmentation, Any], tmp_path: Path
) -> None:
    made, seen = written
    write_structured_report(made, {300: 1.5, 9: 0.2507, 3: 0.0}, tmp_path / "report.dcm")
    report = hd.sr.srread(tmp_path / "report.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert [group.get_measurements()[0].value for group in groups] == [1500.0, 250.7, 0.0]
    assert {group.get_measurements()[0].unit.value for group in groups} == {"mm3"}
    assert [group.tracking_uid for group in groups] == [segment.TrackingUID for segment in seen.SegmentSequence]
    for number, group in enumerate(groups, start=1):
        item = group.referenced_segment[0]
        assert item.referenced_sop_instance_uid == seen.SOPInstanceUID
        assert item.referenced_segment_numbers == [number]
    assert groups[0].finding_type.value == "5366008"
    assert report.StudyInstanceUID == seen.StudyInstanceUID


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("series", SERIES)
def test_the_validator_finds_no_error(series: str, tmp_path: Path) -> None:
    scan = SERIES[series](tmp_path)
    made = of_layers([scan.with_array(label_map(scan))], LABELS, ORIGIN)
    made.write(tmp_path / "out.dcm")
    write_structured_report(made, {300: 1.5, 9: 0.2507, 3: 0.0}, tmp_path / "report.dcm")
    maps = np.full((1, *scan.shape), 0.3, dtype=np.float32)
    of_maps(scan.with_array(maps), [OWN], ORIGIN).write(tmp_path / "maps.dcm")
    for name in ("out", "report", "maps"):
        told = subprocess.run(
            ["dciodvfy", "-new", str(tmp_path / f"{name}.dcm")], capture_output=True, text=True, check=False
        )
        lines = (told.stdout + told.stderr).splitlines()
        assert any("Segmentation" in line or "SR" in line for line in lines), lines
        assert not [line for line in lines if line.startswith("Error")]


def test_a_result_with_nothing_in_it_is_written(tmp_path: Path) -> None:
    scan = SERIES["plain"](tmp_path)
    of_layers([scan.with_array(np.zeros(scan.shape, dtype=np.uint8))], LABELS, ORIGIN).write(tmp_path / "out.dcm")
    dataset = pydicom.dcmread(tmp_path / "out.dcm")
    assert len(dataset.SegmentSequence) == 3
    assert not dataset.pixel_array.any()


def test_values_against_the_standard_are_taken_over(tmp_path: Path) -> None:
    folder = dicom_files.write_series(tmp_path / "series", FrameOfReferenceUID="1.2.3.4")
    with pydicom.config.disable_value_validation():
        for file in folder.iterdir():
            header = pydicom.dcmread(file)
            header.PatientAge, header.StudyDate = "31", "1.4.2020"
            header.save_as(file)
    scan = read_volume(folder)
    of_layers([scan.with_array(label_map(scan))], LABELS, ORIGIN).write(tmp_path / "out.dcm")
    assert pydicom.dcmread(tmp_path / "out.dcm").PatientAge == "31"


def test_strokes_of_a_person_are_told(tmp_path: Path) -> None:
    scan = SERIES["plain"](tmp_path)
    made = of_layers([scan.with_array(label_map(scan))], LABELS, Origin("strokes", is_interactive=True))
    assert {segment.SegmentAlgorithmType for segment in made.dataset.SegmentSequence} == {"SEMIAUTOMATIC"}


def test_more_labels_than_programs_can_show_are_refused(tmp_path: Path) -> None:
    scan = SERIES["plain"](tmp_path)
    many = [(0, n, Label(n, f"Structure {n}")) for n in range(1, 257)]
    with pytest.raises(LCSError, match=r"DICOM segmentation of 256 labels .* 255: ask for fewer"):
        of_layers([scan.with_array(label_map(scan))], many, ORIGIN)


@pytest.mark.parametrize("lacking", ["FrameOfReferenceUID", "StudyInstanceUID"])
def test_a_series_that_cannot_be_referred_to_is_refused(lacking: str, tmp_path: Path) -> None:
    folder = dicom_files.write_series(tmp_path / "series", FrameOfReferenceUID="1.2.3.4")
    for file in folder.iterdir():
        header = pydicom.dcmread(file)
        delattr(header, lacking)
        header.save_as(file)
    scan = read_volume(folder)
    with pytest.raises(LCSError, match=rf"do not say their {lacking}.*write a \.seg\.nrrd file"):
        of_layers([scan.with_array(label_map(scan))], LABELS, ORIGIN).write(tmp_path / "out.dcm")


def test_a_series_that_was_removed_meanwhile_is_told(tmp_path: Path) -> None:
    scan = SERIES["plain"](tmp_path)
    shutil.rmtree(tmp_path / "series")
    with pytest.raises(LCSError, match="cannot be read any more"):
        of_layers([scan.with_array(label_map(scan))], LABELS, ORIGIN).write(tmp_path / "out.dcm")
