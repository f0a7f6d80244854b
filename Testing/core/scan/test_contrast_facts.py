"""The contrast of a scan from headers of DICOM, and from names and sidecars of BIDS: what is told, what is left
unknown, and what contradicts itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib.core.scan.bids_facts import bids_facts
from LabelConditionedSegmentationLib.core.scan.dicom_facts import dicom_facts, lookup_in_series
from LabelConditionedSegmentationLib.core.scan.facts import Fact
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema
from pydicom import dcmread
from pydicom.dataset import Dataset

from Testing.cli.command import write_scan
from Testing.dicom_files import voxels, write_enhanced, write_series
from Testing.samples import scan

CONTRAST = Field("contrast", "choice", choices=("T1", "T2", "FLAIR", "PD", "other"), dicom=("AcquisitionContrast",))

Times = tuple[float | None, float | None, float | None]
"""Echo, repetition and inversion time, ms."""


def dicom(folder: Path, name: str | None, times: Times = (None, None, None), sequence: str = "", **more: Any) -> Path:
    echo, repetition, inversion = times
    return write_series(
        folder,
        voxels((4, 8, 8)),
        SeriesDescription=name,
        EchoTime=echo,
        RepetitionTime=repetition,
        InversionTime=inversion,
        ScanningSequence=sequence.split() or None,
        **more,
    )


def of_dicom(path: Path, field: Field = CONTRAST, series: str | None = None) -> Fact | None:
    facts = list(dicom_facts(field, lookup_in_series(path, series), "DICOM "))
    assert len(facts) <= 1
    return facts[0] if facts else None


MPRAGE = (2.98, 2300.0, 900.0)
SPIN_T1 = (9.0, 550.0, None)
SPIN_T2 = (100.0, 5000.0, None)
SPIN_PD = (14.0, 3000.0, None)
FLAIR = (120.0, 9000.0, 2500.0)
T1_FLAIR = (18.0, 2200.0, 780.0)
STIR = (60.0, 4000.0, 150.0)
SPGR = (4.0, 9.0, None)
BETWEEN = (50.0, 1500.0, None)
NOTHING: Times = (None, None, None)


@pytest.mark.parametrize(
    ("times", "sequence", "contrast"),
    [
        (MPRAGE, "GR IR", "T1"),
        ((3.2, 7.3, 400.0), "GR", "T1"),
        (SPIN_T1, "SE", "T1"),
        (SPIN_T2, "SE", "T2"),
        ((408.0, 3200.0, 0.0), "SE", "T2"),
        (SPIN_PD, "SE", "PD"),
        (FLAIR, "SE IR", "FLAIR"),
        ((388.0, 5000.0, 1800.0), "IR", "FLAIR"),
        (T1_FLAIR, "SE IR", "T1"),
        ((120.0, 9000.0, 2500.0), "", "FLAIR"),
        (MPRAGE, "", "T1"),
        # what the times do not tell alone
        (SPGR, "GR", None),
        (SPIN_T1, "", None),
        (SPIN_T2, "", None),
        (SPIN_PD, "", None),
        (SPIN_T2, "SE GR", None),
        (STIR, "SE IR", None),
        (BETWEEN, "SE", None),
        ((50.0, 5000.0, None), "SE", None),
        ((120.0, 2200.0, 2500.0), "GR IR", None),
        ((90.0, 8000.0, None), "EP SE", None),
        ((12.0, 2500.0, 700.0), "EP", None),
        ((None, 500.0, None), "SE", None),
        ((100.0, None, None), "SE", None),
    ],
)
def test_the_times_tell_the_contrast_where_they_are_clear(
    tmp_path: Path, times: Times, sequence: str, contrast: str | None
) -> None:
    fact = of_dicom(dicom(tmp_path, "AX BRAIN", times, sequence))
    told = [name for name, time in zip(("EchoTime", "RepetitionTime", "InversionTime"), times, strict=True) if time]
    assert fact == (Fact(contrast, f"DICOM {', '.join(told)}") if contrast else None)


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("t1_mprage_sag_p2_iso", "T1"),
        ("MP-RAGE", "T1"),
        ("sT1W_3D_TFE", "T1"),
        ("AxT1 post", "T1"),
        ("3D BRAVO", "T1"),
        ("FSPGR 3D", "T1"),
        ("tfl3d1", "T1"),
        ("T2W_TSE", "T2"),
        ("Ax T2 PROPELLER", "T2"),
        ("t2_tse_dark-fluid_tra", "FLAIR"),
        ("t2_spc_da-fl_sag", "FLAIR"),
        ("Sag CUBE T2 FLAIR", "FLAIR"),
        ("FLAIR longTR", "FLAIR"),
        ("pd_tse_tra", "PD"),
        ("Proton density", "PD"),
        # what leaves several open, or says nothing
        ("PD T2 dual echo", None),
        ("Ax PDT2", None),
        ("Ax T1 FLAIR", None),
        ("t2_tirm_cor", None),
        ("T1 T2 brain", None),
        ("T12 vertebra, epd2", None),
        ("AX BRAIN", None),
        # what is something else
        ("T2* GRE", None),
        ("t2_star_map", None),
        ("T1 map", None),
        ("T1map_Images", None),
        ("t1_mp2rage_UNI", None),
        ("T2 STIR", None),
        ("T2 SWI mIP", None),
        ("t2_ci3d CISS", None),
        ("T1 localizer", None),
        ("FLAIR TOF", None),
        ("t1 ep2d_diff ADC", None),
    ],
)
def test_the_name_tells_the_contrast_where_it_means_one(tmp_path: Path, name: str, contrast: str | None) -> None:
    assert of_dicom(dicom(tmp_path, name)) == (Fact(contrast, "DICOM SeriesDescription") if contrast else None)


@pytest.mark.parametrize(
    ("name", "times", "sequence", "contrast"),
    [
        ("t1_mprage", MPRAGE, "GR IR", "T1"),
        ("T1 SPGR", SPGR, "GR", "T1"),
        ("PD T2 dual echo", (14.0, 3000.0, None), "SE", "PD"),
        ("PD T2 dual echo", (90.0, 3000.0, None), "SE", "T2"),
        ("PD T2 dual echo", (14.0, None, None), "", "PD"),
        ("Ax T1 FLAIR", T1_FLAIR, "SE IR", "T1"),
        ("t2_tirm_tra", FLAIR, "SE IR", "FLAIR"),
        ("t2_tirm_cor", STIR, "SE IR", "contradiction"),
        ("FLAIR", SPIN_T2, "SE", "FLAIR"),
        ("T1", BETWEEN, "SE", "T1"),
        ("T2", BETWEEN, "SE", "T2"),
        ("T1 T2 brain", SPGR, "GR", "T1"),
        ("T1", SPIN_T2, "SE", "contradiction"),
        ("T2", SPIN_T1, "SE", "contradiction"),
        ("T2", FLAIR, "SE IR", "contradiction"),
        ("T2", (20.0, 600.0, None), "GR", "contradiction"),
        ("T2", (60.0, 600.0, None), "GR", "contradiction"),
        ("FLAIR", T1_FLAIR, "SE IR", "contradiction"),
        ("FLAIR", (100.0, 5000.0, 800.0), "SE IR", "contradiction"),
        ("PD", SPIN_T1, "SE", "contradiction"),
        ("T1", (80.0, None, None), "", "contradiction"),
        ("STIR", STIR, "SE IR", None),
        ("mp2rage_INV1", MPRAGE, "GR IR", None),
        ("T2*", SPIN_T2, "SE", None),
    ],
)
def test_name_and_times_are_taken_together(
    tmp_path: Path, name: str, times: Times, sequence: str, contrast: str | None
) -> None:
    fact = of_dicom(dicom(tmp_path, name, times, sequence))
    if contrast is None:
        assert fact is None
        return
    assert fact is not None
    assert fact.value == (None if contrast == "contradiction" else contrast)
    assert bool(fact.problem) == (fact.value is None)
    assert fact.source.startswith("DICOM SeriesDescription")
    assert ("EchoTime" in fact.source) == (times is not BETWEEN)


def test_a_contradiction_is_told_in_a_sentence(tmp_path: Path) -> None:
    fact = of_dicom(dicom(tmp_path, "AX T1", SPIN_T2, "SE"))
    assert fact == Fact(
        None,
        "DICOM SeriesDescription, EchoTime, RepetitionTime",
        'DICOM SeriesDescription "AX T1" says T1, but EchoTime 100 ms, RepetitionTime 5000 ms of a spin echo says'
        " FLAIR or T2; the contrast is left unknown.",
    )


def test_the_protocol_is_asked_where_the_description_says_nothing(tmp_path: Path) -> None:
    fact = of_dicom(dicom(tmp_path / "a", "SAG 3D", ProtocolName="MPRAGE"))
    assert fact == Fact("T1", "DICOM ProtocolName")
    fact = of_dicom(dicom(tmp_path / "b", "Ax T2", ProtocolName="BRAIN T1 FLAIR DWI"))
    assert fact == Fact("T2", "DICOM SeriesDescription")
    assert of_dicom(dicom(tmp_path / "c", "ADC", ProtocolName="T2")) is None


@pytest.mark.parametrize(
    "more",
    [
        {"Modality": "CT"},
        {"AngioFlag": "Y"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
        {"ImageType": ["DERIVED", "PRIMARY", "T1 MAP", "NONE"]},
        {"ImageType": ["DERIVED", "PRIMARY", "M", "UNI"]},
        {"ScanningSequence": "EP"},
        {"AcquisitionContrast": "DIFFUSION"},
        {"AcquisitionContrast": "TOF"},
    ],
)
def test_a_header_of_something_else_tells_no_contrast(tmp_path: Path, more: dict[str, Any]) -> None:
    assert of_dicom(write_series(tmp_path, voxels((4, 8, 8)), SeriesDescription="T1 mprage", **more)) is None


@pytest.mark.parametrize(
    ("term", "name", "times", "contrast"),
    [
        ("T1", "AX", NOTHING, "T1"),
        ("PROTON_DENSITY", "AX", NOTHING, "PD"),
        ("FLUID_ATTENUATED", "AX", FLAIR, "FLAIR"),
        ("FLUID_ATTENUATED", "T1 FLAIR", NOTHING, None),
        ("T2", "FLAIR", NOTHING, "FLAIR"),
        ("T2", "T2", NOTHING, "T2"),
        ("T2", "AX", NOTHING, None),
        ("UNKNOWN", "T1", NOTHING, "T1"),
    ],
)
def test_the_acquisition_contrast_counts_beside_the_name(
    tmp_path: Path, term: str, name: str, times: Times, contrast: str | None
) -> None:
    fact = of_dicom(dicom(tmp_path, name, times, "SE", AcquisitionContrast=term))
    assert (fact.value if fact else None) == contrast


def test_an_acquisition_contrast_that_contradicts_the_name_is_told(tmp_path: Path) -> None:
    fact = of_dicom(dicom(tmp_path, "T1", AcquisitionContrast="PROTON_DENSITY"))
    assert fact is not None
    assert fact.value is None
    assert fact.problem == (
        'DICOM SeriesDescription "T1" says T1, but AcquisitionContrast "PROTON_DENSITY" says PD; the contrast is left'
        " unknown."
    )


def test_each_echo_of_a_series_has_its_own_contrast(tmp_path: Path) -> None:
    for prefix, echo in (("A", 14.0), ("B", 90.0)):
        dicom(tmp_path, "PD T2", (echo, 3000.0, None), "SE", prefix=prefix, uid="1.2.3")
    assert [fact.value for fact in (of_dicom(tmp_path, series=n) for n in ("1.1", "1.2")) if fact] == ["PD", "T2"]


def test_a_file_of_many_frames_tells_its_times_in_its_groups(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "scan.dcm", voxels((4, 8, 8)))
    header = dcmread(path)
    header.EchoPulseSequence = "SPIN"
    shared = header.SharedFunctionalGroupsSequence[0]
    for sequence, keyword, value in (
        ("MREchoSequence", "EffectiveEchoTime", 120.0),
        ("MRTimingAndRelatedParametersSequence", "RepetitionTime", 9000.0),
        ("MRModifierSequence", "InversionTimes", 2500.0),
    ):
        setattr(shared, sequence, [Dataset()])
        setattr(getattr(shared, sequence)[0], keyword, value)
    header.save_as(path)
    assert of_dicom(path) == Fact("FLAIR", "DICOM EchoTime, RepetitionTime, InversionTime")
    header.EchoPlanarPulseSequence = "YES"
    header.save_as(path)
    assert of_dicom(path) is None


def test_only_a_field_that_asks_for_it_and_has_the_choice_is_filled(tmp_path: Path) -> None:
    path = dicom(tmp_path, "T2 FLAIR", FLAIR, "SE IR")
    assert of_dicom(path, Field("contrast", "choice", choices=("T1", "FLAIR"))) is None
    small = Field("weighting", "choice", choices=("t1", "flair", "other"), dicom=("AcquisitionContrast",))
    fact = of_dicom(path, small)
    assert fact is not None
    assert fact.value == "flair"
    fact = of_dicom(path, Field("contrast", "choice", choices=("T1", "other"), dicom=("AcquisitionContrast",)))
    assert fact is not None
    assert fact.value is None
    assert fact.problem == (
        'DICOM contrast is "FLAIR", which the model does not know (allowed: T1, other or unknown); left unknown.'
    )


# BIDS


def of_bids(way: Path, sidecar: dict[str, Any] | None = None, field: Field = CONTRAST) -> Fact | None:
    """What is said of a NIfTI file, with or without a sidecar."""
    write_scan(way, scan((4, 8, 8)))
    if sidecar is not None:
        way.with_name(way.name.replace(".nii.gz", ".json")).write_text(json.dumps(sidecar))
    found = bids_facts(way, MetadataSchema((field,)))
    assert not found.findings
    facts = found.facts.get(field.name, [])
    assert len(facts) <= 1
    return facts[0] if facts else None


@pytest.mark.parametrize(
    ("name", "contrast"),
    [
        ("sub-01_T1w", "T1"),
        ("sub-01_ses-2_acq-3d_run-1_T2w", "T2"),
        ("sub-01_FLAIR", "FLAIR"),
        ("sub-01_PDw", "PD"),
        ("sub-01_desc-brain_T1w", "T1"),
        ("sub-01_part-mag_T1w", "T1"),
        # no names of BIDS, or of something else
        ("scan_T1w", None),
        ("T1w", None),
        ("patient7_T2", None),
        ("sub-01_T1w_brain", None),
        ("sub-01_t1w", None),
        ("sub-01_part-phase_T1w", None),
        ("sub-01_T2starw", None),
        ("sub-01_UNIT1", None),
        ("sub-01_PDT2", None),
        ("sub-01_bold", None),
    ],
)
def test_the_suffix_of_a_name_of_bids_tells_the_contrast_and_no_other_name_does(
    tmp_path: Path, name: str, contrast: str | None
) -> None:
    fact = of_bids(tmp_path / f"{name}.nii.gz")
    assert fact == (Fact(contrast, f"file name _{name.rpartition('_')[2]}") if contrast else None)


def sidecar(times: Times, **more: Any) -> dict[str, Any]:
    """Times in seconds, as BIDS has them."""
    keys = ("EchoTime", "RepetitionTime", "InversionTime")
    return {key: time / 1000 for key, time in zip(keys, times, strict=True) if time} | more


@pytest.mark.parametrize(
    ("name", "content", "contrast", "source"),
    [
        ("sub-01_T1w", sidecar(MPRAGE), "T1", "file name _T1w, NAME.json EchoTime, RepetitionTime, InversionTime"),
        ("sub-01_PDT2", sidecar((90, 3000, None)), "T2", "file name _PDT2, NAME.json EchoTime, RepetitionTime"),
        ("scan", sidecar(FLAIR), "FLAIR", "NAME.json EchoTime, RepetitionTime, InversionTime"),
        ("scan_T1w", sidecar(SPIN_T2, ScanningSequence="SE"), "T2", "NAME.json EchoTime, RepetitionTime"),
        ("scan", sidecar(SPIN_T2, ScanningSequence=["SE"]), "T2", "NAME.json EchoTime, RepetitionTime"),
        ("scan", {"SeriesDescription": "t1_mprage"}, "T1", "NAME.json SeriesDescription"),
        ("sub-01_T1w", {"SeriesDescription": "my scan"}, "T1", "file name _T1w"),
        # nothing is told
        ("scan", sidecar(MPRAGE, Modality="CT"), None, ""),
        ("scan", sidecar(MPRAGE, ScanningSequence="EP_IR"), None, ""),
        ("scan", sidecar(MPRAGE, ImageType=["ORIGINAL", "PRIMARY", "PHASE"]), None, ""),
        ("scan", {"EchoTime": 2.98, "RepetitionTime": 2300, "InversionTime": 900}, None, ""),
        ("scan", {"EchoTime": [0.003, 0.006], "InversionTime": "0.9"}, None, ""),
        ("scan", {"EchoTime": True, "InversionTime": None}, None, ""),
        ("scan_T1w", {}, None, ""),
        ("sub-01_bold", sidecar(MPRAGE), None, ""),
    ],
)
def test_the_suffix_and_the_sidecar_are_taken_together(
    tmp_path: Path, name: str, content: dict[str, Any], contrast: str | None, source: str
) -> None:
    fact = of_bids(tmp_path / f"{name}.nii.gz", content)
    assert fact == (Fact(contrast, source.replace("NAME", name)) if contrast else None)


def test_a_suffix_that_the_times_contradict_is_told(tmp_path: Path) -> None:
    assert of_bids(tmp_path / "sub-01_T2w.nii.gz", sidecar(MPRAGE)) == Fact(
        None,
        "file name _T2w, sub-01_T2w.json EchoTime, RepetitionTime, InversionTime",
        'sub-01_T2w: the file name "_T2w" says T2, but EchoTime 2.98 ms, RepetitionTime 2300 ms, InversionTime 900 ms'
        " says T1; the contrast is left unknown.",
    )


def test_a_damaged_sidecar_leaves_what_the_name_says(tmp_path: Path) -> None:
    (tmp_path / "sub-01_T1w.json").write_text("{")
    found = bids_facts(tmp_path / "sub-01_T1w.nii.gz", MetadataSchema((CONTRAST,)))
    assert found.facts == {"contrast": [Fact("T1", "file name _T1w")]}
    assert len(found.findings) == 1
