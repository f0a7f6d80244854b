"""The scene's copy of the panel: its parameter node, connected once, heard of when others change it, and left alone
while a scene is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

AFTER_THE_WRAPPER, AFTER_THE_SELECTORS, LAST = -1.0, -2.0, -3.0
"""Priorities of observers: what keeps the wrapper's values, and the node selectors, up to date is called before.

Of equal ones that which was added first is called last.
"""


class SceneCopy(VTKObservationMixin):
    """Holds the PanelParameters of the scene. on_change: called where somebody else has changed them."""

    def __init__(self, ui: Any, on_change: Callable[[], None]) -> None:
        super().__init__()
        self.parameters: Any = None
        """None while there are none."""
        self._ui = ui
        self._on_change = on_change
        self._connected: tuple[Any, Any] = (None, None)
        self._is_held = False
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartImportEvent, self._scene_loads)
        self.addObserver(scene, scene.EndImportEvent, self._scene_is_loaded, priority=AFTER_THE_SELECTORS)

    @property
    def node(self) -> Any:
        """The parameter node."""
        return self.parameters.parameterNode

    def show(self, parameters: Any) -> None:
        """Take up these parameters, which is a change too; None lets go of them."""
        if parameters is not self.parameters:
            self.removeObservers(self._changed)
            self.parameters = parameters
        if parameters is not None:
            self._connect(parameters)
            if not self.hasObserver(self.node, vtk.vtkCommand.ModifiedEvent, self._changed):
                self.addObserver(self.node, vtk.vtkCommand.ModifiedEvent, self._changed, priority=AFTER_THE_WRAPPER)
            self.node.Modified()  # which brings the wrapper and the widgets up to date

    @property
    def is_free(self) -> bool:
        """Whether the panel may be written into the parameter node."""
        return self.parameters is not None and not self._is_held

    @property
    def is_held(self) -> bool:
        """Whether what is chosen now is not the user's choice."""
        return self._is_held

    @contextmanager
    def held(self) -> Iterator[None]:
        """What is changed within the block is no news to the panel."""
        before, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = before

    @contextmanager
    def writing(self) -> Iterator[None]:
        """What the panel writes within the block is one change, and no news to it."""
        with self.held(), slicer.util.NodeModify(self.node):
            yield

    def close(self) -> None:
        """Let go of the parameters and of the widgets."""
        self.show(None)
        self.removeObservers()
        before, tag = self._connected
        if before is not None:
            before.disconnectGui(tag)
        self._connected = None, None

    def _scene_loads(self, *_: Any) -> None:
        self._is_held = True  # references do not hold before the end of it

    def _scene_is_loaded(self, *_: Any) -> None:
        """What it says of the panel is a change."""
        self._is_held = False
        self.show(self.parameters)

    def _connect(self, parameters: Any) -> None:
        """Once for each node: in Slicer 5.10 the wrapper keeps an observer for every time."""
        before, tag = self._connected
        if before is not parameters:
            if before is not None:
                before.disconnectGui(tag)
            self._connected = parameters, parameters.connectGui(self._ui)

    def _changed(self, _caller: Any, _event: Any) -> None:
        if not self._is_held:
            self._on_change()
