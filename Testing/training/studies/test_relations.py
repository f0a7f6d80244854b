"""Which label of one protocol is which part of another: from the answers of a network, in a table and a picture."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.scan.image_io import read_volume
from LabelConditionedSegmentationLib.core.scan.itk import image_of

from Testing import samples
from Training.studies.relations import ClassRelations, csv_of, figure_of, main, measure


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    sitk.WriteImage(image_of(samples.scan((32, 36, 34))), str(path))
    return path


def segmenter_of(folder: Path, tree: LabelTree) -> Segmenter:
    samples.package(folder, tree=tree)
    return Segmenter.from_package(next(folder.rglob("model.json")).parent, "cpu")


def test_the_overlap_is_that_of_the_two_answers_about_the_scan(tmp_path: Path, scan: Path) -> None:
    """On the grid of the features, which a scan on the network's own grid shares where the trunk keeps it."""
    segmenter = segmenter_of(tmp_path, samples.two_protocols())
    found, tree = measure(segmenter, [scan]), segmenter.package.labels
    one, other = (part.leaves for part in tree.parts.values())
    assert found.overlap is not None
    shares = []
    for label in one:
        relations = [r for leaf in other if (r := found.between(label, leaf)) is not None]
        assert all(0 <= r.relation <= 1 and 0 <= r.overlap <= 1 for r in relations)
        shares += [sum(r.relation for r in relations), sum(r.overlap for r in relations)]
        assert found.between(label, one[0]) is None  # labels of one protocol exclude each other
    assert shares
    assert max(shares) <= 1 + 1e-6  # the rest is the other's background
    features = segmenter.features(read_volume(scan))
    assert found.voxels[: tree.class_slices["deep"].stop].sum() == np.prod(features.kept("count").shape[:3])


def test_relations_of_one_protocol_are_cosines_without_an_overlap(tmp_path: Path, scan: Path) -> None:
    segmenter = segmenter_of(tmp_path, samples.label_tree())
    found = measure(segmenter, [scan])
    present = [leaf for number, leaf in found.leaves if found.voxels[number]]
    relation = found.between(present[0], next(leaf for leaf in found.tree.leaves if leaf != present[0]))
    assert relation is not None
    assert -1 <= relation.relation <= 1
    assert np.isnan(relation.overlap)


def test_the_table_has_the_closest_first_and_leaves_out_what_is_below_the_least() -> None:
    tree = samples.two_protocols()
    sums, voxels = np.zeros((tree.classes, tree.classes)), np.zeros(tree.classes)
    other = [tree.network_classes_under(leaf)[0] for leaf in tree.parts["rest"].leaves]
    voxels[1], sums[1, other[0]], sums[1, other[1]] = 10, 3, 6
    found = ClassRelations(tree, sums, sums.copy(), voxels)
    rows = list(csv.DictReader(csv_of(found, 0.1).splitlines()))
    names = [leaf.name for leaf in tree.parts["rest"].leaves]
    assert [(row["other_label"], row["relation"]) for row in rows] == [(names[1], "0.6000"), (names[0], "0.3000")]
    assert [row["other_label"] for row in csv.DictReader(csv_of(found, 0.5).splitlines())] == names[1:]
    (axes, _) = figure_of(found, 0.1).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == [tree.parts["deep"].leaves[0].name]


def test_the_command_writes_a_table_and_a_picture(
    tmp_path: Path, scan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = segmenter_of(tmp_path / "package", samples.two_protocols()).package
    words = [
        "relations",
        str(package.path),
        str(scan),
        "-o",
        str(tmp_path / "found"),
        "--least",
        "0",
        "--device",
        "cpu",
    ]
    monkeypatch.setattr("sys.argv", words)
    main()
    assert "overlap" in capsys.readouterr().out
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "found.csv").read_text().startswith("protocol,label,other_protocol,other_label,relation,overlap")
