"""The panel by keyboard: the search box has the focus, Down goes to the tree, Space ticks there, Enter applies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class Shortcuts:
    """Over the search box and the tree (`ui`, by their names).

    Space on a line of the tree ticks it, which the tree does by itself. apply: called for Enter. first: makes the first
    structure that is shown the current one, where none is.
    """

    def __init__(self, ui: Any, apply: Callable[[], None], first: Callable[[], None]) -> None:
        self._ui = ui
        self._first = first
        self._shortcuts = [
            *(_shortcut(key, widget, apply) for key in ("Return", "Enter") for widget in (ui.searchBox, ui.labelTree)),
            _shortcut("Down", ui.searchBox, self._to_tree),
        ]

    def focus(self) -> None:
        """The user opens the module: what is typed is searched."""
        self._ui.searchBox.setFocus()

    def _to_tree(self) -> None:
        self._first()
        self._ui.labelTree.setFocus()


def _shortcut(key: str, widget: Any, call: Callable[[], None]) -> Any:
    """Works while the focus is in a widget, or in what is inside of it."""
    shortcut = qt.QShortcut(qt.QKeySequence(key), widget)
    shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
    shortcut.connect("activated()", call)
    return shortcut
