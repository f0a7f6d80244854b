"""The stand-ins of CTK and qMRML widgets do what the module relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from Testing.host.application import Host

UI = """<?xml version="1.0"?><ui version="4.0"><class>Panel</class><widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="rows">
<item><widget class="ctkCollapsibleButton" name="inputs"><property name="text"><string>Inputs</string></property>
 <property name="collapsed"><bool>true</bool></property><layout class="QFormLayout" name="form">
 <item row="0" column="0"><widget class="QLabel" name="caption"><property name="text"><string>Volume</string></property></widget></item>
 <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="volume"><property name="SlicerParameterName" stdset="0"><string>volume</string></property>
  <property name="nodeTypes"><stringlist><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
  <property name="hideChildNodeTypes"><stringlist><string>vtkMRMLLabelMapVolumeNode</string></stringlist></property>
  <property name="noneEnabled"><bool>true</bool></property></widget></item></layout></widget></item>
<item><widget class="ctkSearchBox" name="search"><property name="placeholderText"><string>Search</string></property></widget></item></layout></widget>
<customwidgets><customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header><container>1</container></customwidget>
<customwidget><class>ctkCollapsibleButton</class><extends>QWidget</extends><header>ctkCollapsibleButton.h</header><container>1</container></customwidget>
<customwidget><class>qMRMLNodeComboBox</class><extends>QWidget</extends><header>qMRMLNodeComboBox.h</header></customwidget>
<customwidget><class>ctkSearchBox</class><extends>QLineEdit</extends><header>ctkSearchBox.h</header></customwidget></customwidgets>
<connections><connection><sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>volume</receiver>
<slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>
"""  # noqa: E501


@pytest.fixture
def panel(host: Host, tmp_path: Path) -> Any:
    import slicer

    path = tmp_path / "panel.ui"
    path.write_text(UI, encoding="utf-8")
    widget = slicer.util.loadUI(str(path))
    widget.setMRMLScene(host.scene)
    return widget


@pytest.fixture
def ui(panel: Any) -> Any:
    import slicer

    return slicer.util.childWidgetVariables(panel)


def volume(host: Host, name: str = "CT", class_name: str = "vtkMRMLScalarVolumeNode") -> Any:
    return host.scene.AddNewNodeByClass(class_name, name)


def test_a_ui_file_gives_its_named_widgets(host: Host, panel: Any, ui: Any) -> None:
    assert panel.mrmlScene() is host.scene
    assert ui.volume.mrmlScene() is host.scene
    assert (ui.search.placeholderText, ui.inputs.text, ui.caption.text) == ("Search", "Inputs", "Volume")
    assert ui.volume.nodeTypes == ("vtkMRMLScalarVolumeNode",)


def test_a_ui_file_that_is_missing_is_an_error(host: Host) -> None:
    import slicer

    with pytest.raises(RuntimeError, match="file not found"):
        slicer.util.loadUI("nowhere.ui")


def test_a_collapsible_button_hides_and_shows_its_contents(host: Host, panel: Any, ui: Any) -> None:
    seen: list[bool] = []
    ui.inputs.connect("contentsCollapsed(bool)", seen.append)
    panel.show()
    host.qapplication.processEvents()
    assert ui.inputs.collapsed
    assert not ui.caption.visible
    ui.inputs.collapsed = False
    host.qapplication.processEvents()
    assert ui.caption.visible
    assert panel.height >= ui.caption.height
    ui.caption.visible = False
    ui.inputs.click()
    ui.inputs.click()
    assert not ui.caption.visible
    assert ui.volume.visible
    assert seen == [False, True, False]


def test_what_a_collapsible_button_prefers_is_the_least_that_it_takes(host: Host) -> None:
    """Its size policy is Minimum: it does not shrink, and with it no panel, below what its contents would like."""
    import ctk
    import qt

    from Testing.host.qt import unwrap

    panel = qt.QWidget()
    button = ctk.ctkCollapsibleButton("Section")
    qt.QVBoxLayout(panel).addWidget(button)
    label = qt.QLabel("A sentence that is broken into lines, and would rather not be. " * 3)
    label.wordWrap = True
    qt.QVBoxLayout(button).addWidget(label)
    least = unwrap(panel).layout().totalMinimumSize().width()
    assert least > unwrap(button).sizeHint().width() > unwrap(button).minimumSizeHint().width() + 100
    button.collapsed = True
    assert unwrap(panel).layout().totalMinimumSize().width() < least - 100


def test_a_node_selector_is_as_wide_as_its_longest_name(host: Host, ui: Any) -> None:
    from Testing.host.qt import unwrap

    before = unwrap(ui.volume).sizeHint().width()
    volume(host, "x" * 100)
    assert unwrap(ui.volume).sizeHint().width() > before + 300


def test_a_node_selector_lists_the_nodes_of_its_types(host: Host, ui: Any) -> None:
    assert ui.volume.currentNode() is None
    shown = volume(host)
    volume(host, "labels", "vtkMRMLLabelMapVolumeNode")
    volume(host, "model", "vtkMRMLModelNode")
    hidden = volume(host, "hidden")
    hidden.SetHideFromEditors(True)
    assert [ui.volume.nodeFromIndex(row) for row in range(ui.volume.nodeCount())] == [shown]
    ui.volume.showHidden = True
    assert ui.volume.nodeCount() == 2


def test_a_node_selector_says_which_node_is_chosen(host: Host, ui: Any) -> None:
    seen: list[Any] = []
    ui.volume.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    ui.volume.currentNodeChanged.connect(lambda: seen.append("changed"))
    node = volume(host)
    ui.volume.setCurrentNode(node)
    ui.volume.setCurrentNode(node)
    assert seen == [node, "changed"]
    assert ui.volume.currentNodeID == node.GetID()
    ui.volume.setCurrentNodeID("")
    assert ui.volume.currentNode() is None
    assert seen[2:] == [None, "changed"]


def test_a_node_selector_without_none_takes_the_first_node(host: Host, ui: Any) -> None:
    ui.volume.noneEnabled = False
    node = volume(host)
    assert ui.volume.currentNode() is node


def test_a_node_selector_follows_names_and_creates_nodes(host: Host, ui: Any) -> None:
    from PySide6 import QtWidgets

    from Testing.host.qt import unwrap

    node = volume(host, "before")
    ui.volume.baseName = "Result"
    node.SetName("after")
    combo = unwrap(ui.volume).findChild(QtWidgets.QComboBox)
    assert [combo.itemText(row) for row in range(combo.count())] == [
        "None",
        "after",
        "",
        "Create new Volume",
        "Delete current Volume",
    ]
    combo.activated.emit(3)
    assert ui.volume.currentNode().GetName() == "Result"


def test_a_selector_that_is_gone_no_longer_listens(host: Host, panel: Any) -> None:
    panel.delete()
    assert volume(host) is not None


def test_what_is_hidden_while_a_button_is_collapsed_stays_hidden_when_it_opens(host: Host, panel: Any, ui: Any) -> None:
    panel.show()
    host.qapplication.processEvents()
    assert not ui.caption.isVisible()
    ui.caption.visible = False
    ui.inputs.collapsed = False
    host.qapplication.processEvents()
    assert not ui.caption.isVisible()
    assert ui.volume.isVisible()
    panel.close()
