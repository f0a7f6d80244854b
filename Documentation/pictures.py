"""The pictures of the repository, put beside the pages when the site is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

TOP = Path(__file__).resolve().parents[1]
ICON = TOP / "LabelConditionedSegmentation.png"


def on_files(files: Files, config: Any) -> Files:
    """Every screenshot, and the icon, as pictures/NAME."""
    pictures = {"icon.png": ICON} | {path.name: path for path in (TOP / "Resources" / "Screenshots").glob("*.png")}
    for name, path in sorted(pictures.items()):
        files.append(File.generated(config, f"pictures/{name}", abs_src_path=str(path)))
    return files
