"""The page of benchmarks and the script that writes it fit each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from Testing.benchmarks.oddness import area
from Testing.benchmarks.run import PAGE, SECTIONS, write_section


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
