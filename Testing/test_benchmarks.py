"""The page of benchmarks and the script that writes it fit each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from Testing.benchmarks.oddness import area
from Testing.benchmarks.run import PAGE, SECTIONS, write_section
from Testing.benchmarks.strokes import SimulatedUser


def test_every_section_of_the_script_has_a_measured_place_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in SECTIONS:
        section = page.split(f"<!-- begin {name} -->")[1].split(f"<!-- end {name} -->")[0]
        assert "| --- |" in section, f"the section {name} was never measured"
        assert f"Testing.benchmarks.run {name}" in section


def test_a_section_replaces_what_stood_there_and_nothing_else() -> None:
    page = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
    assert write_section(page, "x", r"new \1") == "a\n<!-- begin x -->\nnew \\1\n<!-- end x -->\nb\n"
    with pytest.raises(SystemExit, match="no markers"):
        write_section(page, "y", "new")


def test_a_score_is_judged_by_how_often_a_bad_answer_comes_before_a_good_one() -> None:
    bad = np.array([True, True, False, False])
    assert area(np.array([0.9, 0.4, 0.4, 0.1]), bad) == pytest.approx(0.875)
    assert area(np.array([0.0, 0.1, 0.2, 0.3]), bad) == 0
    assert math.isnan(area(np.array([0.0, 0.1]), np.array([True, True])))


def test_a_simulated_user_paints_structures_inside_of_the_truth_and_background_outside() -> None:
    truth = np.zeros((12, 20, 20), dtype=bool)
    truth[3:9, 4:14, 5:12] = True
    answers = [np.zeros_like(truth), np.roll(truth, 3, axis=1), np.ones_like(truth), np.roll(truth, 4, axis=2)]
    user = SimulatedUser(truth)
    user.begin()
    for answer in answers:
        user.mend(answer)
    assert user.strokes == 2 + len(answers)
    assert truth[user.marked == 1].all()
    assert not truth[user.marked == 2].any()
    before = user.marked.copy()
    user.mend(truth)
    assert np.array_equal(user.marked, before)


def test_a_simulated_user_mends_what_is_worse_first() -> None:
    truth = np.zeros((12, 20, 20), dtype=bool)
    truth[3:9, 4:14, 5:12] = True
    too_much = truth.copy()
    too_much[3:9, 14:18, 5:12] = True
    too_much[3, 4, 5] = False
    user = SimulatedUser(truth)
    user.mend(too_much)
    assert set(np.unique(user.marked)) == {0, 2}
