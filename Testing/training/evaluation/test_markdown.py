"""Tables in Markdown."""

from __future__ import annotations

from Training.evaluation.markdown import markdown_table


def test_a_table_has_its_heading_a_rule_and_its_lines() -> None:
    assert markdown_table(["way", "Dice"], [["a", "0.9"], ["b", ""]]).splitlines() == [
        "| way | Dice |",
        "| --- | --- |",
        "| a | 0.9 |",
        "| b |  |",
    ]
