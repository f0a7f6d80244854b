"""Strokes mend an answer of a network: what is painted is right, and nothing is left over or touched elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import LabelError
from LabelConditionedSegmentationLib.core.inference.features import Features
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.scan.geometry import Grid
from LabelConditionedSegmentationLib.core.scan.volume import Array, Volume
from LabelConditionedSegmentationLib.core.strokes.mending import mend
from LabelConditionedSegmentationLib.core.strokes.painted_strokes import Strokes
from LabelConditionedSegmentationLib.core.strokes.propagation import propagate

from Testing import samples


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, Features, Array]:
    """A scan, what a network found in it, and its answer."""
    scan, _ = samples.scan_of_parts((48, 52, 50))
    folder = tmp_path_factory.mktemp("model")
    made = samples.seeing_network()
    package = samples.package(folder, samples.SEEING, patch=(64, 64, 64), name="seeing", made=made).path
    features = Segmenter.from_package(Path(package), "cpu").features(scan)
    return scan, features, features.segment().label_map.array[0]


def wrong_line(answer: Array) -> tuple[tuple[slice, ...], int]:
    """A short line inside the brain, and the id of a label that the answer does not have there."""
    line = (slice(20, 21), slice(25, 26), slice(22, 28))
    there = set(np.unique(answer[line]))
    return line, next(leaf.id for leaf in samples.label_tree().leaves if leaf.id not in there)


def strokes_of(scan: Volume, line: tuple[slice, ...], name: str) -> Strokes:
    seeds = np.zeros(scan.shape, dtype=np.uint16)
    seeds[line] = 1
    return Strokes(Grid.of(scan), seeds, (name,))


def test_a_stroke_is_right_afterwards_and_what_it_takes_comes_from_labels_beside_it(
    answered: tuple[Volume, Features, Array],
) -> None:
    scan, features, answer = answered
    line, wanted = wrong_line(answer)
    strokes = strokes_of(scan, line, features.labels[wanted].name)
    mended, found = mend(strokes, scan, features, answer)
    cut = tuple(slice(a, b) for a, b in zip(*strokes.box, strict=True))
    assert (mended[line] == wanted).all()
    assert set(np.unique(mended)) <= {*np.unique(answer), wanted, 0}
    outside = np.ones(answer.shape, dtype=bool)
    outside[cut] = False
    assert np.array_equal(mended[outside], answer[outside])
    assert float((found.probabilities.sum(0) - 1).abs().max()) < 0.01
    far = np.abs(np.indices(answer.shape) - np.array([20, 25, 25])[:, None, None, None]).max(0) > 8
    assert (mended[far] == answer[far]).mean() > 0.9


def test_a_stroke_of_the_background_takes_away(answered: tuple[Volume, Features, Array]) -> None:
    scan, features, answer = answered
    line, _ = wrong_line(answer)
    mended, _ = mend(strokes_of(scan, line, "background"), scan, features, answer)
    assert (mended[line] == 0).all()


def test_a_name_that_the_model_does_not_know_is_refused(answered: tuple[Volume, Features, Array]) -> None:
    scan, features, answer = answered
    line, _ = wrong_line(answer)
    with pytest.raises(LabelError, match="knows no label"):
        mend(strokes_of(scan, line, "Spleen"), scan, features, answer)


def test_the_time_follows_the_strokes_and_not_the_scan(answered: tuple[Volume, Features, Array]) -> None:
    scan, features, answer = answered
    line, wanted = wrong_line(answer)
    strokes = strokes_of(scan, line, features.labels[wanted].name)
    found = propagate(strokes, scan, features, features)
    assert found.probabilities[0].numel() < answer.size / 50
    assert found.certainty.shape == answer.shape
    assert found.certainty[0, 0, 0] == 1


def test_a_group_of_labels_is_refused_since_nobody_says_which_of_them_it_is(
    answered: tuple[Volume, Features, Array],
) -> None:
    scan, features, answer = answered
    line, _ = wrong_line(answer)
    group = next(label for label in features.labels.labels if label not in features.labels.leaves)
    with pytest.raises(LabelError):
        mend(strokes_of(scan, line, group.name), scan, features, answer)


def test_two_segments_of_one_label_are_one_and_leave_the_others_in_place(
    answered: tuple[Volume, Features, Array],
) -> None:
    """One is named by the label's name, the other by its id; the background comes after them."""
    scan, features, answer = answered
    line, wanted = wrong_line(answer)
    beside = (slice(20, 21), slice(29, 30), slice(22, 28))
    seeds = np.zeros(scan.shape, dtype=np.uint16)
    seeds[line], seeds[20, 27, 22:28], seeds[beside] = 1, 2, 3
    names = (features.labels[wanted].name, str(wanted), "background")
    mended, _ = mend(Strokes(Grid.of(scan), seeds, names), scan, features, answer)
    assert (mended[line] == wanted).all()
    assert (mended[20, 27, 22:28] == wanted).all()
    assert (mended[beside] == 0).all()
