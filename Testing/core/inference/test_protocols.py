"""Several protocols in one model: each divides the scan on its own, from one pass of the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import LabelError
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.layered_features import LayeredFeatures
from LabelConditionedSegmentationLib.core.inference.segmenter import FEATURE_BUDGET, Segmenter
from LabelConditionedSegmentationLib.core.labels.label_tree import LabelTree
from LabelConditionedSegmentationLib.core.network.head import ClassEmbeddings
from LabelConditionedSegmentationLib.core.network.model import LabelConditionedNetwork
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.volume import Array

from Testing import samples

CPU = torch.device("cpu")
TREE = samples.two_protocols()
SCAN = samples.scan((44, 50, 46))


def segmenter_of(
    network: LabelConditionedNetwork, tree: LabelTree, flip: bool = False, budget: int = FEATURE_BUDGET
) -> Segmenter:
    about = (tree, samples.SCHEMA, (32, 32, 32), flip, "ab" * 32)
    package = ModelPackage(Path("tiny"), "tiny", samples.TINY, InputSpec(), *about)
    return Segmenter(package, network, CPU, budget)


def layered(flip: bool = False, budget: int = FEATURE_BUDGET) -> LayeredFeatures:
    features = segmenter_of(samples.network(tree=TREE, seed=25), TREE, flip, budget).features(SCAN)
    assert isinstance(features, LayeredFeatures)
    return features


def alone(protocol: str, flip: bool = False) -> Features:
    """The features of a model that has this one protocol, and the same trunk and prompts."""
    network, tree = samples.network(tree=TREE, seed=25), TREE.parts[protocol]
    place = TREE.class_slices[protocol]
    head = network.head
    assert isinstance(head, ClassEmbeddings)
    head.prompts, head.bias = (torch.nn.Parameter(values[place]) for values in (head.prompts, head.bias))
    network.classes = tree.classes
    return segmenter_of(network, tree, flip).features(SCAN)


def masks(features: Features, labels: list[str] | None = None) -> dict[str, Array]:
    result = features.segment(labels)
    return {entry.label.name: result.layers[entry.layer].array[0] == entry.value for entry in result.labels}


@pytest.mark.parametrize("flip", [False, True])
def test_a_protocol_is_decided_as_by_a_model_that_has_it_alone(flip: bool) -> None:
    features = layered(flip)
    assert list(features.parts) == ["deep", "rest"]
    for name, part in features.parts.items():
        expected = alone(name, flip).winner_map()
        assert len(np.unique(expected)) == len(part.labels.leaves) + 1
        assert np.array_equal(part.winner_map(), expected)


def test_labels_of_two_protocols_lie_in_layers_of_their_own_and_may_share_voxels() -> None:
    features = layered()
    everything = masks(features)
    assert set(everything) == {leaf.name for leaf in TREE.leaves}
    result = features.segment(None)
    assert len(result.layers) == 2
    deep = np.logical_or.reduce([everything[leaf.name] for leaf in TREE.parts["deep"].leaves])
    rest = np.logical_or.reduce([everything[leaf.name] for leaf in TREE.parts["rest"].leaves])
    assert (deep & rest).any()
    for name, part in features.parts.items():
        assert all(np.array_equal(everything[label], mask) for label, mask in masks(alone(name)).items())
        assert part.segment().label_map.array.any()


def test_labels_of_one_protocol_are_one_label_map_whichever_is_asked_for() -> None:
    features = layered()
    for wanted in (["Left Putamen"], ["Left Hippocampus", "Right Amygdala"], ["Rest"], ["Deep gray matter"]):
        result = features.segment(wanted)
        assert result.label_map.array.any()
        assert [entry.label.name for entry in result.labels] == wanted


def test_features_beyond_the_budget_leave_the_winner_map_of_every_protocol() -> None:
    kept, streamed = layered(), layered(budget=0)
    assert streamed.stored is None
    for name, part in kept.parts.items():
        assert np.array_equal(streamed.parts[name].winner_map(), part.winner_map())


def test_winner_maps_are_computed_when_needed_and_kept() -> None:
    features = layered()
    features.segment(["Left Putamen"])
    assert features.report.to_json()["timings_s"].keys() >= {"scoring"}
    assert features.parts["deep"]._winners is None
    assert features.parts["rest"].winner_map() is features.parts["rest"].winner_map()


def test_probabilities_at_a_point_are_those_inside_each_protocol() -> None:
    features, point = layered(), (23.0, 25.0, 22.0)
    found = {ranked.label.name: ranked.probability for ranked in features.at(point)}
    expected = {ranked.label.name: ranked.probability for name in TREE.parts for ranked in alone(name).at(point)}
    assert found == pytest.approx(expected, abs=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert len(features.at(point, 3)) == 3


def test_the_one_winner_map_that_there_is_not_is_refused_with_the_names_of_the_protocols() -> None:
    with pytest.raises(LabelError, match=r'several ways \("deep", "rest"\)'):
        layered().winner_map()


def example(name: str, parent: str = "", bias: float = 1.0) -> ExamplePrompt:
    """One that wins everywhere where it may."""
    return ExamplePrompt(name, (0.0,) * samples.TINY.feature_channels, bias, "tiny", "ab" * 32, parent)


def _seen(features: Features) -> Array:
    """What the network saw, of the scan."""
    seen = np.zeros(features.input_grid.shape, dtype=bool)
    seen[tuple(slice(a, b) for a, b in zip(*features.region, strict=True))] = True
    return seen


def test_a_label_by_example_is_looked_for_inside_its_parent_in_the_parents_protocol() -> None:
    features = layered()
    for parent in ("Left Putamen", "Left Hippocampus"):
        found = masks(features.by_example([example("mine", parent)]))["mine"]
        assert found.any()
        assert np.array_equal(found, masks(features, [parent])[parent])


def test_labels_by_example_compete_where_their_parents_of_two_protocols_meet() -> None:
    features = layered()
    one, other = (masks(features, [name])[name] for name in ("Left Putamen", "Left Hippocampus"))
    assert (one & other).any()
    found = masks(features.by_example([example("mine", "Left Putamen"), example("other", "Left Hippocampus")]))
    assert np.array_equal(found["mine"], one)  # equal scores: the first one wins
    assert np.array_equal(found["other"], other & ~one)
    divided = masks(features.by_example([example("all", "Left Putamen", bias=-9.0)], divide=True))
    assert np.array_equal(divided["all"], one)  # where nothing but it may win


def test_a_label_by_example_without_a_parent_is_looked_for_everywhere_beside_those_that_have_one() -> None:
    features = layered()
    inside = masks(features, ["Left Hippocampus"])["Left Hippocampus"]
    found = masks(features.by_example([example("mine", "Left Hippocampus", bias=2.0), example("anywhere")]))
    assert np.array_equal(found["mine"], inside)
    assert np.array_equal(found["anywhere"], ~inside & _seen(features))


def test_labels_by_example_get_ids_and_names_that_no_protocol_has() -> None:
    features = layered()
    (entry,) = features.by_example([example("mine", "Left Hippocampus")]).segment().labels
    assert entry.value == max(label.id for label in TREE.labels) + 1
    with pytest.raises(LabelError, match='There is a label "Left Putamen" already'):
        features.by_example([example("Left Putamen", "Left Hippocampus")])


def test_a_protocol_is_asked_by_its_name() -> None:
    features = layered()
    assert features.of_protocol(" Deep ") is features.parts["deep"]
    with pytest.raises(LabelError, match='no protocol "other"; it has "deep" or "rest"'):
        features.of_protocol("other")


def test_progress_over_several_protocols_is_monotone_and_ends_at_one() -> None:
    done: list[float] = []
    layered().segment(None, lambda fraction, _text: done.append(fraction))
    assert done == sorted(done)
    assert done[-1] == 1
