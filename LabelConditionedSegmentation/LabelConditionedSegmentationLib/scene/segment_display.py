"""How the segments of a segmentation are shown: in 3D, how opaque, filled or as an outline, and flashed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .nodes import is_present
from .segmentations import CLOSED_SURFACE

FLASHES = 3
"""How often a segment goes off and on again."""


def is_shown_in_3d(segmentation: Any) -> bool:
    """Whether the 3D views show a segmentation."""
    display = segmentation.GetDisplayNode()
    has_surfaces = segmentation.GetSegmentation().ContainsRepresentation(CLOSED_SURFACE)
    return bool(has_surfaces and display is not None and display.GetVisibility3D())


def show_in_3d(segmentation: Any, on: bool) -> None:
    """Make the closed surfaces and show them, or remove them, as the Segment Editor does."""
    if on:
        segmentation.CreateClosedSurfaceRepresentation()
        segmentation.CreateDefaultDisplayNodes()
        segmentation.GetDisplayNode().SetVisibility3D(True)
    else:
        segmentation.RemoveClosedSurfaceRepresentation()


def opacity_of(segmentation: Any) -> float:
    """Of the filled segments in slices, 0 to 1."""
    display = segmentation.GetDisplayNode()
    return 1.0 if display is None else float(display.GetOpacity2DFill())


def set_opacity(segmentation: Any, opacity: float) -> None:
    """Of the filled segments in slices, 0 to 1."""
    segmentation.CreateDefaultDisplayNodes()
    segmentation.GetDisplayNode().SetOpacity2DFill(opacity)


def is_outlined(segmentation: Any) -> bool:
    """Whether slices show nothing but outlines."""
    display = segmentation.GetDisplayNode()
    return display is not None and bool(display.GetVisibility2DOutline() and not display.GetVisibility2DFill())


def show_outline(segmentation: Any, on: bool) -> None:
    """Show nothing but outlines in slices, or the filled segments too."""
    segmentation.CreateDefaultDisplayNodes()
    display = segmentation.GetDisplayNode()
    display.SetVisibility2DOutline(True)
    display.SetVisibility2DFill(not on)


def is_shown(segmentation: Any) -> bool:
    """Whether views show a segmentation at all."""
    display = segmentation.GetDisplayNode()
    return display is not None and bool(display.GetVisibility())


def show(segmentation: Any, on: bool) -> None:
    """Let the views show a segmentation, or not; how it is shown stays."""
    segmentation.CreateDefaultDisplayNodes()
    segmentation.GetDisplayNode().SetVisibility(on)


class SegmentFlash:
    """Segments that go off and on a few times, so that they are seen. `step` is to be called every 100 ms or so."""

    def __init__(self) -> None:
        self._display: Any = None
        self._ids: tuple[str, ...] = ()
        self._left = 0

    @property
    def is_going_on(self) -> bool:
        """Whether `step` has something to do."""
        return self._left > 0

    def start(self, segmentation: Any, segment_ids: Sequence[str]) -> None:
        """Flash those of these segments that are visible; what flashed before is shown."""
        self.stop()
        display = segmentation.GetDisplayNode()
        if display is not None:
            self._display = display
            self._ids = tuple(known for known in segment_ids if display.GetSegmentVisibility(known))
            self._left = 2 * FLASHES if self._ids else 0

    def step(self) -> None:
        """Off, or on again."""
        if self._left:
            self._left -= 1
            self._show(self._left % 2 == 0)

    def stop(self) -> None:
        """Everything is shown again."""
        if self._left:
            self._show(True)
        self._display, self._ids, self._left = None, (), 0

    def _show(self, on: bool) -> None:
        if not is_present(self._display):
            self._left = 0
            return
        before = self._display.StartModify()  # views draw once, however many there are
        for segment_id in self._ids:
            self._display.SetSegmentVisibility(segment_id, on)
        self._display.EndModify(before)
