"""Packages that need another one: where it is looked for, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from LabelConditionedSegmentationLib.core.errors import PackageError, PackageNotFoundError
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.package.needed import needed_package
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside

from Testing import samples

LABEL = samples.label_tree().roots[0].name


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of installed models, which is not there yet."""
    monkeypatch.setenv("LCS_MODELS", str(tmp_path / "installed"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "installed"


def package(folder: Path, name: str, needs: str, label: str = LABEL) -> ModelPackage:
    """One whose input lies inside of a label of `needs`."""
    return samples.package(folder, name=name, spec=InputSpec(inside=Inside(needs, label)))


def test_a_model_of_whole_scans_needs_no_other_package(tmp_path: Path) -> None:
    assert needed_package(samples.package(tmp_path, name="alone")) is None


def test_the_package_beside_it_comes_before_an_installed_one(tmp_path: Path, installed: Path) -> None:
    inner = package(tmp_path / "here", "inner", "outer")
    there = samples.package(installed, name="outer")
    found = needed_package(inner)
    assert found is not None
    assert found.path == there.path
    beside = samples.package(tmp_path / "here", name="outer")
    found = needed_package(inner)
    assert found is not None
    assert found.path == beside.path


def test_a_needed_package_may_be_a_zip(tmp_path: Path) -> None:
    inner = package(tmp_path, "inner", "outer")
    outer = samples.package(tmp_path / "elsewhere", name="outer")
    shutil.make_archive(str(tmp_path / "outer"), "zip", outer.path.parent, "outer")
    found = needed_package(inner)
    assert found is not None
    assert found.path.name == "outer.zip"


def test_of_a_chain_the_next_one_is_given_and_all_are_checked(tmp_path: Path) -> None:
    first, _ = package(tmp_path, "first", "second"), package(tmp_path, "second", "third")
    with pytest.raises(PackageNotFoundError, match='"second" needs the model "third"'):
        needed_package(first)
    samples.package(tmp_path, name="third")
    found = needed_package(first)
    assert found is not None
    assert found.name == "second"


def test_packages_that_need_each_other_are_refused(tmp_path: Path) -> None:
    package(tmp_path, "one", "two")
    with pytest.raises(PackageError, match="two, one need each other"):
        needed_package(package(tmp_path, "two", "one"))
    with pytest.raises(PackageError, match="itself need each other"):
        needed_package(package(tmp_path, "itself", "itself"))


def test_a_missing_package_is_named_with_what_it_finds(tmp_path: Path) -> None:
    with pytest.raises(
        PackageNotFoundError, match=f'needs the model "nobody", which finds "{LABEL}".*install "nobody"'
    ):
        needed_package(package(tmp_path, "lonely", "nobody"))


def test_a_missing_label_is_named(tmp_path: Path) -> None:
    samples.package(tmp_path, name="outer")
    with pytest.raises(PackageError, match='label "Left Nothing" of the model "outer"'):
        needed_package(package(tmp_path, "other", "outer", "Left Nothing"))


def test_one_that_reads_more_channels_than_there_are_is_refused(tmp_path: Path) -> None:
    two_channels = replace(samples.TINY, in_channels=2)
    samples.package(tmp_path, two_channels, name="two_channels", spec=InputSpec(channels=("T1", "T2")))
    with pytest.raises(PackageError, match="reads 2 channels, but it has only 1 to give"):
        needed_package(package(tmp_path, "narrow", "two_channels"))


def test_a_damaged_needed_package_is_told(tmp_path: Path) -> None:
    outer, inner = samples.package(tmp_path, name="outer"), package(tmp_path, "inner", "outer")
    (outer.path / "model.json").write_text("{", encoding="utf-8")
    with pytest.raises(PackageError, match="outer"):
        needed_package(inner)
