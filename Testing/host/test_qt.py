"""The adaptor behaves as PythonQt does, also where PythonQt refuses."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from Testing.host.application import Host


@pytest.fixture
def qt(host: Host) -> Any:
    import qt

    return qt


def test_properties_are_attributes(qt: Any) -> None:
    button = qt.QPushButton("Go")
    assert (button.text, button.enabled, button.checkable) == ("Go", True, False)
    button.text, button.enabled, button.name = "Stop", False, "stop"
    assert (button.text, button.enabled, button.objectName, button.name) == ("Stop", False, "stop", "stop")


def test_a_property_cannot_be_called(qt: Any) -> None:
    for member in ("text", "enabled"):
        with pytest.raises(TypeError):
            getattr(qt.QPushButton("Go"), member)()
    with pytest.raises(TypeError):
        qt.QComboBox().count()


def test_setting_what_does_not_exist_is_refused(qt: Any) -> None:
    with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects is not allowed"):
        qt.QLabel().Text = "x"
    with pytest.raises(AttributeError, match="can not be overwritten"):
        qt.QLabel().setText = "x"
    with pytest.raises(AttributeError, match="not writable"):
        qt.QComboBox().count = 3


@pytest.mark.parametrize("value", [None, 5, ["x"]])
def test_a_text_takes_a_text_only(qt: Any, value: Any) -> None:
    with pytest.raises(AttributeError, match="does not accept"):
        qt.QLabel().text = value


def test_an_unknown_member_is_an_error(qt: Any) -> None:
    with pytest.raises(AttributeError, match="QLabel has no attribute named 'colour'"):
        _ = qt.QLabel().colour
    with pytest.raises(AttributeError):
        _ = qt.QLable
    with pytest.raises(AttributeError):
        _ = qt.Qt.Chequed


def test_enums_are_integers(qt: Any) -> None:
    assert (qt.Qt.Checked, qt.QMessageBox.Yes | qt.QMessageBox.No, qt.QFile.ReadOnly, qt.QSizePolicy.Expanding) == (
        2,
        0x14000,
        1,
        7,
    )
    assert {type(value) for value in (qt.Qt.Checked, qt.QMessageBox.Yes, qt.Qt.UserRole)} == {int}
    assert isinstance(qt.QLabel().alignment, int)


def test_enum_arguments_are_integers(qt: Any) -> None:
    item = qt.QTreeWidgetItem()
    item.setCheckState(0, qt.Qt.PartiallyChecked)
    item.setFlags(item.flags() & ~qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
    assert item.checkState(0) == 1
    assert item.flags() & qt.Qt.ItemIsUserCheckable
    assert not item.flags() & qt.Qt.ItemIsSelectable
    tree = qt.QTreeWidget()
    tree.setColumnCount(2)
    tree.header().setSectionResizeMode(0, qt.QHeaderView.Stretch)
    assert tree.header().sectionResizeMode(0) == qt.QHeaderView.Stretch
    label = qt.QLabel()
    label.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)  # which it has from QWidget
    assert label.sizePolicy.horizontalPolicy() == qt.QSizePolicy.Ignored


def test_wrong_arguments_are_a_value_error(qt: Any) -> None:
    with pytest.raises(ValueError, match="matching overload"):
        qt.QLabel().setText(5)
    with pytest.raises(TypeError):
        qt.QTimer(parent=None)


def test_signals_are_named_by_signature_or_attribute(qt: Any) -> None:
    seen: list[Any] = []
    button = qt.QPushButton()
    button.setCheckable(True)
    assert button.connect("clicked(bool)", lambda checked: seen.append(checked))
    button.clicked.connect(lambda: seen.append("none"))
    button.toggled.connect(lambda *all_of_them: seen.append(all_of_them))
    button.click()
    assert seen == [(True,), True, "none"]


def test_a_bound_method_gets_as_many_arguments_as_it_names(qt: Any) -> None:
    class Listener:
        heard = 0

        def hear(self) -> None:
            self.heard += 1

    listener, button = Listener(), qt.QPushButton()
    button.connect("clicked(bool)", listener.hear)
    gc.collect()
    button.click()
    assert listener.heard == 1
    assert button.disconnect("clicked(bool)", listener.hear)
    assert not button.disconnect("clicked(bool)", listener.hear)
    button.click()
    assert listener.heard == 1


def test_disconnecting_an_attribute_signal(qt: Any) -> None:
    seen: list[bool] = []
    button = qt.QPushButton()
    button.clicked.connect(seen.append)
    button.clicked.disconnect(seen.append)
    button.click()
    assert seen == []


def test_an_unknown_signal_is_an_error(qt: Any) -> None:
    for signal in ("clicked(int)", "pushed()", "clicked"):
        with pytest.raises(ValueError, match="does not exist on QPushButton"):
            qt.QPushButton().connect(signal, print)


def test_an_exception_in_a_callback_is_printed_and_collected(
    host: Host, qt: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    button = qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert [type(error) for error in host.errors] == [ZeroDivisionError]
    assert "ZeroDivisionError" in capsys.readouterr().err
    host.errors.clear()


def test_one_object_has_one_proxy(qt: Any) -> None:
    tree, item = qt.QTreeWidget(), qt.QTreeWidgetItem()
    tree.addTopLevelItem(item)
    assert tree.topLevelItem(0) is item
    assert qt.QColor(1, 2, 3) == qt.QColor(1, 2, 3)
    assert qt.QColor(1, 2, 3) != qt.QColor(3, 2, 1)
    del item
    gc.collect()
    assert tree.topLevelItem(0) == tree.topLevelItem(0)


def test_items_live_on_in_their_tree(qt: Any) -> None:
    tree = qt.QTreeWidget()
    for text in ("a", "b"):
        item = qt.QTreeWidgetItem()
        item.setText(0, text)
        item.setData(0, qt.Qt.UserRole, text.upper())
        tree.addTopLevelItem(item)
    del item
    gc.collect()
    assert tree.topLevelItemCount == 2
    assert [tree.topLevelItem(row).data(0, qt.Qt.UserRole) for row in range(2)] == ["A", "B"]


def test_signals_carry_items_and_integers(qt: Any) -> None:
    seen: list[Any] = []
    tree, item = qt.QTreeWidget(), qt.QTreeWidgetItem()
    tree.addTopLevelItem(item)
    tree.connect("itemChanged(QTreeWidgetItem*,int)", lambda changed, column: seen.append((changed == item, column)))
    item.setCheckState(0, qt.Qt.Checked)
    assert seen == [(True, 0)]
    tree.blockSignals(True)
    item.setCheckState(0, qt.Qt.Unchecked)
    assert len(seen) == 1


def test_lists_come_back_as_tuples(qt: Any) -> None:
    widget = qt.QWidget()
    layout = qt.QVBoxLayout(widget)
    layout.addWidget(qt.QLabel("a"))
    assert [child.className() for child in widget.children()] == ["QVBoxLayout", "QLabel"]
    assert isinstance(widget.children(), tuple)


def test_qt_classes_are_no_subclasses_of_each_other(qt: Any) -> None:
    button = qt.QPushButton()
    assert type(button) is qt.QPushButton
    assert not isinstance(button, qt.QWidget)
    assert button.inherits("QWidget")


def test_a_python_subclass_overrides_and_keeps_attributes(host: Host, qt: Any) -> None:
    class Listener(qt.QObject):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.kinds: set[int] = set()

        def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
            self.kinds.add(event.type())
            return False

    listener, button = Listener(), qt.QPushButton()
    button.installEventFilter(listener)
    button.enabled = False
    assert qt.QEvent.EnabledChange in listener.kinds


def test_children_and_dynamic_properties_are_attributes(qt: Any) -> None:
    widget = qt.QWidget()
    label = qt.QLabel("x", widget)
    label.name = "title"
    assert widget.title == label
    assert label.property("SlicerParameterName") is None
    label.setProperty("SlicerParameterName", "age")
    assert label.SlicerParameterName == "age"
    assert widget.findChildren(qt.QLabel) == (label,)


def test_a_destroyed_object_is_false_and_says_so(qt: Any) -> None:
    label = qt.QLabel("x")
    label.delete()
    assert not label
    with pytest.raises(ValueError, match="destroyed"):
        _ = label.text
    with pytest.raises(ValueError, match="destroyed"):
        label.show()
    with pytest.raises(AttributeError, match="destroyed"):
        label.text = "y"


def test_timers_run_in_the_event_loop(host: Host, qt: Any) -> None:
    ticks: list[str] = []
    timer = qt.QTimer()
    timer.setInterval(1)
    timer.connect("timeout()", lambda: ticks.append("tick"))
    timer.start()
    qt.QTimer.singleShot(1, lambda: ticks.append("once"))
    host.run_until(lambda: ticks.count("tick") > 2 and "once" in ticks)
    timer.stop()
    assert (timer.interval, timer.active) == (1, False)


def test_settings_are_private_and_those_of_the_application(host: Host, qt: Any, tmp_path: Path) -> None:
    import slicer

    qt.QSettings().setValue("Module/folders", ["a", "b"])
    assert slicer.app.userSettings().value("Module/folders") == ("a", "b")
    assert Path(qt.QSettings().fileName()).is_relative_to(tmp_path)


def test_dialogs_take_their_answer_from_the_test(host: Host, qt: Any) -> None:
    host.answers.extend(["/tmp/model.zip", qt.QMessageBox.Yes])
    assert qt.QFileDialog.getOpenFileName(None, "Add model", "", "*.zip") == "/tmp/model.zip"
    assert qt.QMessageBox.question(None, "Title", "Sure?") == qt.QMessageBox.Yes
    assert [question.kind for question in host.asked] == ["QFileDialog.getOpenFileName", "QMessageBox.question"]
    with pytest.raises(AssertionError, match="no answer"):
        qt.QFileDialog.getExistingDirectory()
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile("/tmp/log.txt"))
    assert host.opened == ["file:///tmp/log.txt"]
