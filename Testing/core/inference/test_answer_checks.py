"""Answers judged against what a model usually finds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from LabelConditionedSegmentationLib.core.errors import PackageFormatError
from LabelConditionedSegmentationLib.core.inference.answer_checks import Tally, check_answer, measures_of, oddness_of
from LabelConditionedSegmentationLib.core.inference.segmenter import Segmenter
from LabelConditionedSegmentationLib.core.package.model_package import ModelPackage, save_package
from LabelConditionedSegmentationLib.core.package.usual_answers import UsualAnswers
from LabelConditionedSegmentationLib.core.scan.input_spec import InputSpec
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


def test_oddness_is_the_worst_measure_in_parts_of_what_has_failed() -> None:
    assert oddness_of(measured(), USUAL) == pytest.approx(0, abs=1e-6)
    assert oddness_of({"sizes": 1.5, "asymmetry": 0.1, "contrast": 0.2}, USUAL) == pytest.approx(0.5)
    failed = measured(intensity=-INTENSITY)
    assert oddness_of(failed, USUAL) >= 1
    assert check_answer(failed, USUAL, {})[0].level == "error"
    assert oddness_of({}, USUAL) == 0


def test_the_report_says_how_odd_an_answer_is(tmp_path: Path) -> None:
    package = samples.package(tmp_path)
    path = package.path / "model.json"
    described = json.loads(path.read_text())
    described["answers"] = USUAL.to_json()
    path.write_text(json.dumps(described))
    with Segmenter.from_package(package.path, "cpu") as segmenter:
        told = segmenter.segment(samples.scan((18, 20, 22))).report.to_json()
    assert {"lost", "oddness"} <= told["answer"].keys()
    assert (told["answer"]["oddness"] >= 1) == any(finding["level"] == "error" for finding in told["findings"])


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


@pytest.mark.filterwarnings("error")
def test_what_is_counted_of_an_answer() -> None:
    winners = np.array([[[0, 1, 1], [3, 3, 3]]], dtype=np.uint8)
    image = np.array([[[-7, 10, 20], [-3, -3, 0]]], dtype=np.int16)
    found = Tally.of(winners, image, 5, 0.5)
    assert found.count.tolist() == [1, 2, 0, 3, 0]
    assert found.total.tolist() == [-7, 30, 0, -6, 0]
    assert found.log_ml[[0, 2]] == pytest.approx([math.log(1.0), math.log(1.5)])
    assert found.intensity[[0, 2]] == pytest.approx([1, -1])
    assert np.isnan(found.log_ml[[1, 3]]).all()
    assert np.isnan(found.intensity[[1, 3]]).all()
    nothing = Tally.of(np.zeros_like(winners), image, 5, 0.5)
    assert np.isnan(nothing.log_ml).all()
    assert np.isnan(nothing.intensity).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_intensities_of_any_type_are_summed_without_overflow(dtype: type[np.generic]) -> None:
    image = np.full((40, 40, 40), 250, dtype=dtype)
    assert Tally.of(np.ones(image.shape, dtype=np.uint16), image, 2, 1.0).total.tolist() == [0, 250 * 40**3]


@pytest.mark.filterwarnings("error")
def test_a_scan_that_is_alike_everywhere_has_no_contrast_at_all() -> None:
    assert measured(intensity=np.zeros(LEAVES))["contrast"] == 2
    flat = replace(USUAL, intensity=(0.5,) * LEAVES)
    assert measures_of(tally(), TREE, flat)["contrast"] == 2


def test_what_was_not_always_found_is_left_aside() -> None:
    rare = replace(USUAL, log_ml=((math.nan, math.nan), *USUAL.log_ml[1:]))
    for there in (0.0, 10_000.0):
        ml = np.full(LEAVES, 10.0)
        ml[0] = there
        measures = measures_of(tally(ml=ml), TREE, rare)
        assert [measures["lost"], measures["asymmetry"]] == pytest.approx([0, 0])
        assert measures["sizes"] == pytest.approx(0, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_where_no_label_is_sure_nothing_is_judged() -> None:
    never = replace(USUAL, log_ml=((math.nan, math.nan),) * LEAVES)
    assert measures_of(tally(), TREE, never) == {}
    assert measures_of(tally(ml=np.zeros(LEAVES)), TREE, never) == {}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("there", [0, 1, 2, 3])
def test_of_fewer_than_three_labels_only_what_is_lost_is_known(there: int) -> None:
    ml = np.zeros(LEAVES)
    ml[:there] = 10
    measures = measured(ml=ml)
    assert measures["lost"] == pytest.approx(1 - there / LEAVES)
    assert set(measures) == ({"lost", "sizes", "asymmetry", "contrast"} if there == 3 else {"lost"})


def test_intensities_that_are_not_known_are_left_out_of_the_contrast() -> None:
    partly = replace(USUAL, intensity=(math.nan, *USUAL.intensity[1:]))
    odd = INTENSITY.copy()
    odd[0] = 50
    assert measures_of(tally(intensity=odd), TREE, partly)["contrast"] == pytest.approx(0, abs=1e-6)
    hardly = replace(USUAL, intensity=(math.nan,) * (LEAVES - 2) + USUAL.intensity[-2:])
    assert measures_of(tally(intensity=-INTENSITY), TREE, hardly)["contrast"] == 0


def test_deviations_are_measured_against_what_people_differ_by_however_few_were_seen() -> None:
    alike = replace(USUAL, log_ml=tuple((mean, 0.0) for mean, _ in USUAL.log_ml))
    ml = np.full(LEAVES, 10.0)
    ml[1] = 10 * math.exp(0.15)
    assert measures_of(tally(ml=ml), TREE, alike)["sizes"] == pytest.approx(1 / LEAVES)


def test_at_its_limit_an_answer_is_still_usual_and_what_has_no_limit_is_not_judged() -> None:
    assert check_answer({"sizes": 1.0, "contrast": 0.3}, USUAL, {}) == []
    assert check_answer({"sizes": 3.0}, USUAL, {})[0].level == "warning"
    assert check_answer({"sizes": 9.0}, replace(USUAL, limits={}), {}) == []
    assert check_answer({}, USUAL, {}) == []


def test_what_is_said_of_an_answer_is_a_sentence_of_all_that_is_odd() -> None:
    (finding,) = check_answer({"sizes": 1.5, "asymmetry": 0.3, "contrast": 0.4}, USUAL, {})
    assert finding.text == (
        "The result may be wrong: the structures have sizes that no scan of the training had and left and right differ"
        " more than in any scan of the training and the structures are bright and dark in another way than in the scans"
        " of the training."
    )
    assert finding.fix.endswith(".")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"log_ml": [[1, 0.1]] * (LEAVES - 1)}, "every label"),
        ({"intensity": [0.0] * (LEAVES + 1)}, "every label"),
        ({"log_ml": [[1, 0.1, 3]] * LEAVES}, "wrong kind"),
        ({"log_ml": ["ab"] * LEAVES}, "wrong kind"),
        ({"intensity": 3}, "wrong kind"),
        ({"limits": {"sizes": [1]}}, "wrong kind"),
        ({"limits": [1, 2]}, "wrong kind"),
    ],
)
def test_a_package_with_damaged_answers_is_refused(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    folder = samples.package(tmp_path).path
    entry = json.loads((folder / "model.json").read_text())
    entry["answers"] = USUAL.to_json() | changes
    (folder / "model.json").write_text(json.dumps(entry))
    with pytest.raises(PackageFormatError, match=text):
        ModelPackage.load(folder)


def test_limits_of_measures_that_are_not_known_are_left_out() -> None:
    entry = USUAL.to_json()
    entry["limits"]["colour"] = [1, 2]
    assert UsualAnswers.from_json(entry, LEAVES).limits == LIMITS


# In a run


def judging(folder: Path, usual: UsualAnswers = USUAL) -> Path:
    """A package that judges its answers; older versions read it too."""
    about = InputSpec(), TREE, samples.SCHEMA, (32, 32, 32), ""
    package = save_package(folder / "tiny", samples.network(), "tiny", *about, {}, usual=usual)
    assert package.usual is not None
    assert json.loads((package.path / "model.json").read_text())["format"] == 1
    return package.path


SEVERE = replace(USUAL, limits={"lost": (-2.0, -1.0)})
MILD = replace(USUAL, limits={"lost": (-1.0, 2.0)})


@pytest.mark.parametrize("budget", [0, 2**30])
@pytest.mark.parametrize(("usual", "level"), [(SEVERE, "error"), (MILD, "warning")])
def test_an_answer_is_judged_once_a_run_whether_features_are_kept_or_not(
    tmp_path: Path, budget: int, usual: UsualAnswers, level: str
) -> None:
    with Segmenter.from_package(judging(tmp_path, usual), "cpu", feature_budget=budget) as segmenter:
        features = segmenter.features(samples.scan())
        assert (features.stored is None) is (budget == 0)
        assert features.report.findings == []
        features.winner_map()
        assert [finding.level for finding in features.report.findings] == [level]
        for _ in range(2):
            report = features.segment(["Left Hippocampus"]).report
        assert [finding.level for finding in report.findings] == [level]
        again = segmenter.segment(samples.scan())
        assert [finding.level for finding in again.report.findings] == [level]


@pytest.mark.parametrize("budget", [0, 2**30])
def test_what_is_judged_is_the_answer_on_the_scan(tmp_path: Path, budget: int) -> None:
    """What one scan usually gives is usual for it, and the same scan turned inside out is not."""
    with Segmenter.from_package(samples.package(tmp_path / "plain").path, "cpu") as plain:
        volume = samples.scan()
        answer = plain.segment(volume).label_map.array[0]
    classes = np.searchsorted([0, *sorted(leaf.id for leaf in TREE.leaves)], answer)
    place = {leaf.id: n for n, leaf in enumerate(TREE.leaves, start=1)}
    number = np.array([0, *(place[ident] for ident in sorted(place))])
    found = Tally.of(number[classes], volume.array[0], LEAVES + 1, volume.voxel_millilitres)
    assert np.count_nonzero(found.count[1:]) > 3
    usual = UsualAnswers(
        tuple((float(mean), 0.1) for mean in found.log_ml),
        tuple(map(float, found.intensity)),
        dict.fromkeys(("lost", "sizes", "contrast"), (0.01, 0.02)),
    )
    with Segmenter.from_package(judging(tmp_path, usual), "cpu", feature_budget=budget) as segmenter:
        assert segmenter.segment(volume).report.findings == []
        foreground = volume.array > 0
        other = volume.with_array(np.where(foreground, volume.array.max() + 1 - volume.array, 0).astype(np.int16))
        (finding,) = segmenter.segment(other).report.findings
        assert finding.text.startswith("The result is wrong: ")


def test_a_model_of_several_protocols_is_not_judged(tmp_path: Path) -> None:
    tree = samples.two_protocols()
    about = InputSpec(), tree, samples.SCHEMA, (32, 32, 32), ""
    usual = replace(SEVERE, log_ml=((0.0, 0.1),) * len(tree.leaves), intensity=(0.0,) * len(tree.leaves))
    save_package(tmp_path / "tiny", samples.network(tree=tree), "tiny", *about, {}, usual=usual)
    with Segmenter.from_package(tmp_path / "tiny", "cpu") as segmenter:
        assert segmenter.segment(samples.scan()).report.findings == []
