"""A small checkout with all that the Extensions Index asks for, made from this one: what the tests break, build and
install.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from Utilities.update_cmake_lists import MODULE, cmake_file, up_to_date

from .installed import TOP

COPIED = (
    "CMakeLists.txt",
    "LICENSE",
    ".gitignore",
    f"{MODULE}.json",
    f"{MODULE}.png",
    f"{MODULE}/CMakeLists.txt",
    "Resources/requirements.txt",
)
README = f"""# {MODULE}

Segments a scan.

![A result](Resources/Screenshots/result.png)

## Modules

- {MODULE}: click labels and get their segments.

## Tutorial

1. Load MRHead from the module Sample Data.

## Please cite

arXiv 2203.10091, arXiv 2212.08423, arXiv 2102.09582. The software is under the Apache License 2.0.
"""
WRITTEN = {
    "README.md": README,
    "pyproject.toml": "[project]\n",
    f"{MODULE}/{MODULE}.py": '"""The module."""\n\nimport slicer\n',
    f"{MODULE}/{MODULE}Lib/__init__.py": "",
    f"{MODULE}/{MODULE}Lib/panel/view.py": "import qt\n\n\ndef install():\n    import torch\n\n    pip_ensure([])\n",
    "Resources/Labels/names.csv": "id,name\n",
}


def small_checkout(top: Path) -> Path:
    """Makes the checkout in `top`, a folder that does not exist, and returns it."""
    pictures = [f"Resources/{name}.png" for name in ("Screenshots/panel", "Screenshots/result", f"Icons/{MODULE}")]
    for source, target in [*zip(COPIED, COPIED, strict=True), *((f"{MODULE}.png", picture) for picture in pictures)]:
        (top / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / source, top / target)
    for target, text in WRITTEN.items():
        (top / target).parent.mkdir(parents=True, exist_ok=True)
        (top / target).write_text(text, encoding="utf-8", newline="\n")
    cmake_file(top).write_text(up_to_date(top), encoding="utf-8", newline="\n")
    return top
