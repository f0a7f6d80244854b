"""Changing a widget while its signals are blocked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def blocked_signals(widget: Any) -> Iterator[None]:
    """The widget emits no signal within the block: what is shown anew was not chosen by the user."""
    before = widget.blockSignals(True)
    try:
        yield
    finally:
        widget.blockSignals(before)
