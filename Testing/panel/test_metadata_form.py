"""The metadata form on the screen: what is typed and chosen becomes an entry, and what is wrong stands with it."""

from __future__ import annotations

from typing import Any

import pytest
from LabelConditionedSegmentationLib.core.scan.facts import Fact
from LabelConditionedSegmentationLib.core.scan.metadata import Field, MetadataSchema
from LabelConditionedSegmentationLib.panel.metadata_entries import MetadataEntries
from PySide6 import QtWidgets
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from Testing.host import qt as adaptor
from Testing.host.application import Host
from Testing.samples import SCHEMA

FACTS = {"age": Fact(31.0, "from DICOM: PatientAge", ""), "sex": Fact("F", "from DICOM: PatientSex", "")}
WIDTH = 380


class FormScreen:
    """A shown metadata form of a narrow panel, and a user in front of it."""

    def __init__(self) -> None:
        from LabelConditionedSegmentationLib.panel.metadata_form import MetadataForm

        self.widget = QtWidgets.QWidget()
        self.layout: Any = QtWidgets.QFormLayout(self.widget)
        self.calls = 0
        self.form = MetadataForm(adaptor.wrap(self.layout), self._changed)
        self.entries = MetadataEntries(SCHEMA)
        self.form.show(self.entries)
        self.panel = QtWidgets.QScrollArea()
        self.panel.setWidgetResizable(True)
        self.panel.setWidget(self.widget)
        self.panel.setFixedWidth(WIDTH)
        self.panel.show()

    def _changed(self) -> None:
        self.calls += 1

    def editor(self, name: str) -> Any:
        return self.widget.findChild(QtWidgets.QWidget, f"metadata_{name}")

    def remark(self, name: str) -> Any:
        return self.widget.findChild(QtWidgets.QLabel, f"metadata_{name}_remark")

    def type(self, name: str, text: str) -> None:
        self.editor(name).clear()
        QTest.keyClicks(self.editor(name), text)

    def titles(self) -> list[str]:
        role = QtWidgets.QFormLayout.ItemRole.LabelRole
        return [self.layout.itemAt(row, role).widget().text() for row in range(self.layout.rowCount())]


@pytest.fixture
def screen(host: Host) -> FormScreen:
    return FormScreen()


def test_every_field_is_unknown_at_first(screen: FormScreen) -> None:
    assert screen.titles() == ["Sex", "Age (years)"]
    assert screen.editor("age").text() == ""
    assert screen.editor("age").placeholderText() == "unknown"
    assert [screen.editor("sex").itemText(n) for n in range(screen.editor("sex").count())] == ["unknown", "F", "M"]
    assert screen.editor("sex").currentIndex() == 0
    assert not screen.remark("age").isVisible()


def test_tooltips_say_what_is_possible(screen: FormScreen) -> None:
    assert screen.editor("age").toolTip() == "0 to 120 years or unknown; the model was trained on 19 to 34."


def test_a_typed_number_is_entered_key_by_key(screen: FormScreen) -> None:
    screen.type("age", "31")
    assert screen.entries.values() == {"age": 31.0}
    assert screen.remark("age").text() == "entered"
    assert screen.calls == 2


def test_the_cursor_stays_where_the_user_types(screen: FormScreen) -> None:
    screen.type("age", "31")
    screen.editor("age").setCursorPosition(0)
    QTest.keyClicks(screen.editor("age"), "0.")
    assert screen.editor("age").text() == "0.31"


def test_a_choice_is_entered_and_unknown_takes_it_back(screen: FormScreen) -> None:
    QTest.keyClick(screen.editor("sex"), Qt.Key.Key_Down)
    assert screen.entries.values() == {"sex": "F"}
    QTest.keyClick(screen.editor("sex"), Qt.Key.Key_Up)
    assert screen.entries.values() == {}
    assert screen.calls == 2


def test_an_impossible_entry_says_so_beside_the_field_and_can_be_mended(screen: FormScreen) -> None:
    screen.type("age", "abc")
    assert screen.editor("age").text() == "abc"
    assert (
        screen.remark("age").text() == 'Metadata "age" needs a number, not "abc"; allowed: 0 to 120 years or unknown.'
    )
    assert screen.remark("age").isVisible()
    marked = screen.remark("age").styleSheet()
    screen.type("age", "30")
    assert screen.remark("age").text() == "entered"
    assert screen.remark("age").styleSheet() != marked


def test_a_prefill_shows_its_value_and_source_without_calling_back(screen: FormScreen) -> None:
    screen.entries.prefill(FACTS)
    screen.form.refresh()
    assert screen.editor("age").text() == "31"
    assert screen.editor("sex").currentText() == "F"
    assert screen.remark("age").text() == "from DICOM: PatientAge"
    assert screen.calls == 0
    assert screen.entries.source("age") == "from DICOM: PatientAge"


def test_clearing_a_prefilled_field_makes_it_unknown(screen: FormScreen) -> None:
    screen.entries.prefill(FACTS)
    screen.form.refresh()
    screen.editor("age").clear()
    screen.editor("sex").setCurrentIndex(0)
    assert screen.entries.values() == {}
    assert screen.remark("age").text() == "entered (31 from DICOM: PatientAge)"


def test_source_and_note_stand_together(screen: FormScreen) -> None:
    screen.entries.prefill({"age": Fact(70.0, "from DICOM: PatientAge", "")})
    screen.form.refresh()
    assert screen.remark("age").text().split("\n") == ["from DICOM: PatientAge", *screen.entries.notes()]


def test_an_impossible_choice_from_elsewhere_can_be_set_to_unknown(screen: FormScreen) -> None:
    screen.entries.enter("sex", "X")
    screen.form.refresh()
    assert screen.editor("sex").currentText() == ""
    assert '"X"' in screen.remark("sex").text()
    screen.editor("sex").setCurrentIndex(0)
    assert screen.entries.problems() == []


def test_markup_in_an_entry_is_shown_as_it_is_typed(screen: FormScreen) -> None:
    screen.type("age", "<b>1</b>")
    assert '"<b>1</b>"' in screen.remark("age").text()
    assert screen.remark("age").textFormat() == Qt.TextFormat.PlainText


def test_another_schema_gets_new_rows_and_nothing_is_left_of_the_old_ones(screen: FormScreen) -> None:
    old = screen.widget.findChildren(QtWidgets.QWidget)
    gone: list[str] = []
    for child in old:
        child.destroyed.connect(lambda: gone.append("widget"))
    other = MetadataSchema((Field("field_strength", "number", unit="T", possible=(0, 20), trained=(1.5, 3)),))
    screen.entries = MetadataEntries(other)
    screen.form.show(screen.entries)
    assert len(gone) == len(old)
    assert screen.titles() == ["Field strength (T)"]
    screen.type("field_strength", "3")
    assert screen.entries.values() == {"field_strength": 3.0}


def test_other_entries_of_the_same_schema_are_shown_in_the_same_rows(screen: FormScreen) -> None:
    before = screen.editor("age")
    screen.entries = MetadataEntries.from_text(SCHEMA, '{"entered": {"age": "25"}}')
    screen.form.show(screen.entries)
    assert screen.editor("age") is before
    assert before.text() == "25"
    assert screen.calls == 0
    screen.type("age", "26")
    assert screen.entries.values() == {"age": 26.0}


def test_a_model_without_metadata_has_no_rows(screen: FormScreen) -> None:
    screen.form.show(MetadataEntries(MetadataSchema()))
    assert screen.layout.rowCount() == 0


def test_sentences_wrap_in_a_narrow_panel(screen: FormScreen, host: Host) -> None:
    screen.type("age", "abc")
    for _ in range(3):
        host.qapplication.processEvents()
    remark = screen.remark("age")
    assert remark.geometry().right() < remark.parentWidget().width() <= WIDTH
    assert remark.height() >= remark.heightForWidth(remark.width()) >= 2 * remark.fontMetrics().height()


def test_neither_long_entries_nor_long_choices_widen_the_panel(screen: FormScreen, host: Host) -> None:
    screen.entries = MetadataEntries(
        MetadataSchema((*SCHEMA.fields, Field("scanner", "choice", choices=("a scanner of a very long name " * 5,))))
    )
    screen.form.show(screen.entries)
    screen.type("age", "9" * 200)
    for _ in range(3):  # the rows are laid out first, the scroll area follows
        host.qapplication.processEvents()
    assert screen.remark("age").isVisible()
    assert screen.widget.width() < WIDTH
