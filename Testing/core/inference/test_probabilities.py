"""Probability maps: the softmax of the scores that decide the labels, whole, exact, and without a map for each label of
the model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import Cancelled, InputError, LabelError, OutputError
from LabelConditionedSegmentationLib.core.examples.example_prompt import ExamplePrompt
from LabelConditionedSegmentationLib.core.inference import features as features_module
from LabelConditionedSegmentationLib.core.inference import scoring
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.scoring import best_classes, probabilities_of
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.progress import CancelToken
from LabelConditionedSegmentationLib.core.scan.geometry import resample
from LabelConditionedSegmentationLib.core.scan.volume import Array

from Testing import samples
from Testing.core.inference.test_segmenter import OBLIQUE, flat_tree, tiny_segmenter
from Testing.memory_probe import LiveTensorBytes

SCAN = samples.scan((28, 34, 32), OBLIQUE)
CONTEXT = replace(samples.TINY, context_classes=3)


def plain(features: Features) -> Array:
    """(classes + context, k, j, i) of the region: the softmax in float64 of scores that are all computed at once."""
    assert features.stored is not None
    target = features.input_grid.box(*features.region)
    fine = resample(features.stored, features.feature_grid, target).double()
    scores = fine @ features.prompts.vectors.double().T + features.prompts.bias.double()
    out: Array = scores.softmax(-1).movedim(-1, 0).numpy()
    return out


def inside(features: Features, array: Array) -> Array:
    (k0, j0, i0), (k1, j1, i1) = features.region
    return array[..., k0:k1, j0:j1, i0:i1]


@pytest.fixture(scope="module", params=["plain", "flips", "context classes"])
def features(request: pytest.FixtureRequest) -> Features:
    """The same network, alone, averaged with its mirror image, and with classes that divide the background."""
    architecture = CONTEXT if request.param == "context classes" else samples.TINY
    return tiny_segmenter(architecture, flip=request.param == "flips").features(SCAN)


def test_maps_are_the_softmax_over_all_labels_and_the_background(features: Features) -> None:
    wanted = plain(features)
    maps = features.probabilities()
    assert maps.volume.array.dtype == np.float32
    assert maps.labels == features.labels.leaves
    leaves = inside(features, maps.volume.array)
    assert leaves.std(axis=(1, 2, 3)).max() > 0.01
    assert np.allclose(leaves, wanted[1 : len(maps.labels) + 1], rtol=0, atol=1e-5)
    background = wanted[0] + wanted[len(maps.labels) + 1 :].sum(0)
    assert np.allclose(leaves.sum(0) + background, 1, rtol=0, atol=1e-5)
    assert 0 <= maps.volume.array.min() < maps.volume.array.max() <= 1


def test_the_largest_probability_is_that_of_the_label_in_the_map(features: Features) -> None:
    wanted, maps = plain(features), features.probabilities()
    found = inside(features, features.segment().label_map.to_numpy())
    context = [wanted[n][None] for n in range(len(maps.labels) + 1, len(wanted))]
    competing = np.concatenate([wanted[:1], inside(features, maps.volume.array), *context])
    ids = np.array([0, *(label.id for label in maps.labels), *(0 for _ in context)])
    top = np.sort(competing, axis=0)
    clear = top[-1] - top[-2] > 1e-4
    assert clear.mean() > 0.9
    assert len(np.unique(found[clear])) > 1
    assert np.array_equal(ids[competing.argmax(0)][clear], found[clear])


def test_a_map_does_not_depend_on_which_others_are_asked_for(features: Features) -> None:
    everything = features.probabilities()
    alone = features.probabilities(["Right Amygdala"])
    assert alone.volume.array.shape == (1, *SCAN.shape)
    assert np.allclose(alone.volume.array[0], everything["Right Amygdala"].to_numpy(), rtol=0, atol=1e-6)
    assert alone["Amygdala R"].to_numpy().max() > 0.1


def test_a_structure_with_parts_has_the_sum_of_its_parts(features: Features) -> None:
    tree = features.labels
    maps = features.probabilities(["Deep gray matter", "Right Hippocampus"])
    parts = features.probabilities([leaf.name for leaf in tree.leaves_under(tree.find("Deep gray matter"))])
    assert len(parts.labels) > 2
    assert np.allclose(maps["Deep gray matter"].to_numpy(), parts.volume.array.sum(0), rtol=0, atol=1e-6)
    assert np.array_equal(maps["Right Hippocampus"].to_numpy(), maps.volume.array[1])


def test_a_map_agrees_with_what_is_found_under_a_point(features: Features) -> None:
    maps = features.probabilities()
    for index in ((14, 17, 16), (12, 20, 10)):
        point = (SCAN.affine @ [*index[::-1], 1])[:3]
        ranked = features.at(point)
        assert len(ranked) == 6
        for entry in ranked:
            assert maps[entry.label.id].to_numpy()[index] == pytest.approx(entry.probability, abs=1e-5)


def test_outside_of_the_region_everything_is_background() -> None:
    volume = samples.scan((28, 34, 32))
    volume.array[:, :, :, :14] = 0
    features = tiny_segmenter().features(volume)
    array = features.probabilities().volume.array
    outside = np.ones(volume.shape, dtype=bool)
    inside(features, outside)[:] = False
    assert outside.any()
    assert (array[:, outside] == 0).all()
    assert array.any()


def test_flips_give_left_and_right_the_same_share_of_both_views() -> None:
    """A scan that is its own mirror image has in the left labels the mirror image of the right ones."""
    voxels = samples.scan((28, 34, 32)).array
    volume = samples.scan((28, 34, 32)).with_array(np.maximum(voxels, voxels[..., ::-1]))
    maps = tiny_segmenter(flip=True).features(volume).probabilities()
    for structure in ("Amygdala", "Hippocampus", "Putamen"):
        left, right = (maps[f"{side} {structure}"].to_numpy() for side in ("Left", "Right"))
        assert np.allclose(left, right[..., ::-1], rtol=0, atol=5e-3)  # features are kept in half precision
    asymmetric = tiny_segmenter().features(volume).probabilities()
    left, right = (asymmetric[f"{side} Amygdala"].to_numpy() for side in ("Left", "Right"))
    assert np.abs(left - right[..., ::-1]).max() > 0.05


@pytest.mark.parametrize("flip", [False, True])
def test_maps_that_are_made_while_the_network_runs_are_the_same(flip: bool) -> None:
    wanted = ["Right Amygdala", "Deep gray matter"]
    kept = tiny_segmenter(flip=flip).segment(SCAN, probabilities=wanted)
    large = tiny_segmenter(flip=flip, feature_budget=0)
    streamed = large.segment(SCAN, ["Right Amygdala"], probabilities=wanted)
    assert kept.probabilities is not None
    assert streamed.probabilities is not None
    assert streamed.probabilities.volume.array.max() > 0.1
    assert np.array_equal(kept.probabilities.volume.array, streamed.probabilities.volume.array)
    assert np.array_equal(large.segment(SCAN).label_map.array, kept.label_map.array)


def test_probabilities_of_features_that_went_are_refused_with_what_to_do() -> None:
    features = tiny_segmenter(feature_budget=0).features(SCAN, probabilities=["Right Amygdala"])
    assert features.stored is None
    assert features.probabilities("Right Amygdala").volume.array.any()
    with pytest.raises(InputError, match=r'"Left Putamen" have to be asked for when the network runs: give prob'):
        features.probabilities(["Right Amygdala", "Left Putamen"])


def test_an_unknown_label_is_refused_before_the_network_runs() -> None:
    segmenter = tiny_segmenter()
    calls: list[int] = []
    segmenter.network.trunk.register_forward_pre_hook(lambda *_: calls.append(1))
    with pytest.raises(LabelError, match='no label "Left Amygdalla"'):
        segmenter.segment(SCAN, probabilities=["Left Amygdalla"])
    assert calls == []


def test_cancel_is_honoured() -> None:
    features = tiny_segmenter().features(SCAN)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        features.probabilities(cancel=token)


def test_where_memory_runs_out_the_label_chunk_is_smaller_and_the_maps_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = tiny_segmenter().features(SCAN).probabilities().volume.array
    real = scoring.probabilities_of

    def greedy(*arguments: Any) -> torch.Tensor:
        if arguments[-1] > 16:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return real(*arguments)

    monkeypatch.setattr(features_module, "probabilities_of", greedy)
    features = tiny_segmenter().features(SCAN)
    found = features.probabilities().volume.array
    assert features.report.fallbacks == ["label chunk 40", "label chunk 16"]
    assert np.allclose(found, wanted, rtol=0, atol=1e-6)


def by_example(features: Features, prompts: Sequence[tuple[str, str]]) -> Features:
    generator = torch.Generator().manual_seed(3)
    length = features.prompts.vectors.shape[1]
    return features.by_example(
        [
            ExamplePrompt(
                name, tuple((2 * torch.randn(length, generator=generator)).tolist()), 0.3, "tiny", "", parent=parent
            )
            for name, parent in prompts
        ]
    )


def test_a_label_by_example_has_no_share_outside_its_parent() -> None:
    features = tiny_segmenter().features(SCAN)
    shown = by_example(features, [("Inside", "Right Amygdala"), ("Anywhere", ""), ("Elsewhere", "Right Hippocampus")])
    maps = shown.probabilities()
    parent = features.segment().mask("Right Amygdala").to_numpy()
    assert 0 < parent.mean() < 1
    assert (maps["Inside"].to_numpy()[~parent] == 0).all()
    assert maps["Inside"].to_numpy()[parent].max() > 0.1
    wanted = plain(shown)
    wanted[3] = 0
    wanted /= wanted.sum(0)
    here = inside(features, parent)
    for n, name in enumerate(("Inside", "Anywhere"), start=1):
        assert np.allclose(inside(features, maps[name].to_numpy())[here], wanted[n][here], rtol=0, atol=1e-5)
    for index in np.argwhere(parent)[:: parent.sum() // 5]:
        ranked = {entry.label.name: entry.probability for entry in shown.at((SCAN.affine @ [*index[::-1], 1])[:3])}
        assert maps["Anywhere"].to_numpy()[tuple(index)] == pytest.approx(ranked["Anywhere"], abs=1e-5)
    both = features.probabilities(["Left Putamen"]).beside(maps)
    assert np.array_equal(both["Inside"].array, maps["Inside"].array)
    assert both.labels[0].name == "Left Putamen"


# The chunked sum


@pytest.mark.parametrize("chunk", [16, 48, 160])
def test_every_chunk_and_group_gives_the_plain_softmax(chunk: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features, prompts = torch.randn(9000, 8, generator=generator), 3 * torch.randn(100, 8, generator=generator)
    bias = torch.randn(100, generator=generator)
    groups = [[1], list(range(2, 90)), [1, 99, 50], []]
    log_sum = best_classes(features, prompts, bias, chunk, with_log_sum=True).log_sum
    assert log_sum is not None
    found = probabilities_of(groups, features, prompts, bias, log_sum, chunk)
    softmax = (features.double() @ prompts.double().T + bias.double()).softmax(1)
    wanted = torch.stack([softmax[:, group].sum(1) for group in groups])
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=0)
    assert float(found.max()) <= 1


def test_scores_of_any_size_give_probabilities() -> None:
    features, bias = torch.tensor([[1e4], [-1e4], [0.0]]), torch.zeros(3)
    prompts = torch.tensor([[0.0], [1.0], [-1.0]])
    log_sum = best_classes(features, prompts, bias, with_log_sum=True).log_sum
    assert log_sum is not None
    found = probabilities_of([[1], [2]], features, prompts, bias, log_sum)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0, 1 / 3], [0, 1.0, 1 / 3]]))


def test_memory_hardly_depends_on_how_many_labels_the_model_has() -> None:
    peaks = {}
    for labels in (400, 2000):
        features = tiny_segmenter(tree=flat_tree(labels)).features(SCAN)
        with LiveTensorBytes() as probe:
            features.probabilities(["Structure 3"])
        peaks[labels] = probe.peak
    assert peaks[2000] < 1.1 * peaks[400]


# Files


def test_maps_are_saved_with_their_names(tmp_path: Path, tiny_package: Path) -> None:
    features = Segmenter.from_package(tiny_package, "cpu").features(SCAN)
    maps = features.probabilities(["Right Amygdala", "Deep gray matter"])
    maps.save(tmp_path / "p.nii.gz")
    image = nib.load(tmp_path / "p.nii.gz")
    assert image.get_data_dtype() == np.float32
    assert np.array_equal(np.asarray(image.dataobj), maps.volume.array.T)
    assert np.allclose(image.affine, SCAN.affine, atol=1e-5)
    assert json.loads((tmp_path / "p.json").read_text()) == {
        "model": "tiny",
        "probabilities": "p.nii.gz",
        "labels": [{"id": 44, "name": "Right Amygdala"}, {"id": 200, "name": "Deep gray matter"}],
    }
    features.probabilities(["Right Amygdala"]).save(tmp_path / "one.nii")
    assert nib.load(tmp_path / "one.nii").shape == SCAN.shape[::-1]
    with pytest.raises(OutputError, match="is no image that can be written"):
        maps.save(tmp_path / "p.seg.nrrd")
    with pytest.raises(OutputError, match=r"exists; .*overwrite=True"):
        maps.save(tmp_path / "p.nii.gz")


def test_a_map_that_was_not_asked_for_is_not_there() -> None:
    maps = tiny_segmenter().features(SCAN).probabilities(["Right Amygdala"])
    with pytest.raises(LabelError, match='no probability map of "Left Putamen"'):
        maps["Left Putamen"]
