"""How the programs of Training end: by a sentence, by the status of an interruption, or by what nobody expected."""

from __future__ import annotations

import pytest
from LabelConditionedSegmentationLib.core.errors import OutputError

from Training.engine.program import INTERRUPTED, ends_with_a_sentence


def test_an_expected_error_is_its_sentence() -> None:
    with pytest.raises(SystemExit) as end, ends_with_a_sentence("Interrupted."):
        raise OutputError("The disk is full.")
    assert end.value.code == "The disk is full."


@pytest.mark.parametrize(("said", "expected"), [("", ""), ("Interrupted.", "Interrupted.\n")])
def test_ctrl_c_is_a_status_and_a_sentence_where_there_is_one(
    said: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, ends_with_a_sentence(said):
        raise KeyboardInterrupt
    assert end.value.code == INTERRUPTED
    assert capsys.readouterr().err == expected


def test_what_nobody_expected_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), ends_with_a_sentence():
        raise ZeroDivisionError
