"""The list of Qt, CTK and qMRML members: every entry exists, and the module uses no other."""

from __future__ import annotations

import ast
import enum
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from PySide6 import QtCore, QtGui, QtWidgets

from Testing.host import application, members, segment_editor, selectors, subject_hierarchy, widgets
from Testing.host.application import Host
from Testing.host.members import Member
from Testing.host.qt import class_names, without_vtk

UI = Path(__file__).resolve().parents[2] / "Resources" / "UI" / "LabelConditionedSegmentation.ui"
FILES = sorted(
    [*members.SOURCE.glob("*.py"), *(members.SOURCE / "LabelConditionedSegmentationLib" / "panel").glob("*.py")]
)
SLICER = ("qSlicerApplication", "qSlicerScriptedLoadableModule", "qSlicerScriptedLoadableModuleWidget")
EDITOR = {"qMRMLSegmentEditorWidget": segment_editor.qMRMLSegmentEditorWidget}
OWN = {
    **widgets.CTK,
    **selectors.QMRML,
    **EDITOR,
    **subject_hierarchy.SUBJECT_HIERARCHY,
    **{name: getattr(application, name) for name in SLICER},
}
MADE: dict[str, Callable[[], QtCore.QObject]] = {
    "QAbstractButton": QtWidgets.QPushButton,
    "QAbstractSlider": QtWidgets.QSlider,
    "QShortcut": lambda: QtGui.QShortcut(cast("QtCore.QObject", QtWidgets.QApplication.instance())),
    "QAbstractItemView": QtWidgets.QTreeWidget,
    "QBoxLayout": QtWidgets.QVBoxLayout,
    "QLayout": QtWidgets.QVBoxLayout,
    "QClipboard": QtGui.QGuiApplication.clipboard,
    "QHeaderView": lambda: QtWidgets.QHeaderView(QtCore.Qt.Orientation.Horizontal),
    "qSlicerApplication": lambda: application.qSlicerApplication(Path(), None),
    "qSlicerScriptedLoadableModule": lambda: application.qSlicerScriptedLoadableModule(Path("Module.py")),
    "qSlicerScriptedLoadableModuleWidget": lambda: application.qSlicerScriptedLoadableModuleWidget("Module.py"),
}
"""How an object of a class, or of one that derives from it, is made where the class alone does not do."""
PAGES = ("https://doc.qt.io/qt-6/", "https://apidocs.slicer.org/main/class", "https://www.commontk.org/docs/html/class")


def real(name: str) -> Any:
    """The PySide6 class, or the stand-in, of that name."""
    return OWN.get(name) or next(
        (getattr(library, name) for library in (QtCore, QtGui, QtWidgets) if hasattr(library, name)), None
    )


@cache
def sample(cls: Any) -> Any:
    """An object of the class; kept, since its meta object goes with it."""
    running = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    return running if isinstance(running, cls) else MADE.get(cls.__name__, cls)()


def meta_object(cls: Any) -> QtCore.QMetaObject | None:
    """The meta object of exactly this class; None for what is no QObject."""
    if not issubclass(cls, QtCore.QObject):
        return None
    meta: QtCore.QMetaObject = sample(cls).metaObject()
    while meta.className() != cls.__name__:
        meta = meta.superClass()
    return meta


def exists(row: Member) -> bool:
    """Whether the class has the member, of the kind that the list says."""
    cls = real(row.class_name)
    if not isinstance(cls, type):
        return False
    meta = meta_object(cls)
    if row.kind == "constructor":
        return True
    if row.kind == "signal":
        return meta is not None and meta.indexOfSignal(without_vtk(row.member)) >= 0
    if row.kind == "property":
        return meta is not None and meta.indexOfProperty("objectName" if row.member == "name" else row.member) >= 0
    member = getattr(cls, row.member, None)
    if row.kind == "enum":
        return isinstance(member, enum.Enum)
    own = row.member in ("className", "connect", "disconnect", "inherits")
    return row.kind in ("method", "slot", "static") and (
        own or (callable(member) and (meta is None or meta.indexOfProperty(row.member) < 0))
    )


@pytest.mark.parametrize("row", members.listed(), ids=lambda row: f"{row.class_name}.{row.member}")
def test_a_listed_member_exists(row: Member) -> None:
    assert exists(row)


def test_every_line_names_its_page_once() -> None:
    rows = members.listed()
    assert [row for row in rows if not row.page.startswith(PAGES)] == []
    names = [(row.class_name, row.member) for row in rows]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_a_member_that_does_not_exist_is_found() -> None:
    page = "https://doc.qt.io/qt-6/qlabel.html"
    wrong = [
        ("QLabel", "colour", "property"),
        ("QLabel", "text", "method"),
        ("QLabel", "pressed()", "signal"),
        ("Qt", "Chequed", "enum"),
    ]
    assert [exists(Member(*row, page)) for row in wrong] == [False] * 4


def ui_classes() -> dict[str, str]:
    """Class of every named widget of the .ui file."""
    return {widget.get("name", ""): widget.get("class", "") for widget in ElementTree.parse(UI).iter("widget")}


def uses(tree: ast.AST, named: dict[str, str]) -> Iterator[tuple[str, str, int]]:
    """Class, member and line of `ui.NAME.MEMBER`, `qt.CLASS.MEMBER`, `qt.CLASS(...)`, `ctk.CLASS` and
    `slicer.qMRMLX`.
    """
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            library, name = node.func.value.id, node.func.attr
            if library in ("qt", "ctk") or (library == "slicer" and name.startswith(("qMRML", "qSlicer"))):
                yield name, "constructor", node.lineno
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            owner = node.value
            if isinstance(owner.value, ast.Name) and owner.value.id == "qt":
                yield owner.attr, node.attr, node.lineno
            elif ast.unparse(owner.value).split(".")[-1] in ("ui", "_ui") and owner.attr in named:
                yield named[owner.attr], node.attr, node.lineno


@pytest.mark.skipif(not UI.is_file(), reason="the panel has no .ui file yet")
def test_the_module_names_listed_members_only() -> None:
    named = ui_classes()
    found = [
        (path.name, line, cls, member)
        for path in FILES
        for cls, member, line in uses(ast.parse(path.read_text(encoding="utf-8")), named)
    ]
    assert [
        use for use in found if not members.is_listed(class_names(real(use[2])) if real(use[2]) else [use[2]], use[3])
    ] == []


@pytest.mark.skipif(not UI.is_file(), reason="the panel has no .ui file yet")
def test_the_ui_file_sets_listed_properties_of_known_widgets() -> None:
    layouts_of_designer = {
        *("geometry", "spacing", "leftMargin", "topMargin", "rightMargin", "bottomMargin", "SlicerParameterName")
    }
    wrong = []
    for widget in [*ElementTree.parse(UI).iter("widget"), *ElementTree.parse(UI).iter("layout")]:
        cls = widget.get("class", "")
        for known in widget.findall("property"):
            name = known.get("name", "")
            if real(cls) is None or (
                name not in layouts_of_designer and not members.is_listed(class_names(real(cls)), name)
            ):
                wrong.append((widget.get("name"), cls, name))
    assert wrong == []


def test_a_file_of_the_module_is_refused_what_is_not_listed(host: Host, tmp_path: Path) -> None:
    source = tmp_path / "Module" / "part.py"
    source.parent.mkdir()
    source.write_text(
        "import qt\nlabel = qt.QLabel('x')\nlabel.text = 'y'\ndef bad():\n    label.grabKeyboard()\n", encoding="utf-8"
    )
    members.MODULE_FOLDERS.add(str(source.parent))
    contents: dict[str, Any] = {}
    exec(compile(source.read_text(encoding="utf-8"), source, "exec"), contents)
    with pytest.raises(
        AttributeError, match=r"QLabel\.grabKeyboard is used in .*part\.py:5 but is not in members\.csv"
    ):
        contents["bad"]()
    contents["label"].releaseKeyboard()
    assert os.fspath(source.parent) in members.MODULE_FOLDERS
