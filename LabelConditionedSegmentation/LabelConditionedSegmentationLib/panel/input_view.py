"""The volume selectors of the panel, one for each channel of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from .blocked_signals import blocked_signals


class InputView:
    """Volume selectors in the form layout of a widget. title, tip: of each of them, with {channel} in it.

    on_change is called when the user, or a removed node, changes a choice; not where a selector reports its node again,
    which was renamed or got another row.
    """

    def __init__(self, form: Any, on_change: Callable[[], None], title: str, tip: str) -> None:
        self._form = form
        self._title = title
        self._tip = tip
        self._on_change = on_change
        self._selectors: list[Any] = []
        self._known: tuple[Any, ...] = ()
        self._channels: tuple[str, ...] = ()

    def show_channels(self, channels: Sequence[str]) -> None:
        """A selector for each channel; those that are there already keep their choice."""
        if tuple(channels) == self._channels:
            return
        chosen = self.nodes
        layout = self._form.layout()
        while layout.rowCount():
            layout.removeRow(0)
        self._channels, self._selectors = tuple(channels), []
        for channel in channels:
            selector = self._new_selector(channel)
            layout.addRow(qt.QLabel(self._title.format(channel=channel)), selector)
            self._selectors.append(selector)
        self.set_nodes(chosen)

    @property
    def selectors(self) -> tuple[Any, ...]:
        """One for each channel."""
        return tuple(self._selectors)

    @property
    def nodes(self) -> tuple[Any, ...]:
        """The chosen volume node of every channel, None where none is."""
        return tuple(selector.currentNode() for selector in self._selectors)

    def set_nodes(self, nodes: Sequence[Any]) -> None:
        """Choose volumes, without calling back."""
        for selector, node in zip(self._selectors, nodes, strict=False):
            with blocked_signals(selector):
                selector.setCurrentNode(node)
        self._known = self.nodes

    def set_enabled(self, enabled: bool) -> None:
        """Whether another volume may be chosen."""
        for selector in self._selectors:
            selector.enabled = enabled

    def _new_selector(self, channel: str) -> Any:
        selector = slicer.qMRMLNodeComboBox()
        selector.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)  # a long name must not widen the panel
        selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        selector.noneEnabled = True
        selector.noneDisplay = _("Choose a volume")
        selector.addEnabled = False
        selector.removeEnabled = False
        selector.renameEnabled = True
        selector.toolTip = self._tip.format(channel=channel)
        selector.setMRMLScene(slicer.mrmlScene)
        selector.connect("currentNodeChanged(vtkMRMLNode*)", self._chosen)
        return selector

    def _chosen(self, _node: Any) -> None:
        if self.nodes != self._known:
            self._known = self.nodes
            self._on_change()
