"""Stand-ins of the CTK, qMRML and Slicer widgets that the module uses, with their public properties, slots and signals and nothing else."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal, Slot


def plain_property(kind: Any, name: str, default: Any) -> Any:
    """A Qt property that only holds a value."""
    place = f"_{name}"

    def read(self: Any) -> Any:
        return getattr(self, place, default)

    def write(self: Any, value: Any) -> None:
        setattr(self, place, value)

    return Property(kind, read, write)


class ctkCollapsibleButton(QtWidgets.QAbstractButton):  # noqa: N801
    """A header that shows and hides what lies below it."""

    contentsCollapsed = Signal(bool)  # noqa: N815
    _HEADER = 26

    def __init__(self, *arguments: Any) -> None:
        texts = [known for known in arguments if isinstance(known, str)]
        super().__init__(*[known for known in arguments if not isinstance(known, str)])
        self._put_away: list[QtWidgets.QWidget] = []
        self.setText("".join(texts))
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self._HEADER, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Preferred)
        self.toggled.connect(self._show_contents)

    def _is_collapsed(self) -> bool:
        return not self.isChecked()

    def setCollapsed(self, collapsed: bool) -> None:  # noqa: N802
        self.setChecked(not collapsed)

    collapsed = Property(bool, _is_collapsed, setCollapsed)

    def _show_contents(self, shown: bool) -> None:
        if shown:
            for child in self._put_away:
                child.show()
            self._put_away.clear()
        else:
            self._hide_contents()
        self.updateGeometry()
        self.contentsCollapsed.emit(not shown)

    def _hide_contents(self) -> None:
        """Hide what is shown, and remember it; what was hidden before stays so when the button is opened again."""
        direct = QtCore.Qt.FindChildOption.FindDirectChildrenOnly
        shown = [child for child in self.findChildren(QtWidgets.QWidget, options=direct) if not child.isHidden()]
        for child in shown:
            child.hide()
        self._put_away.extend(shown)

    def event(self, event: QtCore.QEvent) -> bool:
        if event.type() in (QtCore.QEvent.Type.LayoutRequest, QtCore.QEvent.Type.Polish) and not self.isChecked():
            self._hide_contents()
        return super().event(event)

    def sizeHint(self) -> QtCore.QSize:  # noqa: N802
        layout = self.layout()
        return self._with_header(layout.totalSizeHint() if layout is not None and self.isChecked() else QtCore.QSize())

    def minimumSizeHint(self) -> QtCore.QSize:  # noqa: N802
        layout = self.layout()
        return self._with_header(
            layout.totalMinimumSize() if layout is not None and self.isChecked() else QtCore.QSize()
        )

    def _with_header(self, contents: QtCore.QSize) -> QtCore.QSize:
        return contents.expandedTo(QtCore.QSize(80, self._HEADER))

    def hitButton(self, position: QtCore.QPoint) -> bool:  # noqa: N802
        return position.y() < self._HEADER

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect.setHeight(self._HEADER)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option)
        sign = "\N{BLACK DOWN-POINTING TRIANGLE}" if self.isChecked() else "\N{BLACK RIGHT-POINTING TRIANGLE}"
        inside = option.rect.adjusted(8, 0, -8, 0)
        painter.drawItemText(
            inside, QtCore.Qt.AlignmentFlag.AlignVCenter, self.palette(), self.isEnabled(), f"{sign}  {self.text()}"
        )
        if self.isChecked():
            painter.setPen(self.palette().mid().color())
            painter.drawRect(self.rect().adjusted(0, self._HEADER, -1, -1))


class ctkSearchBox(QtWidgets.QLineEdit):  # noqa: N801
    """A line edit with a search icon."""

    showSearchIcon = plain_property(bool, "showSearchIcon", False)  # noqa: N815
    alwaysShowClearIcon = plain_property(bool, "alwaysShowClearIcon", False)  # noqa: N815


class ctkMessageBox(QtWidgets.QMessageBox):  # noqa: N801
    """A message box that may be told not to come again."""

    dontShowAgain = plain_property(bool, "dontShowAgain", False)  # noqa: N815
    dontShowAgainSettingsKey = plain_property(str, "dontShowAgainSettingsKey", "")  # noqa: N815
    dontShowAgainVisible = plain_property(bool, "dontShowAgainVisible", False)  # noqa: N815


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
    """A combo box of the scene's nodes of some classes. The nodes of the scene are the list; the combo box inside only shows them."""

    currentNodeChanged: Any = Signal((object,), (bool,))  # type: ignore[arg-type]  # noqa: N815
    currentNodeIDChanged = Signal(str)  # noqa: N815
    nodeAddedByUser = Signal(object)  # noqa: N815
    nodeAddedByUserAction = Signal(object)  # noqa: N815
    _CREATE = "create "
    _EVENTS = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndImportEvent", "EndBatchProcessEvent")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._node: Any = None
        self._values: dict[str, Any] = {}
        self._observed: list[tuple[Any, int]] = []
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Fixed)
        self._combo.activated.connect(self._choose)
        observed = self._observed
        self.destroyed.connect(lambda: [observer.RemoveObserver(tag) for observer, tag in observed])
        self._refresh()

    @staticmethod
    def _option(kind: Any, name: str, default: Any) -> Any:
        def read(self: Any) -> Any:
            return self._values.get(name, default)

        def write(self: Any, value: Any) -> None:
            self._values[name] = value
            self._refresh()

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
        if scene is not None:
            for event in self._EVENTS:
                self._observed.append((scene, scene.AddObserver(getattr(slicer.vtkMRMLScene, event), self._on_scene)))
        self._refresh()

    def currentNode(self) -> Any:  # noqa: N802
        return self._node

    def _node_id(self) -> str:
        return "" if self._node is None else str(self._node.GetID())

    @Slot(object)
    @Slot(str)
    def setCurrentNode(self, node: Any) -> None:  # noqa: N802
        if isinstance(node, str):
            self.setCurrentNodeID(node)
            return
        self._set_node(node if node in self._nodes() else None)

    def setCurrentNodeID(self, node_id: str) -> None:  # noqa: N802
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene is not None and node_id else None)

    currentNodeID = Property(str, _node_id, setCurrentNodeID)  # noqa: N815

    def nodeCount(self) -> int:  # noqa: N802
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:  # noqa: N802
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

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
        if self._node is not None:
            self._scene.RemoveNode(self._node)

    def _nodes(self) -> list[Any]:
        """The nodes of the scene that may be chosen, in the scene's order."""
        if self._scene is None:
            return []
        nodes = [self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes())]
        return [node for node in nodes if self._fits(node)]

    def _fits(self, node: Any) -> bool:
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        if not self.showChildNodeTypes:
            return node.GetClassName() in self.nodeTypes
        return any(node.IsA(known) for known in self.nodeTypes) and not any(
            node.IsA(known) for known in self.hideChildNodeTypes
        )

    def _on_scene(self, _scene: Any, event: str) -> None:
        if self._scene.IsBatchProcessing() and event in ("NodeAddedEvent", "NodeRemovedEvent"):
            return
        self._refresh()

    def _refresh(self) -> None:
        """Show what the scene has now; a node that has gone is no longer the current one."""
        nodes = self._nodes()
        if self._scene is not None:
            for node in nodes:
                if not any(node is known for known, _ in self._observed):
                    self._observed.append(
                        (node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._fill()))
                    )
        self.setEnabled(self._scene is not None)
        node = self._node
        if node not in nodes:
            node = None
        if node is None and nodes and not self.noneEnabled:
            node = nodes[0]
        self._set_node(node)

    def _set_node(self, node: Any) -> None:
        changed = node is not self._node
        self._node = node
        self._fill()
        if changed:
            self.currentNodeChanged[object].emit(node)
            self.currentNodeChanged[bool].emit(node is not None)
            self.currentNodeIDChanged.emit(self._node_id())

    def _fill(self) -> None:
        """The rows of the combo box: none, the nodes, and what may be done with them."""
        self._combo.blockSignals(True)
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self.noneDisplay, "")
        for node in self._nodes():
            self._combo.addItem(node.GetName() or "", node.GetID())
        if self.addEnabled and self._scene is not None:
            for known in self.nodeTypes:
                self._combo.addItem(f"Create new {self._scene.GetTagByClassName(known) or known}", self._CREATE + known)
        self._combo.setCurrentIndex(self._combo.findData(self._node_id()))
        self._combo.blockSignals(False)

    def _choose(self, index: int) -> None:
        chosen = self._combo.itemData(index)
        if chosen.startswith(self._CREATE):
            node = self.addNode(chosen.removeprefix(self._CREATE))
            self.setCurrentNode(node)
            self.nodeAddedByUserAction.emit(node)
        else:
            self.setCurrentNodeID(chosen)


class qMRMLSegmentSelectorWidget(qMRMLWidget):  # noqa: N801
    """A segmentation and one of its segments. As in the application the segment that was chosen last is still told when no segmentation is chosen any more."""

    currentNodeChanged: Any = Signal((object,), (bool,))  # type: ignore[arg-type]  # noqa: N815
    currentSegmentChanged = Signal(str)  # noqa: N815
    _EVENTS = ("SegmentAdded", "SegmentRemoved")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes, self._segments = qMRMLNodeComboBox(self), QtWidgets.QComboBox(self)
        self._nodes.nodeTypes, self._nodes.addEnabled = ["vtkMRMLSegmentationNode"], False
        self._chosen = ""
        self._observed: list[tuple[Any, int]] = []
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nodes)
        layout.addWidget(self._segments)
        self._segments.hide()
        self.mrmlSceneChanged.connect(self._nodes.setMRMLScene)
        self._nodes.currentNodeChanged[object].connect(self._on_node)
        self._segments.currentIndexChanged.connect(self._on_segment)
        observed = self._observed
        self.destroyed.connect(lambda: [observer.RemoveObserver(tag) for observer, tag in observed])

    def _set_none_enabled(self, enabled: bool) -> None:
        self._nodes.noneEnabled = enabled

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
        index = self._segments.findData(segment_id)
        if index >= 0:
            self._segments.setCurrentIndex(index)

    def _on_node(self, node: Any) -> None:
        for observer, tag in self._observed:
            observer.RemoveObserver(tag)
        self._observed.clear()
        if node is not None:
            self._observed += [
                (node, node.AddObserver(getattr(slicer.vtkSegmentation, event), lambda *_: self._fill()))
                for event in self._EVENTS
            ]
        self._fill()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)

    def _fill(self) -> None:
        """The segments of the node; the first one is chosen anew whenever there is another number of them."""
        node = self._nodes.currentNode()
        segments: Any = node.GetSegmentation() if node is not None else None
        self._segments.blockSignals(True)
        self._segments.clear()
        for segment_id in segments.GetSegmentIDs() if segments is not None else ():
            self._segments.addItem(segments.GetSegment(segment_id).GetName(), segment_id)
        self._segments.setCurrentIndex(-1)
        self._segments.blockSignals(False)
        self._segments.setVisible(self._segments.count() > 0)
        self._segments.setCurrentIndex(0 if self._segments.count() else -1)

    def _on_segment(self, index: int) -> None:
        self._chosen = str(self._segments.itemData(index) or "")
        self.currentSegmentChanged.emit(self._chosen)


CTK = {widget.__name__: widget for widget in (ctkCollapsibleButton, ctkSearchBox, ctkMessageBox)}
QMRML = {widget.__name__: widget for widget in (qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentSelectorWidget)}
