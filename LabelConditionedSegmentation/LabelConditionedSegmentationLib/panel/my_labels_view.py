"""My labels in the panel: what came is kept, and the menu that imports, exports, renames and removes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..core.errors import LabelError, LCSError
from ..core.examples.example_prompt import ExamplePrompt, averaged
from ..core.labels.label_tree import Label
from ..core.package.model_package import ModelPackage
from ..scene.example_labels import SUFFIX, file_of_label, load_label, plain_name, save_label
from ..scene.segmentations import hand_over
from .label_view import LabelView
from .model_view import title
from .my_labels import MyLabels

Changed = Callable[[Sequence[str], Sequence[tuple[Label, Label]]], None]
"""Called after labels came or went: with what to say, and with every label that another one came in the place of,
beside that one.
"""


class MyLabelsView:
    """Over the actions of the menu (`ui`, by their names), and the label tree, in which labels are chosen.

    say: shows a sentence. refresh: called where what may be pressed has changed.
    """

    def __init__(
        self,
        ui: Any,
        tree: LabelView,
        on_change: Changed,
        say: Callable[[str], None],
        refresh: Callable[[], None],
    ) -> None:
        self._ui = ui
        self._tree = tree
        self._on_change = on_change
        self._say = say
        self._package: ModelPackage | None = None
        self.labels = MyLabels()
        self._menu = _menu(ui)
        ui.importLabelAction.connect("triggered(bool)", self._import)
        ui.exportLabelAction.connect("triggered(bool)", self._export)
        ui.renameLabelAction.connect("triggered(bool)", self._rename)
        ui.removeLabelAction.connect("triggered(bool)", self._remove)
        ui.labelTree.connect("currentItemChanged(QTreeWidgetItem*,QTreeWidgetItem*)", lambda _now, _before: refresh())

    def show_model(self, package: ModelPackage) -> None:
        """Whose labels may be imported and changed."""
        self._package = package

    def refresh(self, running: bool, can_show_examples: bool) -> None:
        """Show what may be chosen. running: a run goes on. can_show_examples: the model learns from examples."""
        ui, mine = self._ui, self._chosen
        ui.importLabelAction.visible = ui.exportLabelAction.visible = can_show_examples
        ui.renameLabelAction.visible = ui.removeLabelAction.visible = can_show_examples
        ui.importLabelAction.enabled = not running
        ui.exportLabelAction.enabled = mine is not None
        ui.renameLabelAction.enabled = ui.removeLabelAction.enabled = mine is not None and not running

    def take(
        self, made: ExamplePrompt, of: ExamplePrompt | None, package: ModelPackage
    ) -> tuple[str, list[tuple[Label, Label]]]:
        """Take what a model has made of a structure: as a new label, or as another example of one.

        Returns what to say, and what came in the place of what. Raises InputError or LabelError.
        """
        return self._added(made, package) if of is None else self._averaged(of, made, package)

    def where(self, package: ModelPackage) -> list[str]:
        """A sentence, where labels of this model are not in the tree now."""
        is_shown = self._package is not None and self._package.weights_sha256 == package.weights_sha256
        return [] if is_shown else [f'It belongs to the model "{title(package)}"; choose that one to use it.']

    @property
    def _chosen(self) -> ExamplePrompt | None:
        """Which of my labels is marked in the tree."""
        return None if self._package is None else self.labels.get(self._tree.current, self._package)

    def _added(self, made: ExamplePrompt, package: ModelPackage) -> tuple[str, list[tuple[Label, Label]]]:
        """Add a new label; what to say, and that it came in the place of none. Raises InputError or LabelError."""
        self.labels.add(made, package)
        return f'"{made.name}" was added to My labels.', []

    def _averaged(
        self, of: ExamplePrompt, made: ExamplePrompt, package: ModelPackage
    ) -> tuple[str, list[tuple[Label, Label]]]:
        """Make a label anew from its examples and another one; what to say, and what came in the place of what.

        Raises InputError or LabelError.
        """
        kept = self.labels.named(of.name, package)  # the scene may have been read anew
        if kept is None:
            raise LabelError(
                f'The example was left aside, since "{of.name}" is no longer one of My labels; add it as a new label.'
            )
        prompt = averaged([kept, made])
        replaced = self._put_in_place(kept, prompt, package)
        return f'"{prompt.name}" was made from {prompt.count} examples.', [replaced]

    def _put_in_place(self, prompt: ExamplePrompt, other: ExamplePrompt, package: ModelPackage) -> tuple[Label, Label]:
        """Put a label in the place of another one, among my labels and as the one that segments belong to; both as the
        tree has them. Raises InputError or LabelError.
        """
        before, after = self.labels.replace(prompt, other, package)
        hand_over(slicer.mrmlScene, before, after, package.name)
        return before, after

    def _rename(self, _checked: bool) -> None:
        prompt, package = self._chosen, self._package
        if prompt is None or package is None:
            return
        entered = qt.QInputDialog.getText(
            slicer.util.mainWindow(), _("Rename a label by example"), _("Name:"), qt.QLineEdit.Normal, prompt.name
        )
        name = str(entered).strip()
        if name == prompt.name:
            return
        if not name:  # as after Cancel
            self._say(f'"{prompt.name}" keeps its name, since no other one was given.')
            return
        try:
            replaced = self._put_in_place(prompt, replace(prompt, name=name), package)
        except LCSError as error:
            self._say(str(error))
            return
        self._on_change([f'"{prompt.name}" is called "{name}" now.'], [replaced])

    def _remove(self, _checked: bool) -> None:
        prompt = self._chosen
        if prompt is not None:
            self.labels.remove(prompt)
            self._on_change([f'"{prompt.name}" was removed from My labels.'], ())

    def _import(self, _checked: bool) -> None:
        path = qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), _("Import a label by example"), "", _files())
        if path:
            self.import_file(Path(path))

    def import_file(self, path: Path) -> None:
        """Add the label of a file to those of the model."""
        if self._package is None:
            return
        try:
            said, replaced = self._added(load_label(path, self._package), self._package)
        except LCSError as error:
            self._say(str(error))
            return
        self._on_change([said], replaced)

    def _export(self, _checked: bool) -> None:
        prompt = self._chosen
        if prompt is None:
            return
        path = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(), _("Export a label by example"), plain_name(prompt.name) + SUFFIX, _files()
        )
        if not path:
            return
        try:
            file = file_of_label(Path(path))
            save_label(prompt, file)
        except LCSError as error:
            self._say(str(error))
            return
        self._say(f'"{prompt.name}" was written to {file}.')


def _menu(ui: Any) -> Any:
    """The menu of the button; what it can do stands in the .ui file."""
    menu = qt.QMenu(ui.myLabelsButton)
    menu.toolTipsVisible = True
    menu.addAction(ui.addExampleAction)
    for action in (ui.importLabelAction, ui.exportLabelAction, ui.renameLabelAction, ui.removeLabelAction):
        menu.addAction(action)
    ui.myLabelsButton.setMenu(menu)
    return menu


def _files() -> str:
    """What the dialogs for files show."""
    return f"{_('Labels by example')} (*{SUFFIX} *.json)"
