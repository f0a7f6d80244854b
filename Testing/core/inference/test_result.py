"""What a result answers: masks by name, volumes as a table, and the files that `lcs segment` writes."""

from __future__ import annotations

import builtins
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib import Segmenter, Volume, read_volume
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.errors import DependencyError, LabelError, OutputError
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.result import Result

from Testing import samples
from Testing.cli.command import write_scan
from Testing.core.inference.test_segmenter import OBLIQUE


@pytest.fixture(scope="module")
def features(tiny_package: Path) -> Features:
    return Segmenter.from_package(tiny_package, "cpu").features(samples.scan((30, 34, 32), OBLIQUE))


@pytest.fixture(scope="module")
def result(features: Features) -> Result:
    found = features.segment()
    assert np.count_nonzero(np.bincount(found.label_map.array.ravel())) > 4
    return found


@pytest.mark.parametrize("name", ["Right Hippocampus", "right hippocampus", "Hippocampus R", "46", 46])
def test_a_mask_is_asked_for_by_name_synonym_or_id(result: Result, name: str | int) -> None:
    mask = result.mask(name)
    assert mask.array.dtype == bool
    assert mask.to_numpy().any()
    assert np.array_equal(mask.to_numpy(), result.label_map.to_numpy() == 46)
    assert np.array_equal(mask.affine, OBLIQUE)


def test_the_mask_of_a_structure_with_parts_is_their_union(features: Features, result: Result) -> None:
    tree = features.labels
    parent = tree.find("Deep gray matter")
    ids = [leaf.id for leaf in tree.leaves_under(parent)]
    assert len(ids) > 2
    wanted = np.isin(result.label_map.to_numpy(), ids)
    assert 0 < np.count_nonzero(wanted) < wanted.size
    assert np.array_equal(result.mask("Deep gray matter").to_numpy(), wanted)
    assert np.array_equal(features.segment(["Deep gray matter"]).mask(parent.id).to_numpy(), wanted)
    layered = features.segment(["Deep gray matter", "Right Hippocampus"])
    assert np.array_equal(layered.mask("Deep gray matter").to_numpy(), wanted)
    assert np.array_equal(layered.mask("Right Hippocampus").to_numpy(), result.mask("Right Hippocampus").to_numpy())


def test_a_label_that_was_not_asked_for_has_no_mask(features: Features) -> None:
    found = features.segment(["Right Hippocampus"])
    for name in ("Right Amygdala", "Deep gray matter"):
        with pytest.raises(LabelError, match=rf'"{name}" is not in this result; ask for it'):
            found.mask(name)
    with pytest.raises(LabelError, match='no label "Hippocampos"'):
        found.mask("Hippocampos")


def test_volumes_are_a_table_that_agrees_with_the_masks(features: Features, result: Result) -> None:
    table = result.volumes()
    assert list(table.columns) == ["name", "id", "voxels", "ml"]
    assert list(table["name"]) == [leaf.name for leaf in features.labels.leaves]
    for row in table.itertuples():
        assert row.voxels == np.count_nonzero(result.mask(row.id).array)
        assert row.ml == pytest.approx(row.voxels * abs(np.linalg.det(OBLIQUE[:3, :3])) / 1000)
    assert table["voxels"].dtype.kind == "i"
    assert table["voxels"].sum() > 1000


@pytest.mark.parametrize(
    ("package", "ask"),
    [("pandas", lambda r, _: r.volumes()), ("slicerio", lambda r, folder: r.save(folder / "r.seg.nrrd"))],
)
def test_a_package_that_is_missing_is_named(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, ask: Any
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DependencyError, match=f"{package}, which is not installed: pip install {package}"):
        ask(result, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".seg.nrrd"])
def test_a_saved_result_is_what_the_command_writes(tiny_package: Path, tmp_path: Path, suffix: str) -> None:
    scan = write_scan(tmp_path / "scan.mha", samples.scan((20, 24, 22), OBLIQUE))
    words = ["segment", str(scan), "-o", str(tmp_path / f"command/r{suffix}"), "--model", str(tiny_package)]
    assert main([*words, "--device", "cpu"]) == 0
    Segmenter.from_package(tiny_package, "cpu").segment(read_volume(scan)).save(tmp_path / f"script/r{suffix}")
    command, script = (
        {path.name: re.sub(rb"# on .*\n", b"", path.read_bytes()) for path in (tmp_path / folder).iterdir()}
        for folder in ("command", "script")
    )  # but for the time of writing
    assert set(script) == ({f"r{suffix}"} if suffix == ".seg.nrrd" else {f"r{suffix}", "r.json"})
    assert script == command


def test_a_result_is_refused_before_anything_is_written(features: Features, result: Result, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is no output that can be written; use a name that ends in \.seg\.nrrd"):
        result.save(tmp_path / "r.png")
    overlapping = features.segment(["Deep gray matter", "Right Hippocampus"])
    with pytest.raises(LabelError, match="overlaps another label"):
        overlapping.save(tmp_path / "r.nii.gz")
    assert not list(tmp_path.iterdir())
    (tmp_path / "r.json").write_text("{}")
    with pytest.raises(OutputError, match=r'r\.json" exists; .* overwrite=True'):
        result.save(tmp_path / "r.nii.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
    result.save(tmp_path / "r.nii.gz", overwrite=True)
    assert np.array_equal(read_volume(tmp_path / "r.nii.gz").array, result.label_map.array)


def test_a_mask_is_saved_as_0_and_1(result: Result, tmp_path: Path) -> None:
    result.mask("Right Hippocampus").save(tmp_path / "mask.nii.gz")
    back = read_volume(tmp_path / "mask.nii.gz")
    assert back.array.dtype == np.uint8
    assert np.array_equal(back.array, result.mask(46).array)
    assert isinstance(back, Volume)
