"""The ways into the panel: the context menu of a volume, a dropped file of a label, and the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from Testing.host import qt as adaptor
from Testing.host.application import Host
from Testing.host.result_modules import provide_other_modules
from Testing.panel.test_panel_examples import add, paint
from Testing.panel.user import PLACE, User
from Testing.scene import made_nodes as nodes


@pytest.fixture
def user(host: Host, models: Path) -> User:
    return User(host)


# Context menu


def test_a_volume_has_the_entry_in_its_context_menu(user: User) -> None:
    volume = user.add_volume()
    assert list(user.host.subject_hierarchy.context_menu(volume)) == ["Segment structures..."]


def test_what_cannot_be_segmented_has_no_entry(user: User) -> None:
    scene = user.host.scene
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "Labels")
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segments")
    assert [user.host.subject_hierarchy.context_menu(node) for node in (labels, segmentation, None)] == [{}, {}, {}]


def test_the_entry_opens_the_module_with_that_volume(user: User) -> None:
    user.choose(user.add_volume("First"))
    second = user.add_volume("Second", seed=1)
    modules = provide_other_modules(user.host)
    user.host.subject_hierarchy.context_menu(second)["Segment structures..."].trigger()
    assert modules.opened == ["LabelConditionedSegmentation"]
    assert user.panel.inputs.nodes == (second,)
    user.wait()
    user.tick("Left Putamen")
    assert user.apply().GetName() == "Second segmentation"


# Dropped files


def drop(widget: Any, *files: Path) -> bool:
    """Drop files onto a widget as a file manager does; whether they were taken."""
    data = QtCore.QMimeData()
    data.setUrls([QtCore.QUrl.fromLocalFile(str(file)) for file in files])
    real, accepted = adaptor.unwrap(widget), []
    for kind in (QtGui.QDragEnterEvent, QtGui.QDropEvent):
        place: Any = QtCore.QPoint(5, 5) if kind is QtGui.QDragEnterEvent else QtCore.QPointF(5, 5)
        event = kind(
            place,
            QtCore.Qt.DropAction.CopyAction,
            data,
            QtCore.Qt.MouseButton.LeftButton,
            QtCore.Qt.KeyboardModifier.NoModifier,
        )
        event.ignore()
        QtWidgets.QApplication.sendEvent(real, event)
        accepted.append(event.isAccepted())
    return all(accepted)


@pytest.fixture
def learning(host: Host, learner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """A user with a model that learns from examples."""
    monkeypatch.setenv("LCS_MODELS", str(learner.parent))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    user = User(host)
    user.choose(user.add_volume())
    return user


def test_a_file_of_a_label_that_is_dropped_is_imported(learning: User, tmp_path: Path) -> None:
    user, file = learning, tmp_path / "lesion.lcs-label.json"
    paint(user)
    add(user, name="Lesion")
    prompt = user.panel.mine.labels.of(user.panel.package)[0]
    from LabelConditionedSegmentationLib.scene.example_labels import save_label

    save_label(prompt, file)
    user.panel.mine.labels.remove(prompt)
    assert drop(user.ui.LabelConditionedSegmentation, file)
    assert user.said == '"Lesion" was added to My labels.'
    assert [label.name for label in user.panel.mine.labels.of(user.panel.package)] == ["Lesion"]


def test_other_files_go_the_way_of_the_application(learning: User, tmp_path: Path) -> None:
    file = tmp_path / "scan.nii.gz"
    file.write_bytes(b"")
    assert not drop(learning.ui.LabelConditionedSegmentation, file)


def test_a_file_that_is_no_label_is_a_sentence(learning: User, tmp_path: Path) -> None:
    file = tmp_path / "broken.lcs-label.json"
    file.write_text("{")
    assert drop(learning.ui.LabelConditionedSegmentation, file)
    assert "broken.lcs-label.json" in learning.said


# Keyboard


def key(widget: Any, pressed: QtCore.Qt.Key) -> None:
    QtTest.QTest.keyClick(adaptor.unwrap(widget), pressed)


def activate(user: User) -> None:
    """Give the window the keyboard, as the application's has it."""
    user.host.window.activateWindow()
    user.host.run_until(lambda: user.host.window.isActiveWindow(), 5)


def test_the_search_has_the_focus_when_the_module_is_entered(user: User) -> None:
    activate(user)
    user.ui.modelSelector.setFocus()
    user.widget.enter()
    assert adaptor.unwrap(user.ui.searchBox).hasFocus()


def test_search_down_space_enter_segments_without_the_mouse(user: User) -> None:
    user.choose(user.add_volume())
    activate(user)
    user.widget.enter()
    QtTest.QTest.keyClicks(adaptor.unwrap(user.ui.searchBox), "amyg")
    key(user.ui.searchBox, QtCore.Qt.Key.Key_Down)
    assert adaptor.unwrap(user.ui.labelTree).hasFocus()
    key(user.ui.labelTree, QtCore.Qt.Key.Key_Space)
    assert user.chosen == ["Left Amygdala", "Right Amygdala"]
    key(user.ui.labelTree, QtCore.Qt.Key.Key_Return)
    user.wait()
    assert user.panel.segment.live.node is not None, user.said


def test_space_in_the_search_is_a_space(user: User) -> None:
    activate(user)
    user.widget.enter()
    QtTest.QTest.keyClicks(adaptor.unwrap(user.ui.searchBox), "left p")
    assert user.ui.searchBox.text == "left p"
    assert user.chosen == []


def test_enter_does_nothing_where_apply_cannot_be_pressed(user: User) -> None:
    user.choose(nodes.volume(user.host.scene, PLACE, np.zeros((1, 4, 4), np.int16)))
    activate(user)
    user.widget.enter()
    user.tick("Left Putamen")
    key(user.ui.searchBox, QtCore.Qt.Key.Key_Return)
    assert not user.panel.runner.running
    assert user.panel.segment.live.node is None
