"""Changing a widget without it telling anybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet(widget: Any) -> Iterator[None]:
    """The widget's signals are held back within the block: what is shown anew was not chosen by the user."""
    before = widget.blockSignals(True)
    try:
        yield
    finally:
        widget.blockSignals(before)
