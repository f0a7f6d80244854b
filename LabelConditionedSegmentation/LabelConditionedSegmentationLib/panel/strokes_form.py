"""The section Strokes: what is painted where, the brush, and what becomes of the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from ..core.labels.label_tree import LabelTree
from .blocked_signals import blocked_signals
from .sentences import translated
from .stroke_editor import StrokeEditor
from .strokes_situation import StrokesSituation


class StrokesForm:
    """Over the widgets of the section (`ui`, by their names). chosen: called where the user chose something that the
    result depends on. refresh: called where only what is shown does.
    """

    def __init__(self, ui: Any, chosen: Callable[[], None], refresh: Callable[[], None]) -> None:
        self._ui = ui
        self._labels: LabelTree | None = None
        self.editor = StrokeEditor(ui.strokesEditor)
        self._is_left = False
        for selector in self.selectors:
            selector.setMRMLScene(slicer.mrmlScene)
            selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda _node: chosen())
        ui.mendBox.connect("toggled(bool)", lambda _checked: chosen())
        ui.strokesSection.connect("contentsCollapsed(bool)", lambda _collapsed: refresh())

    @property
    def selectors(self) -> tuple[Any, ...]:
        """Those of nodes."""
        return self._ui.strokesScanSelector, self._ui.strokesSelector

    @property
    def scan(self) -> Any:
        """The scan that was chosen; None for that of the input."""
        return self._ui.strokesScanSelector.currentNode()

    @property
    def strokes(self) -> Any:
        """The segmentation that strokes are painted in."""
        return self._ui.strokesSelector.currentNode()

    @strokes.setter
    def strokes(self, node: Any) -> None:
        self._ui.strokesSelector.setCurrentNode(node)

    @property
    def wants_mend(self) -> bool:
        """Whether the last answer is to be mended."""
        return bool(self._ui.mendBox.checked)

    @property
    def wants_certainty(self) -> bool:
        """Whether it is to be shown how certain the result is."""
        return bool(self._ui.certaintyBox.checked)

    @property
    def is_open(self) -> bool:
        """Whether the user sees the section."""
        return not self._ui.strokesSection.collapsed and not self._is_left

    @property
    def wanted_label(self) -> str:
        """The label that strokes are to be painted for."""
        return str(self._ui.mendSelector.currentData or "")

    def leave(self, is_left: bool) -> None:
        """The user goes to another module, or comes back."""
        self._is_left = is_left
        if is_left:
            self.editor.close()

    def show_labels(self, labels: LabelTree | None) -> None:
        """Offer what a model knows for mending."""
        if labels == self._labels:
            return
        self._labels = labels
        selector = self._ui.mendSelector
        with blocked_signals(selector):
            selector.clear()
            for label in labels.leaves if labels is not None else ():
                selector.addItem(label.name, label.name)

    def show(self, now: StrokesSituation, scan: Any) -> None:
        """Show what may be pressed, and let the user paint."""
        ui = self._ui
        ui.newStrokesButton.enabled = now.can_begin
        ui.mendBox.enabled = now.can_mend
        ui.mendForm.visible = now.wants_mend
        ui.addMendButton.enabled = now.is_kept and not now.missing
        ui.acceptStrokesButton.enabled = now.can_accept
        ui.discardStrokesButton.enabled = now.has_preview
        ui.undoStrokesButton.enabled = now.can_undo and not now.running
        ui.strokesLabelButton.enabled, ui.strokesLabelButton.toolTip = now.can_make_label, translated(now.label_tip)
        ui.strokesHintLabel.text = translated(now.hint)
        is_ready = self.strokes is not None and bool(now.scan)
        ui.strokesEditor.visible = is_ready
        if self.is_open and is_ready:
            self.editor.open(self.strokes, scan)
        else:
            self.editor.close()
