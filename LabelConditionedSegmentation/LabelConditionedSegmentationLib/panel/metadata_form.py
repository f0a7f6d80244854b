"""The metadata form in the panel: a row for each field of the model's schema, with the source of its value or what is
wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import qt
from slicer.i18n import tr as _

from ..core.scan.metadata import Field
from .blocked_signals import blocked_signals
from .metadata_entries import MetadataEntries, hint, title
from .sentences import translated


@dataclass(frozen=True)
class _FieldRow:
    field: Field
    editor: Any
    """QLineEdit of a number, QComboBox of a choice."""
    remark: Any
    """QLabel."""


class MetadataForm:
    """Shows metadata entries in a QFormLayout and changes them as the user types and chooses. on_change is called for
    every such change, and for nothing else.
    """

    def __init__(self, layout: Any, on_change: Callable[[], None]) -> None:
        self._layout = layout
        self._on_change = on_change
        self._entries: MetadataEntries | None = None
        self._rows: list[_FieldRow] = []

    def show(self, entries: MetadataEntries) -> None:
        """Show these entries, and change them from now on. Rows are made anew only where the schema is another one."""
        if self._entries is None or self._entries.schema != entries.schema:
            self._rows = []
            while self._layout.rowCount():
                self._layout.removeRow(0)
            self._rows = [self._new_row(field) for field in entries.schema.fields]
        self._entries = entries
        self.refresh()

    def refresh(self) -> None:
        """Show the entries as they are now."""
        if self._entries is None:
            return
        for row in self._rows:
            with blocked_signals(row.editor):
                (_show_choice if row.field.kind == "choice" else _show_number)(row, self._entries)
            _show_remark(row, self._entries)

    def _new_row(self, field: Field) -> _FieldRow:
        editor = self._new_combo_box(field) if field.kind == "choice" else self._new_line_edit(field)
        editor.objectName = f"metadata_{field.name}"
        editor.toolTip = translated(hint(field))
        remark = qt.QLabel()
        remark.objectName = f"metadata_{field.name}_remark"
        remark.setSizePolicy(
            qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred
        )  # what was typed must not widen the panel
        remark.wordWrap = True
        remark.textFormat = qt.Qt.PlainText
        name = qt.QLabel(title(field))
        name.toolTip = editor.toolTip
        name.setBuddy(editor)
        cell = qt.QWidget()
        column = qt.QVBoxLayout(cell)  # the remark below: beside the entry its sentences would not fit a narrow panel
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(editor)
        column.addWidget(remark)
        self._layout.addRow(name, cell)
        return _FieldRow(field, editor, remark)

    def _new_line_edit(self, field: Field) -> Any:
        editor = qt.QLineEdit()
        editor.placeholderText = _("unknown")
        editor.connect("textChanged(QString)", partial(self._entered, field.name))
        return editor

    def _new_combo_box(self, field: Field) -> Any:
        editor = qt.QComboBox()
        editor.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon  # nor a long choice
        editor.addItem(_("unknown"))
        for choice in field.choices:
            editor.addItem(choice)
        editor.connect("currentIndexChanged(int)", partial(self._chosen, field))
        return editor

    def _chosen(self, field: Field, index: int) -> None:
        self._entered(field.name, field.choices[index - 1] if index > 0 else "")

    def _entered(self, name: str, text: str) -> None:
        if self._entries is None:
            return
        self._entries.enter(name, text)
        self.refresh()
        self._on_change()


def _show_number(row: _FieldRow, entries: MetadataEntries) -> None:
    text = entries.text(row.field.name)
    if row.editor.text != text:  # setting it would move the cursor of somebody who types
        row.editor.text = text


def _show_choice(row: _FieldRow, entries: MetadataEntries) -> None:
    """An impossible choice, left from another model, shows as no choice at all, so that "unknown" too can be chosen
    anew.
    """
    value = entries.value(row.field.name)
    if value is not None:
        row.editor.currentIndex = row.field.choices.index(str(value)) + 1
    else:
        row.editor.currentIndex = -1 if entries.problem(row.field.name) else 0


def _show_remark(row: _FieldRow, entries: MetadataEntries) -> None:
    name = row.field.name
    problem = entries.problem(name)
    remarks = (entries.source(name), entries.note(name))
    text = translated(problem) or "\n".join(translated(remark) for remark in remarks if remark)
    row.remark.text = text
    row.remark.visible = bool(text)
    row.remark.styleSheet = "color: #e0604f; font-weight: bold" if problem else ""
