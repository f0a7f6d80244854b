"""The application as a module sees it: `slicer.app`, the module manager, the main window, settings, and the modules
that may be imported.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import slicer
import slicer.util
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal, Slot

from Testing.host import i18n, members, mrml, parameter_node, scripted_module
from Testing.host import qt as adaptor
from Testing.host.dialogs import DialogQuestion
from Testing.host.segment_editor import qMRMLSegmentEditorWidget
from Testing.host.selectors import QMRML
from Testing.host.subject_hierarchy import (
    SUBJECT_HIERARCHY,
    abstract_plugin_module,
    qSlicerSubjectHierarchyPluginHandler,
)
from Testing.host.widgets import CTK, plain_property

if (
    sys.version_info
    < (
        3,
        12,
    )
):  # PySide6 6.12 takes None for immortal, which it is from Python 3.12 on: each of its calls takes one reference too many away  # noqa: E501
    ctypes.c_ssize_t.from_address(id(None)).value += 2**40

adaptor.UiLoader.widgets = [*CTK.values(), *QMRML.values(), qMRMLSegmentEditorWidget]


class qSlicerModuleManager(QtCore.QObject):  # noqa: N801
    """The modules of the application."""

    moduleAboutToBeUnloaded = Signal(str)  # noqa: N815
    moduleLoaded = Signal(str)  # noqa: N815

    def module(self, name: str) -> Any:
        return getattr(slicer.modules, name.lower(), None)


class qSlicerScriptedLoadableModule(QtCore.QObject):  # noqa: N801
    """What a scripted module fills in about itself, and its one widget."""

    title, helpText, acknowledgementText, name, path = (  # noqa: N815
        plain_property(str, known, "") for known in ("title", "helpText", "acknowledgementText", "name", "path")
    )
    categories, dependencies, contributors = (
        plain_property("QStringList", known, []) for known in ("categories", "dependencies", "contributors")
    )
    hidden = plain_property(bool, "hidden", False)
    icon = plain_property(QtGui.QIcon, "icon", QtGui.QIcon())
    _shown: qSlicerScriptedLoadableModuleWidget | None = None

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.name, self.path = path.stem, str(path)

    def widgetRepresentation(self) -> Any:  # noqa: N802
        if self._shown is None:
            self._shown = qSlicerScriptedLoadableModuleWidget(self.path)
            self._shown.reload()
        return self._shown


class qSlicerScriptedLoadableModuleWidget(QtWidgets.QWidget):  # noqa: N801
    """The module's place in the panel."""

    _python: Any = None
    _entered = False

    def __init__(self, path: str) -> None:
        super().__init__()
        self._name = Path(path).stem
        self.setLayout(QtWidgets.QVBoxLayout())

    def reload(self) -> None:
        """Make the widget from the module as it is loaded now."""
        self._python = getattr(sys.modules[self._name], f"{self._name}Widget")(adaptor.wrap(self))
        setattr(slicer.modules, f"{self._name}Widget", self._python)
        self._python.setup()

    def self(self) -> Any:
        return self._python

    isEntered = Property(bool, lambda self: self._entered)  # noqa: N815

    def enter(self) -> None:
        self._entered = True
        getattr(self._python, "enter", lambda: None)()

    def exit(self) -> None:
        self._entered = False
        getattr(self._python, "exit", lambda: None)()


class qSlicerMainWindow(QtWidgets.QMainWindow):  # noqa: N801
    """The main window: parent of dialogs, and its status bar."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")


class qSlicerLayoutManager(QtCore.QObject):  # noqa: N801
    """No views: a module has to run without them."""

    def sliceViewNames(self) -> list[str]:  # noqa: N802
        return []

    def resetThreeDViews(self) -> None:  # noqa: N802
        """Nothing to reset."""

    def resetSliceViews(self) -> None:  # noqa: N802
        """Nothing to reset."""


class qSlicerApplication(QtCore.QObject):  # noqa: N801
    """`slicer.app`, with a folder of its own for settings and temporary files."""

    startupCompleted = Signal()  # noqa: N815

    def __init__(self, folder: Path, application_logic: Any) -> None:
        super().__init__()
        self._folder, self._logic = folder, application_logic
        self._settings = QtCore.QSettings()
        self._modules, self._layouts = qSlicerModuleManager(), qSlicerLayoutManager()

    applicationName = Property(str, lambda _: "Slicer")  # noqa: N815
    applicationVersion = Property(str, lambda _: "5.12.0")  # noqa: N815
    majorVersion = Property(int, lambda _: 5)  # noqa: N815
    minorVersion = Property(int, lambda _: 12)  # noqa: N815
    temporaryPath = Property(str, lambda self: str(self._folder))  # noqa: N815
    slicerHome = Property(str, lambda self: str(self._folder))  # noqa: N815
    slicerUserSettingsFilePath = Property(str, lambda self: self._settings.fileName())  # noqa: N815

    @Slot(result=bool)
    def testingEnabled(self) -> bool:  # noqa: N802
        return False

    def applicationLogic(self) -> Any:  # noqa: N802
        return self._logic

    def mrmlScene(self) -> Any:  # noqa: N802
        return slicer.mrmlScene

    def moduleManager(self) -> Any:  # noqa: N802
        return self._modules

    def layoutManager(self) -> Any:  # noqa: N802
        return self._layouts

    def userSettings(self) -> Any:  # noqa: N802
        return self._settings

    settings = userSettings

    def clipboard(self) -> Any:
        return QtGui.QGuiApplication.clipboard()

    def topLevelWidgets(self) -> Any:  # noqa: N802
        return QtWidgets.QApplication.topLevelWidgets()

    def palette(self) -> Any:
        return QtWidgets.QApplication.palette()

    def translate(self, _context: str, text: str) -> str:
        return text

    def processEvents(self) -> None:  # noqa: N802
        QtCore.QCoreApplication.processEvents()

    def setOverrideCursor(self, cursor: Any) -> None:  # noqa: N802
        """A wait cursor is not seen off screen."""

    def restoreOverrideCursor(self) -> None:  # noqa: N802
        """A wait cursor is not seen off screen."""

    def pauseRender(self) -> None:  # noqa: N802
        """No views."""

    def resumeRender(self) -> None:  # noqa: N802
        """No views."""


class SampleData:
    """The module SampleData: keeps what was registered."""

    def __init__(self) -> None:
        self.registered: list[dict[str, Any]] = []

    def register(self, **source: Any) -> None:
        self.registered.append(source)


class DicomDatabase(dict[tuple[str, str], str]):
    """`slicer.dicomDatabase`: values by instance UID and tag; empty where there is none."""

    def instanceValue(self, instance: str, tag: str) -> str:  # noqa: N802
        return self.get((instance, tag), "")


class TorchInstaller:
    """The module PyTorchUtils: `state` says what is there ("installed", "missing") and what happens on installing
    ("refused", "failed").
    """

    def __init__(self) -> None:
        self.state = "installed"
        self.asked: list[dict[str, Any]] = []

    def torchInstalled(self) -> bool:  # noqa: N802
        return self.state == "installed"

    def installTorch(self, **wanted: Any) -> Any:  # noqa: N802
        self.asked.append(wanted)
        if self.state == "failed":
            raise ValueError("Torch could not be installed.")
        if self.state == "refused":
            return None
        self.state = "installed"
        return types.ModuleType("torch")


class Host:
    """The running application of one test. `close` takes everything back."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.mkdtemp())
        self.qapplication = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
        self._palette = QtWidgets.QApplication.palette()
        self._replaced: dict[str, Any] = {}
        self._patched: list[tuple[Any, str, Any]] = []
        self._slicer, self._path, self._folders = set(vars(slicer)), list(sys.path), set(members.MODULE_FOLDERS)
        self._anew: set[str] = set()
        self._opened: qSlicerScriptedLoadableModule | None = None
        gc.collect()
        gc.freeze()  # what there is before the test need not be searched at its end: the modules of torch are many
        adaptor.errors.clear()
        adaptor.dialogs.__init__()  # type: ignore[misc]
        self.mrml = mrml.boot(self._folder)
        self.scene = self.mrml.scene
        self.window = qSlicerMainWindow()
        self.sample_data, self.torch = SampleData(), TorchInstaller()
        self._install()

    @property
    def errors(self) -> list[BaseException]:
        """Exceptions that callbacks raised; the fixture fails a test that leaves any."""
        return adaptor.errors

    @property
    def answers(self) -> Any:
        """A queue: what the next dialogs return."""
        return adaptor.dialogs.answers

    @property
    def asked(self) -> list[DialogQuestion]:
        """What dialogs showed."""
        return adaptor.dialogs.asked

    @property
    def opened(self) -> list[str]:
        """Addresses that were to be shown by the desktop."""
        return adaptor.dialogs.opened

    def _install(self) -> None:
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, str(self._folder))
        QtCore.QCoreApplication.setOrganizationName("NA-MIC")
        QtCore.QCoreApplication.setApplicationName("Slicer")
        slicer.app = adaptor.wrap(qSlicerApplication(self._folder, self.mrml.application))
        slicer.dicomDatabase = DicomDatabase()
        slicer.selfTests = {}
        for name, real in (
            *QMRML.items(),
            *SUBJECT_HIERARCHY.items(),
            ("qSlicerScriptedLoadableModuleWidget", qSlicerScriptedLoadableModuleWidget),
        ):
            setattr(slicer, name, adaptor.proxy_class(real))
        self.subject_hierarchy = qSlicerSubjectHierarchyPluginHandler()
        qSlicerSubjectHierarchyPluginHandler.made[:] = [self.subject_hierarchy]
        self._provide("AbstractScriptedSubjectHierarchyPlugin", abstract_plugin_module())
        self._provide("qt", adaptor.module)
        self._provide("ctk", adaptor.QtModule("ctk", (), dict(CTK)))
        self._provide("slicer.i18n", i18n)
        self._provide("slicer.ScriptedLoadableModule", scripted_module)
        wrapper = {"parameterNodeWrapper": parameter_node.parameterNodeWrapper, "Default": parameter_node.Default}
        self._provide("slicer.parameterNodeWrapper", _module("slicer.parameterNodeWrapper", wrapper))
        sample_data_logic = _module("SampleDataLogic", {"registerCustomSampleDataSource": self.sample_data.register})
        self._provide("SampleData", _module("SampleData", {"SampleDataLogic": sample_data_logic}))
        self._provide("PyTorchUtils", _module("PyTorchUtils", {"PyTorchUtilsLogic": lambda: self.torch}))

    def _provide(self, name: str, module: Any) -> None:
        """Put a module where `import` finds it, and remember what was there; None makes its import fail."""
        self._replaced.setdefault(name, sys.modules.get(name))
        sys.modules[name] = module
        if name.startswith("slicer."):
            setattr(slicer, name.removeprefix("slicer."), module)

    def without(self, name: str) -> None:
        """Make a module of the application absent: `import NAME` fails."""
        self._provide(name, None)

    def patch(self, owner: Any, name: str, value: Any) -> None:
        """Give a module or object another attribute until the application is closed."""
        self._patched.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def packaging(self, install: Callable[..., Any]) -> None:
        """Provide `slicer.packaging`, which Slicer has since 5.11: pip_ensure calls `install`."""

        def requirements(path: str) -> list[str]:
            return Path(path).read_text(encoding="utf-8").split()

        self._provide(
            "slicer.packaging", _module("slicer.packaging", {"pip_ensure": install, "load_requirements": requirements})
        )

    def open_module(self, folder: Path = members.SOURCE, name: str = members.SOURCE.name) -> Any:
        """Load the scripted module of a folder as the application does, and show it: its Python widget, after setup()
        and enter().
        """
        path = folder / f"{name}.py"
        members.MODULE_FOLDERS.add(str(folder))
        self._forget_packages_elsewhere(folder)
        sys.path.insert(0, str(folder))
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        self._provide(name, loaded)
        spec.loader.exec_module(loaded)
        self._opened = module = qSlicerScriptedLoadableModule(path)
        setattr(slicer.modules, name.lower(), adaptor.wrap(module))
        setattr(slicer.modules, f"{name}Instance", getattr(loaded, name)(adaptor.wrap(module)))
        adaptor.unwrap(slicer.app).startupCompleted.emit()
        place = module.widgetRepresentation()
        self.window.setCentralWidget(place)
        self.window.show()
        place.enter()
        return place.self()

    def _forget_packages_elsewhere(self, folder: Path) -> None:
        """Packages that were imported from another folder, the source tree for one, are imported anew from this one
        until the test ends.
        """
        here = {known.parent.name for known in folder.glob("*/__init__.py")}
        for name in [known for known in sys.modules if known.split(".")[0] in here]:
            if not str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
                self._replaced.setdefault(name, sys.modules.pop(name))
                self._anew.add(name.split(".")[0])

    def run_until(self, condition: Callable[[], Any], seconds: float = 30.0) -> None:
        """Run the event loop until the condition holds; AssertionError where it does not within the time."""
        clock = QtCore.QElapsedTimer()
        clock.start()
        while not condition():
            assert clock.elapsed() < seconds * 1000, f"not so within {seconds} s; errors of callbacks: {self.errors}"
            loop = (
                QtCore.QEventLoop()
            )  # sleeps while nothing happens: a loop that does not takes a core from the worker
            QtCore.QTimer.singleShot(5, loop.quit)
            loop.exec()

    def picture(self, widget: Any, path: Path, width: int = 380, dark: bool = False) -> None:
        """Write what a widget looks like at a width, in pixels, in a light or a dark palette."""
        QtWidgets.QApplication.setPalette(dark_palette() if dark else self._palette)
        real = adaptor.unwrap(widget)
        real.setFixedWidth(width)
        for _ in range(2):  # the second time the contents have been laid out at this width
            height = real.heightForWidth(width) if real.hasHeightForWidth() else real.sizeHint().height()
            real.setFixedHeight(height)  # a mere resize would be taken back by the layout of the window
            self.qapplication.processEvents()
        real.grab().save(str(path))
        QtWidgets.QApplication.setPalette(self._palette)

    def close(self) -> None:
        """Unload the module, close the scene, and put everything back as it was."""
        if self._opened is not None:
            adaptor.unwrap(slicer.app.moduleManager()).moduleAboutToBeUnloaded.emit(self._opened.name)
        self.window.close()
        self.window.deleteLater()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
        mrml.shut(self.mrml)
        members.MODULE_FOLDERS.clear()
        members.MODULE_FOLDERS.update(self._folders)
        sys.path[:] = self._path
        for owner, attribute, before in reversed(self._patched):
            setattr(owner, attribute, before)
        for name in [known for known in sys.modules if known.split(".")[0] in self._anew]:
            del sys.modules[name]
        for name, before in self._replaced.items():
            if before is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = before
        for name in set(vars(slicer)) - self._slicer:
            delattr(slicer, name)
        if self._opened is not None:
            self._opened = None
            gc.collect()  # timers of the panel end with it


def _module(name: str, contents: dict[str, Any]) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(contents)
    return module


def dark_palette() -> QtGui.QPalette:
    """The colours of a dark desktop."""
    palette = QtGui.QPalette(QtGui.QColor(53, 53, 53))
    for role in (
        QtGui.QPalette.ColorRole.WindowText,
        QtGui.QPalette.ColorRole.Text,
        QtGui.QPalette.ColorRole.ButtonText,
    ):
        palette.setColor(role, QtGui.QColor(235, 235, 235))
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, role, QtGui.QColor(120, 120, 120))
    palette.setColor(QtGui.QPalette.ColorRole.Base, QtGui.QColor(35, 35, 35))
    return palette
