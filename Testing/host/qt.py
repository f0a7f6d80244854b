"""`qt` with PythonQt's behaviour, as an adaptor over PySide6: properties are attributes, enums are integers, signals
are named by their signature.

The rules are PythonQt's own (src/PythonQtInstanceWrapper.cpp, PythonQtClassInfo.cpp, PythonQtSignalReceiver.cpp of
commontk/PythonQt). Callers in the module's own files may use the members of members.csv only.
"""

from __future__ import annotations

import enum
import inspect
import sys
import traceback
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from shiboken6 import Shiboken
from shibokensupport.signature import get_signature  # type: ignore[import-not-found]

from Testing.host import members
from Testing.host.dialogs import Dialogs, UnexpectedDialogError

errors: list[BaseException] = []
"""Exceptions of callbacks: PythonQt prints them and goes on, a test can ask for them here."""
dialogs = Dialogs()
_proxies: weakref.WeakValueDictionary[int, Proxy] = weakref.WeakValueDictionary()
_connections: dict[int, list[tuple[str, Any, Callable[..., Any]]]] = {}
"""C++ address of a sender -> signature, the callback as it was given, the function that Qt calls."""
_classes: dict[type, QtClass] = {}
_properties: dict[type, set[str]] = {}
_NODE_TYPES = ("vtkMRMLNode*", "vtkMRMLScene*")


class QtClass(type):
    """The class of a Qt class: its enums are integers, its static methods are calls."""

    real: Any
    names: list[str]

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        members.check(cls.names, name, sys._getframe(1))
        return _static(cls.real, name)


class Proxy(metaclass=QtClass):
    """What Python sees of one C++ object.

    As in PythonQt all Qt classes derive from it directly: `isinstance(button, qt.QWidget)` is False.
    """

    _real: Any

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        if keywords:
            raise TypeError("Qt constructors take no keyword arguments in PythonQt")
        real = type(self).real
        members.check(type(self).names, "constructor", sys._getframe(1))
        derived = Proxy not in type(self).__bases__
        self._adopt(call(_shell(type(self)) if derived else real, unwrap(arguments)))
        if derived:
            self._real.proxy = self

    def _adopt(self, real: Any) -> None:
        object.__setattr__(self, "_real", real)
        _proxies[id(real)] = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        members.check(type(self).names, name, sys._getframe(1))
        return _read(self._real, _known_as(self._real, name))

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):  # which no property does: of a Python class that derives from one of Qt
            members.check(type(self).names, name, sys._getframe(1))
        if not _write(self._real, _known_as(self._real, name), value):
            if Proxy in type(self).__bases__:
                raise AttributeError(
                    f"'{name}' does not exist on {self.className()} and creating new attributes on C++ objects is not"
                    " allowed"
                )
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and bool(self._real == other._real)

    def __hash__(self) -> int:
        return int(Shiboken.getCppPointer(self._real)[0])

    def __bool__(self) -> bool:
        return bool(Shiboken.isValid(self._real))

    def __repr__(self) -> str:
        return f"<{self.className()} of the stand-in>"

    def className(self) -> str:  # noqa: N802
        return type(self).names[0]

    def inherits(self, name: str) -> bool:
        return name in type(self).names

    def delete(self) -> None:
        Shiboken.delete(self._real)

    def connect(self, signal: str, *target: Any) -> bool:
        """A callable, or the receiver and its slot.

        An unknown signal raises, where PythonQt prints a warning and returns False.
        """
        members.check(type(self).names, signal, sys._getframe(1))
        return _connect(self._real, _signature(self._real, signal), _target(target))

    def disconnect(self, signal: str, *target: Any) -> bool:
        members.check(type(self).names, signal, sys._getframe(1))
        return _disconnect(self._real, _signature(self._real, signal), _target(target) if target else None)


class BoundSignal:
    """A signal as an attribute: to connect to, to disconnect from, and to emit by calling it."""

    def __init__(self, real: Any, signature: str) -> None:
        self._sender, self._name = real, signature

    def connect(self, callback: Callable[..., Any]) -> bool:
        return _connect(self._sender, self._name, callback)

    def disconnect(self, callback: Callable[..., Any] | None = None) -> bool:
        return _disconnect(self._sender, self._name, callback)

    def __call__(self, *arguments: Any) -> None:
        getattr(self._sender, self._name.split("(")[0]).emit(*unwrap(arguments))


class QtModule(types.ModuleType):
    """A module whose classes are made on demand; `own` are stand-ins for classes that PySide6 does not have."""

    def __init__(self, name: str, libraries: tuple[Any, ...], own: dict[str, type] | None = None) -> None:
        super().__init__(name)
        self._libraries, self._own = libraries, own or {}

    def __getattr__(self, name: str) -> Any:
        real = self._own.get(name) or next(
            (getattr(library, name) for library in self._libraries if hasattr(library, name)), None
        )
        if name.startswith("_") or not isinstance(real, type):
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        return proxy_class(real)


def proxy_class(real: type) -> QtClass:
    """The class of the proxies of a PySide6 class."""
    if real not in _classes:
        _classes[real] = QtClass(real.__name__, (Proxy,), {"real": real, "names": class_names(real)})
    return _classes[real]


def class_names(real: type) -> list[str]:
    """The class and its bases, by the names that they have in C++."""
    return [
        base.__name__
        for base in real.__mro__
        if issubclass(base, Shiboken.Object | QtCore.Qt) and base is not Shiboken.Object
    ]


def wrap(value: Any) -> Any:
    """What Python gets for a value of Qt: integers for enums, tuples for lists, one proxy an object."""
    if isinstance(value, enum.Enum):
        return int(value.value)
    if isinstance(value, list | tuple):
        return tuple(wrap(item) for item in value)
    if isinstance(value, dict):
        return {wrap(key): wrap(item) for key, item in value.items()}
    if not isinstance(value, Shiboken.Object):
        return value
    known = _proxies.get(id(value))
    if known is not None:
        return known
    proxy: Proxy = object.__new__(typing.cast(Any, proxy_class(type(value))))
    proxy._adopt(value)
    return proxy


def unwrap(value: Any) -> Any:
    """What Qt gets for a value of Python; a function is guarded, so that its exceptions stay in it."""
    if isinstance(value, Proxy):
        return value._real
    if isinstance(value, QtClass):
        return value.real
    if isinstance(value, list | tuple):
        return [unwrap(item) for item in value]
    if isinstance(value, dict):
        return {unwrap(key): unwrap(item) for key, item in value.items()}
    return guarded(value) if inspect.isroutine(value) or isinstance(value, BoundMethod) else value


def guarded(callback: Callable[..., Any]) -> Callable[..., Any]:
    """The function that Qt calls: hands over as many arguments as the callback names; exceptions are printed and kept
    in `errors`.
    """
    most = None
    if inspect.isfunction(callback) or inspect.ismethod(callback):
        code = callback.__code__
        if not code.co_flags & inspect.CO_VARARGS:
            most = code.co_argcount - inspect.ismethod(callback)

    def slot(*arguments: Any) -> None:
        try:
            callback(*wrap(arguments)[:most])
        except Exception as error:  # PythonQt's handleError prints whatever a callback raises
            traceback.print_exc()
            errors.append(error)

    return slot


class BoundMethod:
    """A method or a static method of Qt, to be called."""

    def __init__(self, function: Any, name: str, real: Any = None) -> None:
        self._function, self._name, self._of = function, name, real

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if self._of is not None and not Shiboken.isValid(self._of):
            raise ValueError(f"Trying to call '{self._name}' on a destroyed {type(self._of).__name__} object")
        if keywords:
            raise TypeError(f"{self._name} takes no keyword arguments in PythonQt")
        return wrap(call(self._function, unwrap(arguments)))


def call(function: Any, arguments: list[Any]) -> Any:
    """Call a function of PySide6, with integers made enums where an overload asks for them; ValueError, as in PythonQt,
    where none fits.
    """
    try:
        return function(*arguments)
    except TypeError as error:
        for converted in _conversions(function, arguments):
            try:
                return function(*converted)
            except TypeError:
                continue
        raise ValueError(f"Could not find matching overload for given arguments: {error}") from error


def _conversions(function: Any, arguments: list[Any]) -> Iterator[list[Any]]:
    """The arguments for each overload that takes an enum where an integer is given."""
    for signature in _signatures(function):
        parameters = [parameter.annotation for parameter in signature.parameters.values() if parameter.name != "self"]
        converted = [_as_enum(value, annotation) for value, annotation in zip(arguments, parameters, strict=False)]
        if len(converted) == len(arguments) and any(
            new is not old for new, old in zip(converted, arguments, strict=True)
        ):
            yield converted


def _signatures(function: Any) -> list[Any]:
    """Of a function's overloads; PySide6 tells those of an inherited method by the class that has it."""
    classes = type(getattr(function, "__self__", None)).__mro__
    inherited = (vars(base).get(function.__name__) for base in classes if hasattr(function, "__name__"))
    found: Any = next((known for known in map(get_signature, (function, *inherited)) if known), [])
    return found if isinstance(found, list) else [found]


def _as_enum(value: Any, annotation: Any) -> Any:
    """An integer as a member of the enum that is asked for; everything else as it is."""
    for wanted in (annotation, *typing.get_args(annotation)):
        if type(value) is int and isinstance(wanted, enum.EnumType):
            try:
                return wanted(value)
            except ValueError:
                return value
    return value


def _static(real: type, name: str) -> Any:
    """An enum value, an enum type or a static method of a class."""
    answer = DIALOGS.get((real.__name__, name))
    if answer is not None:
        return answer
    value = getattr(real, name, None)
    if value is None:
        raise AttributeError(f"type object '{real.__name__}' has no attribute '{name}'")
    if isinstance(value, enum.EnumType):
        return type(value.__name__, (int,), {})
    return BoundMethod(value, name) if callable(value) else wrap(value)


def _known_as(real: Any, name: str) -> str:
    """`name` stands for objectName where there is no property of that name."""
    return (
        "objectName" if name == "name" and isinstance(real, QtCore.QObject) and not _has_property(real, name) else name
    )


def _has_property(real: Any, name: str) -> bool:
    """Whether the class has the Qt property; remembered for each class, so that it is known of a
    destroyed object too.
    """
    cls = type(real)
    if not isinstance(real, QtCore.QObject):
        return False
    if cls not in _properties and Shiboken.isValid(real):
        meta = real.metaObject()
        _properties[cls] = {str(meta.property(index).name()) for index in range(meta.propertyCount())}
    return name in _properties.get(cls, ())


def _property(real: Any, name: str) -> QtCore.QMetaProperty:
    meta: QtCore.QMetaObject = real.metaObject()
    return meta.property(meta.indexOfProperty(name))


def _read(real: Any, name: str) -> Any:
    """An attribute of an object, looked for in PythonQt's order: property, signal or method, enum, dynamic property,
    child.
    """
    alive = Shiboken.isValid(real)
    if _has_property(real, name):
        if not alive:
            raise ValueError(f"Trying to read property '{name}' from a destroyed {type(real).__name__} object")
        return wrap(_property(real, name).read(real))
    if not alive:
        return BoundMethod(None, name, real)
    if isinstance(real, QtWidgets.QDialog) and name in ("exec", "exec_"):
        return lambda: dialogs.ask(type(real).__name__, str(real.property("text") or real.windowTitle()))
    if isinstance(real, QtCore.QObject):
        signatures = _signals(real, name)
        if signatures:
            return BoundSignal(real, signatures[0])
    for known in (name, name.removesuffix("_")):
        method = getattr(real, known, None)
        if callable(method) and not isinstance(method, type):
            return BoundMethod(method, name, real)
        if isinstance(method, enum.Enum):
            return wrap(method)
    if isinstance(real, QtCore.QObject):
        if name.encode() in [bytes(known.data()) for known in real.dynamicPropertyNames()]:
            return wrap(real.property(name))
        for child in real.children():
            if child.objectName() == name:
                return wrap(child)
    raise AttributeError(f"{type(real).__name__} has no attribute named '{name}'")


def _write(real: Any, name: str, value: Any) -> bool:
    """Set a property; False where there is none of that name, AttributeError where the value does not fit or the name
    is taken.
    """
    if not Shiboken.isValid(real):
        raise AttributeError(f"Trying to set property '{name}' on a destroyed {type(real).__name__} object")
    if _has_property(real, name):
        found, given = _property(real, name), unwrap(value)
        type_name = str(found.typeName())
        if not found.isWritable():
            raise AttributeError(f"Property '{name}' of {type(real).__name__} object is not writable")
        if given is None or (type_name == "QString") != isinstance(given, str) or not found.write(real, given):
            raise AttributeError(
                f"Property '{name}' of type '{type_name}' does not accept an object of type {type(value).__name__}"
                f" ({value!r})"
            )
        return True
    if hasattr(type(real), name):
        raise AttributeError(f"Slot '{name}' can not be overwritten on {type(real).__name__} object")
    if isinstance(real, QtCore.QObject) and name.encode() in [
        bytes(known.data()) for known in real.dynamicPropertyNames()
    ]:
        real.setProperty(name, unwrap(value))
        return True
    return False


_known_signals: dict[tuple[str, int], dict[str, list[str]]] = {}
"""Class and number of methods -> what `_signals` has found: to walk through the methods takes long."""


def _signals(real: QtCore.QObject, name: str) -> list[str]:
    """Signatures of the signals of that name, the one with most arguments first."""
    meta = real.metaObject()
    key = (str(meta.className()), meta.methodCount())
    if key not in _known_signals:
        found: dict[str, list[str]] = {}
        for method in map(meta.method, range(meta.methodCount())):
            if method.methodType() == QtCore.QMetaMethod.MethodType.Signal:
                signature = bytes(method.methodSignature().data()).decode()
                found.setdefault(bytes(method.name().data()).decode(), []).append(signature)
        _known_signals[key] = found
    return _known_signals[key].get(name, [])


def without_vtk(text: str) -> str:
    """Signatures as PySide6 has them for signals that carry MRML objects."""
    for known in _NODE_TYPES:
        text = text.replace(known, "PyObject")
    return text


def _signature(real: QtCore.QObject, signal: str) -> str:
    """The normal form of a signal's signature; ValueError where the object has no such signal."""
    normal = bytes(QtCore.QMetaObject.normalizedSignature(without_vtk(signal)).data()).decode()  # type: ignore[arg-type]
    if real.metaObject().indexOfSignal(normal) < 0:
        raise ValueError(f"QObject::connect() signal '{signal}' does not exist on {type(real).__name__}")
    return normal


def _target(target: tuple[Any, ...]) -> Callable[..., Any]:
    """The callable of a connection that is given as a callable, or as a receiver and its slot."""
    callback = target[0] if len(target) == 1 else _read(target[0]._real, target[1].split("(")[0])
    if not callable(callback):
        raise TypeError(f"{callback!r} cannot be called")
    return typing.cast(Callable[..., Any], callback)


def _connect(real: QtCore.QObject, signature: str, callback: Callable[..., Any]) -> bool:
    slot = guarded(callback)
    address = Shiboken.getCppPointer(real)[0]
    if address not in _connections:
        _connections[address] = []
        real.destroyed.connect(lambda: _connections.pop(address, None))
    _connections[address].append((signature, callback, slot))
    return bool(QtCore.QObject.connect(real, QtCore.SIGNAL(signature), slot))


def _disconnect(real: QtCore.QObject, signature: str, callback: Callable[..., Any] | None) -> bool:
    """Undo the first connection to the callback, or all of them; False where there is none."""
    known = _connections.get(Shiboken.getCppPointer(real)[0], [])
    found = [entry for entry in known if entry[0] == signature and callback in (None, entry[1])]
    for entry in found if callback is None else found[:1]:
        QtCore.QObject.disconnect(real, QtCore.SIGNAL(signature), entry[2])
        known.remove(entry)
    return bool(found)


def _shell(derived: QtClass) -> type:
    """A PySide6 class for a Python class that derives from a Qt class: what it overrides is called from C++ too."""

    def forward(name: str) -> Callable[..., Any]:
        return lambda self, *arguments: unwrap(getattr(self.proxy, name)(*wrap(arguments)))

    overridden = {
        name
        for cls in derived.__mro__
        if Proxy not in cls.__mro__[:2] and issubclass(cls, Proxy)
        for name in vars(cls)
        if not name.startswith("_")
    }
    body = {name: forward(name) for name in overridden if hasattr(derived.real, name)}
    shell: type = type(derived.real)(derived.real.__name__, (derived.real,), body)
    return shell


class UiLoader(QtUiTools.QUiLoader):
    """QUiLoader that knows the CTK and qMRML widgets, and connections that name MRML types."""

    widgets: typing.ClassVar[list[type]] = []

    def __init__(self) -> None:
        super().__init__()
        for widget in self.widgets:
            self.registerCustomWidget(widget)

    def load(self, file: QtCore.QIODevice) -> Any:  # type: ignore[override]
        buffer = QtCore.QBuffer()
        buffer.setData(without_vtk(bytes(file.readAll().data()).decode()).encode())
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        return super().load(buffer)


def _file_dialog(kind: str) -> Callable[..., Any]:
    return lambda _parent=None, title="", *_rest: dialogs.ask(f"QFileDialog.{kind}", title)


def _message_box(kind: str) -> Callable[..., Any]:
    return lambda _parent, title, text, *_rest: dialogs.ask(f"QMessageBox.{kind}", f"{title}: {text}")


def _input_dialog(kind: str) -> Callable[..., Any]:
    return lambda _parent, title, label, *_rest: dialogs.ask(f"QInputDialog.{kind}", f"{title}: {label}")


def _open_url(url: Any) -> bool:
    dialogs.opened.append(unwrap(url).toString())
    return True


DIALOGS: dict[tuple[str, str], Callable[..., Any]] = {
    **{
        ("QFileDialog", kind): _file_dialog(kind)
        for kind in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory")
    },
    **{("QMessageBox", kind): _message_box(kind) for kind in ("question", "information", "warning", "critical")},
    **{("QInputDialog", kind): _input_dialog(kind) for kind in ("getText", "getItem", "getInt", "getDouble")},
    ("QDesktopServices", "openUrl"): _open_url,
}
"""Static functions that would open a window. As in PythonQt a file dialog gives the name alone, without the filter."""

module = QtModule("qt", (QtCore, QtGui, QtWidgets), {"QUiLoader": UiLoader})

__all__ = ["Proxy", "QtModule", "UnexpectedDialogError", "dialogs", "errors", "module", "proxy_class", "unwrap", "wrap"]
