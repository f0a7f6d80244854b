"""The module's self-test, on the stand-in: the same tests that run inside the application."""

from __future__ import annotations

import unittest
from pathlib import Path

import pytest

from Testing.host.application import Host

NAMES = [
    "test_the_first_volume_of_the_scene_is_chosen",
    "test_searching_shows_what_matches_and_its_parents",
    "test_apply_writes_what_is_ticked_while_the_application_stays_alive",
    "test_further_ticks_need_no_network_and_give_what_a_run_gives",
    "test_unticking_removes_a_segment",
    "test_a_second_run_finds_the_model_loaded",
    "test_cancel_leaves_the_scene_as_it_was",
    "test_undo_takes_the_last_apply_back",
    "test_apply_segments_the_ticked_scans_and_undo_takes_them_back_one_by_one",
    "test_strokes_become_a_structure_and_accept_is_taken_back",
    "test_impossible_metadata_hold_apply_back",
    "test_a_scene_brings_the_panel_back",
    "test_a_segment_becomes_a_label_by_example_that_is_found_again",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_self_test(name: str, host: Host, tiny_package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LCS_MODELS", str(tiny_package.parent))
    host.open_module()
    from LabelConditionedSegmentationLib.panel.self_test import PanelTest

    result = unittest.TestResult()
    PanelTest(name).run(result)
    assert result.testsRun == 1
    assert not result.skipped
    assert result.wasSuccessful(), "\n".join(text for _case, text in [*result.errors, *result.failures])


def test_every_test_of_the_self_test_is_run_here(host: Host) -> None:
    host.open_module()
    from LabelConditionedSegmentationLib.panel.self_test import PanelTest

    assert sorted(NAMES) == sorted(unittest.defaultTestLoader.getTestCaseNames(PanelTest))
