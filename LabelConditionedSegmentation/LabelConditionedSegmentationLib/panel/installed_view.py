"""The list of installed models in the panel: name, version, size and licence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from ..core.package.package_list import ListedPackage
from .blocked_signals import blocked_signals


class InstalledView:
    """Over a tree widget and its section (`ui`, by their names). marked: called when the user marks another one, or
    opens the section.
    """

    def __init__(self, ui: Any, marked: Callable[[], None]) -> None:
        self._tree = tree = ui.modelsTree
        tree.setHeaderLabels([_("Model"), _("Version"), _("Size"), _("Licence")])
        header = tree.header()
        header.stretchLastSection = True
        for column in range(3):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        ui.modelsSection.connect("contentsCollapsed(bool)", lambda _collapsed: marked())
        tree.connect("currentItemChanged(QTreeWidgetItem*,QTreeWidgetItem*)", lambda _now, _before: marked())

    @property
    def marked(self) -> str:
        """Name of the model that is marked; "" for none."""
        item = self._tree.currentItem()
        return "" if item is None else str(item.data(0, qt.Qt.UserRole))

    def show(self, packages: Sequence[ListedPackage]) -> None:
        """List packages; the marked one stays so."""
        before = self.marked
        with blocked_signals(self._tree):
            self._tree.clear()
            for listed in packages:
                item = _new_item(listed)
                self._tree.addTopLevelItem(item)
                if listed.name == before:
                    self._tree.setCurrentItem(item)


def _new_item(listed: ListedPackage) -> Any:
    item = qt.QTreeWidgetItem()
    cells = listed.name, listed.version, listed.size, listed.licence if listed.package else _("cannot be used")
    for column, text in enumerate(cells):
        item.setText(column, text)
        item.setToolTip(column, f"{listed.title}\n{listed.problem or listed.licence}\n{listed.path}")
    item.setData(0, qt.Qt.UserRole, listed.name)
    return item
