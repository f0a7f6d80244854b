"""Findings about scans: what is normal passes, what is odd is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.cli.model_choice import resolve_model
from LabelConditionedSegmentationLib.core.findings import Finding
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.input_statistics import check_input
from LabelConditionedSegmentationLib.core.scan.preprocessing import prepare
from LabelConditionedSegmentationLib.core.scan.scan_checks import LABEL_MAP, check_volume
from LabelConditionedSegmentationLib.core.scan.volume import Volume
from LabelConditionedSegmentationLib.resources import sample_scan

from Testing import samples


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    return ModelPackage.load(resolve_model(None))


@pytest.fixture(scope="module")
def mni() -> Volume:
    return read_volume(sample_scan("mni152_t1_brain.nii.gz"))


def findings(volume: Volume, package: ModelPackage) -> list[Finding]:
    return [
        *check_volume(volume, package.input),
        *check_input(prepare(volume, package.input, 16, False), package.statistics, package.advice),
    ]


def test_a_stripped_t1_scan_has_no_findings(mni: Volume, package: ModelPackage) -> None:
    assert findings(mni, package) == []


@pytest.mark.slow
def test_a_scan_of_inverted_contrast_is_the_same_brain(mni: Volume, package: ModelPackage) -> None:
    inverted = np.where(mni.array > 0, 260 - mni.array.astype(np.int16), 0)
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        names = [label.name for label in package.labels.roots]
        first, second = (segmenter.segment(scan, names) for scan in (mni, mni.with_array(inverted)))
    assert second.report.findings == []
    agreement = [samples.dice(first.mask(name).to_numpy(), second.mask(name).to_numpy()) for name in names]
    assert float(np.mean(agreement)) > 0.75, agreement


@pytest.mark.slow
def test_a_whole_head_that_is_said_to_be_stripped_is_told_by_what_comes_out(package: ModelPackage) -> None:
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        report = segmenter.segment(read_volume(sample_scan("colin27_t1_head.nii.gz")), stripped="yes").report
    failed = [finding for finding in report.findings if finding.level == "error"]
    assert [finding.text for finding in failed] == [
        "The result is wrong: the structures have sizes that no scan of the training had."
    ]
    assert "check that it is an MRI" in failed[0].fix


@pytest.mark.slow
def test_a_scan_with_noise_all_around_is_taken_as_not_stripped(mni: Volume, package: ModelPackage) -> None:
    noisy = mni.array.astype(np.int16) + np.random.default_rng(0).integers(1, 9, mni.array.shape, dtype=np.int16)
    found = findings(mni.with_array(noisy), package)
    assert any("more than the model" in f.text and "skull-stripped" in f.fix for f in found)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [1, 40])
def test_a_head_in_noisy_air_is_taken_as_not_stripped(spread: int, mni: Volume, package: ModelPackage) -> None:
    generator = np.random.default_rng(0)
    head = np.hypot(mni.array + generator.normal(0, spread, mni.array.shape), generator.normal(0, spread, mni.shape))
    found = findings(mni.with_array(head.astype(np.float32)), package)
    assert any("skull-stripped" in f.fix for f in found)
    assert all(f.level != "note" for f in found)


@pytest.mark.slow
@pytest.mark.parametrize("value", [-1024.0, -1.0, 1e-5])
def test_a_background_that_is_not_0_is_told_and_nothing_else(value: float, mni: Volume, package: ModelPackage) -> None:
    shifted = np.where(mni.array > 0, mni.array, value).astype(np.float32)
    assert findings(mni.with_array(shifted), package) == [
        Finding.note(f"The background of the scan is {value:g}, not 0; it is taken for outside.")
    ]


@pytest.mark.slow
def test_a_background_of_noise_is_told_and_nothing_else(mni: Volume, package: ModelPackage) -> None:
    noise = np.random.default_rng(0).normal(0, 1e-3, mni.array.shape)
    (found,) = findings(mni.with_array(np.where(mni.array > 0, mni.array, noise)), package)
    assert found.level == "note"
    assert found.text.startswith("The background of the scan is noise around 0; what lies within 2.")


def test_every_channel_says_what_its_background_is(mni: Volume) -> None:
    second = np.where(mni.array > 0, mni.array.astype(np.int16), -7)
    volume = mni.with_array(np.concatenate([mni.array.astype(np.int16), second]))
    found = check_volume(volume, InputSpec(channels=("T1", "T2")))
    assert [f.text for f in found] == ["The background of the channel T2 is -7, not 0; it is taken for outside."]
    assert check_volume(volume, InputSpec(channels=("T1", "T2"), foreground="all")) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["too_large", "too_small", "contrast"])
def test_what_to_do_is_said_in_the_words_of_the_package(kind: str, mni: Volume, package: ModelPackage) -> None:
    statistics = {
        "too_large": {"foreground_ml": [0.1, 0.25]},
        "too_small": {"foreground_ml": [9000.0, 9500.0]},
        "contrast": {"rim_contrast": [50.0, 60.0]},
    }[kind]
    mouse = replace(package, statistics=statistics, advice={kind: "Scan the mouse again."})
    (found,) = findings(mni, mouse)
    assert found.level == "warning"
    assert found.fix == "Scan the mouse again."
    (plain,) = findings(mni, replace(mouse, advice={}))
    assert plain.fix
    assert not any(word in str(plain).lower() for word in ("brain", "skull", "head", "t1"))
    if kind == "too_large":
        assert "(0.1 ml to 0.25 ml)" in found.text


def test_a_scan_that_looks_like_a_label_map_is_refused_until_the_user_says_that_it_is_one(mni: Volume) -> None:
    blocks = mni.with_array(mni.array // 100 * 100)
    assert check_volume(blocks, InputSpec()) == [LABEL_MAP]
    assert "--not-a-label-map" in LABEL_MAP.fix
    assert check_volume(blocks, InputSpec(), not_a_label_map=True) == []
    both = mni.with_array(np.concatenate([mni.array, blocks.array]))
    assert check_volume(both, InputSpec(channels=("T1", "T2"))) == [LABEL_MAP]


def test_half_a_brain_is_told(mni: Volume, package: ModelPackage) -> None:
    part = mni.array.copy()
    part[:, 55:] = 0
    assert any("less than the model" in f.text for f in findings(mni.with_array(part), package))


def test_real_label_maps_are_not_taken_for_scans_nor_scans_for_label_maps(malc2012: Path) -> None:
    for case in ("malc_1000", "malc_1014"):
        assert check_volume(read_volume(malc2012 / "labelsTr" / f"{case}.nii.gz"), InputSpec())[0].level == "error"
        assert check_volume(read_volume(malc2012 / "imagesTr" / f"{case}_0000.nii.gz"), InputSpec()) == []


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.uint32, np.float32])
def test_the_whole_range_of_a_type_is_no_obstacle(dtype: type) -> None:
    volume = samples.scan()
    limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(np.float16)
    generator = np.random.default_rng(0)
    values: np.ndarray = generator.integers(int(limits.min), int(limits.max), volume.array.shape, endpoint=True).astype(
        dtype
    )
    assert all(f.level != "error" for f in check_volume(volume.with_array(values), InputSpec()))


def test_coarse_voxels_are_told() -> None:
    found = check_volume(samples.scan(affine=np.diag([1.0, 1, 6, 1])), InputSpec())
    assert [f.level for f in found] == ["warning"]
    assert "6 mm" in found[0].text
