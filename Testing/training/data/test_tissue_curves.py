"""The brightness of tissues in made images: as in a kind of scan that is described, or on a curve over a stored
scan.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from Training.data.acquisition import Acquisition, Contrast, Tissues
from Training.data.class_maps import ClassMap
from Training.data.tissue_curves import TissueCurve

FLUID, GRAY, WHITE, BETWEEN, THALAMUS = range(1, 6)
NAMES = tuple(frozenset(names) for names in ([], ["Fluid"], ["Gray"], ["White"], ["Gray"], ["Thalamus"]))
TISSUES = Tissues("Fluid", "Gray", "White")
LEVELLED = ClassMap(torch.zeros(1, 1, 1), NAMES, (np.nan, -2.0, 0.0, 1.0, 0.0, 0.5))
T2 = Contrast("T2", 1.0, (230, 250), (120, 140), (60, 80))


def brightened(classes: ClassMap, settings: Acquisition, seed: int, around: int = 0) -> tuple[str, np.ndarray]:
    means = np.full(len(classes.names) + bool(around), 99.0)
    name = TissueCurve(classes, TISSUES).brighten(means, settings, around, np.random.default_rng(seed))
    return name, means


@pytest.mark.parametrize("seed", range(8))
def test_a_described_contrast_has_its_brightness_and_its_name(seed: int) -> None:
    name, means = brightened(LEVELLED, Acquisition(contrasts=[T2], offset=0), seed)
    assert name == "T2"
    assert 230 <= means[FLUID] <= 250
    assert 120 <= means[GRAY] <= 140
    assert 60 <= means[WHITE] <= 80
    assert means[THALAMUS] == pytest.approx((means[GRAY] + means[WHITE]) / 2)
    assert means[0] == 99


def test_without_a_stored_scan_the_three_tissues_are_set_alone() -> None:
    plain = replace(LEVELLED, levels=())
    _, means = brightened(plain, Acquisition(contrasts=[T2]), 1)
    assert means[THALAMUS] == 99
    assert 230 <= means[FLUID] <= 250
    assert means[GRAY] == means[BETWEEN]


def test_contrasts_come_by_their_shares_and_the_rest_is_other() -> None:
    settings = Acquisition(contrasts=[replace(T2, share=0.5), Contrast("FLAIR", 0.3)])
    names = [brightened(LEVELLED, settings, seed)[0] for seed in range(600)]
    assert names.count("T2") / 600 == pytest.approx(0.5, abs=0.07)
    assert names.count("FLAIR") / 600 == pytest.approx(0.3, abs=0.07)
    assert set(names) == {"T2", "FLAIR", "other"}


def test_labels_depart_from_the_curve_each_as_a_whole() -> None:
    _, means = brightened(LEVELLED, Acquisition(contrasts=[T2], offset=20), 3)
    assert means[GRAY] == means[BETWEEN]  # parts of one label and one level
    assert means[THALAMUS] != pytest.approx((means[GRAY] + means[WHITE]) / 2)


def test_without_contrasts_samples_follow_a_random_curve_or_nothing() -> None:
    _, never = brightened(LEVELLED, Acquisition(levelled=0), 1)
    assert (never == 99).all()
    rising = set()
    for seed in range(20):
        name, means = brightened(LEVELLED, Acquisition(levelled=1, offset=0), seed)
        assert name == ""
        rising.add(bool(means[FLUID] < means[GRAY]))
    assert rising == {True, False}


def test_fluid_around_a_brain_is_mostly_as_bright_as_that_within() -> None:
    around = len(NAMES)
    same = [
        brightened(LEVELLED, Acquisition(contrasts=[T2], offset=0), seed, around)[1][[around, FLUID]]
        for seed in range(40)
    ]
    assert 15 < sum(a == pytest.approx(b) for a, b in same) < 40


def test_a_tissue_that_no_class_lies_under_is_named() -> None:
    with pytest.raises(KeyError, match="Water"):
        TissueCurve(LEVELLED, replace(TISSUES, fluid="Water"))
