"""Files of labels by example that are dropped onto the panel are imported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt

from ..scene.example_labels import SUFFIX

SUFFIXES = (SUFFIX, ".json")


class LabelDrop(qt.QWidget):
    """An event filter of a widget, as the application's script repository has them. dropped: called with each file.
    may_drop: whether files may be dropped now.
    """

    def __init__(self, widget: Any, dropped: Callable[[Path], None], may_drop: Callable[[], bool]) -> None:
        super().__init__()
        self._dropped = dropped
        self._may_drop = may_drop
        widget.acceptDrops = True
        widget.installEventFilter(self)

    def eventFilter(self, _widget: Any, event: Any) -> bool:  # noqa: N802
        """Take files of labels; everything else goes the application's way."""
        kind = event.type()
        if kind not in (qt.QEvent.DragEnter, qt.QEvent.Drop) or not self._may_drop():
            return False
        files = label_files(str(url.toLocalFile()) for url in event.mimeData().urls())
        if not files:
            return False
        event.acceptProposedAction()
        if kind == qt.QEvent.Drop:
            for file in files:
                self._dropped(file)
        return True


def label_files(names: Any) -> list[Path]:
    """Those of the files that may hold labels by example."""
    return [Path(name) for name in names if name.endswith(SUFFIXES)]
