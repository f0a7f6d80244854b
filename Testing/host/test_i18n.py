"""Texts are looked up as the application does it: those of files by their name and package, those of .ui files by their
class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore

from Testing.host.application import Host


class ContextMarks(QtCore.QTranslator):
    """Puts the context before every text."""

    def translate(self, context: str, text: str, _comment: Any = None, _number: int = -1) -> str:
        return f"{context}/{text}"


def test_a_text_has_the_context_of_its_file(host: Host, tmp_path: Path) -> None:
    sources = {tmp_path / "Module.py": "Module", tmp_path / "panel" / "part.py": "panel.part"}
    (tmp_path / "panel").mkdir()
    (tmp_path / "panel" / "__init__.py").touch()
    marks = ContextMarks()
    QtCore.QCoreApplication.installTranslator(marks)
    for path, context in sources.items():
        path.write_text("from slicer.i18n import tr as _\ntext = _('Apply')", encoding="utf-8")
        contents: dict[str, Any] = {}
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), contents)
        assert contents["text"] == f"{context}/Apply"
    QtCore.QCoreApplication.removeTranslator(marks)
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), contents)
    assert contents["text"] == "Apply"
