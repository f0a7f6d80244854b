"""Which label of one protocol is which part of another: from the prompts of a network and its answers about scans."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import InputError
from LabelConditionedSegmentationLib.core.inference.class_relations import ClassRelations, prompt_cosines
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings

from Testing import samples

SCAN = samples.scan((32, 36, 34))
ON_ITS_GRID = replace(samples.TINY, output_stride=1)
"""Whose features lie on the voxels of a scan of its spacing, so that answers can be counted."""


def segmenter_of(folder: Path, tree: LabelTree) -> Segmenter:
    made = samples.network(ON_ITS_GRID, tree, seed=25)
    return Segmenter.from_package(samples.package(folder, ON_ITS_GRID, tree, made=made).path, "cpu")


def test_the_overlap_is_the_share_of_a_label_that_the_other_protocol_gives_to_another(tmp_path: Path) -> None:
    segmenter = segmenter_of(tmp_path, samples.two_protocols())
    features = segmenter.features(SCAN)
    found = ClassRelations(segmenter)
    found.add(features)
    one, other = segmenter.package.labels.parts.values()
    result, maps = features.segment(), features.probabilities()
    checked = 0
    for label in one.leaves:
        here = result.mask(label.id).to_numpy()
        relations = [found.between(label, leaf) for leaf in other.leaves]
        if not here.any():
            continue
        for leaf, relation in zip(other.leaves, relations, strict=True):
            assert relation is not None
            inside = result.mask(leaf.id).to_numpy()[here].mean()
            assert relation.overlap == pytest.approx(inside, abs=0.01)  # features are kept in half precision
            assert relation.probability == pytest.approx(float(maps[leaf.id].to_numpy()[here].mean()), abs=0.01)
            assert math.isnan(relation.features)
            checked += 1
        assert sum(r.overlap for r in relations if r) <= 1 + 1e-9  # the rest is the background of the other
        assert found.between(label, one.leaves[0]) is None  # labels of one protocol exclude each other
    assert checked


def test_two_scans_count_as_one_of_all_their_voxels(tmp_path: Path) -> None:
    segmenter = segmenter_of(tmp_path, samples.two_protocols())
    once, twice = ClassRelations(segmenter), ClassRelations(segmenter)
    once.add(segmenter.features(SCAN))
    for _ in range(2):
        twice.add(segmenter.features(SCAN))
    label = next(leaf for leaf in once.tree.leaves if once.of(leaf, 0.0))
    for one, two in zip(once.of(label, 0.0), twice.of(label, 0.0), strict=True):
        assert (one.overlap, one.probability) == pytest.approx((two.overlap, two.probability))


def test_relations_of_one_protocol_are_cosines_without_an_overlap(tmp_path: Path) -> None:
    segmenter = segmenter_of(tmp_path, samples.label_tree())
    found = ClassRelations(segmenter)
    found.add(segmenter.features(SCAN))
    told = [relation for leaf in found.tree.leaves for relation in found.of(leaf, -1.0)]
    assert told
    assert all(-1 <= r.features <= 1 and r.strength == r.features for r in told)
    assert all(math.isnan(r.overlap) and math.isnan(r.probability) for r in told)


def test_without_a_scan_the_prompts_alone_are_told_and_with_one_labels_that_win_nothing_are_left_out(
    tmp_path: Path,
) -> None:
    tree = samples.two_protocols()
    segmenter = segmenter_of(tmp_path, tree)
    head = segmenter.network.head
    assert isinstance(head, ClassEmbeddings)
    lost = tree.leaves[0]
    with torch.no_grad():
        head.bias[tree.network_classes_under(lost)[0]] = -1e4
    found = ClassRelations(segmenter)
    told = found.of(lost, -1.0)
    assert {r.other.id for r in told} == {leaf.id for leaf in tree.parts["rest"].leaves}
    assert all(r.strength == r.prompts and math.isnan(r.overlap) for r in told)
    found.add(segmenter.features(SCAN))
    assert found.of(lost, -1.0) == []
    nothing = found.between(lost, tree.parts["rest"].leaves[0])
    assert nothing is not None
    assert math.isnan(nothing.probability)


def test_what_is_added_to_all_prompts_of_a_protocol_changes_no_relation() -> None:
    tree = samples.two_protocols()
    prompts = torch.randn(tree.classes, 8, generator=torch.Generator().manual_seed(0))
    moved = prompts.clone()
    moved[tree.class_slices["rest"]] += 5
    found = prompt_cosines(prompts, tree)
    np.testing.assert_allclose(prompt_cosines(moved, tree), found, atol=1e-6)
    np.testing.assert_allclose(np.diag(found), 1)
    plain = prompt_cosines(prompts, samples.label_tree())[1, 2]
    assert plain == pytest.approx(float(torch.cosine_similarity(prompts[1], prompts[2], dim=0)))


def test_the_strongest_relations_come_first_and_those_below_the_least_are_left_out(tmp_path: Path) -> None:
    segmenter = segmenter_of(tmp_path, samples.two_protocols())
    found = ClassRelations(segmenter)
    found.add(segmenter.features(SCAN))
    label = next(leaf for leaf in found.tree.leaves if found.of(leaf, 0.0))
    strengths = [relation.strength for relation in found.of(label, 0.0)]
    assert strengths == sorted(strengths, reverse=True)
    assert len(found.of(label, strengths[0])) == 1
    assert found.of(label, 1.1) == []


def test_a_model_whose_labels_enter_inside_the_network_is_refused(tmp_path: Path) -> None:
    decoder = replace(samples.TINY, conditioning="decoder", output_stride=1)
    segmenter = Segmenter.from_package(samples.package(tmp_path, decoder).path, "cpu")
    with pytest.raises(InputError, match="have no prompts to relate"):
        ClassRelations(segmenter)


def test_features_that_were_not_kept_are_refused(tmp_path: Path) -> None:
    segmenter = segmenter_of(tmp_path, samples.two_protocols())
    found = ClassRelations(segmenter)
    segmenter.feature_budget = 0
    with pytest.raises(InputError, match="to relate its labels"):
        found.add(segmenter.features(SCAN))
