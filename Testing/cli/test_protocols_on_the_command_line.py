"""Models that divide a scan in several ways, as `lcs` answers for them, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import slicerio
from LabelConditionedSegmentationLib.cli.main import main
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import PROTOCOL_TAG
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from PIL import Image

from Testing import samples
from Testing.cli.command import one_sentence, read_back, write_scan

TREE = samples.rival_protocols()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    made = samples.network(tree=TREE, seed=25)
    return samples.package(tmp_path_factory.mktemp("package"), tree=TREE, name="rivals", made=made)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(tmp_path_factory.mktemp("scan") / "scan.nii.gz")


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What is said of a command that is refused."""
    assert main([str(word) for word in words]) == 2
    return one_sentence(capsys.readouterr().err)


def test_the_labels_are_printed_below_their_protocols(
    package: ModelPackage, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["labels", "--model", str(package.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    fine, coarse = lines.index("protocol Fine"), lines.index("protocol Coarse")
    assert fine == 0
    assert [line.split("  ")[-1].partition("  (")[0] for line in lines[coarse + 1 :] if "Remainder" in line]
    assert len(lines) == len(TREE.labels) + 2
    assert all(line.startswith("  ") for line in lines if not line.startswith("protocol"))
    assert main(["labels", "--model", str(package.path), "--search", "left hippocampus"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert found[0].endswith("in protocol Fine > Deep gray matter")
    assert found[1].endswith("in protocol Coarse")
    assert main(["labels", "--model", str(package.path), "--search", "coarse left"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_labels_of_two_protocols_are_layers_of_a_segmentation(
    package: ModelPackage, scan: Path, tmp_path: Path
) -> None:
    out, table, maps = tmp_path / "all.seg.nrrd", tmp_path / "volumes.csv", tmp_path / "maps.nii.gz"
    words = ["segment", scan, "--model", package.path, "-o", out, "--volumes", table, "--probabilities", maps]
    words += ["--preview", tmp_path / "all.png", "--device", "cpu"]
    assert main([str(word) for word in words]) == 0
    written = slicerio.read_segmentation(str(out))
    expected = Segmenter.from_package(package.path, "cpu").segment(read_volume(scan))
    assert {segment["name"] for segment in written["segments"]} == {leaf.name for leaf in TREE.leaves}
    for segment in written["segments"]:
        label = TREE.find(segment["name"])
        assert segment["tags"][PROTOCOL_TAG] == TREE.protocol_of(label).name
        mask = written["voxels"][segment["layer"]] == segment["labelValue"]
        np.testing.assert_array_equal(mask.T, expected.mask(label.id).to_numpy())
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["label"] for row in rows] == [entry.label.name for entry in expected.labels]
    assert [x["id"] for x in json.loads((tmp_path / "maps.json").read_text())["labels"]] == [x.id for x in TREE.leaves]


@pytest.mark.parametrize(("protocol", "name"), [("fine", "Left Hippocampus"), ("Coarse", "Left Hippocampus (Coarse)")])
def test_one_name_is_asked_for_as_one_or_the_other_protocols(
    package: ModelPackage, scan: Path, tmp_path: Path, protocol: str, name: str
) -> None:
    out = tmp_path / "left.nii.gz"
    words = ["--model", str(package.path), "--labels", "Left Hippocampus", "--protocol", protocol, "--device", "cpu"]
    assert main(["segment", str(scan), "-o", str(out), *words]) == 0
    label = TREE.find(name)
    values = json.loads((tmp_path / "left.json").read_text())["values"]
    assert {int(value): (entry["name"], entry["protocol"].casefold()) for value, entry in values.items()} == {
        label.id: (name, protocol.casefold())
    }
    mask = Segmenter.from_package(package.path, "cpu").segment(read_volume(scan)).mask(label.id).to_numpy()
    np.testing.assert_array_equal(read_back(out)[0] == label.id, mask)


def test_a_label_map_of_labels_of_two_protocols_is_refused(
    package: ModelPackage, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "all.nii.gz"
    words = ("segment", scan, "--model", package.path, "-o", out)
    for labels in ((), ("--labels", "Left Hippocampus,Remainder")):
        said = refused(capsys, *words, *labels)
        assert "belong to 2 protocols (Fine, Coarse)" in said
        assert "ask for one with --protocol Fine, or write a .seg.nrrd file" in said
    assert not list(tmp_path.iterdir())


def test_a_protocol_that_the_model_lacks_is_refused_by_every_command(
    package: ModelPackage, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, wrong = tmp_path / "out.seg.nrrd", ("--model", package.path, "--protocol", "Middling")
    strokes = write_scan(tmp_path / "strokes.nii.gz")
    for words in (
        ("segment", scan, "-o", out),
        ("propagate", scan, strokes, "-o", out, "--prior"),
        ("bids", tmp_path, tmp_path / "derivatives", "participant"),
    ):
        if words[0] == "bids":
            write_scan(tmp_path / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
            (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
        assert 'no protocol "Middling"; it has "Fine" or "Coarse"' in refused(capsys, *words, *wrong)
    plain = samples.package(tmp_path / "plain").path
    said = refused(capsys, "segment", scan, "-o", out, "--model", plain, "--protocol", "Fine")
    assert "all of its labels belong together" in said


def test_a_data_set_of_bids_is_segmented_by_one_protocol(package: ModelPackage, tmp_path: Path) -> None:
    study = tmp_path / "study"
    write_scan(study / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    (study / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    words = ["--model", str(package.path), "--protocol", "Coarse", "--device", "cpu"]
    assert main(["bids", str(study), str(study / "derivatives" / "lcs"), "participant", *words]) == 0
    (maps,) = (study / "derivatives").rglob("*dseg.nii.gz")
    assert set(np.unique(read_back(maps)[0])) <= {0, 300, 301, 302}


def test_strokes_are_believed_by_the_protocol_that_is_named(
    package: ModelPackage, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volume = read_volume(scan)
    seeds = np.zeros(volume.shape, np.uint8)
    seeds[18, 22, 16:26], seeds[18, 30, 16:26] = 1, 2
    strokes = write_scan(tmp_path / "strokes.nii.gz", volume.with_array(seeds))
    names = {"values": {"1": {"name": "Left Hippocampus"}, "2": {"name": "Background"}}}
    (tmp_path / "strokes.json").write_text(json.dumps(names))
    words: list[str | Path] = ["propagate", scan, strokes, "--prior", "--model", package.path, "--device", "cpu"]
    found = {}
    for protocol in ("Fine", "Coarse"):
        out = tmp_path / f"{protocol}.nii.gz"
        chosen = [*words, "-o", tmp_path / f"{protocol}.seg.nrrd", "--probabilities", out, "--protocol", protocol]
        assert main([str(word) for word in chosen]) == 0
        found[protocol] = read_back(out)[0]
    assert np.abs(found["Fine"] - found["Coarse"]).max() > 0.01
    capsys.readouterr()
    words.remove("--prior")
    said = refused(capsys, *words, "--features", "-o", tmp_path / "x.seg.nrrd", "--protocol", "Fine")
    assert "which only --prior does" in said
    assert "--protocol says something of a model" in refused(
        capsys, "propagate", scan, strokes, "-o", tmp_path / "x.seg.nrrd", "--protocol", "Fine"
    )


def test_a_label_by_example_lies_inside_a_label_of_any_protocol(scan: Path, tmp_path: Path) -> None:
    made = samples.package(tmp_path, samples.SEEING, TREE, name="seeing", made=samples.seeing_network(TREE, seed=25))
    bright = read_volume(scan).array[0] > 600
    mask = write_scan(tmp_path / "mask.nii.gz", read_volume(scan).with_array(bright.astype(np.uint8)))
    out = tmp_path / "bright.nii.gz"
    words = ["--model", made.path, "--example", scan, mask, "--name", "Bright", "--inside", "Remainder"]
    assert main([str(word) for word in ("segment", scan, "-o", out, *words, "--device", "cpu")]) == 0
    inside = Segmenter.from_package(made.path, "cpu").segment(read_volume(scan), ["Remainder"]).mask("Remainder")
    found = read_back(out)[0] > 0
    assert found.any()
    assert not (found & ~inside.to_numpy()).any()
    assert [int(value) for value in json.loads((tmp_path / "bright.json").read_text())["values"]] == [303]


def test_relations_are_written_as_a_table_and_a_picture(
    package: ModelPackage, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(word) for word in ("relations", package.path, scan, "--least", "0.05", "--device", "cpu")]
    table, text, picture = (tmp_path / f"relations{end}" for end in (".csv", ".md", ".png"))
    assert main([*words, "-o", str(table), "--picture", str(picture)]) == 0
    assert "(overlap" in capsys.readouterr().out
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert rows
    for row in rows:
        label, other = TREE.find(row["label"]), TREE.find(row["other_label"])
        assert TREE.protocol_of(label).name == row["protocol"] != row["other_protocol"]
        assert TREE.protocol_of(other).name == row["other_protocol"]
        assert 0.05 <= float(row["probability"]) <= 1
        assert 0 <= float(row["overlap"]) <= 1
        assert -1 <= float(row["prompts"]) <= 1
        assert row["features"] == ""
    with Image.open(picture) as shown:
        assert shown.format == "PNG"
        assert len(shown.convert("RGB").getcolors(2**24) or []) > 10
    assert main([*words, "-o", str(text)]) == 0
    lines = text.read_text().splitlines()
    assert len(lines) == len(rows) + 2
    assert lines[0] == "| " + " | ".join(rows[0]) + " |"


def test_the_prompts_alone_are_related_without_a_scan(
    package: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "prompts.csv"
    words = ["relations", str(package.path), "--least", "-1", "-o", str(table), "--device", "cpu"]
    assert main(words) == 0
    rows = list(csv.DictReader(table.read_text().splitlines()))
    fine, coarse = (len(part.leaves) for part in TREE.parts.values())
    assert len(rows) == 2 * fine * coarse
    assert all(row["overlap"] == row["probability"] == "" for row in rows)
    capsys.readouterr()
    assert main(["relations", str(package.path), "--least", "1.5", "--device", "cpu"]) == 0
    assert "No relation is 1.5 or more." in capsys.readouterr().out


def test_what_cannot_be_related_is_refused_with_a_sentence(
    package: ModelPackage, scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("relations", package.path, scan)
    assert "use a name that ends in .csv or .md" in refused(capsys, *words, "-o", tmp_path / "relations.txt")
    assert "use a name that ends in .png" in refused(capsys, *words, "--picture", tmp_path / "relations.jpg")
    assert "There is no file" in refused(capsys, "relations", package.path, tmp_path / "none.nii.gz")
    there = tmp_path / "there.csv"
    there.write_text("kept")
    assert "exists" in refused(capsys, *words, "-o", there)
    assert there.read_text() == "kept"
    assert "There is no model" in refused(capsys, "relations", "nothing", scan)
