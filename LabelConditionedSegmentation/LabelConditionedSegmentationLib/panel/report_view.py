"""What there is to read about runs: the report of the chosen segmentation, and the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer

from ..scene.run_report import report_of


class ReportView:
    """Over the two buttons and the output selector (`ui`, by their names). say: shows a sentence."""

    def __init__(self, ui: Any, log_file: Path, say: Callable[[str], None]) -> None:
        self._ui = ui
        self._log_file = log_file
        self._say = say
        ui.reportButton.connect("clicked(bool)", self._copy_report)
        ui.logButton.connect("clicked(bool)", self._open_log)

    def refresh(self) -> None:
        """Show what there is."""
        self._ui.reportButton.enabled = self._report is not None
        self._ui.logButton.enabled = self._log_file.is_file()

    @property
    def _report(self) -> str | None:
        return report_of(self._ui.outputSelector.currentNode())

    def _copy_report(self, _checked: bool) -> None:
        slicer.app.clipboard().setText(self._report or "")
        self._say("The report is in the clipboard.")

    def _open_log(self, _checked: bool) -> None:
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(self._log_file)))
