"""Packages that answer together, and segmenters that are closed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from LabelConditionedSegmentationLib.core.errors import InputError, PackageError
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.network.architecture import Architecture
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.scan.geometry import resample
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
from LabelConditionedSegmentationLib.core.scan.volume import Array

from Testing import samples

SCAN = samples.scan((28, 34, 32))
CONTEXT = replace(samples.TINY, context_classes=2)


def folds(folder: Path, count: int = 2, architecture: Architecture = samples.TINY, flip: bool = False) -> list[Path]:
    """Packages whose networks differ in their weights only."""
    return [
        samples.package(
            folder, architecture, name=f"fold_{n}", flip=flip, made=samples.network(architecture, seed=n)
        ).path
        for n in range(count)
    ]


def scores(segmenter: Segmenter) -> Array:
    """(k, j, i, classes) of the scanned region, from features in single precision."""
    segmenter.feature_dtype = torch.float32
    found = segmenter.features(SCAN)
    assert found.stored is not None
    fine = resample(found.stored, found.feature_grid, found.input_grid.box(*found.region))
    out: Array = (fine @ found.prompts.vectors.T + found.prompts.bias).numpy()
    return out


@pytest.mark.parametrize(
    ("architecture", "flip"),
    [
        (samples.TINY, False),
        (samples.TINY, True),
        (CONTEXT, False),
        (replace(samples.TINY, conditioning="decoder"), False),
    ],
    ids=["head", "flips", "context classes", "a pass a label"],
)
def test_the_scores_of_an_ensemble_are_the_mean_of_its_members(
    tmp_path: Path, architecture: Architecture, flip: bool
) -> None:
    paths = folds(tmp_path, 3, architecture, flip)
    each = [scores(Segmenter.from_package(path, "cpu")) for path in paths]
    together = scores(Segmenter.from_packages(paths, "cpu"))
    assert np.abs(each[0] - each[1]).max() > 0.1
    assert np.allclose(together, np.mean(each, axis=0), rtol=0, atol=1e-4)


def test_labels_and_probabilities_are_those_of_the_mean_scores(tmp_path: Path) -> None:
    paths = folds(tmp_path)
    segmenter = Segmenter.from_packages(paths, "cpu")
    mean = np.mean([scores(Segmenter.from_package(path, "cpu")) for path in paths], axis=0)
    result = segmenter.segment(SCAN, probabilities="all")
    features = segmenter.features(SCAN)
    (k0, j0, i0), (k1, j1, i1) = features.region
    ids = np.array([0, *(leaf.id for leaf in segmenter.package.labels.leaves)])
    top = np.sort(mean, axis=-1)
    clear = top[..., -1] - top[..., -2] > 0.05
    assert clear.mean() > 0.5
    found = result.label_map.to_numpy()[k0:k1, j0:j1, i0:i1]
    assert np.array_equal(found[clear], ids[mean.argmax(-1)][clear])
    assert result.probabilities is not None
    wanted = torch.from_numpy(mean).double().softmax(-1).movedim(-1, 0).numpy()[1:]
    assert np.allclose(result.probabilities.volume.array[:, k0:k1, j0:j1, i0:i1], wanted, rtol=0, atol=0.01)


def test_the_same_package_twice_answers_as_once(tmp_path: Path) -> None:
    (path,) = folds(tmp_path, 1)
    once, twice = Segmenter.from_package(path, "cpu"), Segmenter.from_packages([path, path], "cpu")
    assert np.allclose(scores(once), scores(twice), rtol=0, atol=1e-5)


def test_the_report_names_all_members(tmp_path: Path) -> None:
    one, two = folds(tmp_path)
    report = Segmenter.from_packages([one, two], "cpu").segment(SCAN).report
    assert report.model == "fold_0 + fold_1"
    hashes = {ModelPackage.load(path).weights_sha256 for path in (one, two)}
    assert len(report.package_sha256) == 64
    assert report.package_sha256 not in hashes
    assert Segmenter.from_packages([two, one], "cpu").package.weights_sha256 != report.package_sha256
    assert Segmenter.from_packages([one], "cpu").package == ModelPackage.load(one)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"tree": samples.label_tree(4)}, "label trees"),
        ({"spec": InputSpec(spacing=(1.0, 1.0, 2.0))}, "inputs"),
        ({"spec": InputSpec(foreground="all")}, "inputs"),
        ({"patch": (64, 64, 64)}, "patch sizes"),
        ({"flip": True}, "use of mirror images"),
        ({"architecture": CONTEXT}, "architectures"),
    ],
)
def test_packages_that_do_not_fit_together_are_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    paths = [*folds(tmp_path, 1), samples.package(tmp_path, name="other", **changes).path]
    with pytest.raises(PackageError, match=rf'fold_0" and ".*other" cannot answer together, since their {what}'):
        Segmenter.from_packages(paths, "cpu")


def test_no_package_is_refused() -> None:
    with pytest.raises(PackageError, match="No model was named"):
        Segmenter.from_packages([], "cpu")


@pytest.mark.parametrize("count", [1, 2])
def test_a_closed_segmenter_holds_no_weights_and_says_so(tmp_path: Path, count: int) -> None:
    with Segmenter.from_packages(folds(tmp_path, count), "cpu") as segmenter:
        features = segmenter.features(SCAN)
        before = segmenter.segment(SCAN).label_map.array
    assert all(tensor.is_meta for tensor in (*segmenter.network.parameters(), *segmenter.network.buffers()))
    asks: list[Callable[[], object]] = [lambda: segmenter.segment(SCAN), lambda: segmenter.features(SCAN)]
    for ask in asks:
        with pytest.raises(InputError, match="This segmenter was closed, which freed its network; load"):
            ask()
    assert np.array_equal(features.segment().label_map.array, before)


def test_a_segmenter_is_closed_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(InputError), Segmenter.from_packages(folds(tmp_path, 1), "cpu") as segmenter:
        segmenter.segment(SCAN.with_array(np.zeros_like(SCAN.array)))
    assert segmenter.network.bias.is_meta
