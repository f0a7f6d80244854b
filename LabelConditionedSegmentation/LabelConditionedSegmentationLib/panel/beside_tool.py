"""Two segmentations of one scan, such as those of two models, side by side: which is shown, and how they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import slicer

from ..core.errors import LCSError
from ..scene.nodes import is_present
from ..scene.segment_display import is_shown, show, show_outline
from ..scene.segmentation_overlap import ComparedSegment, compared, state_of
from ..scene.segmentations import scan_of, segmentations_of
from .situation import Situation
from .tool import Frame

if TYPE_CHECKING:
    from .beside_view import BesideView

BOTH, THIS, OTHER = range(3)
"""What the views show."""


class BesideTool:
    """See `Tool`. node: gives the segmentation that the section is about."""

    def __init__(self, frame: Frame, view: BesideView, node: Callable[[], Any]) -> None:
        self._frame = frame
        self._view = view
        self._node = node
        self._state: tuple[Any, ...] | None = None
        view.connect(frame.refresh, self.show)

    def refresh(self, _now: Situation) -> None:
        node = self._node()
        scan = scan_of(node) if is_present(node) else None
        self._view.offer([other for other in segmentations_of(scan) if other is not node] if scan is not None else [])
        other = self._other
        self._view.show_shown(None if other is None else _shown(node, other))
        self._show_overlap(node, other)

    def advice(self, _now: Situation) -> str:
        return ""

    def stop(self) -> None:
        """It holds nothing of the scene."""

    def show(self, shown: int) -> None:
        """Let the views show both, or one of the two; of both, the other one as outlines."""
        node, other = self._node(), self._other
        if not is_present(node) or other is None:
            return
        show(node, shown != OTHER)
        show(other, shown != THIS)
        show_outline(node, False)
        show_outline(other, shown == BOTH)
        self._frame.refresh()

    @property
    def _other(self) -> Any:
        """What is compared with; None for nothing."""
        found = slicer.mrmlScene.GetNodeByID(self._view.other_id) if self._view.other_id else None
        return found if is_present(found) else None

    def _show_overlap(self, node: Any, other: Any) -> None:
        """Counted anew only where something has changed."""
        both = () if other is None else (node, other)
        state = tuple((each.GetID(), each.GetName(), state_of(each)) for each in both)
        if state == self._state:
            return
        self._state = state
        rows: list[ComparedSegment] = []
        sentence = ""
        if other is not None:
            try:
                rows = compared(node, other)
                sentence = overlap_sentence(rows)
            except LCSError as error:
                sentence = str(error)
        self._view.show_overlap(rows, sentence)


def overlap_sentence(rows: Sequence[ComparedSegment]) -> str:
    """What is said of all structures together."""
    known = [row.dice for row in rows if row.dice is not None]
    if not known:
        return "The two have no structure of the same name."
    mean = f"{sum(known) / len(known):.3f}"
    return f"Dice of 1 structure: {mean}." if len(known) == 1 else f"Mean Dice of {len(known)} structures: {mean}."


def _shown(node: Any, other: Any) -> int:
    """What the views show now."""
    if is_shown(node) and is_shown(other):
        return BOTH
    return OTHER if is_shown(other) else THIS
