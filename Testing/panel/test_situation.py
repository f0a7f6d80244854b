"""What may be pressed, and what the panel says, in every situation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from LabelConditionedSegmentationLib.core.findings import Finding
from LabelConditionedSegmentationLib.core.labels.label_tree import Label
from LabelConditionedSegmentationLib.core.scan.scan_checks import LABEL_MAP
from LabelConditionedSegmentationLib.panel.batch_tool import BatchSituation
from LabelConditionedSegmentationLib.panel.example_tool import ExampleSituation
from LabelConditionedSegmentationLib.panel.pick_tool import PickSituation
from LabelConditionedSegmentationLib.panel.segment_tool import SegmentSituation, not_found_sentences, run_sentences
from LabelConditionedSegmentationLib.panel.situation import findings_text, time_left

READY = SegmentSituation(model="Whole brain", wanted=3)
SEVERAL = BatchSituation(model="Whole brain", wanted=3, scans=2)
PICKING = PickSituation(model="Whole brain")
SHOWING = ExampleSituation(model="Whole brain", learns_examples=True)


def test_apply_says_what_it_will_do() -> None:
    assert READY.can_apply
    assert READY.apply_tip == "Run Whole brain and write 3 structures."
    assert (
        replace(READY, wanted=1, is_answered=True).apply_tip
        == "Write 1 structure at once: the network has seen this volume already."
    )


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        (replace(READY, missing="PyTorch is not installed yet."), "PyTorch is not installed yet."),
        (replace(READY, model=""), "Choose a model, or add one."),
        (replace(READY, lack="It needs another model."), "It needs another model."),
        (
            replace(READY, findings=(Finding.error("This volume is 4D:", "choose a frame."),)),
            "This volume is 4D: choose a frame.",
        ),
        (replace(READY, problems=('Metadata "age" cannot be 400.',)), 'Metadata "age" cannot be 400.'),
        (replace(READY, running=True), "A run is going on; cancel it first."),
        (replace(READY, wanted=0), "Choose at least one structure."),
    ],
)
def test_apply_is_held_back_with_a_reason(situation: SegmentSituation, says: str) -> None:
    assert not situation.can_apply
    assert situation.apply_tip == says


def test_warnings_and_notes_do_not_hold_apply_back() -> None:
    assert replace(READY, findings=(Finding.warning("Coarse voxels."), Finding.note("A frame."))).can_apply


def test_what_is_missing_is_told_before_anything_else() -> None:
    assert replace(READY, missing="Install it.", model="", wanted=0).apply_tip == "Install it."


@pytest.mark.parametrize(
    ("situation", "says"),
    [
        (replace(SEVERAL, missing="PyTorch is not installed yet."), "PyTorch is not installed yet."),
        (replace(SEVERAL, lack="It needs another model."), "It needs another model."),
        (replace(SEVERAL, running=True), "A run is going on; cancel it first."),
        (replace(SEVERAL, is_going_on=True), "A run is going on; cancel it first."),
        (replace(SEVERAL, model=""), "Choose a model, or add one."),
        (
            replace(SEVERAL, channels=2),
            "Whole brain takes 2 volumes of each scan; segment such scans one by one.",
        ),
        (replace(SEVERAL, wanted=0), "Choose at least one structure."),
    ],
)
def test_apply_to_several_scans_is_held_back_with_a_reason(situation: BatchSituation, says: str) -> None:
    assert not situation.can_apply
    assert situation.apply_tip == situation.advice == says


def test_apply_to_several_scans_asks_nothing_of_the_volume_under_input() -> None:
    several = replace(SEVERAL, findings=(Finding.error("Empty."),), problems=("Impossible.",))
    assert several.can_apply
    assert several.apply_text == "Apply to 2 scans"
    assert replace(several, scans=1).apply_text == "Apply to 1 scan"


def test_a_point_can_be_picked_without_a_structure_chosen() -> None:
    assert PICKING.can_pick
    assert PICKING.pick_tip.startswith("The model runs once. Then: click")
    assert replace(PICKING, is_answered=True).pick_tip.startswith("Click into a view")
    assert not replace(PICKING, running=True).can_pick


def test_only_what_was_taken_for_a_label_map_can_be_called_a_scan() -> None:
    assert replace(READY, findings=(LABEL_MAP,)).may_be_scan
    assert replace(READY, findings=(replace(LABEL_MAP, text=f"T2: {LABEL_MAP.text}"),)).may_be_scan
    assert not replace(
        READY, findings=(Finding.error("Empty.", "Load it again."), Finding.note("A frame."))
    ).may_be_scan


def test_cancel_can_be_pressed_once_a_run() -> None:
    assert not READY.can_cancel
    assert replace(READY, running=True).can_cancel
    assert not replace(READY, running=True, cancelling=True).can_cancel


def test_a_change_after_a_run_asks_for_a_new_run() -> None:
    assert "new run" in replace(READY, has_run_before=True).advice
    assert "new run" not in replace(READY, has_run_before=True, is_answered=True).advice
    assert "new run" not in READY.advice
    assert replace(READY, has_run_before=True, model="").advice == "Choose a model, or add one."


def test_while_a_segmentation_follows_the_ticks_it_is_said() -> None:
    assert replace(READY, is_live=True, is_answered=True).advice == "A tick shows its structure at once."
    assert "new run" in replace(READY, is_live=True, has_run_before=True).advice


def test_findings_are_listed_gravest_first() -> None:
    text = findings_text(
        (Finding.note("A frame."), Finding.error("Empty.", "Load it again."), Finding.warning("Coarse.")), "scan"
    )
    assert text.splitlines() == ["✖ Empty. Load it again.", "⚠ Coarse.", "• A frame."]
    assert findings_text((), "scan") == "✔ scan can be segmented."


@pytest.mark.parametrize(
    ("fraction", "seconds", "text"),
    [
        (0.0, 50, ""),
        (0.5, 0.5, ""),
        (0.5, 20, "about 20 s left"),
        (0.25, 100, "about 5 min left"),
        (0.999, 10, "about 1 s left"),
    ],
)
def test_the_time_left_is_told_when_it_can_be_known(fraction: float, seconds: float, text: str) -> None:
    assert time_left(fraction, seconds) == text


@pytest.mark.parametrize(
    ("situation", "can", "tip"),
    [
        (SHOWING, True, "Show the model a structure"),
        (replace(SHOWING, running=True), True, "Show the model a structure"),
        (
            replace(SHOWING, learns_examples=False),
            False,
            f"{READY.model} was not trained to learn labels from examples; choose a model that was.",
        ),
        (replace(SHOWING, model=""), False, "Choose a model, or add one."),
    ],
)
def test_labels_by_example_need_a_model_that_learns_them(situation: ExampleSituation, can: bool, tip: str) -> None:
    assert situation.can_show_examples is can
    assert situation.examples_tip.startswith(tip)


def test_what_was_found_before_a_run_is_told() -> None:
    report = {"timings_s": {"network": 3.2}, "device": "CPU", "fallbacks": [], "findings": []}
    for inside, said in (
        ({"label": "Brain", "ml": 1432.3, "stripped": "no"}, "The brain was found first (1432 ml)."),
        ({"label": "Left Putamen", "ml": 5.0, "stripped": "no"}, "The left putamen was found first (5 ml)."),
        ({"stripped": "yes", "because": "the user says so"}, "The scan was taken for skull-stripped."),
    ):
        assert run_sentences({**report, "inside": inside}, is_current=True)[2:] == [said]


def test_a_run_that_has_ended_is_summed_up() -> None:
    report = {
        "timings_s": {"network": 3.2, "labels": 0.4},
        "device": "CPU",
        "fallbacks": ["one window at a time", "labels in parts"],
        "findings": [
            {"level": "warning", "text": "Coarse voxels.", "fix": ""},
            {"level": "note", "text": "A frame.", "fix": ""},
        ],
    }
    assert run_sentences(report, is_current=True) == [
        "Done in 4 s on CPU.",
        "Further ticks show at once.",
        "Memory was short: one window at a time, labels in parts.",
        "Coarse voxels.",
    ]
    changed = run_sentences({**report, "fallbacks": [], "findings": []}, is_current=False)
    assert changed[1:] == ["What is known about the scan was changed meanwhile: press Apply for a new run."]
    assert "<one window at a time>, <labels in parts>" in run_sentences(report, True, "<{}>".format)[2]


def test_only_what_is_missing_is_named() -> None:
    assert not_found_sentences([]) == []
    assert not_found_sentences([Label(1, "Left Putamen"), Label(2, "Cyst")]) == [
        "Not found in this volume: Left Putamen, Cyst."
    ]
