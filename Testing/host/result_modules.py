"""Stand-ins of the modules that a result is handed on to: which was opened, and what was chosen in it."""

from __future__ import annotations

import types
from typing import Any

import slicer


class _Selector:
    """A node selector of another module."""

    node: Any = None

    def setCurrentNode(self, node: Any) -> None:  # noqa: N802
        self.node = node


class _SegmentEditor:
    """The qMRMLSegmentEditorWidget of the module SegmentEditor, as SegmentEditorWidget.editor."""

    segmentation: Any = None
    volume: Any = None

    def setSegmentationNode(self, node: Any) -> None:  # noqa: N802
        self.segmentation = node

    def setSourceVolumeNode(self, node: Any) -> None:  # noqa: N802
        self.volume = node


class OtherModules:
    """opened: the modules that were selected, in their order. editor, statistics: what was chosen in them."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.editor = _SegmentEditor()
        self.statistics = types.SimpleNamespace(segmentationSelector=_Selector(), scalarSelector=_Selector())

    def selectModule(self, name: str) -> None:  # noqa: N802
        self.opened.append(name)


def provide_other_modules(host: Any) -> OtherModules:
    """Let an application have the modules SegmentEditor and SegmentStatistics, and a selector of modules."""
    modules = OtherModules()
    host.patch(slicer.util, "moduleSelector", lambda: modules)
    for name, widget in (
        ("segmenteditor", types.SimpleNamespace(editor=modules.editor)),
        ("segmentstatistics", modules.statistics),
    ):
        place = types.SimpleNamespace(self=lambda widget=widget: widget)
        setattr(slicer.modules, name, types.SimpleNamespace(widgetRepresentation=lambda place=place: place))
    return modules
