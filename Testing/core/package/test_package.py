"""Model packages: what is written is what is read, and whatever was tampered with is refused by name."""

from __future__ import annotations

import hashlib
import json
import math
import resource
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import (
    InputError,
    LCSError,
    PackageError,
    PackageFormatError,
    PackageInstallError,
    PackageIntegrityError,
    PackageNotFoundError,
)
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree, Protocol
from LabelConditionedSegmentationLib.core.package import package_files
from LabelConditionedSegmentationLib.core.package.feature_statistics import LevelStatistics
from LabelConditionedSegmentationLib.core.package.model_package import (
    ModelPackage,
    find_packages,
    install_package,
    save_package,
)
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec, Inside, Intensity
from LabelConditionedSegmentationLib.resources import resources_folder
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors

from Testing import samples

DESCRIPTION, WEIGHTS, CARD = "model.json", "weights.safetensors", "MODEL_CARD.md"
STATISTICS = "statistics.safetensors"
MISSING = object()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good package that a test may spoil."""
    return samples.package(tmp_path / "made").path


def describe(folder: Path, **changes: Any) -> None:
    """Change entries of a package's description; MISSING takes one away."""
    entry = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")) | changes
    (folder / DESCRIPTION).write_text(
        json.dumps({k: v for k, v in entry.items() if v is not MISSING}), encoding="utf-8"
    )


def put_weights(folder: Path, data: bytes) -> None:
    """Other weights, with a description that vouches for them."""
    (folder / WEIGHTS).write_bytes(data)
    describe(folder, weights_sha256=hashlib.sha256(data).hexdigest())


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_tensors((folder / WEIGHTS).read_bytes())
    change(tensors)
    put_weights(folder, dump_tensors(tensors))


def zip_of(folder: Path, target: Path, prefix: str = "", compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(target, "w", compression) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, prefix + file.name)
    return target


def zip_with(folder: Path, target: Path, name: str | zipfile.ZipInfo, data: bytes = b"x") -> Path:
    """A good package, zipped, with one more member."""
    with zipfile.ZipFile(zip_of(folder, target), "a") as archive:
        archive.writestr(name, data)
    return target


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


# Saving and loading


def test_a_package_is_read_as_it_was_written(tmp_path: Path) -> None:
    spec = InputSpec(("T1",), (1.0, 1.5, 2.0), "all", 5.0)
    package = samples.package(
        tmp_path, flip=True, spec=spec, patch=(16, 24, 32), statistics={"foreground_ml": [900.0, 1800.5]}
    )
    again = ModelPackage.load(tmp_path / "tiny")
    assert again == package
    assert (again.name, again.patch, again.flip, again.input) == ("tiny", (16, 24, 32), True, spec)
    assert again.architecture == samples.TINY
    assert again.labels.to_json() == samples.label_tree().to_json()
    assert again.metadata == samples.SCHEMA
    assert again.statistics == {"foreground_ml": [900.0, 1800.5]}
    assert again.about == {
        "title": "Tiny",
        "licence": "CC0",
        "intended_use": "tests",
        "provenance": {"training_cases": ["case_1"]},
    }
    assert (tmp_path / "tiny" / CARD).read_text(encoding="utf-8") == "# Tiny\n"
    assert again.size_bytes == sum((tmp_path / "tiny" / name).stat().st_size for name in (DESCRIPTION, WEIGHTS, CARD))


def test_weights_come_back_in_half_precision(folder: Path) -> None:
    before, after = samples.network().state_dict(), ModelPackage.load(folder).build_network()
    assert not after.training
    for name, tensor in after.state_dict().items():
        assert tensor.dtype == torch.float32
        assert tensor.device.type == "cpu"
        assert torch.equal(tensor, before[name].half().float()), name
    assert any(not torch.equal(tensor, before[name]) for name, tensor in after.state_dict().items())


def test_a_loaded_network_answers_like_the_saved_one_and_can_be_trained_on(folder: Path) -> None:
    image, known = torch.randn(1, 4, 8, 8, 8), torch.tensor([[0.0, math.nan]])
    network = ModelPackage.load(folder).build_network()
    torch.testing.assert_close(network(image, known), samples.network()(image, known), atol=0.02, rtol=0.02)
    network(image, known).sum().backward()
    assert all(parameter.grad is not None for parameter in network.trunk.encoder.parameters())


def test_loading_a_network_leaves_the_random_numbers_alone(folder: Path) -> None:
    package = ModelPackage.load(folder)
    state = torch.random.get_rng_state()
    package.build_network()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_saving_replaces_an_older_package_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    samples.package(tmp_path)
    (tmp_path / "tiny" / "note.txt").write_text("old")
    samples.package(tmp_path, flip=True)
    assert ModelPackage.load(tmp_path / "tiny").flip
    assert everything_below(tmp_path) == ["tiny", f"tiny/{CARD}", f"tiny/{DESCRIPTION}", f"tiny/{WEIGHTS}"]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e5])
def test_a_network_that_broke_down_is_not_saved_over_a_good_one(folder: Path, value: float) -> None:
    package = ModelPackage.load(folder)
    network = samples.network()
    with torch.no_grad():
        network.head.bias[1] = value
    with pytest.raises(PackageIntegrityError, match=r"head\.bias"):
        save_package(folder, network, "tiny", package.input, package.labels, package.metadata, package.patch, "", {})
    assert ModelPackage.load(folder) == package
    package.build_network()


def test_advice_is_kept_and_may_be_missing(folder: Path) -> None:
    package = ModelPackage.load(folder)
    assert package.advice == {}
    advice = {"too_large": "Remove the skull.", "contrast": "Take a T1 scan."}

    def saved(advice: dict[str, str]) -> ModelPackage:
        about = package.input, package.labels, package.metadata, package.patch
        return save_package(folder, samples.network(), "tiny", *about, "", {}, advice=advice)

    assert saved(advice).advice == advice
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    del description["advice"]
    (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
    assert ModelPackage.load(folder).advice == {}
    with pytest.raises(PackageFormatError, match='advice "contrast"'):
        saved({"contrast": "x" * 501})


def test_entries_that_no_package_has_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(PackageFormatError, match="author"):
        save_package(
            tmp_path / "a",
            samples.network(),
            "a",
            InputSpec(),
            samples.label_tree(),
            samples.SCHEMA,
            (32, 32, 32),
            "",
            {"author": "x"},
        )
    assert everything_below(tmp_path) == []


@pytest.mark.parametrize("prefix", ["", "tiny/"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_package_is_used_from_a_zip_as_it_is(folder: Path, tmp_path: Path, prefix: str, compression: int) -> None:
    package = ModelPackage.load(zip_of(folder, tmp_path / "tiny.zip", prefix, compression))
    assert package.labels == ModelPackage.load(folder).labels
    expected = ModelPackage.load(folder).build_network().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in package.build_network().state_dict().items())
    assert package.size_bytes == (tmp_path / "tiny.zip").stat().st_size


def test_a_package_is_read_from_a_folder_with_a_foreign_name(tmp_path: Path) -> None:
    path = samples.package(tmp_path / "Größe 大").path
    ModelPackage.load(path).build_network()


# Descriptions that cannot be used


def architecture(**changes: Any) -> dict[str, Any]:
    return {"architecture": samples.TINY.to_json() | changes}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": 3}, "format 3.*reads up to 2; update"),
        ({"format": MISSING}, "does not describe"),
        ({"format": "1"}, "does not describe"),
        ({"labels": MISSING}, "lacks the entry 'labels'"),
        ({"weights_sha256": MISSING}, "lacks the entry 'weights_sha256'"),
        ({"architecture": MISSING}, "lacks the entry 'architecture'"),
        (architecture(name="os.system"), 'architecture "os.system" is not known'),
        (architecture(dropout=0.1), "does not know: dropout"),
        (architecture(widths=[10**12, 8]), "larger than any"),
        (architecture(widths="48"), "widths"),
        ({"architecture": ["residual_unet"]}, "does not know"),
        ({"architecture": 7}, "wrong kind"),
        ({"patch": [32, 32, 33]}, "patch"),
        ({"patch": [32, 32]}, "wrong kind"),
        ({"patch": [0, 0, 0]}, "patch"),
        ({"patch": [10**9, 32, 32]}, "patch"),
        ({"patch": [math.inf, 32, 32]}, "wrong kind"),
        ({"advice": ["too_large"]}, "wrong kind"),
        ({"advice": {"contrast": 7}}, 'advice "contrast"'),
        ({"advice": {"contrast": ""}}, 'advice "contrast"'),
        ({"advice": {"too_large": "x" * 501}}, "1 to 500 characters"),
        ({"labels": []}, "at least one label"),
        ({"labels": [{"id": 1, "name": "A"}, {"id": 1, "name": "B"}]}, "same id"),
        ({"labels": [{"id": 1, "name": "A", "parent": 7}]}, "parent 7"),
        ({"labels": [{"id": 1, "name": "A", "parent": 1}]}, "own ancestor"),
        ({"labels": [{"id": 0, "name": "A"}]}, "background"),
        ({"labels": [{"name": "A"}]}, "lacks the entry 'id'"),
        ({"labels": [{"id": 1, "name": "A", "color": [1]}]}, "wrong kind"),
        ({"labels": [{"id": 1, "name": "A", "type": ["SCT"]}]}, "wrong kind"),
        ({"metadata": [{"name": "age", "kind": "number"}]}, "age"),
        ({"metadata": [{"name": "age", "kind": "number", "possible": [0], "trained": [0, 1]}]}, "wrong kind"),
        ({"metadata": [{"name": "x", "kind": "pickle"}]}, "pickle"),
        ({"input": {}}, "lacks the entry"),
        ({"input": InputSpec().to_json() | {"foreground": "eval"}}, "foreground"),
        ({"input": InputSpec().to_json() | {"spacing": [1, 1]}}, "wrong kind"),
        ({"input": InputSpec().to_json() | {"spacing": [0, 1, 1]}}, "spacing"),
        ({"input": InputSpec().to_json() | {"channels": ["T1", "T2"]}}, "2 channels"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_with_its_path(
    folder: Path, changes: dict[str, Any], text: str
) -> None:
    describe(folder, **changes)
    with pytest.raises(PackageFormatError, match=text) as caught:
        ModelPackage.load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"format": 1', b"3"])
def test_a_description_that_is_no_json_is_refused_with_its_path(folder: Path, data: bytes) -> None:
    (folder / DESCRIPTION).write_bytes(data)
    with pytest.raises(PackageFormatError) as caught:
        ModelPackage.load(folder)
    assert str(folder) in str(caught.value)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something stands in a JSON value, lists by their first entry."""
    yield path
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places(below, (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


@pytest.mark.parametrize(
    "wrong", [None, [], {}, "x", -1, 10**30, 1.5, math.nan, math.inf, True, [[1]], {"a": None}], ids=repr
)
def test_whatever_stands_in_a_description_the_answer_is_a_package_or_a_typed_error(tmp_path: Path, wrong: Any) -> None:
    spec = InputSpec(intensity=Intensity("window", -100, 300), inside=Inside("head", "Brain", 5))
    samples.package(tmp_path, tree=samples.two_protocols(), spec=spec, statistics={"foreground_ml": [1.0, 2.0]})
    file = tmp_path / "tiny" / DESCRIPTION
    text = file.read_text(encoding="utf-8")
    refusals = []
    for path in list(places(json.loads(text))):
        entry: Any = json.loads(text)
        if not path:
            entry = wrong
        else:
            at = entry
            for step in path[:-1]:
                at = at[step]
            at[path[-1]] = wrong
        file.write_text(json.dumps(entry), encoding="utf-8")
        try:
            ModelPackage.load(tmp_path / "tiny").build_network()
        except PackageError as error:
            refusals.append(str(error))
    assert len(refusals) > 20
    assert [text for text in refusals if str(tmp_path) not in text] == []


def test_a_missing_package_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(PackageNotFoundError, match="nowhere"):
        ModelPackage.load(tmp_path / "nowhere")


def test_a_file_that_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(b"\x1f\x8b" + bytes(100))
    with pytest.raises(PackageFormatError, match=r"scan\.nii\.gz"):
        ModelPackage.load(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("member", [DESCRIPTION, WEIGHTS])
def test_a_package_without_a_part_is_refused(folder: Path, member: str) -> None:
    (folder / member).unlink()
    with pytest.raises(PackageFormatError, match=f"no {member}") as caught:
        ModelPackage.load(folder).build_network()
    assert str(folder) in str(caught.value)


# Weights that were tampered with


def nan_weights(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.bias"][2] = math.nan


def infinite_weights(tensors: dict[str, torch.Tensor]) -> None:
    tensors["trunk.stem.weight"].view(-1)[0] = math.inf


def one_too_many(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.payload"] = torch.zeros(3)


def one_too_few(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["trunk.stem.weight"]


def another_shape(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.bias"] = torch.zeros(99)


def one_axis_more(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.bias"] = tensors["head.bias"][None]


def whole_numbers(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.bias"] = tensors["head.bias"].long()


def eight_bits(tensors: dict[str, torch.Tensor]) -> None:
    tensors["head.bias"] = tensors["head.bias"].to(torch.float8_e4m3fn)


def no_tensors(tensors: dict[str, torch.Tensor]) -> None:
    tensors.clear()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (nan_weights, "head.bias.*not finite"),
        (infinite_weights, "trunk.stem.weight.*not finite"),
        (one_too_many, "unknown head.payload"),
        (one_too_few, "lacks trunk.stem.weight"),
        (another_shape, r"head.bias has the shape \(99,\) where the network has \(7,\)"),
        (one_axis_more, "head.bias has the shape"),
        (whole_numbers, "int64"),
        (eight_bits, "float8"),
        (no_tensors, "lacks"),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_their_path(
    folder: Path, change: Callable[[dict[str, torch.Tensor]], None], text: str
) -> None:
    change_tensors(folder, change)
    with pytest.raises(PackageIntegrityError, match=text) as caught:
        ModelPackage.load(folder).build_network()
    assert str(folder / WEIGHTS) in str(caught.value)


def test_the_tampering_of_these_tests_is_what_is_refused(folder: Path) -> None:
    change_tensors(folder, lambda tensors: None)
    ModelPackage.load(folder).build_network()


def test_one_flipped_bit_is_refused(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(PackageIntegrityError, match="SHA-256") as caught:
        ModelPackage.load(folder).build_network()
    assert str(folder / WEIGHTS) in str(caught.value)


@pytest.mark.parametrize("vouched", [False, True], ids=["hash as before", "hash of what is left"])
@pytest.mark.parametrize("length", [0, 4, 7, 8, 100, -1])
def test_weights_that_end_early_are_refused(folder: Path, length: int, vouched: bool) -> None:
    data = (folder / WEIGHTS).read_bytes()[:length]
    put_weights(folder, data) if vouched else (folder / WEIGHTS).write_bytes(data)
    with pytest.raises(PackageIntegrityError) as caught:
        ModelPackage.load(folder).build_network()
    assert str(folder / WEIGHTS) in str(caught.value)


def test_weights_that_go_on_after_their_end_are_refused(folder: Path) -> None:
    put_weights(folder, (folder / WEIGHTS).read_bytes() + b"more")
    with pytest.raises(PackageIntegrityError):
        ModelPackage.load(folder).build_network()


@pytest.mark.parametrize(
    "data", [b"\x80\x04\x95" + bytes(50), b"\x80\x02}q\x00." + bytes(20), b"PK\x03\x04" + bytes(100)]
)
def test_a_pickle_under_a_safetensors_name_is_refused_unopened(folder: Path, data: bytes) -> None:
    put_weights(folder, data)
    with pytest.raises(PackageIntegrityError, match="pickle") as caught:
        ModelPackage.load(folder).build_network()
    assert str(folder / WEIGHTS) in str(caught.value)


def test_a_description_of_a_huge_network_is_refused_before_memory_is_spent(folder: Path) -> None:
    describe(folder, **architecture(widths=[4096] * 8, blocks=[4] * 8, feature_channels=4096), patch=[256, 256, 256])
    package = ModelPackage.load(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PackageIntegrityError, match="does not fit"):
        package.build_network()
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert spent < 2**20, "KiB; its tensors alone are more than 100 GB"


def test_a_file_larger_than_any_weights_is_refused_unread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(package_files.LARGEST, WEIGHTS, 1000)
    with pytest.raises(PackageIntegrityError, match="larger than any"):
        ModelPackage.load(folder).build_network()


# Archives


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json",
        "tiny/../../model.json",
        "..",
        "/etc/model.json",
        "\\model.json",
        "..\\model.json",
        "tiny\\..\\..\\model.json",
        "C:\\model.json",
        "C:/model.json",
        "c:model.json",
        "//server/model.json",
        "../",
        "/",
    ],
)
def test_an_archive_that_leads_out_of_its_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # ZipInfo itself would tidy it up
    source = zip_with(folder, tmp_path / "bad.zip", info, b"{}")
    with pytest.raises(PackageInstallError, match="leads out") as caught:
        install_package(source, tmp_path / "models")
    assert str(source) in str(caught.value)
    assert everything_below(tmp_path / "models") == []


def test_an_archive_with_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / CARD).unlink()
    info = zipfile.ZipInfo(CARD)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    source = zip_with(folder, tmp_path / "bad.zip", info, b"/etc/passwd")
    with pytest.raises(PackageInstallError, match="link") as caught:
        install_package(source, tmp_path / "models")
    assert str(source) in str(caught.value)
    assert everything_below(tmp_path / "models") == []


@pytest.mark.parametrize(
    "name", ["run.py", "tiny/setup.sh", "model.json.exe", "tiny/deep/model.json", "weights.pt", "__MACOSX/model.json"]
)
def test_an_archive_with_foreign_files_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    source = zip_with(folder, tmp_path / "bad.zip", name)
    with pytest.raises(PackageInstallError, match="no part") as caught:
        install_package(source, tmp_path / "models")
    assert str(source) in str(caught.value)
    assert everything_below(tmp_path / "models") == []


def test_an_archive_of_two_folders_is_refused(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.write(folder / DESCRIPTION, f"a/{DESCRIPTION}")
        archive.write(folder / WEIGHTS, f"b/{WEIGHTS}")
    with pytest.raises(PackageInstallError, match=r"bad\.zip.*more than one folder"):
        install_package(tmp_path / "bad.zip", tmp_path / "models")


def test_an_archive_that_holds_a_part_twice_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        source = zip_with(folder, tmp_path / "bad.zip", DESCRIPTION, b"{}")
    with pytest.raises(PackageInstallError, match=r"bad\.zip"):
        install_package(source, tmp_path / "models")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_packed_in_an_unusual_way_is_refused(folder: Path, tmp_path: Path, compression: int) -> None:
    source = zip_of(folder, tmp_path / "bad.zip", compression=compression)
    with pytest.raises(PackageInstallError, match=r"bad\.zip.*unusual"):
        install_package(source, tmp_path / "models")


def test_an_archive_that_says_how_large_it_becomes_is_refused_at_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / WEIGHTS).write_bytes(bytes(3_000_000))
    source = zip_of(folder, tmp_path / "bomb.zip")
    assert source.stat().st_size < 100_000
    monkeypatch.setitem(package_files.LARGEST, WEIGHTS, 2**20)
    with pytest.raises(PackageInstallError, match=r"bomb\.zip.*unpacks to more than 1 MiB"):
        install_package(source, tmp_path / "models")
    assert everything_below(tmp_path / "models") == []


def test_the_parts_of_an_archive_are_bounded_together(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (CARD, WEIGHTS):
        (folder / name).write_bytes(bytes(700_000))
    monkeypatch.setitem(package_files.LARGEST, WEIGHTS, 2**20)
    with pytest.raises(PackageInstallError, match="unpacks to more than 1 MiB"):
        ModelPackage.load(zip_of(folder, tmp_path / "bomb.zip"))


def test_an_archive_that_lies_about_its_size_is_not_unpacked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 3_000_000
    (folder / WEIGHTS).write_bytes(bytes(size))
    source = zip_of(folder, tmp_path / "bomb.zip")
    truth, lie = size.to_bytes(4, "little"), (1000).to_bytes(4, "little")
    assert source.read_bytes().count(truth) == 2  # the member's own header and the archive's directory
    source.write_bytes(source.read_bytes().replace(truth, lie))
    monkeypatch.setitem(package_files.LARGEST, WEIGHTS, 2**20)
    with pytest.raises(PackageError, match=r"bomb\.zip"):
        install_package(source, tmp_path / "models")
    assert everything_below(tmp_path / "models") == []


@pytest.mark.parametrize("place", ["head", "middle", "end"])
def test_a_damaged_archive_is_refused(folder: Path, tmp_path: Path, place: str) -> None:
    data = zip_of(folder, tmp_path / "bad.zip").read_bytes()
    cut = {
        "head": data[:20],
        "middle": data[:60] + bytes(len(data) // 2) + data[60 + len(data) // 2 :],
        "end": data[:-10],
    }[place]
    (tmp_path / "bad.zip").write_bytes(cut)
    with pytest.raises(PackageFormatError, match=r"bad\.zip"):
        install_package(tmp_path / "bad.zip", tmp_path / "models")


def test_an_encrypted_archive_is_refused(folder: Path, tmp_path: Path) -> None:
    data = bytearray(zip_of(folder, tmp_path / "bad.zip").read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(PackageFormatError, match=r"bad\.zip"):
        install_package(tmp_path / "bad.zip", tmp_path / "models")


# Installing


@pytest.mark.parametrize("form", ["folder", "zip", "zip with a folder in it"])
def test_a_good_package_is_installed_whole_and_loads(folder: Path, tmp_path: Path, form: str) -> None:
    source = (
        folder
        if form == "folder"
        else zip_of(folder, tmp_path / "any name.zip", "some folder/" if "in it" in form else "")
    )
    (folder / "note.txt").write_text("not part of the package")
    installed = install_package(source, tmp_path / "new" / "models")
    assert installed.path == tmp_path / "new" / "models" / "tiny"
    assert everything_below(tmp_path / "new" / "models") == [
        "tiny",
        f"tiny/{CARD}",
        f"tiny/{DESCRIPTION}",
        f"tiny/{WEIGHTS}",
    ]
    assert all(
        (installed.path / name).read_bytes() == (folder / name).read_bytes() for name in (CARD, DESCRIPTION, WEIGHTS)
    )
    installed.build_network()
    assert installed.path.stat().st_mode & 0o555 == 0o555


def test_a_package_without_a_card_is_installed(folder: Path, tmp_path: Path) -> None:
    (folder / CARD).unlink()
    install_package(folder, tmp_path / "models").build_network()


@pytest.mark.parametrize(
    "spoil",
    [lambda f: (f / WEIGHTS).write_bytes(b"x"), lambda f: describe(f, labels=[]), lambda f: (f / WEIGHTS).unlink()],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_bad_package_leaves_the_folder_as_it_was(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], Any], zipped: bool
) -> None:
    spoil(folder)
    (tmp_path / "models").mkdir()
    with pytest.raises(PackageError):
        install_package(zip_of(folder, tmp_path / "bad.zip") if zipped else folder, tmp_path / "models")
    assert everything_below(tmp_path / "models") == []


def test_a_disk_that_fills_up_leaves_the_folder_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        install_package(folder, tmp_path / "models")
    assert everything_below(tmp_path / "models") == []


def test_an_installed_model_is_not_replaced(folder: Path, tmp_path: Path) -> None:
    install_package(folder, tmp_path / "models")
    describe(folder, title="Another")
    with pytest.raises(PackageInstallError, match='"tiny" is already installed'):
        install_package(folder, tmp_path / "models")
    assert ModelPackage.load(tmp_path / "models" / "tiny").about["title"] == "Tiny"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../tiny",
        "a/b",
        "a\\b",
        "/tmp/x",
        ".hidden",
        "a\0b",
        "a\nb",
        "x" * 300,
        "C:",
        "tiny.",
        "tiny ",
        "a?",
        "a*b",
    ],
)
def test_a_package_whose_name_can_be_no_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    describe(folder, name=name)
    with pytest.raises(PackageInstallError, match="name of a folder"):
        install_package(folder, tmp_path / "models")
    assert everything_below(tmp_path / "models") == []
    assert not (tmp_path / "tiny").exists()


@pytest.mark.parametrize("name", ["brain", "brain 1.2+ct", "a", "Größe_大-2"])
def test_names_that_people_give_are_installed(folder: Path, tmp_path: Path, name: str) -> None:
    describe(folder, name=name)
    assert install_package(folder, tmp_path / "models").path == tmp_path / "models" / name


# Finding


def test_packages_are_found_by_name_and_earlier_folders_win(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    samples.package(first, name="beta")
    zip_of(samples.package(tmp_path / "elsewhere").path, first / "delta.zip")
    samples.package(second, name="beta")
    samples.package(second, name="alpha")
    (second / "no package").mkdir()
    (second / ".hidden").mkdir()
    (second / ".hidden" / DESCRIPTION).write_text("{}")
    (second / "readme.txt").write_text("")
    assert find_packages([first, second, tmp_path / "missing"]) == [
        second / "alpha",
        first / "beta",
        first / "delta.zip",
    ]
    assert find_packages([second, first]) == [second / "alpha", second / "beta", first / "delta.zip"]
    assert find_packages([]) == []


def test_every_error_of_a_package_is_one_that_the_command_line_shows() -> None:
    for error in (PackageFormatError, PackageInstallError, PackageIntegrityError, PackageNotFoundError):
        assert issubclass(error, PackageError)
        assert issubclass(error, LCSError)


def test_statistics_of_numpy_numbers_are_written_as_numbers(tmp_path: Path) -> None:
    assert samples.package(tmp_path, statistics={"a": np.array([1.25, 2.5], dtype=np.float32).tolist()}).statistics == {
        "a": [1.25, 2.5]
    }


# Format 2


def level_statistics() -> dict[str, LevelStatistics]:
    """Of two of the three levels of TINY."""
    generator = torch.Generator().manual_seed(3)

    def of(channels: int) -> LevelStatistics:
        return LevelStatistics(torch.randn(channels, generator=generator), torch.rand(channels, generator=generator))

    return {"encoder.0": of(4), "decoder.0": of(4)}


def saved(folder: Path, **changes: Any) -> ModelPackage:
    """A package that may need format 2."""
    tree, spec = changes.pop("tree", samples.label_tree()), changes.pop("spec", InputSpec())
    about = spec, tree, samples.SCHEMA, (32, 32, 32), ""
    return save_package(folder / "tiny", samples.network(tree=tree), "tiny", *about, {}, **changes)


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A package with everything that format 2 may have."""
    spec = InputSpec(intensity=Intensity("window", -100, 300), inside=Inside("head", "Brain", 5))
    made = saved(tmp_path / "made", tree=samples.two_protocols(), spec=spec, feature_statistics=level_statistics())
    return made.path


def format_of(package: ModelPackage) -> int:
    return int(json.loads((package.path / DESCRIPTION).read_text(encoding="utf-8"))["format"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 1),
        ({"spec": InputSpec(intensity=Intensity("window", -100, 300))}, 2),
        ({"spec": InputSpec(intensity=Intensity("percentiles", 1, 99))}, 2),
        ({"spec": InputSpec(inside=Inside("head", "Brain", 5))}, 2),
        ({"tree": samples.two_protocols()}, 2),
        ({"feature_statistics": level_statistics()}, 2),
    ],
    ids=["nothing new", "window", "percentiles", "inside", "protocols", "statistics"],
)
def test_a_package_has_the_oldest_format_that_holds_what_it_needs(
    tmp_path: Path, changes: dict[str, Any], expected: int
) -> None:
    assert format_of(saved(tmp_path, **changes)) == expected


def test_a_package_of_format_1_has_no_entry_that_older_versions_do_not_know(tmp_path: Path) -> None:
    entry = json.loads((saved(tmp_path).path / DESCRIPTION).read_text(encoding="utf-8"))
    assert set(entry["input"]) == {"channels", "spacing", "foreground", "margin_mm"}
    assert isinstance(entry["labels"], list)
    assert "statistics_sha256" not in entry


def test_a_package_of_format_1_is_read_as_the_shipped_one_was(tmp_path: Path) -> None:
    folder = shutil.copytree(resources_folder() / "Models" / "brain", tmp_path / "brain")
    entry = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    del entry["input"]["inside"], entry["answers"], entry["statistics_sha256"]
    (folder / "statistics.safetensors").unlink()
    (folder / "model.json").write_text(json.dumps(entry | {"format": 1}), encoding="utf-8")
    package = ModelPackage.load(folder)
    assert format_of(package) == 1
    assert package.usual is None
    assert len(package.labels.leaves) == 134
    assert [protocol.name for protocol in package.labels.protocols] == [""]
    assert package.labels.classes == 135
    assert package.input.intensity == Intensity("z-score")
    assert package.input.is_plain
    with pytest.raises(InputError, match='model "brain" has no statistics of its features'):
        package.feature_statistics()


def test_all_of_format_2_is_read_as_it_was_written(newer: Path) -> None:
    package = ModelPackage.load(newer)
    assert package.labels.to_json() == samples.two_protocols().to_json()
    assert [protocol.name for protocol in package.labels.protocols] == ["deep", "rest"]
    assert package.input.intensity == Intensity("window", -100, 300)
    assert package.input.inside == Inside("head", "Brain", 5)
    assert package.build_network().bias.shape == (8,)
    expected, found = level_statistics(), package.feature_statistics()
    assert list(found) == ["encoder.0", "decoder.0"]
    for level, statistics in found.items():
        assert torch.equal(statistics.mean, expected[level].mean)
        assert torch.equal(statistics.variance, expected[level].variance)


def test_statistics_are_read_when_they_are_needed_and_not_before(newer: Path) -> None:
    (newer / STATISTICS).write_bytes(b"")
    package = ModelPackage.load(newer)
    package.build_network()
    with pytest.raises(PackageIntegrityError, match=r"statistics\.safetensors.*SHA-256 differs"):
        package.feature_statistics()


def test_a_package_of_format_2_is_installed_whole_from_a_folder_and_from_a_zip(newer: Path, tmp_path: Path) -> None:
    for source in (newer, zip_of(newer, tmp_path / "tiny.zip")):
        installed = install_package(source, tmp_path / f"models from {source.name}")
        assert everything_below(installed.path) == [CARD, DESCRIPTION, STATISTICS, WEIGHTS]
        assert list(installed.feature_statistics()) == ["encoder.0", "decoder.0"]


def test_a_package_whose_statistics_are_missing_or_too_large_is_not_installed(newer: Path, tmp_path: Path) -> None:
    (newer / STATISTICS).write_bytes(bytes(2**20 + 1))
    with pytest.raises(PackageIntegrityError, match="larger than any model file may be"):
        install_package(newer, tmp_path / "models")
    (newer / STATISTICS).unlink()
    with pytest.raises(PackageFormatError, match=r"no statistics\.safetensors"):
        install_package(newer, tmp_path / "models")
    assert everything_below(tmp_path / "models") == []


GOOD = {"encoder.0.mean": torch.zeros(4), "encoder.0.variance": torch.ones(4)}


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        (GOOD | {"encoder.7.mean": torch.zeros(4)}, '"encoder.7.mean", which is no statistic'),
        (GOOD | {"encoder.0.mean": torch.zeros(5)}, r"encoder\.0\.mean has to hold 4 float32 numbers.*\(5,\)"),
        (GOOD | {"encoder.0.mean": torch.zeros(4).half()}, "float16"),
        (GOOD | {"encoder.0.mean": torch.full((4,), math.nan)}, "no mean or variance has"),
        (GOOD | {"encoder.0.variance": -torch.ones(4)}, "no mean or variance has"),
        ({"encoder.0.mean": torch.zeros(4)}, r"lacks the mean or the variance of the level encoder\.0"),
        ({}, "lacks the mean or the variance of any level"),
    ],
    ids=["level", "shape", "type", "nan", "negative", "half", "none"],
)
def test_statistics_that_do_not_fit_the_network_are_refused(
    newer: Path, tensors: dict[str, torch.Tensor], text: str
) -> None:
    data = dump_tensors(tensors)
    (newer / STATISTICS).write_bytes(data)
    describe(newer, statistics_sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(PackageIntegrityError, match=text):
        ModelPackage.load(newer).feature_statistics()


def test_statistics_of_a_level_that_there_is_not_are_not_saved(tmp_path: Path) -> None:
    wrong = {"encoder.9": level_statistics()["encoder.0"]}
    with pytest.raises(PackageIntegrityError, match=r"encoder\.9"):
        saved(tmp_path, feature_statistics=wrong)
    assert everything_below(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"input": InputSpec().to_json() | {"intensity": {"scheme": "log"}}}, 'unknown intensity scheme "log"'),
        ({"input": InputSpec().to_json() | {"intensity": {"low": 1}}}, "lacks the entry 'scheme'"),
        ({"input": InputSpec().to_json() | {"intensity": "window"}}, "wrong kind|unknown entry"),
        ({"input": InputSpec().to_json() | {"inside": {"label": "Brain"}}}, "lacks the entry 'package'"),
        ({"input": InputSpec().to_json() | {"inside": {"package": "", "label": "Brain"}}}, "needs a package"),
        ({"input": InputSpec().to_json() | {"inside": {"package": "a", "label": "b", "margin_mm": -1}}}, "margin"),
        ({"architecture": samples.TINY.to_json() | {"context_classes": 2}}, "protocols need conditioning at the head"),
    ],
)
def test_what_is_new_in_format_2_is_checked_as_all_else(newer: Path, changes: dict[str, Any], text: str) -> None:
    describe(newer, **changes)
    with pytest.raises(PackageFormatError, match=text) as caught:
        ModelPackage.load(newer)
    assert str(newer) in str(caught.value)


@pytest.mark.parametrize(
    ("protocols", "text"),
    [
        ([], "names no protocol"),
        ([("deep", (200,))], "check the label 201"),
        ([("deep", (200,)), ("rest", (201, 200))], "has to belong to one protocol"),
        ([("deep", (200, 201)), ("rest", ())], "every protocol needs such a label"),
        ([("deep", (200,)), ("rest", (46,))], "without a parent"),
        ([("deep", (200,)), ("Deep", (201,))], "same name"),
        ([("deep", (200,)), ("", (201,))], "needs a name"),
    ],
    ids=str,
)
def test_protocols_that_do_not_divide_the_tree_are_refused(
    newer: Path, protocols: list[tuple[str, tuple[int, ...]]], text: str
) -> None:
    entry = samples.two_protocols().to_json()
    assert isinstance(entry, dict)
    entry["protocols"] = [{"name": name, "roots": list(roots)} for name, roots in protocols]
    describe(newer, labels=entry)
    with pytest.raises(PackageFormatError, match=text):
        ModelPackage.load(newer)


def test_one_protocol_with_a_name_is_kept(tmp_path: Path) -> None:
    tree = LabelTree(samples.label_tree().labels, (Protocol("all of it", (200, 201)),))
    package = saved(tmp_path, tree=tree)
    assert (package.labels.protocols, format_of(package)) == (tree.protocols, 2)
