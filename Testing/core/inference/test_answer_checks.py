"""Answers judged against what a model usually finds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import PackageFormatError
from LabelConditionedSegmentationLib.core.inference.answer_checks import Tally, check_answer, measures_of
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage
from LabelConditionedSegmentationLib.core.package.usual_answers import UsualAnswers
from LabelConditionedSegmentationLib.resources import DEFAULT_MODEL, resources_folder

from Testing import samples

TREE = samples.label_tree()
LEAVES = len(TREE.leaves)
LIMITS = {"lost": (0.05, 0.3), "sizes": (1.0, 3.0), "asymmetry": (0.2, 0.5), "contrast": (0.3, 0.8)}
INTENSITY = np.linspace(-1.5, 1.5, LEAVES)


def tally(ml: np.ndarray | None = None, intensity: np.ndarray = INTENSITY) -> Tally:
    count = np.concatenate([[1000.0], (np.full(LEAVES, 10.0) if ml is None else ml) * 100])
    return Tally(count, count * np.concatenate([[0.0], intensity * 7 + 40]), 0.01)


USUAL = UsualAnswers(
    tuple((math.log(10.0), 0.2) for _ in range(LEAVES)), tuple((INTENSITY - INTENSITY.mean()) / INTENSITY.std()), LIMITS
)


def measured(**changes: np.ndarray) -> dict[str, float]:
    return measures_of(tally(**changes), TREE, USUAL)


def test_a_usual_answer_is_not_remarked_upon() -> None:
    assert measured() == pytest.approx({"lost": 0, "sizes": 0, "asymmetry": 0, "contrast": 0}, abs=1e-6)
    assert check_answer(measured(), USUAL, {}) == []


def test_a_larger_head_is_no_other_answer() -> None:
    assert measured(ml=np.full(LEAVES, 14.0))["sizes"] == pytest.approx(0, abs=1e-6)


def test_labels_that_always_were_there_can_be_lost() -> None:
    ml = np.full(LEAVES, 10.0)
    ml[0] = 0
    assert measured(ml=ml)["lost"] == pytest.approx(1 / LEAVES)


def test_one_label_out_of_bounds_weighs_only_so_much() -> None:
    ml = np.full(LEAVES, 10.0)
    ml[1] = 1000
    assert measured(ml=ml)["sizes"] == pytest.approx(5 / LEAVES)


def test_the_sides_are_compared() -> None:
    left = [n for n, leaf in enumerate(TREE.leaves) if leaf.laterality == "left"]
    ml = np.full(LEAVES, 10.0)
    ml[left] = 20
    assert measured(ml=ml)["asymmetry"] == pytest.approx(math.log(2))


def test_turned_contrast_is_seen_and_scaled_contrast_is_not() -> None:
    assert measured(intensity=-INTENSITY)["contrast"] == pytest.approx(2)
    assert measured(intensity=5 * INTENSITY + 90)["contrast"] == pytest.approx(0, abs=1e-6)


def test_odd_is_a_warning_and_impossible_an_error_with_what_to_do() -> None:
    odd = check_answer({"sizes": 1.5}, USUAL, {"contrast": "Give a T1."})
    assert [(finding.level, finding.fix) for finding in odd] == [("warning", "Give a T1.")]
    wrong = check_answer({"sizes": 3.5, "lost": 0.1}, USUAL, {})
    assert wrong[0].level == "error"
    assert "10% of the structures" in wrong[0].text
    assert "sizes" in wrong[0].text


def test_an_answer_of_hardly_any_label_is_lost() -> None:
    ml = np.zeros(LEAVES)
    ml[0] = 10
    measures = measured(ml=ml)
    assert measures["lost"] > 0.5
    assert check_answer(measures, USUAL, {})[0].level == "error"


def test_what_is_usual_is_kept_as_it_is_stored() -> None:
    partly = replace(USUAL, log_ml=((math.nan, math.nan), *USUAL.log_ml[1:]))
    again = UsualAnswers.from_json(partly.to_json(), LEAVES)
    assert math.isnan(again.log_ml[0][0])
    assert np.allclose(again.log_ml[1:], USUAL.log_ml[1:], atol=1e-3)
    assert again.limits == LIMITS
    with pytest.raises(PackageFormatError, match="every label"):
        UsualAnswers.from_json(partly.to_json(), LEAVES + 1)


def test_the_shipped_model_knows_what_it_usually_finds() -> None:
    package = ModelPackage.load(resources_folder() / "Models" / DEFAULT_MODEL)
    assert package.usual is not None
    assert np.isfinite([mean for mean, _ in package.usual.log_ml]).sum() > 130
