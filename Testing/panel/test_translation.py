"""Everything that the panel says goes through the application's translation, and every sentence can be looked up."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from LabelConditionedSegmentationLib.resources import resources_folder
from PySide6 import QtCore, QtWidgets

from Testing import samples
from Testing.host.application import Host
from Testing.host.qt import unwrap
from Testing.host.selectors import qMRMLNodeComboBox, qMRMLSegmentSelectorWidget
from Testing.panel.test_panel_examples import add, open_form, paint, tick
from Testing.panel.user import INSIDE, User

DATA = re.compile(
    r"Scan|Thick|Learner|tests|CC0|Atlas|Painted|Lesion|Cyst|Deep gray matter|Rest|My labels|(Left |Right )?"
    r"(Hippocampus|Amygdala|Putamen)|Tissue|sex|age|Sex|Age|years|T1|Left|Right"
)
"""Names that the test has made up, which stay as they are."""


class SentenceMarks(QtCore.QTranslator):
    """Puts «» around every text that stands in the file for translators."""

    def __init__(self) -> None:
        super().__init__()
        tree = ElementTree.parse(resources_folder() / "Translations" / "LabelConditionedSegmentation_en-US.ts")
        self.known = {
            (context.findtext("name"), message.findtext("source"))
            for context in tree.iter("context")
            for message in context.iter("message")
        }

    def translate(self, context: str, text: str, _comment: Any = None, _number: int = -1) -> str:
        return f"«{text}»" if (context, text) in self.known else ""


@pytest.fixture
def user(host: Host, learner_models: Path) -> Iterator[User]:
    """A user of another language, with a model that learns from examples."""
    from LabelConditionedSegmentationLib.panel import sentences

    marks = SentenceMarks()
    QtCore.QCoreApplication.installTranslator(marks)
    sentences.translated.cache_clear()
    yield User(host)
    QtCore.QCoreApplication.removeTranslator(marks)
    sentences.translated.cache_clear()


def texts(user: User) -> Iterator[tuple[str, str]]:
    """Name and text of all that the panel shows, tooltips too."""
    for widget in unwrap(user.widget.parent).findChildren(QtWidgets.QWidget):
        name = widget.objectName()
        if isinstance(widget.parent(), qMRMLNodeComboBox | qMRMLSegmentSelectorWidget) or name == "modelSelector":
            continue  # what the application's own widgets say, and the names of models
        if isinstance(widget, QtWidgets.QLabel | QtWidgets.QAbstractButton) and not name.startswith("qt_"):
            yield name, widget.text()
        if isinstance(widget, QtWidgets.QLineEdit):
            yield name, widget.placeholderText()
        if isinstance(widget, QtWidgets.QComboBox) and name:
            rows = 1 if name == "compareSelector" else widget.count()  # models follow
            yield from ((name, widget.itemText(row)) for row in range(rows))
        if isinstance(widget, QtWidgets.QTreeWidget):
            header = widget.headerItem()
            yield from ((name, header.text(column)) for column in range(header.columnCount()))
        if name == "labelTree":  # the others list scans, models and volumes by their names
            for item in widget.findItems("", QtCore.Qt.MatchFlag.MatchContains | QtCore.Qt.MatchFlag.MatchRecursive):
                yield from ((name, item.toolTip(column)) for column in range(2))
        yield name, widget.toolTip()


def untranslated(user: User) -> list[tuple[str, str]]:
    """What the panel shows in English: words outside of «» that are no names."""
    found = []
    for name, text in texts(user):
        left = text
        while "«" in left:
            left, before = re.sub("«[^«»]*»", "", left), left
            assert left != before, text
        if re.search(r"[A-Za-z]{2,}", DATA.sub("", left)):
            found.append((name, text))
    return found


def test_the_empty_panel_is_told(user: User) -> None:
    assert user.ui.applyButton.text == "«Apply»"
    assert untranslated(user) == []


def test_what_the_panel_says_of_scans_entries_and_runs_is_told(user: User) -> None:
    scan = user.add_volume()
    thick = user.add_volume("Thick")
    thick.SetSpacing(1, 1, 9)
    user.choose(thick)
    assert "«The scan's voxels are up to 9 mm long" in user.ui.findingsLabel.text
    assert untranslated(user) == []
    for entry in ("a lot", "250", "90", "31"):
        user.editor("age").text = entry
        assert untranslated(user) == []
    user.choose(scan)
    user.tick("Left Putamen")
    assert user.ui.applyButton.toolTip == "«Run Learner and write 2 structures.»"
    user.apply()
    assert re.fullmatch(r"«Done in \d+ s on «CPU, \d+ threads».» «Further ticks show at once.»", user.said)
    assert untranslated(user) == []
    user.press("pickButton")
    user.click_in_view(INSIDE)
    assert untranslated(user) == []
    user.press("undoButton")
    assert untranslated(user) == []
    user.choose(None)
    assert untranslated(user) == []


def test_what_is_said_of_labels_by_example_is_told(user: User) -> None:
    user.choose(user.add_volume())
    paint(user)
    open_form(user)
    assert untranslated(user) == []
    add(user)
    assert user.said == '«"Lesion" was added to My labels.»'
    open_form(user)
    assert untranslated(user) == []
    add(user)
    assert user.said == '«There is a label "Lesion" already; give the one by example another name.»'
    tick(user, "Lesion")
    user.apply()
    assert untranslated(user) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Choose a model, or add one.", "«Choose a model, or add one.»"),
        ("about 12 s left", "«about 12 s left»"),
        ("finding the brain", "«finding the brain»"),
        ("The brain was found first (1432 ml).", "«The brain was found first (1432 ml).»"),
        ("2 of 6 structures chosen, as 1 segment", "««2 of 6 structures chosen», as 1 segment»"),
        (
            'Metadata "age" cannot be 250; allowed: 0 to 120 years or unknown.',
            '«Metadata "age" cannot be 250; allowed: «0 to 120 years or unknown».»',
        ),
        (
            "T1: This volume has no voxels. Load it again.",
            "T1: «This volume has no voxels.» «Load it again.»",
        ),
        (
            'The model "m" cannot be used: "m" is no model package: neither a folder nor a zip file.',
            '«The model "m" cannot be used: «"m" is no model package: neither a folder nor a zip file.»»',
        ),
        ("from DICOM: PatientAge", "«from DICOM»: PatientAge"),
        ("entered (31 from the subject: PatientAge)", "«entered (31 «from the subject»: PatientAge)»"),
        ("Anything else (say a path).", "Anything else (say a path)."),
        ("", ""),
    ],
)
def test_a_sentence_is_found_by_what_stands_around_its_numbers_and_names(user: User, text: str, parts: str) -> None:
    from LabelConditionedSegmentationLib.panel.sentences import translated

    assert translated(text) == parts


def test_what_strokes_say_is_told(user: User) -> None:
    user.choose(user.add_volume())
    user.ui.strokesSection.collapsed = False
    assert user.ui.strokesHintLabel.text == (
        "«Press New to begin, or choose the segmentation that strokes are painted in.»"
    )
    user.press("newStrokesButton")
    user.host.run_until(lambda: not user.panel.strokes.is_busy)
    assert untranslated(user) == []
    user.ui.mendBox.checked = True
    assert "press Apply first.»" in user.ui.strokesHintLabel.text
    assert untranslated(user) == []


def test_a_translation_that_lost_a_number_is_not_used(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from LabelConditionedSegmentationLib.panel import sentences

    monkeypatch.setattr(sentences, "translate", lambda _context, text: "noch {1}" if "s left" in text else text)
    assert sentences.translated("about 12 s left") == "about 12 s left"
    monkeypatch.setattr(sentences, "translate", lambda _context, text: "noch {0} s" if "s left" in text else text)
    sentences.translated.cache_clear()
    assert sentences.translated("about 12 s left") == "noch 12 s"


def test_in_english_nothing_is_changed(host: Host) -> None:
    from LabelConditionedSegmentationLib.panel import sentences

    sentences.translated.cache_clear()
    for text in (
        "T1: This volume has no voxels. Load it again.",
        "CPU, 2 threads",
        "age = 90 lies outside what the model was trained on (19 to 34 years); it is treated as unknown.",
        f"{samples.TINY}: a: b. c",
    ):
        assert sentences.translated(text) == text
