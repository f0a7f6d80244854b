"""Context classes divide the background inside the network; what comes out of a package knows the labels and one
background only.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import PackageFormatError, PackageIntegrityError
from LabelConditionedSegmentationLib.core.inference import features as features_module
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.package.package_files import DESCRIPTION
from LabelConditionedSegmentationLib.core.scan.geometry import Grid, resample
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec

from Testing import samples

CONTEXT = replace(samples.TINY, context_classes=3)
CPU = torch.device("cpu")


def segmenter(flip: bool = False, labels: int = 6, budget: int = 2**30) -> Segmenter:
    tree = samples.label_tree(labels)
    package = ModelPackage(Path("tiny"), "tiny", CONTEXT, InputSpec(), tree, samples.SCHEMA, (32, 32, 32), flip, "")
    return Segmenter(package, samples.network(CONTEXT, tree), CPU, budget, torch.float32)


def plain_classes(made: Segmenter) -> np.ndarray:
    """The plain argmax over all classes at every voxel of the scan, context not yet mapped to the background."""
    volume = samples.scan()
    found = made.features(volume)
    assert found.stored is not None
    scores = resample(found.stored, found.feature_grid, Grid.of(volume)) @ found.prompts.vectors.T + found.prompts.bias
    (k0, j0, i0), (k1, j1, i1) = found.region
    return np.asarray(scores.argmax(-1)[k0:k1, j0:j1, i0:i1].numpy())


@pytest.mark.parametrize("flip", [False, True])
def test_a_voxel_that_a_context_class_wins_is_background(flip: bool) -> None:
    made = segmenter(flip)
    plain = plain_classes(made)
    assert {7, 8, 9} & set(np.unique(plain)), "no context class wins anywhere"
    winners = made.features(samples.scan()).winner_map()
    assert (winners == np.where(plain > 6, 0, plain)).mean() > 0.9999
    assert winners.max() <= 6


@pytest.mark.parametrize("changed", ["chunk", "slabs", "nothing kept"])
def test_labels_are_the_same_however_the_product_is_cut(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 labels and 3 context classes: with a chunk of 16 the last chunk holds labels and context."""
    volume = samples.scan()
    expected = segmenter(labels=30).features(volume).winner_map()
    made = segmenter(labels=30, budget=0 if changed == "nothing kept" else 2**30)
    if changed == "chunk":
        made.network_pass.plan = replace(made.plan, chunk=16)
    if changed == "slabs":
        monkeypatch.setattr(features_module, "SLAB_VALUES", 1)
    assert np.array_equal(made.features(volume).winner_map(), expected)


def test_the_winner_map_holds_labels_only_so_that_255_of_them_fit_a_byte() -> None:
    assert segmenter(labels=255).features(samples.scan((20, 20, 20))).winner_map().dtype == np.uint8


def test_a_point_ranks_labels_and_leaves_the_share_of_the_context_out() -> None:
    made = segmenter()
    found = made.features(samples.scan())
    k, j, i = 18, 22, 20
    assert found.stored is not None
    scores = (
        resample(found.stored, found.feature_grid, Grid.of(samples.scan())) @ found.prompts.vectors.T
        + found.prompts.bias
    )
    expected = scores[k, j, i].softmax(0)
    ranked = found.at((float(i), float(j), float(k)), count=100)
    assert len(ranked) == 6
    assert sum(r.probability for r in ranked) == pytest.approx(
        1 - float(expected[0]) - float(expected[7:].sum()), abs=1e-4
    )
    for r in ranked:
        assert r.probability == pytest.approx(float(expected[made.package.labels.class_of[r.label.id]]), abs=1e-4)


def test_with_flips_context_classes_mirror_to_themselves() -> None:
    volume, made = samples.scan(), segmenter(flip=True)
    tree, exchange = made.package.labels, np.arange(256)
    for leaf in tree.leaves:
        exchange[leaf.id] = tree.mirrored(leaf).id
    answer, mirrored = (
        made.segment(v).label_map.array[0] for v in (volume, volume.with_array(volume.array[..., ::-1].copy()))
    )
    assert (exchange[mirrored[..., ::-1]] == answer).mean() > 0.9999


def test_a_package_with_context_classes_names_the_labels_only_and_comes_back(tmp_path: Path) -> None:
    package = samples.package(tmp_path, CONTEXT)
    again = ModelPackage.load(package.path)
    assert again.architecture == CONTEXT
    network = again.build_network()
    assert network.classes == len(again.labels.leaves) + 1 == 7
    assert network.prompts.shape == (10, CONTEXT.feature_channels)
    made = Segmenter.from_package(package.path, "cpu")
    assert set(np.unique(made.segment(samples.scan()).label_map.array)) <= {
        0,
        *(leaf.id for leaf in again.labels.leaves),
    }


def test_a_package_that_hides_its_context_classes_is_refused(tmp_path: Path) -> None:
    path = samples.package(tmp_path, CONTEXT).path
    description = json.loads((path / DESCRIPTION).read_text(encoding="utf-8"))
    del description["architecture"]["context_classes"]
    (path / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
    with pytest.raises(PackageIntegrityError, match="head"):
        ModelPackage.load(path).build_network()


def test_a_description_without_context_classes_is_as_it_was_before_there_were_any() -> None:
    assert "context_classes" not in samples.TINY.to_json()
    assert Architecture.from_json(samples.TINY.to_json()) == samples.TINY
    assert Architecture.from_json(CONTEXT.to_json()) == CONTEXT


@pytest.mark.parametrize(
    "changes", [{"context_classes": -1}, {"context_classes": 256}, {"context_classes": 1, "conditioning": "decoder"}]
)
def test_context_classes_that_no_network_has_are_refused(changes: dict[str, int | str]) -> None:
    with pytest.raises(PackageFormatError, match="context_classes"):
        Architecture.from_json(samples.TINY.to_json() | changes)
