"""What the node selectors of the panel must not do by themselves: choose a node that the user did not choose, or lose
the one that he did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

BEFORE_THE_SELECTORS, AFTER_THE_SELECTORS = 1.0, -1.0
"""Priorities of observers that are called before, and after, those of the widgets."""


class NodeSelectors(VTKObservationMixin):
    """Over the node selectors that `selectors` gives.

    A selector moves to the neighbour of a node that leaves the scene, or is hidden: here none is chosen before it can.
    While a scene is loaded it lists nothing, and
    afterwards it has forgotten its node: here it is silent until the end, and given back what it had. say:
    shows which node was let go of; the last selector is that of the output.
    """

    def __init__(self, selectors: Callable[[], Sequence[Any]], say: Callable[[str], None]) -> None:
        super().__init__()
        self._selectors = selectors
        self._say = say
        self._watched: tuple[Any, ...] = ()
        self._held: list[tuple[Any, Any]] = []
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self._leaves, priority=BEFORE_THE_SELECTORS)
        self.addObserver(scene, scene.StartImportEvent, self._hold)
        self.addObserver(scene, scene.EndImportEvent, self._release, priority=AFTER_THE_SELECTORS)

    def watch(self) -> None:
        """Notice when what is chosen now is hidden."""
        chosen = tuple({node for selector in self._selectors() if (node := selector.currentNode()) is not None})
        if set(chosen) != set(self._watched):
            self.removeObservers(self._changed)
            for node in chosen:
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed, priority=BEFORE_THE_SELECTORS)
            self._watched = chosen

    def close(self) -> None:
        """Hear no more."""
        self.removeObservers()

    def _hold(self, *_: Any) -> None:
        self._held = [(selector, selector.currentNode()) for selector in self._selectors()]
        for selector, _ in self._held:
            selector.blockSignals(True)

    def _release(self, *_: Any) -> None:
        for selector, node in self._held:
            selector.setCurrentNode(node if node is not None and slicer.mrmlScene.IsNodePresent(node) else None)
            selector.blockSignals(False)
        self._held = []

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
    def _leaves(self, scene: Any, _event: Any, node: Any) -> None:
        if not scene.IsClosing():
            self._let_go(node)

    def _changed(self, node: Any, _event: Any) -> None:
        if node.GetHideFromEditors():
            self._let_go(node)

    def _let_go(self, node: Any) -> None:
        holders = [selector for selector in self._selectors() if selector.currentNode() is node]
        for selector in holders:
            selector.setCurrentNode(None)
        if holders:
            name = node.GetName()
            self._say(
                f'The segmentation "{name}" is gone; the next Apply makes a new one, unless you choose another.'
                if self._selectors()[-1] in holders
                else f'"{name}" is gone; choose another one.'
            )
