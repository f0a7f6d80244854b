"""`slicer.i18n`: texts in the language of the application, looked up by Qt under the context that the
calling file has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6 import QtCore


def translate(context: str, text: str) -> str:
    """The translation of a text, or the text itself."""
    return QtCore.QCoreApplication.translate(context, text)


def tr(text: str) -> str:
    """The same, for the file that calls: its name, after that of its package where it lies in one."""
    file = Path(sys._getframe(1).f_code.co_filename)
    package = f"{file.parent.name}." if (file.parent / "__init__.py").is_file() else ""
    return translate(f"{package}{file.stem}", text)
