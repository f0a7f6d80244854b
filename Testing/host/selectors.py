"""Stand-ins of the qMRML widgets that the module uses, with their public properties, slots and signals, and the habits
that users meet.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal, Slot


class qMRMLWidget(QtWidgets.QWidget):  # noqa: N801
    """A widget that knows the scene and hands it to those in it."""

    mrmlSceneChanged = Signal(object)  # noqa: N815
    _scene: Any = None

    def mrmlScene(self) -> Any:  # noqa: N802
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:  # noqa: N802
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QtWidgets.QWidget):  # noqa: N801
    """A combo box of the scene's nodes of some classes, as libs/MRML/Widgets/qMRMLNodeComboBox.cxx and
    qMRMLSceneModel.cxx have it.

    The rows of the combo box inside are the list: none, the nodes, a line, and what may be done with them. Rows come
    and go with the events of the scene, none comes while a scene is imported, and after that all are made anew. Where
    the row of the current node goes, the combo box moves to a neighbour. The current node is told again when it moves
    to another row, or is called otherwise.
    """

    currentNodeChanged: Any = Signal((object,), (bool,))  # type: ignore[arg-type]  # noqa: N815
    currentNodeIDChanged = Signal(str)  # noqa: N815
    nodeAddedByUser = Signal(object)  # noqa: N815
    nodeAddedByUserAction = Signal(object)  # noqa: N815
    _CREATE, _RENAME, _DELETE = "CREATE/", "RENAME/", "DELETE/"

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._values: dict[str, Any] = {}
        self._observed: list[tuple[Any, int]] = []
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Fixed)
        self._combo.currentIndexChanged.connect(self._tell)
        self._combo.activated.connect(self._activate)
        observed = self._observed
        self.destroyed.connect(lambda: [observer.RemoveObserver(tag) for observer, tag in observed])
        self._make_rows()

    @staticmethod
    def _option(kind: Any, name: str, default: Any) -> Any:
        def read(self: Any) -> Any:
            return self._values.get(name, default)

        def write(self: Any, value: Any) -> None:
            self._values[name] = value
            self._make_rows()

        return Property(kind, read, write)

    nodeTypes = _option("QStringList", "nodeTypes", [])  # noqa: N815
    hideChildNodeTypes = _option("QStringList", "hideChildNodeTypes", [])  # noqa: N815
    noneEnabled = _option(bool, "noneEnabled", False)  # noqa: N815
    addEnabled = _option(bool, "addEnabled", True)  # noqa: N815
    removeEnabled = _option(bool, "removeEnabled", True)  # noqa: N815
    renameEnabled = _option(bool, "renameEnabled", False)  # noqa: N815
    editEnabled = _option(bool, "editEnabled", False)  # noqa: N815
    showHidden = _option(bool, "showHidden", False)  # noqa: N815
    showChildNodeTypes = _option(bool, "showChildNodeTypes", True)  # noqa: N815
    selectNodeUponCreation = _option(bool, "selectNodeUponCreation", True)  # noqa: N815
    noneDisplay = _option(str, "noneDisplay", "None")  # noqa: N815
    baseName = _option(str, "baseName", "")  # noqa: N815

    def mrmlScene(self) -> Any:  # noqa: N802
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:  # noqa: N802
        if scene is self._scene:
            return
        for observer, tag in self._observed:
            observer.RemoveObserver(tag)
        self._observed.clear()
        self._scene = scene
        self.setEnabled(scene is not None)
        if scene is not None:
            self._observe(scene, scene.NodeAddedEvent, self._node_added)
            self._observe(scene, scene.NodeAboutToBeRemovedEvent, self._node_goes)
            for event in (scene.EndImportEvent, scene.EndCloseEvent):
                self._observe(scene, event, lambda *_: self._list_anew())
        self._make_rows()

    def currentNode(self) -> Any:  # noqa: N802
        return self._node_of_row(self._combo.currentIndex())

    @Slot(object)
    @Slot(str)
    def setCurrentNode(self, node: Any) -> None:  # noqa: N802
        self.setCurrentNodeID(node if isinstance(node, str) else "" if node is None else node.GetID())

    def setCurrentNodeID(self, node_id: str | None) -> None:  # noqa: N802
        row = self._combo.findData(node_id) if node_id else -1
        self._combo.setCurrentIndex(row if row >= 0 else self._no_row)

    def _current_id(self) -> str:
        node = self.currentNode()
        return "" if node is None else str(node.GetID())

    currentNodeID = Property(str, _current_id, setCurrentNodeID)  # noqa: N815

    def nodeCount(self) -> int:  # noqa: N802
        return sum(self._is_node_row(row) for row in range(self._combo.count()))

    def nodeFromIndex(self, index: int) -> Any:  # noqa: N802
        return self._node_of_row(index + self._first)

    @Slot()
    @Slot(str)
    def addNode(self, node_type: str = "") -> Any:  # noqa: N802
        wanted = node_type or self.nodeTypes[0]
        if self._scene is None or wanted not in self.nodeTypes:
            return None
        node = self._scene.AddNewNodeByClass(
            wanted, self._scene.GenerateUniqueName(self.baseName or self._scene.GetTagByClassName(wanted))
        )
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:  # noqa: N802
        if self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    @property
    def _first(self) -> int:
        """The row of the first node."""
        return 1 if self.noneEnabled else 0

    @property
    def _no_row(self) -> int:
        """The row of no node."""
        return 0 if self.noneEnabled else -1

    def _is_node_row(self, row: int) -> bool:
        return str(self._combo.itemData(row) or "").startswith("vtkMRML")

    def _node_of_row(self, row: int) -> Any:
        return self._scene.GetNodeByID(self._combo.itemData(row)) if row >= 0 and self._is_node_row(row) else None

    def _nodes(self) -> list[Any]:
        """The nodes of the scene that may be chosen, in the scene's order."""
        if self._scene is None:
            return []
        nodes = (self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes()))
        return [node for node in nodes if self._fits(node)]

    def _fits(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if not self.showChildNodeTypes:
            return node.GetClassName() in self.nodeTypes
        return any(node.IsA(known) for known in self.nodeTypes) and not any(
            node.IsA(known) for known in self.hideChildNodeTypes
        )

    def _observe(self, observed: Any, event: int | str, call: Any) -> None:
        self._observed.append((observed, observed.AddObserver(event, call)))

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
    def _node_added(self, scene: Any, _event: str, node: Any) -> None:
        if not scene.IsImporting():  # ids and references do not hold before the end of it
            self._add_row(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
    def _node_goes(self, scene: Any, _event: str, node: Any) -> None:
        if not scene.IsClosing():
            self._remove_rows(self._combo.findData(node.GetID()), 1)

    def _node_changed(self, node: Any, _event: str) -> None:
        row = self._combo.findData(node.GetID())
        if self._scene is None or self._scene.IsImporting() or self._scene.IsClosing() or node.GetScene() is None:
            return
        if (row >= 0) != self._fits(node):
            self._add_row(node) if row < 0 else self._remove_rows(row, 1)
        elif row >= 0 and self._combo.itemText(row) != (node.GetName() or ""):
            self._combo.setItemText(row, node.GetName() or "")
            if row == self._combo.currentIndex():
                self._tell()

    def _add_row(self, node: Any) -> None:
        """List a node, in the scene's order, where it belongs here."""
        if any(node.IsA(known) for known in self.nodeTypes) and not any(node is known for known, _ in self._observed):
            self._observe(node, vtk.vtkCommand.ModifiedEvent, self._node_changed)
        if not self._fits(node) or self._combo.findData(node.GetID()) >= 0:
            return
        place = min(self._nodes().index(node), self.nodeCount())
        self._combo.insertItem(self._first + place, node.GetName() or "", node.GetID())
        self._choose_first()

    def _remove_rows(self, row: int, number: int) -> None:
        """Take rows out; Qt moves the current index where its row was among them."""
        if row < 0 or not number:
            return
        self._combo.model().removeRows(row, number)
        if self.currentNode() is None:
            self.setCurrentNodeID("")
        self._choose_first()

    def _list_anew(self) -> None:
        """After an import, or a scene was closed."""
        self._remove_rows(self._first, self.nodeCount())
        for node in self._nodes():
            self._add_row(node)

    def _choose_first(self) -> None:
        if not self.noneEnabled and self.currentNode() is None and self.nodeCount():
            self._combo.setCurrentIndex(0)

    def _make_rows(self) -> None:
        """All rows anew, since what is offered is something else now; the current node stays."""
        before, told = self._current_id() if self._scene is not None else "", self._combo.blockSignals(True)
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay, "")
        for text, data in self._actions():
            self._combo.addItem(text, data)
        if self._scene is not None and not self._scene.IsImporting():
            for node in self._nodes():
                self._add_row(node)
        self.setCurrentNodeID(before)
        self._choose_first()
        self._combo.blockSignals(told)
        self.setEnabled(self._scene is not None)

    def _actions(self) -> list[tuple[str, str]]:
        """The rows below the nodes."""
        if self._scene is None:
            return []
        labels = {known: self._scene.GetTagByClassName(known) or known for known in self.nodeTypes}
        first = next(iter(labels.values()), "node")
        rows = [(f"Rename current {first}", self._RENAME)] if self.renameEnabled else []
        if self.addEnabled:
            rows += [(f"Create new {label}", self._CREATE + known) for known, label in labels.items()]
        if self.removeEnabled:
            rows.append((f"Delete current {first}", self._DELETE))
        return [("", "SEPARATOR"), *rows] if rows else []

    def _tell(self, *_: Any) -> None:
        """Say which node is current. A row that is no node, which Qt has moved to, gives way to the last node."""
        node, row = self.currentNode(), self._combo.currentIndex()
        if node is None and row != self._no_row:
            last = self.nodeFromIndex(self.nodeCount() - 1) if self.nodeCount() else None
            if last is not None:
                self.setCurrentNode(last)
            return
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(self._current_id())

    def _activate(self, row: int) -> None:
        """The user chose a row that does something."""
        chosen = str(self._combo.itemData(row) or "")
        if chosen.startswith(self._CREATE):
            node = self.addNode(chosen.removeprefix(self._CREATE))
            self.setCurrentNode(node)
            self.nodeAddedByUserAction.emit(node)
        elif chosen == self._DELETE:
            self.removeCurrentNode()


class qMRMLSegmentSelectorWidget(qMRMLWidget):  # noqa: N801
    """A segmentation and one of its segments, as Libs/MRML/Widgets/qMRMLSegmentSelectorWidget.cxx has it.

    Where none is offered, choosing a segmentation leaves its segment at none. Where the id that was chosen last is
    there in another segmentation too, that segment is chosen there, and nobody is told. The id is still told when no
    segmentation is chosen any more.
    """

    currentNodeChanged: Any = Signal((object,), (bool,))  # type: ignore[arg-type]  # noqa: N815
    currentSegmentChanged = Signal(str)  # noqa: N815
    _EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified")
    _NONE = "None"

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes, self._segments = qMRMLNodeComboBox(self), QtWidgets.QComboBox(self)
        self._nodes.nodeTypes, self._nodes.addEnabled = ["vtkMRMLSegmentationNode"], False
        self._nodes.renameEnabled = True
        self._caption, self._message = QtWidgets.QLabel("Segment: ", self), QtWidgets.QLabel(self)
        self._node: Any = None
        self._chosen = ""
        self._observed: list[tuple[Any, int]] = []
        self._segments.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._segments.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._lay_out()
        self.mrmlSceneChanged.connect(self._nodes.setMRMLScene)
        self._nodes.currentNodeChanged[object].connect(self._on_node)
        self._segments.currentIndexChanged.connect(self._on_segment)
        observed = self._observed
        self.destroyed.connect(lambda: [observer.RemoveObserver(tag) for observer, tag in observed])
        self._fill()

    def _lay_out(self) -> None:
        layout = QtWidgets.QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nodes, 0, 0, 1, 2)
        layout.addWidget(self._caption, 1, 0)
        layout.addWidget(self._segments, 1, 1)
        layout.addWidget(self._message, 2, 0, 1, 2)

    def _set_none_enabled(self, enabled: bool) -> None:
        self._nodes.noneEnabled = enabled
        self._fill()

    noneEnabled = Property(bool, lambda self: self._nodes.noneEnabled, _set_none_enabled)  # noqa: N815

    def currentNode(self) -> Any:  # noqa: N802
        return self._nodes.currentNode()

    @Slot(object)
    def setCurrentNode(self, node: Any) -> None:  # noqa: N802
        self._nodes.setCurrentNode(node)

    def currentSegmentID(self) -> str:  # noqa: N802
        return self._chosen

    @Slot(str)
    def setCurrentSegmentID(self, segment_id: str) -> None:  # noqa: N802
        index = self._segments.findData(segment_id) if segment_id or not self.noneEnabled else 0
        if index >= 0:
            self._segments.setCurrentIndex(index)

    def _on_node(self, node: Any) -> None:
        if node is not self._node:
            self._node = node
            self._observe(node)
            self._fill()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)

    def _observe(self, node: Any) -> None:
        for observer, tag in self._observed:
            observer.RemoveObserver(tag)
        self._observed.clear()
        if node is not None:
            self._observed += [
                (node, node.AddObserver(getattr(slicer.vtkSegmentation, event), lambda *_: self._fill()))
                for event in self._EVENTS
            ]

    def _fill(self) -> None:
        """The segments of the node: none is chosen, or the one of the id that was chosen before, in silence, or else
        the first one.
        """
        segments: Any = self._node.GetSegmentation() if self._node is not None else None
        ids = segments.GetSegmentIDs() if segments is not None else ()
        told = self._segments.blockSignals(True)
        self._segments.clear()
        if self.noneEnabled and ids:
            self._segments.addItem(self._NONE, self._NONE)
        for segment_id in ids:
            self._segments.addItem(segments.GetSegment(segment_id).GetName(), segment_id)
        restored = self._chosen in ids or (self.noneEnabled and not self._chosen)
        self._segments.setCurrentIndex(-1)
        if restored:
            self.setCurrentSegmentID(self._chosen)
        self._segments.blockSignals(told)
        self._say("" if ids else "No node is selected " if segments is None else "No segments in segmentation ")
        if ids and not restored:
            self._segments.setCurrentIndex(1 if self.noneEnabled else 0)

    def _say(self, message: str) -> None:
        self._message.setText(message)
        self._message.setVisible(bool(message))
        self._caption.setVisible(not message)
        self._segments.setVisible(not message)

    def _on_segment(self, index: int) -> None:
        if self._node is not None:
            chosen = str(self._segments.itemData(index) or "")
            self._chosen = "" if chosen == self._NONE else chosen
            self.currentSegmentChanged.emit(self._chosen)


QMRML = {widget.__name__: widget for widget in (qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentSelectorWidget)}
