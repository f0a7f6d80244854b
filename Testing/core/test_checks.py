"""Findings about scans: what is normal passes, what is odd is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.cli.demo import find_scan
from LabelConditionedSegmentationLib.cli.models import resolve_model
from LabelConditionedSegmentationLib.core.checks import check_volume
from LabelConditionedSegmentationLib.core.findings import Finding
from LabelConditionedSegmentationLib.core.image_io import read_volume
from LabelConditionedSegmentationLib.core.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.input_statistics import check_input
from LabelConditionedSegmentationLib.core.package import ModelPackage
from LabelConditionedSegmentationLib.core.preprocessing import prepare
from LabelConditionedSegmentationLib.core.volume import Volume

from Testing import samples


@pytest.fixture(scope="module")
def package() -> ModelPackage:
    return ModelPackage.load(resolve_model(None))


@pytest.fixture(scope="module")
def mni() -> Volume:
    return read_volume(find_scan())


def findings(volume: Volume, package: ModelPackage) -> list[Finding]:
    return [
        *check_volume(volume, package.input),
        *check_input(prepare(volume, package.input, 16, False), package.statistics),
    ]


def test_a_stripped_t1_scan_has_no_findings(mni: Volume, package: ModelPackage) -> None:
    assert findings(mni, package) == []


def test_an_inverted_contrast_is_told(mni: Volume, package: ModelPackage) -> None:
    inverted = np.where(mni.array > 0, 260 - mni.array.astype(np.int16), 0)
    assert [f.level for f in findings(mni.with_array(inverted), package)] == ["warning"]
    assert "contrast" in findings(mni.with_array(inverted), package)[0].text


def test_a_scan_with_noise_all_around_is_taken_as_not_stripped(mni: Volume, package: ModelPackage) -> None:
    noisy = mni.array.astype(np.int16) + np.random.default_rng(0).integers(1, 9, mni.array.shape, dtype=np.int16)
    found = findings(mni.with_array(noisy), package)
    assert any("skull-stripped" in f.text and f.fix for f in found)


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
