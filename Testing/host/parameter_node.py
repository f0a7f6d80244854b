"""`slicer.parameterNodeWrapper`: typed attributes that live in a vtkMRMLScriptedModuleNode, in the text that the
application writes.
"""

from __future__ import annotations

import collections.abc
import pathlib
import types
import typing
from collections.abc import Callable
from typing import Any

import slicer
import vtk


class Default:
    """Annotation: the value of a parameter that was never set."""

    def __init__(self, value: Any = None) -> None:
        self.value = value


class Stored:
    """How a value of one type stands in the node: as one text."""

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def default(self) -> Any:
        return self.kind()

    def check(self, name: str, value: Any) -> None:
        """TypeError, with the parameter's name, where the value is not of the type."""
        if not isinstance(value, (int, float) if self.kind is float else self.kind):
            raise TypeError(f"{name} is a {self.kind.__name__}, not {value!r}")

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(name))

    def write(self, node: Any, name: str, value: Any) -> None:
        self.check(name, value)
        node.SetParameter(name, str(value))

    def read(self, node: Any, name: str) -> Any:
        text = node.GetParameter(name)
        return text == "True" if self.kind is bool else self.kind(text)

    def remove(self, node: Any, name: str) -> None:
        node.UnsetParameter(name)


class StoredNode(Stored):
    """A node of the scene: as a node reference, with an empty text that says that it was set."""

    def default(self) -> None:
        return None

    def write(self, node: Any, name: str, value: Any) -> None:
        if value is not None:
            self.check(name, value)
        node.SetParameter(name, "")
        node.SetNodeReferenceID(name, None if value is None else value.GetID())

    def read(self, node: Any, name: str) -> Any:
        return node.GetNodeReference(name)


class StoredList(Stored):
    """A list: its length, and each item under its number."""

    def __init__(self, item: Any) -> None:
        self.item = item

    def default(self) -> list[Any]:
        return []

    def is_in(self, node: Any, name: str) -> bool:
        return bool(node.HasParameter(f"{name}_len"))

    def write(self, node: Any, name: str, value: Any) -> None:
        before = self._length(node, name)
        for index, item in enumerate(value):
            self.item.write(node, f"{name}_{index}", item)
        node.SetParameter(f"{name}_len", str(len(value)))
        for index in range(len(value), before):
            self.item.remove(node, f"{name}_{index}")

    def _length(self, node: Any, name: str) -> int:
        return int(node.GetParameter(f"{name}_len")) if self.is_in(node, name) else 0

    def _items(self, node: Any, name: str) -> list[Any]:
        return [self.item.read(node, f"{name}_{index}") for index in range(self._length(node, name))]

    def read(self, node: Any, name: str) -> Any:
        return ObservedList(self._items(node, name), lambda value: self.write(node, name, value))


class StoredPair(Stored):
    """Key and value of a dictionary."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def write(self, node: Any, name: str, value: Any) -> None:
        for index, (part, item) in enumerate(zip(self.parts, value, strict=True)):
            part.write(node, f"{name}_{index}", item)

    def read(self, node: Any, name: str) -> Any:
        return tuple(part.read(node, f"{name}_{index}") for index, part in enumerate(self.parts))

    def remove(self, node: Any, name: str) -> None:
        for index, part in enumerate(self.parts):
            part.remove(node, f"{name}_{index}")


class StoredDict(StoredList):
    """A dictionary: as the list of its pairs."""

    def default(self) -> Any:
        return {}

    def write(self, node: Any, name: str, value: Any) -> None:
        super().write(node, name, value.items())

    def read(self, node: Any, name: str) -> Any:
        return ObservedDict(dict(self._items(node, name)), lambda value: self.write(node, name, value))


class Cached:
    """A parameter that is read when the node is modified, and at no other time: whoever asks within the event may be
    told the value before it.
    """

    def __init__(self, how: Stored, node: Any, name: str, default: Any) -> None:
        self._how, self._node, self._name, self._default = how, node, name, default
        self._is_writing = False
        self.value = self._read()
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._changed)  # for good, as in 5.10

    def _read(self) -> Any:
        if not self._how.is_in(self._node, self._name):
            self._how.write(self._node, self._name, self._default)
        return self._how.read(self._node, self._name)

    def _changed(self, *_: Any) -> None:
        if not self._is_writing:
            self.value = self._read()

    def write(self, value: Any) -> None:
        self._is_writing = True
        try:
            with slicer.util.NodeModify(self._node):
                self._how.write(self._node, self._name, value)
                self.value = self._read()
        finally:
            self._is_writing = False


class ObservedList(collections.abc.MutableSequence[Any]):
    """A list that writes itself into the node when it is changed."""

    def __init__(self, items: list[Any], save: Callable[[list[Any]], None]) -> None:
        self._items, self._save = items, save

    def __eq__(self, other: object) -> bool:
        return self._items == (other._items if isinstance(other, ObservedList) else other)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __setitem__(self, index: Any, item: Any) -> None:
        self._items[index] = item
        self._save(self._items)

    def __delitem__(self, index: Any) -> None:
        del self._items[index]
        self._save(self._items)

    def insert(self, index: int, item: Any) -> None:
        self._items.insert(index, item)
        self._save(self._items)


class ObservedDict(collections.abc.MutableMapping[Any, Any]):
    """A dictionary that writes itself into the node when it is changed; as in the application `get` and `pop` take no
    default.
    """

    def __init__(self, items: dict[Any, Any], save: Callable[[dict[Any, Any]], None]) -> None:
        self._items, self._save = items, save

    def __eq__(self, other: object) -> bool:
        return self._items == (other._items if isinstance(other, ObservedDict) else other)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Any:
        return iter(self._items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __setitem__(self, key: Any, item: Any) -> None:
        self._items[key] = item
        self._save(self._items)

    def __delitem__(self, key: Any) -> None:
        del self._items[key]
        self._save(self._items)

    def get(self, key: Any) -> Any:  # type: ignore[override]
        return self._items.get(key)

    def pop(self, key: Any) -> Any:  # type: ignore[override]
        value = self._items.pop(key)
        self._save(self._items)
        return value


def stored(kind: Any) -> Stored:
    """How values of a type are stored; TypeError for a type that this stand-in does not know."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is list:
        return StoredList(stored(arguments[0]))
    if origin is dict:
        return StoredDict(StoredPair([stored(known) for known in arguments]))
    if (
        origin in (typing.Union, types.UnionType)
        and len(arguments) == 2
        and issubclass(arguments[0], slicer.vtkMRMLNode)
        and arguments[1] is type(None)
    ):
        return StoredNode(arguments[0])
    if isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode):
        return StoredNode(kind)
    if kind in (str, int, float, bool, pathlib.Path):
        return Stored(kind)
    raise TypeError(f"parameterNodeWrapper cannot store {kind}")


def parameterNodeWrapper(cls: type) -> type:  # noqa: N802
    """Class decorator: each annotated attribute becomes a property that reads and writes the parameter node."""
    defaults: dict[str, tuple[Stored, Any]] = {}
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        annotated = typing.get_origin(hint) is typing.Annotated
        how = stored(typing.get_args(hint)[0] if annotated else hint)
        given = [known.value for known in typing.get_args(hint)[1:] if isinstance(known, Default)] if annotated else []
        defaults[name] = how, getattr(cls, name, given[0] if given else how.default())
        setattr(cls, name, _property(name))

    def initialize(self: Any, node: Any) -> None:
        self.parameterNode = node
        self._cached = {name: Cached(how, node, name, default) for name, (how, default) in defaults.items()}

    methods: dict[str, Any] = {
        "__init__": initialize,
        "connectGui": _connect_gui,
        "disconnectGui": _disconnect_gui,
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, modified: self.parameterNode.EndModify(modified),
        "AddObserver": lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
            event, callback, priority
        ),
        "RemoveObserver": lambda self, tag: self.parameterNode.RemoveObserver(tag),
        "Modified": lambda self: self.parameterNode.Modified(),
    }
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _property(name: str) -> property:
    return property(lambda self: self._cached[name].value, lambda self, value: self._cached[name].write(value))


CONNECTORS = {
    "QCheckBox": ("checked", "stateChanged"),
    "QPushButton": ("checked", "toggled"),
    "QLineEdit": ("text", "textChanged"),
    "QSpinBox": ("value", "valueChanged"),
    "QDoubleSpinBox": ("value", "valueChanged"),
    "ctkCollapsibleButton": ("collapsed", "contentsCollapsed"),
}
"""Widgets that `connectGui` knows, by their class: the property that is the value and the signal that says that it
changed.
"""


def _read_widget(widget: Any) -> Any:
    return (
        widget.currentNode()
        if widget.className() == "qMRMLNodeComboBox"
        else getattr(widget, CONNECTORS[widget.className()][0])
    )


def _write_widget(widget: Any, value: Any) -> None:
    if widget.className() == "qMRMLNodeComboBox":
        widget.setCurrentNode(value)
    else:
        setattr(widget, CONNECTORS[widget.className()][0], value)


def _connect_gui(self: Any, gui: Any) -> Any:
    """Widgets with the dynamic property SlicerParameterName follow the parameter of that name, and it follows them."""
    widgets = {
        widget.property("SlicerParameterName"): widget
        for widget in vars(gui).values()
        if widget.property("SlicerParameterName")
    }
    is_showing = [False]

    def show(*_: Any) -> None:
        is_showing[0] = True
        for name, widget in widgets.items():
            _write_widget(widget, getattr(self, name))
        is_showing[0] = False

    def store(name: str) -> Callable[[], None]:
        return lambda: None if is_showing[0] else setattr(self, name, _read_widget(widgets[name]))

    show()
    connections: list[tuple[Any, Callable[[], None]]] = []
    for name, widget in widgets.items():
        signal = getattr(
            widget,
            "currentNodeChanged" if widget.className() == "qMRMLNodeComboBox" else CONNECTORS[widget.className()][1],
        )
        callback = store(name)
        signal.connect(callback)
        connections.append((signal, callback))
    self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: show() if connections else None)
    return connections


def _disconnect_gui(self: Any, connections: Any) -> None:
    """The widgets are let go of; the observer of the node stays, as in 5.10."""
    for signal, callback in connections or ():
        signal.disconnect(callback)
    if connections:
        connections.clear()
