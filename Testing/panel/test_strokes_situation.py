"""What the section Strokes says and offers, decided without Qt."""

from __future__ import annotations

from dataclasses import replace

import pytest
from LabelConditionedSegmentationLib.panel.strokes_situation import StrokesSituation

READY = StrokesSituation(scan="Scan", has_strokes=True, painted=("Tumour", "Background"))


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (replace(READY, missing="Install PyTorch."), "Install PyTorch."),
        (replace(READY, scan=""), "Choose the scan"),
        (replace(READY, has_strokes=False), "Press New"),
        (replace(READY, problem="Of another grid."), "Of another grid."),
        (replace(READY, painted=()), "Paint a stroke on the structure"),
        (replace(READY, painted=("background",)), "only the background"),
        (replace(READY, painted=("Tumour",)), 'all strokes are of "Tumour"'),
        (replace(READY, wants_mend=True), "press Apply first"),
        (replace(READY, wants_mend=True, is_kept=True, painted=()), "where the answer is wrong"),
    ],
)
def test_what_lacks_is_said_with_what_to_do(now: StrokesSituation, text: str) -> None:
    assert text in now.lack_of_strokes
    assert now.hint == now.lack_of_strokes


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (READY, "intensities"),
        (replace(READY, painted=("Tumour", "Edema")), "intensities"),
        (replace(READY, is_kept=True), "what the network found"),
        (replace(READY, is_kept=True, wants_mend=True, painted=("Left Putamen",)), "mends the answer"),
        (replace(READY, is_kept=True, wants_mend=True, painted=("Background",)), "mends the answer"),
    ],
)
def test_what_strokes_spread_over_is_said(now: StrokesSituation, text: str) -> None:
    assert now.lack_of_strokes == ""
    assert text in now.hint


def test_no_model_is_needed() -> None:
    assert READY.obstacle != ""
    assert READY.can_begin


def test_nothing_is_written_while_something_runs() -> None:
    shown = replace(READY, has_preview=True, has_accepted=True, learns_examples=True)
    assert shown.can_accept
    assert shown.can_make_label
    assert not replace(shown, running=True).can_accept
    assert not replace(shown, running=True).can_make_label
    assert not READY.can_accept


def test_mending_can_be_chosen_where_there_is_an_answer_and_always_be_taken_back() -> None:
    assert not READY.can_mend
    assert replace(READY, is_kept=True).can_mend
    assert replace(READY, wants_mend=True).can_mend


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (READY, "Accept a result first."),
        (replace(READY, has_accepted=True, model="Brain"), "Brain was not trained"),
        (replace(READY, has_accepted=True, learns_examples=True), "found in the next scan"),
    ],
)
def test_the_button_of_a_label_says_why(now: StrokesSituation, text: str) -> None:
    assert text in now.label_tip
