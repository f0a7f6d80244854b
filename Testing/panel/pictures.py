"""Pictures of the panel and of a result, and whether anything in the panel is cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from PIL import Image
from PySide6 import QtCore, QtWidgets

from Testing.host import qt as adaptor
from Testing.host.application import Host
from Testing.host.views import slice_view, view_3d

WIDTH = 380
"""Pixels: the narrowest panel that the application shows."""


def least_width(widget: Any) -> int:
    """The least width in pixels that its layout allows, which is what the application gives it at least."""
    return int(adaptor.unwrap(widget).layout().totalMinimumSize().width())


def cut_off(widget: Any) -> list[str]:
    """Names of the visible widgets inside `widget` that are too small for their text, or are overlapped by another."""
    found = []
    for child in adaptor.unwrap(widget).findChildren(QtWidgets.QWidget):
        if not child.isVisible() or not child.objectName() or child.objectName().startswith("qt_"):
            continue
        if isinstance(child, QtWidgets.QPushButton | QtWidgets.QCheckBox) and child.width() < child.sizeHint().width():
            found.append(child.objectName())
        if isinstance(child, QtWidgets.QLabel) and child.text():
            needs = child.heightForWidth(child.width()) if child.wordWrap() else child.sizeHint().height()
            if child.height() < needs or (not child.wordWrap() and child.width() < child.sizeHint().width()):
                found.append(child.objectName())
        covers = [
            other
            for other in child.parentWidget().findChildren(
                QtWidgets.QWidget, options=QtCore.Qt.FindChildOption.FindDirectChildrenOnly
            )
            if other is not child
        ]
        if any(other.isVisible() and other.geometry().intersects(child.geometry()) for other in covers):
            found.append(child.objectName())
    return found


def picture_result(host: Host, volume: Any, segmentation: Any, path: Path) -> None:
    """A row of a coronal slice, an axial slice and the 3D view."""
    segmentation.CreateClosedSurfaceRepresentation()
    parts = [path.with_name(f"{path.stem}_{name}.png") for name in ("coronal", "axial", "3d")]
    slice_view(host, volume, parts[0], "Coronal", -18.0, (400, 400))
    slice_view(host, volume, parts[1], "Axial", 4.0, (400, 400))
    view_3d(host, parts[2], (400, 400))
    row = Image.new("RGB", (400 * len(parts), 400))
    for n, part in enumerate(parts):
        row.paste(Image.open(part), (400 * n, 0))
        part.unlink()
    row.save(path, optimize=True)


def load_volume(path: Path, name: str) -> Any:
    """A volume node of a file, as the application loads it."""
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name)
    assert node is not None, path
    return node
